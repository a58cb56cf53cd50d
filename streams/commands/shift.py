"""``vigil evaluate shift``: what becomes of a model that moves to another hospital."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from rich.console import Console

from config.settings import settings
from models.cohort import data_hash, read_stays
from models.dataset import featurise
from models.evaluation import probabilities, write_predictions
from models.features import FEATURE_SETS
from models.registry import load_model
from models.risk import ForestModel
from streams.commands.figures import figures_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from models.shift import Point, Shift, ShiftOptions

__all__ = ["shift"]


@click.command(
    epilog="Example: vigil evaluate shift --home hospital_A.parquet --away hospital_B.parquet "
    "--delay 12 --plot docs"
)
@click.option(
    "--home", required=True, type=click.Path(path_type=Path), help="Patients to train a model on."
)
@click.option(
    "--away", required=True, type=click.Path(path_type=Path), help="Patients of another hospital."
)
@click.option(
    "--features",
    type=click.Choice(list(FEATURE_SETS)),
    default="context",
    show_default=True,
    help="What the model may look at.",
)
@click.option(
    "--model",
    "folder",
    type=click.Path(path_type=Path),
    help="Model folder to move, trained on --home alone. Default: one is trained.",
)
@click.option(
    "--delay",
    type=click.FloatRange(0),
    default=12.0,
    show_default=True,
    help="Hours from the end of a stay to its labels.",
)
@click.option(
    "--arrivals",
    type=click.FloatRange(0, min_open=True),
    default=4.0,
    show_default=True,
    help="Patients who come in per hour.",
)
@click.option(
    "--point",
    "points",
    multiple=True,
    type=click.IntRange(1),
    help="Discharges after which to measure; again for another. Default: nine up to 11,000.",
)
@click.option(
    "--refit",
    multiple=True,
    type=click.IntRange(1),
    help="Points at which to retrain; again for another. Default: 500, 2,000, 5,000. Always at "
    "the end.",
)
@click.option("--retrain/--no-retrain", default=True, help="With the retrained arm, or without.")
@click.option(
    "--split",
    type=click.Choice(["held-out", "inner"]),
    default="held-out",
    show_default=True,
    help="Whom to measure on; inner = some of the others, to choose settings by.",
)
@click.option("--trees", type=click.IntRange(1), default=240, show_default=True, help="To train.")
@click.option("--leaves", type=click.IntRange(2), default=31, show_default=True, help="Of a tree.")
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    default=0.025,
    show_default=True,
    help="Of the trees' boosting.",
)
@click.option(
    "--resamples",
    type=click.IntRange(0),
    default=0,
    help="Bootstrap resamples for 95 % intervals of the last figures.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of everything that is drawn.")
@click.option(
    "--threads", type=click.IntRange(1), default=os.cpu_count() or 1, help="Default: all cores."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for each arm's last predictions on the unseen patients, in the challenge's "
    "format.",
)
@click.option("--plot", type=click.Path(path_type=Path), help="Folder for a plot of the arms.")
@click.option("--track", "tracked", is_flag=True, help="Log a run with the plot to MLflow.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def shift(
    home: Path,
    away: Path,
    folder: Path | None,
    out: Path | None,
    plot: Path | None,
    tracked: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Move a model to another hospital: frozen, re-tuned, learning online, retrained.

    A model is trained on --home and then sees the patients of --away, whose labels are known some
    hours after their stays. All arms are measured on patients of --away whom none of them learns
    from, beside the ICU clock.
    """
    # imported here: LightGBM takes a second
    from models.shift import plot_shift, run_shift, split_patients, train_champion

    options = _options(**given)
    read = read_stays(home)
    stays = [read[i] for i in split_patients(read, "held-out")[0]]
    others = read_stays(away)
    old, new = featurise(stays), featurise(others)
    _stage("Loading the model" if folder else "Training a model, and three to set its thresholds")
    champion = _forest(folder) if folder else train_champion(stays, old, options)
    found = run_shift(champion, (stays, old), (others, new), options, _stage)
    figure = plot_shift(found.points, f"{home.stem} → {away.stem}, {options.features}")
    if plot is not None:
        plot.mkdir(parents=True, exist_ok=True)
        figure.savefig(plot / f"shift-{options.features}.png", dpi=110)
    if out is not None:
        for name, model in found.arms.items():
            said = probabilities(model, found.data, len(found.unseen))
            write_predictions(found.unseen, said, model.threshold, out / name.replace(", ", "-"))
    facts = _facts(champion, options, home=data_hash(stays), away=data_hash(others))
    if tracked:
        _log(found, facts, figure)
    if as_json:
        points = [point.to_dict() for point in found.points]
        click.echo(json.dumps({**facts, "unseen": len(found.unseen), "points": points}))
    else:
        _show(found, options)


def _options(
    features: str,
    delay: float,
    arrivals: float,
    points: tuple[int, ...],
    refit: tuple[int, ...],
    retrain: bool,
    split: Literal["held-out", "inner"],
    trees: int,
    leaves: int,
    learning_rate: float,
    resamples: int,
    seed: int,
    threads: int,
) -> "ShiftOptions":
    from models.shift import ShiftOptions

    usual = ShiftOptions()
    return ShiftOptions(
        features=features,
        delay_hours=delay,
        arrivals_per_hour=arrivals,
        points=tuple(sorted({*(points or usual.points), *refit})),
        refit=(refit or usual.refit) if retrain else None,
        split=split,
        trees=trees,
        leaves=leaves,
        learning_rate=learning_rate,
        resamples=resamples,
        seed=seed,
        threads=threads,
    )


def _forest(folder: Path) -> ForestModel:
    model = load_model(folder)
    if not isinstance(model, ForestModel):
        raise click.ClickException(
            f"the model in {folder} is of the kind {model.kind!r}: only a forest has leaves to "
            "learn; make one with `vigil train --candidate lightgbm`"
        )
    return model


def _stage(name: str) -> None:
    """Say what is begun; a bar would fight with that of the discharges."""
    errors = Console(stderr=True)
    if errors.is_terminal:
        errors.print(f"{name} …", style="dim")


def _facts(
    champion: ForestModel, options: "ShiftOptions", *, home: str, away: str
) -> dict[str, Any]:
    return {
        "champion": champion.version,
        "threshold": champion.threshold,
        "home_data_hash": home,
        "away_data_hash": away,
        "options": asdict(options),
    }


def _log(found: "Shift", facts: dict[str, Any], figure: "Figure") -> None:
    """A run whose metrics have the discharges as their step."""
    from models import tracking

    options = facts["options"]
    params = {f"option_{name}": value for name, value in options.items() if name != "rules"}
    params |= {f"rule_{name}": value for name, value in options["rules"].items()}
    tags = {name: facts[name] for name in ("champion", "home_data_hash", "away_data_hash")}
    metrics = {
        f"{arm}_{name}": value
        for arm, report in _reports(found.points[-1]).items()
        for name, value in report.items()
    }
    with (
        tracking.session(settings().tracking_uri),
        tracking.run("shift", params=params, metrics=metrics, tags=tags),
    ):
        tracking.log_figures({"shift": figure})
        tracking.log_json({**facts, "points": [p.to_dict() for p in found.points]}, "shift.json")


def _reports(point: "Point") -> dict[str, dict[str, float]]:
    """The figures of each arm under names that MLflow takes."""
    taken = ("auroc", "auprc", "utility", "calibration_error", "alerts_per_patient_day")
    return {
        row.name.replace(", ", "_").replace(" ", "_").replace("≥", "from"): {
            name: getattr(row.report, name) for name in taken
        }
        for row in point.rows
    }


def _show(found: "Shift", options: "ShiftOptions") -> None:
    console = Console()
    septic = sum(stay.septic is True for stay in found.unseen)
    console.print(
        f"{len(found.unseen):,} patients whom no arm learns from, {septic:,} septic; labels "
        f"{options.delay_hours:g} h after a stay."
    )
    for point in found.points:
        console.print(figures_table(f"after {point.discharges:,} discharges", point.rows))
    console.print(f"The online arm scores with {found.points[-1].version}.")

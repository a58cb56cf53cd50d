"""``vigil evaluate shift``: what becomes of a model that moves to another hospital."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from config.settings import Settings, settings
from models.cohort import data_hash, read_stays
from models.dataset import featurise
from models.evaluation import probabilities, write_predictions
from models.features import FEATURE_SETS
from models.registry import load_model, save_model
from models.risk import ForestModel
from streams.commands.figures import figures_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from models.shift import Point, Shift, ShiftOptions
    from models.shift_stream import Course, Said

__all__ = ["shift"]

FAILED = 1
#: Fewer patients than offline are in a figure: those whose stays ended since the one before.
_LIVE_POINTS = (500, 1_000, 2_000, 3_500, 5_000, 8_000, 11_000)


@click.command(
    epilog="Examples: vigil evaluate shift --home hospital_A.parquet --away hospital_B.parquet "
    "--delay 12 --plot docs; vigil evaluate shift --home hospital_A.parquet --away "
    "hospital_B.parquet --live --patients 2000"
)
@click.option(
    "--home", required=True, type=click.Path(path_type=Path), help="Patients to train a model on."
)
@click.option(
    "--away", required=True, type=click.Path(path_type=Path), help="Patients of another hospital."
)
@click.option(
    "--live",
    is_flag=True,
    help="Send them through a bedside and a learning worker, hour by hour, and measure what these "
    "say. Starts a broker of its own unless one is named or runs here.",
)
@click.option(
    "--patients", type=click.IntRange(1), metavar="N", help="Only the first so many of --away."
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
    help="Discharges after which to measure; again for another. Default: nine up to 11,000; with "
    "--live, seven from 500 on.",
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
    live: bool,
    patients: int | None,
    folder: Path | None,
    out: Path | None,
    plot: Path | None,
    tracked: bool,
    as_json: bool,
    **given: Any,
) -> int:
    """Move a model to another hospital: frozen, re-tuned, learning online, retrained.

    A model is trained on --home and then sees the patients of --away, whose labels are known some
    hours after their stays. All arms are measured on patients of --away whom none of them learns
    from, beside the ICU clock.

    With --live the online arm is what the workers said, once of each reading of all patients,
    before any label of theirs was known; so are the others measured. Exit code 1 where a
    probability is not, bit for bit, that of the model version it names, or the version is another
    one than the same learner gives offline.
    """
    # imported here: LightGBM takes a second
    from models.shift import plot_shift, run_shift, split_patients, train_champion
    from models.shift_stream import chart_course, follow_arms, stream_points

    if live and (out is not None or given["split"] != "held-out"):
        raise click.UsageError("--live goes with neither --out nor --split inner")
    options = _options(live=live, **given)
    read = read_stays(home)
    stays = [read[i] for i in split_patients(read, "held-out")[0]]
    others = read_stays(away, limit=patients)
    old, new = featurise(stays), featurise(others)
    _stage("Loading the model" if folder else "Training a model, and three to set its thresholds")
    champion = _forest(folder) if folder else train_champion(stays, old, options)
    facts = _facts(champion, options, home=data_hash(stays), away=data_hash(others))
    title = f"{home.stem} → {away.stem}, {options.features}"
    if not live:
        found = run_shift(champion, (stays, old), (others, new), options, _stage)
        facts["unseen"] = len(found.unseen)
        if out is not None:
            for name, model in found.arms.items():
                said = probabilities(model, found.data, len(found.unseen))
                write_predictions(
                    found.unseen, said, model.threshold, out / name.replace(", ", "-")
                )
        figure = plot_shift(found.points, title)
        _report(found.points, found.points[-1], facts, figure, plot, tracked, as_json)
        if not as_json:
            _show(found, options)
        return 0
    course = chart_course(champion, others, new, options)
    began = time.monotonic()
    heard = _stream(course, options)
    unequal, moved = course.differences(heard)
    facts["stream"] = {
        "patients": len(course.stays),
        "readings": len(course.order),
        "layers": len(course.layers),
        "unequal": unequal,
        "other_version": moved,
        "seconds": round(time.monotonic() - began, 1),
    }
    arms = follow_arms(course, heard, (stays, old), options, _stage)
    points, whole = stream_points(course, arms, options.points, options.resamples)
    figure = plot_shift(points, f"{title}, on the stream")
    facts["whole"] = whole.to_dict()
    _report(points, whole, facts, figure, plot, tracked, as_json)
    if not as_json:
        _show_live(points, whole, facts["stream"], options)
    return FAILED if unequal or moved else 0


def _options(
    *,
    live: bool,
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
        points=tuple(sorted({*(points or (_LIVE_POINTS if live else usual.points)), *refit})),
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


def _report(
    points: "Sequence[Point]",
    last: "Point",
    facts: dict[str, Any],
    figure: "Figure",
    plot: Path | None,
    tracked: bool,
    as_json: bool,
) -> None:
    """Draw, track, and write the line of JSON, where it is asked for."""
    live = "-live" if "stream" in facts else ""
    if plot is not None:
        plot.mkdir(parents=True, exist_ok=True)
        figure.savefig(plot / f"shift-{facts['options']['features']}{live}.png", dpi=110)
    told = {**facts, "points": [point.to_dict() for point in points]}
    if tracked:
        _log(last, told, figure)
    if as_json:
        click.echo(json.dumps(told))


def _log(last: "Point", facts: dict[str, Any], figure: "Figure") -> None:
    """A run in MLflow; its metrics are the last figures."""
    from models import tracking

    options = facts["options"]
    params = {f"option_{name}": value for name, value in options.items() if name != "rules"}
    params |= {f"rule_{name}": value for name, value in options["rules"].items()}
    tags = {name: facts[name] for name in ("champion", "home_data_hash", "away_data_hash")}
    metrics = {
        f"{arm}_{name}": value
        for arm, report in _reports(last).items()
        for name, value in report.items()
    }
    with (
        tracking.session(settings().tracking_uri),
        tracking.run("shift", params=params, metrics=metrics, tags=tags),
    ):
        tracking.log_figures({"shift": figure})
        tracking.log_json(facts, "shift.json")


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


def _show_live(
    points: "Sequence[Point]", whole: "Point", stream: dict[str, Any], options: "ShiftOptions"
) -> None:
    console = Console()
    console.print(
        f"{stream['readings']:,} readings of {stream['patients']:,} patients, each scored once; "
        f"labels {options.delay_hours:g} h after a stay."
    )
    for point in points:
        title = f"stays that ended until {point.discharges:,} discharges were learned"
        console.print(figures_table(title, point.rows))
    console.print(figures_table("all stays", whole.rows))
    wrong = stream["unequal"] or stream["other_version"]
    console.print(
        f"{stream['layers']:,} layers in {stream['seconds']:,.0f} s. Of the probabilities "
        f"{stream['unequal']:,} are not those of their model version, and "
        f"{stream['other_version']:,} are of another version than offline.",
        style="red" if wrong else None,
    )


# -- the stream


def _stream(course: "Course", options: "ShiftOptions") -> "Said":
    """Send a course through workers of its own, and return what they said."""
    # imported here: nothing else of this command needs a broker
    from streams.commands.demo import Steps, broker
    from streams.demo import scratch_folder
    from streams.lockstep import remove_topics

    base, steps = settings(), Steps(Console(stderr=True))
    # what ends us, ends us as Ctrl-C does, clearing up
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with scratch_folder() as home, broker(base, home, steps) as (bootstrap, own):
        save_model(course.champion, home / "model")
        chosen = base.model_copy(
            update={
                "broker": bootstrap,
                "home": home,
                "model_dir": home / "model",
                "topic_prefix": f"shift-{time.time_ns() % 16**8:08x}.",
                "feature_set": options.features,
                "label_delay_hours": options.delay_hours,
            }
        )
        try:
            return asyncio.run(_play(course, chosen, base, steps.console))
        finally:
            if not own:
                asyncio.run(remove_topics(chosen))


async def _play(course: "Course", chosen: Settings, base: Settings, console: Console) -> "Said":
    from streams.commands.demo import environment
    from streams.demo import Worker
    from streams.kafka.ports import HOST, free_ports
    from streams.lockstep import Lockstep, LockstepError
    from streams.tasks import first
    from streams.topics import ensure

    variables = {
        "VIGIL_TOPIC_PREFIX": chosen.topic_prefix,
        "VIGIL_FEATURE_SET": chosen.feature_set,
        "VIGIL_LABEL_DELAY_HOURS": str(chosen.label_delay_hours),
        "VIGIL_LEARNING": "true",
        "VIGIL_PROMOTION": "manual",
        # the result must not depend on how long things take
        "VIGIL_ADMISSIONS_WAIT_S": "600",
        "VIGIL_SESSION_TIMEOUT_S": "60",
    }

    def worker(application: str, port: int) -> Worker:
        own = chosen.home / application
        own.mkdir()
        bound = chosen.model_copy(update={"home": own, "web_host": HOST, "web_port": port})
        given = environment(bound, base) | variables
        for name in ("VIGIL_RETRAIN_DIR", "VIGIL_RETRAIN_DAYS"):
            given.pop(name, None)
        return Worker(bound, given, own / "worker.log", application)

    await ensure(chosen)
    ports = free_ports(2)
    bedside, learning = worker("bedside", ports[0]), worker("learning", ports[1])
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    )
    with bar:
        task = bar.add_task("Readings answered", total=len(course.order))
        lockstep = Lockstep(
            chosen, course, bedside, lambda answered: bar.update(task, completed=answered)
        )

        async def run() -> None:
            await bedside.ready()
            await learning.ready()
            try:
                await lockstep.run()
            except LockstepError as error:
                words = [each.last_words("does not go on") for each in (bedside, learning)]
                raise LockstepError("\n".join([str(error), *words])) from None

        async with bedside, learning:
            await first(run(), bedside.died(), learning.died())
    return lockstep.said()

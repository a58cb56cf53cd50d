"""``vigil evaluate``: measure models on recorded patients."""

import json
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from rich.console import Console

from config.settings import settings
from models.cohort import read_stays
from models.dataset import Dataset, featurise
from models.evaluation import Row, model_row, probabilities, rule_rows, write_predictions
from models.registry import load_champion
from models.risk import RiskModel
from models.stay import Stay
from streams.commands.figures import figures_table
from streams.commands.shift import shift

__all__ = ["evaluate"]


@click.group(epilog="Example: vigil evaluate risk --data psv/ --out predictions/")
def evaluate() -> None:
    """Measure the models on recorded patients."""


evaluate.add_command(shift)


@evaluate.command(epilog="Example: vigil evaluate risk --data patients/ --out predictions/")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Recorded patients.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder for one prediction file a patient, in the challenge's format.",
)
@click.option(
    "--model",
    "folder",
    type=click.Path(path_type=Path),
    help="Model folder. Default: the model a worker scores with.",
)
@click.option(
    "--resamples", type=click.IntRange(0), default=0, help="Bootstrap resamples for 95 % intervals."
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def risk(data: Path, out: Path, folder: Path | None, resamples: int, as_json: bool) -> None:
    """Score every reading, beside qSOFA, SIRS, NEWS2 and the ICU clock.

    Without a known outcome there is nothing to measure: then only the predictions are written.
    """
    chosen = settings()
    model = load_champion(chosen.tracking_uri, folder or chosen.model_dir)
    stays = read_stays(data)
    features = featurise(stays)
    scored = probabilities(model, features, len(stays))
    write_predictions(stays, scored, model.threshold, out)
    rows = _measure(stays, features, model, resamples)
    if as_json:
        figures = {row.name: row.report.to_dict() for row in rows}
        found = {"model": model.name, "version": model.version, "threshold": model.threshold}
        click.echo(json.dumps({**found, "patients": len(stays), "figures": figures}))
        return
    console = Console()
    if rows:
        report = rows[0].report
        title = f"{report.patients:,} patients, {report.septic_patients:,} septic"
        console.print(figures_table(title, rows))
        console.print(f"{model.name} {model.version}; alarm from {model.threshold:.4f} on.")
    else:
        console.print("No outcome is known (no SepsisLabel): nothing to measure.", style="yellow")
    console.print(f"{len(stays):,} files of predictions: {out}")


def _measure(stays: Sequence[Stay], data: Dataset, model: RiskModel, resamples: int) -> list[Row]:
    """Figures over the patients of known outcome; none where there is no such patient."""
    known = np.array([i for i, stay in enumerate(stays) if stay.labels is not None])
    if not len(known):
        return []
    labelled, rows = [stay for stay in stays if stay.labels is not None], data.take(known)
    return [
        model_row(model.name, labelled, rows, model, resamples=resamples),
        *rule_rows(labelled, rows, resamples=resamples),
    ]

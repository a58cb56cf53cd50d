"""``vigil train``: train a risk model and register it."""

import json
import os
from pathlib import Path
from typing import Literal

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from config.settings import settings
from models.candidates import CANDIDATES
from models.publish import Published, publish, write_model
from models.sources import read_patients
from models.training import Options, Trained, stage_count
from models.training import train as train_model
from streams.commands.figures import figures_table

__all__ = ["train"]


@click.command(epilog="Example: vigil train --data ../shared/data/sepsis2019")
@click.option(
    "--data", required=True, type=click.Path(path_type=Path), help="Patients to train on."
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the model folder there, too.")
@click.option(
    "--features",
    type=click.Choice(["vitals", "context", "labs"]),
    default="context",
    show_default=True,
    help="Vital signs; with the admission and its clock; with laboratory results, too.",
)
@click.option(
    "--candidate",
    "candidates",
    multiple=True,
    type=click.Choice(CANDIDATES),
    help="Kind of model to try; again for another. Default: all.",
)
@click.option(
    "--iterations",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    help="Settings tried of each kind.",
)
@click.option(
    "--search-patients",
    type=click.IntRange(10),
    default=3_000,
    show_default=True,
    help="Training patients the search looks at.",
)
@click.option(
    "--resamples",
    type=click.IntRange(0),
    default=200,
    show_default=True,
    help="Bootstrap resamples for the intervals.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of everything that is drawn.")
@click.option(
    "--threads", type=click.IntRange(1), default=os.cpu_count() or 1, help="Default: all cores."
)
@click.option("--promote/--no-promote", default=True, help="Whether it may become the champion.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def train(
    data: Path,
    out: Path | None,
    features: Literal["vitals", "context", "labs"],
    candidates: tuple[str, ...],
    iterations: int,
    search_patients: int,
    resamples: int,
    seed: int,
    threads: int,
    promote: bool,
    as_json: bool,
) -> None:
    """Train a risk model on recorded patients, measure it on held-out ones and register it.

    --data is a CSV or Parquet file, a folder of hospital_*.parquet, a folder of the challenge's
    .psv files, a side of `vigil data split`, or what `vigil data collect` made. Runs, plots and
    models go to MLflow (VIGIL_MLFLOW_TRACKING_URI).
    """
    options = Options(
        features, candidates or CANDIDATES, iterations, search_patients, resamples, seed, threads
    )
    patients = read_patients(data)
    errors = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("Computing features", total=stage_count(options) + 2)

        def stage(name: str) -> None:
            bar.update(task, description=name, advance=1)

        trained = train_model(
            patients.stays, options, stage, featurise=patients.featurise, data=patients.facts
        )
        if out is not None:
            write_model(trained, out)
        stage("Logging to MLflow")
        published = publish(trained, settings().tracking_uri, promote=promote)
    if as_json:
        click.echo(json.dumps(_summary(trained, published)))
    else:
        _show(trained, published, out)


def _summary(trained: Trained, published: Published) -> dict[str, object]:
    return {
        "algorithm": trained.winner,
        "settings": trained.facts["settings"],
        "version": published.version,
        "fingerprint": trained.model.version,
        "data": trained.facts["data"],
        "champion": published.champion,
        "champion_utility": published.champion_utility,
        "shipped_utility": published.shipped_utility,
        "threshold": trained.model.threshold,
        "tiers": trained.model.tiers._asdict(),
        "figures": {row.name: row.report.to_dict() for row in trained.rows},
    }


def _show(trained: Trained, published: Published, out: Path | None) -> None:
    console = Console()
    held_out = trained.facts["held_out"]
    console.print(
        figures_table(
            f"{held_out['patients']:,} held-out patients, {held_out['septic_patients']:,} septic",
            trained.rows,
        )
    )
    before, shipped = published.champion_utility, published.shipped_utility
    compared = (
        "" if before is None else f" (utility {published.utility:.3f}, champion {before:.3f})"
    )
    verdict = "it is the champion now" if published.champion else "the champion stays"
    if before is None and not published.champion:
        verdict = "there is no champion"
    console.print(f"Registered as version {published.version}: {verdict}{compared}.")
    if published.champion and published.utility < shipped:
        console.print(
            f"On these patients the shipped model is better (utility {shipped:.3f}). Workers now "
            "score with the new one; VIGIL_MODEL_DIR=models/shipped/… keeps the shipped one.",
            style="yellow",
        )
    if out is not None:
        console.print(f"Model folder: {out}")

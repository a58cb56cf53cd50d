"""``vigil evaluate``: measure models on recorded patients."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from config.policy import PolicyError, load_policy
from config.settings import settings
from models.cohort import read_stays
from models.dataset import Dataset, featurise
from models.drift_report import SignalRow, draw, hospital, runs, signal_rows
from models.evaluation import (
    Row,
    hospital_of,
    model_row,
    probabilities,
    rule_rows,
    write_predictions,
)
from models.features import FEATURE_SETS
from models.registry import load_champion
from models.risk import RiskModel
from models.sensor_report import fault_rows, flag_rows
from models.stay import Stay
from streams import alert_report
from streams.commands.evaluate_retrieval import retrieval
from streams.commands.figures import figures_table
from streams.commands.shift import shift

__all__ = ["evaluate"]


@click.group(epilog="Example: vigil evaluate risk --data psv/ --out predictions/")
def evaluate() -> None:
    """Measure models on recorded patients, and the search on the corpus."""


evaluate.add_command(shift)
evaluate.add_command(retrieval)


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
    "--features",
    type=click.Choice(list(FEATURE_SETS)),
    help="Which shipped model, where there is no other. Default: VIGIL_FEATURE_SET.",
)
@click.option(
    "--resamples", type=click.IntRange(0), default=0, help="Bootstrap resamples for 95 % intervals."
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def risk(
    data: Path,
    out: Path,
    folder: Path | None,
    features: str | None,
    resamples: int,
    as_json: bool,
) -> None:
    """Score every reading, beside qSOFA, SIRS, NEWS2 and the ICU clock.

    Without a known outcome there is nothing to measure: then only the predictions are written.
    """
    chosen = settings()
    model = load_champion(
        chosen.tracking_uri, folder or chosen.model_dir, feature_set=features or chosen.feature_set
    )
    stays = read_stays(data)
    rows_of = featurise(stays)
    scored = probabilities(model, rows_of, len(stays))
    write_predictions(stays, scored, model.threshold, out)
    rows = _measure(stays, rows_of, model, resamples)
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


@evaluate.command(epilog="Example: vigil evaluate drift --data ../shared/data/sepsis2019 --plot")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Recorded patients of two hospitals, told apart by the challenge's numbering.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=6,
    show_default=True,
    help="Of the first run. The rule was set on 1 to 5.",
)
@click.option("--runs", "count", type=click.IntRange(1), default=10, show_default=True)
@click.option(
    "--beds", type=click.IntRange(1), default=50, show_default=True, help="Patients at a time."
)
@click.option(
    "--before",
    type=click.IntRange(1),
    default=100_000,
    show_default=True,
    help="Readings of hospital A in a run.",
)
@click.option(
    "--after",
    type=click.IntRange(1),
    default=4_000,
    show_default=True,
    help="Readings of hospital B after them.",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    is_flag=False,
    flag_value=Path("docs/drift.svg"),
    metavar="[FILE]",
    help="Draw it.  [without FILE: docs/drift.svg]",
)
def drift(
    data: Path,
    seed: int,
    count: int,
    beds: int,
    before: int,
    after: int,
    as_json: bool,
    plot: Path | None,
) -> None:
    """Measure how soon a switch from hospital A to B is found, and false alarms before it.

    The stays of each hospital are put on a ward in a random order, one for each run, with a reading
    an hour from every bed.
    """
    chosen = settings()
    model = load_champion(chosen.tracking_uri, chosen.model_dir)
    stays = read_stays(data)
    first, second = (
        [stay for stay in stays if hospital_of(stay.patient_id) == f"hospital {name}"]
        for name in "AB"
    )
    if not (first and second):
        raise click.ClickException(
            f"{data} lacks patients of two hospitals: ids p0NNNNN (A) and p1NNNNN (B)."
        )
    found = runs(
        hospital(first, model),
        hospital(second, model),
        seeds=range(seed, seed + count),
        beds=beds,
        readings=(before, after),
    )
    rows = signal_rows(found)
    if plot is not None:
        draw(found, plot)
    if as_json:
        each = [
            {"seed": run.seed, "delay": run.delay(), "false": [asdict(e) for e in run.false]}
            for run in found
        ]
        told = {"beds": beds, "before": before, "after": after, "runs": each}
        # JSON knows no NaN
        signals = [{k: None if v != v else v for k, v in asdict(row).items()} for row in rows]
        click.echo(json.dumps({**told, "signals": signals}))
        return
    total = sum(run.before for run in found)
    Console().print(_drift_table(f"{count} wards of {beds} beds, {total:,} readings of A", rows))


def _drift_table(title: str, rows: Sequence[SignalRow]) -> Table:
    table = Table(
        "signal",
        title=title,
        caption="found: share of runs · median, longest: readings of B until then",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for name in ("found", "median", "longest", "false / 100,000"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        delays = [f"{n:,.0f}" if n == n else "-" for n in (row.median, row.longest)]
        table.add_row(row.signal, f"{row.found:.0%}", *delays, f"{row.false:.2f}")
    return table


@evaluate.command(epilog="Example: vigil evaluate sensors --data ../shared/data/sepsis2019/psv")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Recorded patients of known outcome.",
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Of where faults are put.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def sensors(data: Path, seed: int, as_json: bool) -> None:
    """Count the flags of sensor anomalies in septic and other hours, and on faults put in."""
    stays = read_stays(data)
    flags, faults = flag_rows(stays), fault_rows(stays, seed=seed)
    if as_json:
        told = {"flags": [asdict(row) for row in flags], "faults": [asdict(row) for row in faults]}
        click.echo(json.dumps({"patients": len(stays), **told}))
        return
    patients = f"{len(stays):,} patients"
    table = Table("flag", title=f"Flags per 100,000 readings, {patients}", box=SIMPLE_HEAD)
    for name in ("septic hours", "other hours"):
        table.add_column(name, justify="right")
    for row in flags:
        table.add_row(row.flag, f"{row.septic:.1f}", f"{row.other:.1f}")
    faulty = Table("fault", title="Faults put in", box=SIMPLE_HEAD)
    for name in ("readings", "found"):
        faulty.add_column(name, justify="right")
    for fault in faults:
        faulty.add_row(fault.fault, f"{fault.readings:,}", f"{fault.found:.1%}")
    Console().print(table, faulty)


@evaluate.command(epilog="Example: vigil evaluate alerts --data ../shared/data/sepsis2019/psv")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Recorded patients.")
@click.option(
    "--policy",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Alert policy. Default: the one that ships.",
)
@click.option("--beds", type=click.IntRange(1), help="Patients of a unit. Default: all are in one.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    is_flag=False,
    flag_value=Path("docs/alerts.svg"),
    metavar="[FILE]",
    help="Draw it.  [without FILE: docs/alerts.svg]",
)
def alerts(
    data: Path, file: Path | None, beds: int | None, as_json: bool, plot: Path | None
) -> None:
    """Count the alerts and pages of a policy on recorded patients, and how right they are.

    Everybody is admitted at the same hour. The model is the champion of the feature set `context`,
    as a worker scores with it.
    """
    chosen = settings()
    try:
        policy = load_policy(file)
    except PolicyError as error:
        raise click.ClickException(str(error)) from None
    model = load_champion(chosen.tracking_uri, chosen.model_dir, feature_set="context")
    stays = read_stays(data)
    outcome = alert_report.run(alert_report.recommendations(stays, model, beds=beds), stays, policy)
    rows = alert_report.rows(outcome, stays)
    if plot is not None:
        alert_report.draw(outcome, policy, plot)
    if as_json:
        # JSON knows no NaN
        kinds = [{k: None if v != v else v for k, v in asdict(row).items()} for row in rows]
        told = {
            "policy": policy.version,
            "model": model.version,
            "patients": len(stays),
            "patient_days": outcome.days,
            "recommendations": outcome.recommendations,
            "higher": len(outcome.higher),
            "resolved": outcome.resolved,
            "alerts": kinds,
        }
        click.echo(json.dumps(told))
        return
    table = Table(
        "",
        title=f"{len(stays):,} patients, {outcome.days:,.0f} patient-days",
        caption=f"policy {policy.version} · sens. septic patients alerted · PPV alerted patients "
        "who were septic",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for name in ("alerts", "/patient-day", "sens.", "PPV"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        shares = [f"{x:.0%}" if x == x else "-" for x in (row.septic_alerted, row.alerted_septic)]
        table.add_row(row.name, f"{row.alerts:,}", f"{row.per_patient_day:.3f}", *shares)
    Console().print(table)

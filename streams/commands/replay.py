"""``vigil replay``: send recorded patients to the broker."""

import asyncio
import contextlib
import json
import math
import signal
import time
from collections import deque
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from config.settings import settings
from models.stay import Stay
from streams.replay import Replay

__all__ = ["RATE", "patients_of", "replay"]

INTERRUPTED = 130
#: An hour of a patient's life in a second.
DEFAULT_SPEED = 3600.0


class _Rate(click.ParamType):
    name = "readings/s"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            rate = math.inf if value == "max" else float(value)
        except ValueError:
            rate = math.nan
        if not rate >= 0:
            self.fail(f"{value!r}: give a number, or max", param, ctx)
        return rate or math.inf


RATE = _Rate()


def patients_of(
    path: Path | None,
    simulated: int,
    *,
    limit: int | None = None,
    interval_s: int = 3600,
    seed: int = 0,
    septic_share: float = 0.2,
    hours: float | None = None,
) -> list[Stay]:
    """Read the patients at ``path``; without one, simulate some.

    Raises:
        models.cohort.CohortError: what is at ``path`` cannot be read as patients.
    """
    # imported here: reading Parquet takes half a second to load, simulating does not need it
    if path is None:
        from models.simulator import simulate

        return list(
            simulate(
                simulated,
                septic_share=septic_share,
                hours=hours,
                interval_s=interval_s,
                seed=seed,
            )
        )
    from models.cohort import read_stays

    return read_stays(path, limit=limit)


@click.command(epilog="Example: vigil replay hospital_A.parquet --patients 100 --speed 3600")
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option(
    "--simulate", type=click.IntRange(1), metavar="N", help="Simulate so many patients instead."
)
@click.option(
    "--interval",
    type=click.IntRange(1),
    default=3600,
    show_default="an hour",
    metavar="SECONDS",
    help="Between the readings of simulated patients.",
)
@click.option("--seed", type=int, default=0, metavar="N", help="Of the simulation.")
@click.option(
    "--patients", type=click.IntRange(1), metavar="N", help="Only the first so many of PATH."
)
@click.option(
    "--speed",
    type=click.FloatRange(0, min_open=True),
    metavar="X",
    help=f"Times real time.  [default: {DEFAULT_SPEED:.0f}, an hour a second]",
)
@click.option(
    "--rate", type=RATE, metavar="N", help="Readings a second, instead; max or 0: no limit."
)
@click.option("--loop", is_flag=True, help="Start again, with new patient ids, until Ctrl-C.")
@click.option("--unkeyed", is_flag=True, help="Without keys, spread over all partitions.")
@click.option("--unit", help="Unit of all patients (unit_id).")
@click.option("--json", "as_json", is_flag=True, help="What was sent, as a last line of JSON.")
def replay(
    path: Path | None,
    simulate: int | None,
    interval: int,
    seed: int,
    patients: int | None,
    speed: float | None,
    rate: float | None,
    loop: bool,
    unkeyed: bool,
    unit: str | None,
    as_json: bool,
) -> int:
    """Send the patients at PATH as devices would have sent them.

    PATH is a file or folder of the PhysioNet/CinC Challenge 2019 (.psv, .parquet, .csv) or a table
    of the original feed. Every patient is admitted at the same hour, the latest for which the last
    reading is not in the future. Ctrl-C stops; what was sent by then is with the broker.
    """
    if (path is None) == (simulate is None):
        raise click.UsageError("give a PATH, or --simulate N")
    if speed is not None and rate is not None:
        raise click.UsageError("give --speed or --rate, not both")
    stays = patients_of(path, simulate or 0, limit=patients, interval_s=interval, seed=seed)
    run = Replay(
        settings(),
        stays,
        speed=None if rate else speed or DEFAULT_SPEED,
        rate=rate,
        loop=loop,
        keyed=not unkeyed,
        unit=unit,
    )
    interrupted = asyncio.run(_run(run, len(stays), Console(stderr=True)))
    if as_json:
        counts = {"sent": asdict(run.sent), "acknowledged": asdict(run.acknowledged)}
        click.echo(json.dumps({"patients": len(stays), **counts, "interrupted": interrupted}))
    else:
        for what, count in (("sent", run.sent), ("acknowledged", run.acknowledged)):
            kinds = ", ".join(f"{number:,} {kind}" for kind, number in asdict(count).items())
            click.echo(f"{what}: {kinds}")
    return INTERRUPTED if interrupted else 0


async def _run(run: Replay, patients: int, console: Console) -> bool:
    """Send; return whether a signal ended it."""
    # imported here: `vigil replay --help` needs no Kafka client
    from streams.topics import ensure

    loop = asyncio.get_running_loop()
    interrupted = False

    def stop() -> None:
        nonlocal interrupted
        interrupted = True
        run.stop()
        console.print("Stopping; waiting for the broker. Ctrl-C again: do not wait.")
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    await ensure(settings())
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    drawing = asyncio.create_task(_draw(run, f"{patients:,} patients", console))
    try:
        await run.run()
    finally:
        drawing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await drawing
    return interrupted


async def _draw(run: Replay, title: str, console: Console) -> None:
    """Draw what is sent, acknowledged, and the rate of the last seconds, until cancelled."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[acknowledged]:,} acknowledged, {task.fields[rate]:,.0f}/s"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(title, total=run.total, acknowledged=0, rate=0.0)
        history: deque[tuple[float, int]] = deque([(time.monotonic(), 0)], maxlen=20)
        while True:
            sent = run.sent.readings
            history.append((time.monotonic(), sent))
            (since, before), (now, _) = history[0], history[-1]
            progress.update(
                task,
                completed=sent,
                total=run.total * max(1, run.passes),
                acknowledged=run.acknowledged.readings,
                rate=(sent - before) / (now - since),
            )
            await asyncio.sleep(0.2)

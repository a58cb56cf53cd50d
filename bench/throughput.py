"""``vigil bench throughput``: readings a second, the same job on every engine.

**What is measured.** The input is with the broker beforehand. An engine is started from cold with
an empty store; the clock starts when its job gets the first reading (it says so itself) and stops
when the broker appends the last result (the output topic has ``LogAppendTime``). So the start of a
process, imports, the compilation of a Java source and joining the group do not count, while warming
up a compiler, filling the first fetch and waiting for the last flush do. An engine that hoards its
results gains nothing by it. The bedside application is run as an operator runs it and does not say
when it begins: there the clock starts with the broker's append of the first result, which leaves
out one batch.

*warm* is the rate of the last 30 % of the results by the time of their append. *CPU* is the
engine's CPU time, of all its threads, between the same two moments, a million readings.

**What is checked.** Every result's values and key against `bench.job`, exactly, and that every
reading has one. Of the bedside application: every reading has its recommendation, none is late or a
dead letter.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.progress import Progress, TaskID

from bench import wire
from bench.checking import Checked, none_lost
from bench.common import (
    BenchError,
    Child,
    Scratch,
    broker_option,
    json_option,
    plot_option,
    progress,
    report,
    scratch,
)
from bench.engines import ENGINES, Engine, available, engine_option
from bench.feeding import feed_of, fill_bedside, fill_small
from bench.job import Feed
from bench.peers.task import BEGAN
from bench.rates import Run, ratios, summary

__all__ = ["command", "measure"]

#: Part of the results that counts as warmed up: the last of them.
_WARM = 0.3
#: An engine that appends nothing for this long, in seconds, hangs. Java compiles first.
_STALL_S = 90
_POLL_S = 0.05
_PATIENTS = 1_000
_PLOT = Path("docs/throughput.svg")


async def measure(
    engine: Engine, place: Scratch, feed: Feed, source: str, bar: Progress, title: str
) -> Run:
    """Run an engine once and check what it wrote.

    Args:
        engine: which.
        place: broker and folder.
        feed: the readings.
        source: topic that holds them; the bedside application gets a topic of its own.
        bar: to draw on.
        title: of this run.

    Raises:
        BenchError: it ended, hung, or wrote something wrong.
    """
    group = f"bench-{engine.name}-{uuid.uuid4().hex[:8]}"
    output = f"{group}.recommendations" if engine.bedside else f"{group}.output"
    config = {"message.timestamp.type": "LogAppendTime"}
    await wire.create(place.bootstrap, {output: config})
    if engine.bedside:
        source = f"{group}.vitals"
        await fill_bedside(place.bootstrap, f"{group}.", feed, bar)
    task = bar.add_task(title, total=len(feed))
    child = engine.child(place, group, (source, output))
    try:
        with child:
            began_ms, cpu_s = await _until_done(
                engine, child, place.bootstrap, output, len(feed), (bar, task)
            )
            child.stop()
        checked = Checked(feed, recommendations=engine.bedside)
        async for records in wire.read(place.bootstrap, output):
            checked.take(records)
        repeats = checked.complete()
        if engine.bedside:
            await none_lost(place.bootstrap, f"{group}.")
    finally:
        bar.remove_task(task)
        await wire.remove(place.bootstrap, group)
    first = np.sort(checked.first_ms)
    seconds = (int(first[-1]) - (began_ms or int(first[0]))) / 1000
    since = int(len(first) * (1 - _WARM))
    last_s = (int(first[-1]) - int(first[since])) / 1000
    warm = (len(first) - since) / last_s if last_s > 0 else None
    return Run(len(feed), seconds, warm, cpu_s, child.peak_rss, repeats)


async def _until_done(
    engine: Engine,
    child: Child,
    bootstrap: str,
    output: str,
    wanted: int,
    drawing: tuple[Progress, TaskID],
) -> tuple[int | None, float]:
    """Wait for the last result; return when the engine began (ms) and its CPU time since."""
    bar, task = drawing
    began_ms: int | None = None
    cpu_before: float | None = None
    done, moved = 0, time.monotonic()
    async with wire.watching(bootstrap, output) as ends:
        while done < wanted:
            await asyncio.sleep(_POLL_S)
            child.check()
            now = await ends.total()
            if cpu_before is None:
                began_ms = None if engine.bedside else _began(child.log)
                if began_ms or now:
                    cpu_before = child.cpu_s
            if now > done:
                done, moved = now, time.monotonic()
                bar.update(task, completed=done)
            elif time.monotonic() - moved > _STALL_S:
                raise BenchError(
                    f"{engine.name} has appended nothing for {_STALL_S} s, {done:,} results of "
                    f"{wanted:,}. It said:\n{child.said}"
                )
        cpu_s = child.cpu_s
    if began_ms is None and not engine.bedside:
        began_ms = _began(child.log)
    return began_ms, cpu_s - (cpu_before or 0.0)


def _began(log: Path) -> int | None:
    with contextlib.suppress(ValueError, IndexError):
        return int(log.read_text(errors="replace").split(BEGAN, 1)[1].split(None, 1)[0])
    return None


async def _turns(
    engines: Sequence[Engine], place: Scratch, readings: int | None, patients: int, rounds: int
) -> dict[str, list[Run]]:
    """Let the engines take turns."""
    runs: dict[str, list[Run]] = {engine.name: [] for engine in engines}
    filled: dict[int, str] = {}
    tag = uuid.uuid4().hex[:8]
    with progress() as bar:
        try:
            for number in range(rounds):
                for engine in engines:
                    feed = feed_of(readings or engine.readings, patients)
                    source = f"bench-input-{tag}-{len(feed)}"
                    if not engine.bedside and len(feed) not in filled:
                        await fill_small(place.bootstrap, source, feed, bar)
                        filled[len(feed)] = source
                    title = f"{engine.name}, round {number + 1} of {rounds}"
                    run = await measure(engine, place, feed, source, bar, title)
                    runs[engine.name].append(run)
        finally:
            await wire.remove(place.bootstrap, f"bench-input-{tag}")
    return runs


def _row(each: dict[str, Any]) -> list[str]:
    warm = each["warm_readings_per_second"]
    return [
        each["engine"],
        f"{each['readings']:,}",
        f"{each['readings_per_second']:,}",
        f"{each['lowest']:,} to {each['highest']:,}",
        "" if warm is None else f"{warm:,}",
        f"{each['cpu_seconds_per_million']:.1f}",
        f"{each['peak_rss_mib']:,}",
    ]


@click.command(epilog="Example: vigil bench throughput --engine vigil --engine quixstreams --json")
@engine_option
@click.option(
    "--readings",
    type=click.IntRange(1_000),
    metavar="N",
    help="For every engine.  [default: "
    + ", ".join(f"{engine.name} {engine.readings:,}" for engine in ENGINES)
    + "]",
)
@click.option("--patients", type=click.IntRange(1), default=_PATIENTS, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@plot_option(_PLOT)
@broker_option
@json_option
def command(
    names: Sequence[str],
    readings: int | None,
    patients: int,
    rounds: int,
    plot: Path | None,
    broker: str | None,
    as_json: bool,
) -> None:
    """Measure readings a second: the same small job on every engine, and the bedside path.

    Engines take turns. The clock runs from an engine's first reading to the last result at the
    broker; every result is checked. Other engines come with `uv sync --group bench`, Kafka Streams
    with a JDK.
    """
    engines, missing = available(names)
    with scratch(broker) as place:
        runs = asyncio.run(_turns(engines, place, readings, patients, rounds))
        note = "; ".join([place.note, "medians of the rounds", *missing])
    found = [summary(name, of) for name, of in runs.items()]
    compared = ratios(found)
    if plot:
        # imported here: half a second that only a plot needs
        from bench.plots import draw_rates

        draw_rates(found, plot)
    report(
        "Throughput",
        ["engine", "readings", "readings/s", "spread", "warm", "CPU s/million", "MiB"],
        [_row(each) for each in found],
        note="\n".join([note, *(f"{name}: {value:.2f}" for name, value in compared.items())]),
        result={"engines": found, "ratios": compared} if as_json else None,
    )

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
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

import click
import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress, TaskID

from bench import wire
from bench.common import (
    BenchError,
    Child,
    Scratch,
    broker_option,
    json_option,
    progress,
    report,
    scratch,
)
from bench.engines import BEDSIDE, ENGINES, Engine, available
from bench.job import Feed, Result
from bench.peers.task import BEGAN
from config.clock import iso, now_ms
from models.features import ORIGINAL_FEATURES

__all__ = ["Run", "command", "measure", "ratios", "summary"]

#: Part of the results that counts as warmed up: the last of them.
_WARM = 0.3
#: An engine that appends nothing for this long, in seconds, hangs. Java compiles first.
_STALL_S = 90
_POLL_S = 0.05
_PATIENTS = 1_000
_PLOT = Path("docs/throughput.svg")

_decode_result = msgspec.json.Decoder(Result).decode
_Sent = msgspec.defstruct("_Sent", [("sequence", int)], gc=False)
_Recommendation: Any = msgspec.defstruct(
    "_Recommendation", [("risk", float), ("original_data", _Sent)], gc=False
)
_decode_recommendation = msgspec.json.Decoder(_Recommendation).decode


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one engine.

    Attributes:
        readings: how many.
        seconds: from the first reading to the last result.
        warm: readings a second over the last results; None where they came in one piece.
        cpu_s: CPU time, seconds.
        peak_rss: largest resident memory, bytes.
        repeats: results that came more than once.
    """

    readings: int
    seconds: float
    warm: float | None
    cpu_s: float
    peak_rss: int
    repeats: int

    @property
    def rate(self) -> float:
        """Readings a second."""
        return self.readings / self.seconds


@lru_cache(maxsize=2)
def _feed(readings: int, patients: int) -> Feed:
    # the bedside application takes no reading from the future
    start_ms = now_ms() - 1000 * (readings // patients + 60)
    return Feed(readings, patients, start_ms=start_ms)


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
        await fill_bedside(place.bootstrap, group, feed, bar)
    task = bar.add_task(title, total=len(feed))
    child = engine.child(place, group, (source, output))
    try:
        with child:
            began_ms, cpu_s = await _until_done(
                engine, child, place.bootstrap, output, len(feed), (bar, task)
            )
            child.stop()
        first, repeats = await (_recommendations if engine.bedside else _results)(
            place.bootstrap, output, feed
        )
        if engine.bedside:
            await _none_lost(place.bootstrap, group)
    finally:
        bar.remove_task(task)
        await wire.remove(place.bootstrap, group)
    first.sort()
    seconds = (int(first[-1]) - (began_ms or int(first[0]))) / 1000
    since = int(len(first) * (1 - _WARM))
    last_s = (int(first[-1]) - int(first[since])) / 1000
    warm = (len(first) - since) / last_s if last_s > 0 else None
    return Run(len(feed), seconds, warm, cpu_s, child.peak_rss, repeats)


async def fill_bedside(bootstrap: str, group: str, feed: Feed, bar: Progress) -> None:
    """Send the admissions of a feed's patients, and its readings, to a bedside application."""
    vitals, admissions = f"{group}.vitals", f"{group}.admissions"
    await wire.create(bootstrap, {vitals: {}, admissions: {"cleanup.policy": "compact"}})
    admitted = iso(feed.start_ms - 3_600_000)

    def admission(start: int, end: int) -> list[tuple[int, bytes]]:
        fields = {"icu_admitted_at": admitted, "age_years": 64.0, "sex": "female"}
        return [
            (n, msgspec.json.encode({"patient_id": feed.keys[n].decode(), **fields}))
            for n in range(start, end)
        ]

    await wire.fill(bootstrap, admissions, feed.patients, admission, feed.keys)
    await _fill(bootstrap, vitals, feed, feed.full, bar)


async def _fill(bootstrap: str, topic: str, feed: Feed, records: Any, bar: Progress) -> None:
    task = bar.add_task("filling the topic", total=len(feed))

    def advance(count: int) -> None:
        bar.advance(task, count)

    await wire.fill(bootstrap, topic, len(feed), records, feed.keys, advance)
    bar.remove_task(task)


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


async def _results(bootstrap: str, topic: str, feed: Feed) -> tuple[NDArray[np.int64], int]:
    """Check results; return when the first of each reading was appended (ms), and repeats."""
    first = np.full(len(feed), np.iinfo(np.int64).max)
    count = 0
    async for records in wire.read(bootstrap, topic):
        rows = [_decode_result(record.value) for record in records]
        numbers = np.array([row.sequence for row in rows])
        if numbers.min() < 0 or numbers.max() >= len(feed):
            raise BenchError("There is a result for a reading that was never sent.")
        found = np.array([msgspec.structs.astuple(row)[2:] for row in rows])
        wrong = (found != feed.expected[numbers]).any(axis=1)
        names = [feed.keys[patient] for patient in feed.of[numbers].tolist()]
        wrong |= [
            record.key != name or row.patient_id.encode() != name
            for record, row, name in zip(records, rows, names, strict=True)
        ]
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            right = dict(zip(ORIGINAL_FEATURES, feed.expected[numbers[at]].tolist(), strict=True))
            raise BenchError(
                f"{int(wrong.sum())} results are wrong; the first is {records[at].value!r} under "
                f"the key {records[at].key!r}, and {names[at]!r} has {right}."
            )
        np.minimum.at(first, numbers, [record.timestamp for record in records])
        count += len(rows)
    return _complete(first, count)


async def _recommendations(bootstrap: str, topic: str, feed: Feed) -> tuple[NDArray[np.int64], int]:
    """As `_results`, of recommendations."""
    first = np.full(len(feed), np.iinfo(np.int64).max)
    count = 0
    async for records in wire.read(bootstrap, topic):
        rows = [_decode_recommendation(record.value) for record in records]
        if not all(0 <= row.risk <= 1 for row in rows):
            raise BenchError("There is a risk that is no probability.")
        numbers = [row.original_data.sequence for row in rows]
        np.minimum.at(first, numbers, [record.timestamp for record in records])
        count += len(rows)
    return _complete(first, count)


def _complete(first: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], int]:
    missing = int((first == np.iinfo(np.int64).max).sum())
    if missing:
        raise BenchError(f"{missing:,} of {len(first):,} readings have no result.")
    return first, count - len(first)


async def _none_lost(bootstrap: str, group: str) -> None:
    for name in ("dead.letters", "vitals.late"):
        if found := await wire.total(bootstrap, f"{group}.{name}"):
            raise BenchError(f"{found:,} good readings went to {name}.")


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
                    feed = _feed(readings or engine.readings, patients)
                    source = f"bench-input-{tag}-{len(feed)}"
                    if not engine.bedside and len(feed) not in filled:
                        await wire.create(place.bootstrap, {source: {}})
                        await _fill(place.bootstrap, source, feed, feed.small, bar)
                        filled[len(feed)] = source
                    title = f"{engine.name}, round {number + 1} of {rounds}"
                    run = await measure(engine, place, feed, source, bar, title)
                    runs[engine.name].append(run)
        finally:
            await wire.remove(place.bootstrap, f"bench-input-{tag}")
    return runs


def summary(name: str, runs: Sequence[Run]) -> dict[str, Any]:
    """Sum up the runs of an engine: medians, and the smallest and largest rate."""
    rates = sorted(run.rate for run in runs)
    warm = [run.warm for run in runs if run.warm is not None]
    return {
        "engine": name,
        "readings": runs[0].readings,
        "readings_per_second": round(median(rates)),
        "lowest": round(rates[0]),
        "highest": round(rates[-1]),
        "warm_readings_per_second": round(median(warm)) if warm else None,
        "cpu_seconds_per_million": round(
            median(run.cpu_s / run.readings for run in runs) * 1_000_000, 2
        ),
        "readings_per_cpu_second": round(
            median(run.readings / max(run.cpu_s, 0.01) for run in runs)
        ),
        "peak_rss_mib": round(max(run.peak_rss for run in runs) / 1024**2),
        "repeats": sum(run.repeats for run in runs),
    }


def ratios(engines: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Put our rates in relation to the others', as far as both were measured."""
    cold = {each["engine"]: each["readings_per_second"] for each in engines}
    warm = {each["engine"]: each["warm_readings_per_second"] for each in engines}
    python = max((cold[name] for name in ("quixstreams", "bytewax") if name in cold), default=None)
    pairs = {
        "vigil / better of quixstreams and bytewax": (cold.get("vigil"), python),
        "vigil / faust": (cold.get("vigil"), cold.get("faust")),
        "vigil / kafka-streams": (cold.get("vigil"), cold.get("kafka-streams")),
        "vigil / kafka-streams, warm": (warm.get("vigil"), warm.get("kafka-streams")),
        "vigil-bedside / quixstreams": (cold.get(BEDSIDE.name), cold.get("quixstreams")),
    }
    return {name: round(ours / other, 2) for name, (ours, other) in pairs.items() if ours and other}


def draw(engines: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the rates as bars, with the spread of the rounds, into an SVG or PNG file."""
    # imported here: half a second that only a plot needs
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 0.5 * len(engines) + 1.2), layout="constrained")
    axes = figure.subplots()
    rows = list(reversed(engines))
    names = [row["engine"] for row in rows]
    rates = np.array([row["readings_per_second"] for row in rows])
    spread = [rates - [row["lowest"] for row in rows], [row["highest"] for row in rows] - rates]
    colours = ["C0" if name.startswith("vigil") else "0.7" for name in names]
    bars = axes.barh(names, rates, xerr=spread, color=colours, ecolor="0.3")
    axes.bar_label(bars, [f"{rate:,}" for rate in rates.tolist()], padding=6)
    axes.set(xlabel="readings a second, from cold, one core", title="Throughput")
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


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
@click.option(
    "--engine",
    "names",
    type=click.Choice([engine.name for engine in ENGINES]),
    multiple=True,
    help="Only this one; may be repeated.  [default: all that are installed]",
)
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
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    is_flag=False,
    flag_value=_PLOT,
    metavar="[FILE]",
    help=f"Draw it.  [without FILE: {_PLOT}]",
)
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
        note = "; ".join([place.cores.note, "medians of the rounds", *missing])
    found = [summary(name, of) for name, of in runs.items()]
    compared = ratios(found)
    if plot:
        draw(found, plot)
    report(
        "Throughput",
        ["engine", "readings", "readings/s", "spread", "warm", "CPU s/million", "MiB"],
        [_row(each) for each in found],
        note="\n".join([note, *(f"{name}: {value:.2f}" for name, value in compared.items())]),
        result={"engines": found, "ratios": compared} if as_json else None,
    )

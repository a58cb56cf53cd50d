"""``vigil bench latency``: from the device's time stamp to the result, at a fixed rate.

**What is measured.** This process is the devices and the reader of the results, on one clock and
not on the engine's core. A device stamps its reading right before it hands it to a producer that
does not linger; the result is there when the consumer hands it over. Between them lie a produce,
a fetch, the engine, a produce and a fetch. *Bare Kafka*, the floor, is one produce and one fetch
without an engine.

An engine gets one reading, and when its result is there, so many seconds of readings to warm up;
then those that are measured. Each engine but ours runs twice: as it comes, and tuned for latency
(what that changes is in its file in ``bench/peers``). Ours has the settings of ``throughput``.

**What is checked.** As in `bench.throughput`: values and keys, and that each reading has a result.
"""

import asyncio
import gc
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from numpy.typing import NDArray
from rich.progress import Progress, TaskID

from bench import wire
from bench.checking import Checked, none_lost
from bench.common import (
    BenchError,
    Child,
    Scratch,
    broker_option,
    json_option,
    on_core,
    plot_option,
    progress,
    report,
    scratch,
)
from bench.engines import Engine, available, engine_option
from bench.feeding import admit, feed_of
from bench.job import Feed
from streams.partitions import partitions_of

__all__ = ["command", "measure"]

_WARM_UP_S = 4
#: From the start of an engine to its first result, and from the last reading to the last result.
_START_S, _END_S = 90, 30
_PATIENTS = 1_000
_PLOT = Path("docs/latency.svg")


@dataclass(slots=True)
class Exchange:
    """Devices on one side, a reader of results on the other.

    Attributes:
        sent_ns: when each reading was stamped, by its number.
        got: when results came in, with their records.
        count: how many came in.
    """

    producer: AIOKafkaProducer
    consumer: AIOKafkaConsumer
    source: str
    feed: Feed
    readings: list[tuple[int, bytes]]
    sent_ns: NDArray[np.int64]
    got: list[tuple[int, Sequence[Any]]] = field(default_factory=list)
    count: int = 0

    async def send(self, start: int, end: int, rate: float) -> float:
        """Send some readings at a rate; return the rate that was kept."""
        places = partitions_of(self.feed.keys, wire.PARTITIONS).tolist()
        began = time.perf_counter()
        for number in range(start, end):
            due = began + (number - start) / rate
            while (wait := due - time.perf_counter()) > 0:  # noqa: ASYNC110 - time is awaited
                await asyncio.sleep(wait)
            patient, value = self.readings[number]
            self.sent_ns[number] = time.perf_counter_ns()
            await self.producer.send(
                self.source, value, key=self.feed.keys[patient], partition=places[patient]
            )
        return (end - start) / max(time.perf_counter() - began, 1e-9)

    async def receive(self) -> None:
        """Take results in until cancelled; they are looked at later."""
        while True:
            fetched = await self.consumer.getmany()
            if not fetched:
                fetched = await self.consumer.getmany(timeout_ms=1000)
            now = time.perf_counter_ns()
            for records in fetched.values():
                self.got.append((now, records))
                self.count += len(records)

    async def until(self, count: int, seconds: float, child: Child | None, what: str) -> None:
        """Wait until so many results are there.

        Raises:
            BenchError: the engine ended, or the time is up.
        """
        end = time.monotonic() + seconds
        while self.count < count:
            if child is not None:
                child.check()
            if time.monotonic() > end:
                said = "" if child is None else f" It said:\n{child.said}"
                raise BenchError(
                    f"{what}: {self.count:,} of {count:,} results after {seconds:.0f} s.{said}"
                )
            await asyncio.sleep(0.02)


async def measure(
    engine: Engine | None,
    place: Scratch,
    rate: float,
    seconds: float,
    drawing: tuple[Progress, TaskID],
    *,
    tuned: bool = False,
) -> dict[str, Any]:
    """Measure one engine, or with None bare Kafka.

    Args:
        engine: which.
        place: broker and folder.
        rate: readings a second.
        seconds: that are measured.
        drawing: bar and task; advanced when done.
        tuned: for latency.

    Returns:
        p50, p99 and largest latency, ms, and the rate that was kept.

    Raises:
        BenchError: it ended, hung, or wrote something wrong.
    """
    name = "kafka" if engine is None else engine.name
    bedside = engine is not None and engine.bedside
    group = f"bench-{name}-{uuid.uuid4().hex[:8]}"
    source = f"{group}.vitals" if bedside else f"{group}.input"
    output = f"{group}.recommendations" if bedside else f"{group}.output"
    output = output if engine else source
    warm_up = 1 + int(rate * _WARM_UP_S)
    feed = feed_of(warm_up + int(rate * seconds), _PATIENTS)
    await wire.create(
        place.bootstrap, {topic: {} for topic in {source, output if engine else source}}
    )
    if bedside:
        await admit(place.bootstrap, f"{group}.", feed)
    child = engine.child(place, group, (source, output), tuned=tuned) if engine else None
    try:
        exchange = await _open(place.bootstrap, source, output, feed, bedside)
        receiving = asyncio.create_task(exchange.receive())
        try:
            if child:
                child.start()
            with _undisturbed():
                await exchange.send(0, 1, rate)
                await exchange.until(1, _START_S, child, name)
                await exchange.send(1, warm_up, rate)
                await exchange.until(warm_up, _END_S, child, name)
                kept = await exchange.send(warm_up, len(feed), rate)
                await exchange.until(len(feed), _END_S, child, name)
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
            await exchange.producer.stop()
            await exchange.consumer.stop()
        if bedside:
            await none_lost(place.bootstrap, f"{group}.")
    finally:
        if child:
            child.kill()
        await wire.remove(place.bootstrap, group)
    latencies = _latencies(exchange, bedside, bare=engine is None)[warm_up:]
    drawing[0].advance(drawing[1])
    return {
        "engine": name,
        "tuned": tuned,
        "readings_per_second": round(kept, 1),
        "p50_ms": round(float(np.percentile(latencies, 50)), 2),
        "p99_ms": round(float(np.percentile(latencies, 99)), 2),
        "max_ms": round(float(latencies.max()), 2),
    }


async def _open(bootstrap: str, source: str, output: str, feed: Feed, full: bool) -> Exchange:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=0)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    places = [TopicPartition(output, partition) for partition in range(wire.PARTITIONS)]
    await producer.start()
    await consumer.start()
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)
    await producer.partitions_for(source)
    readings = list((feed.full if full else feed.small)(0, len(feed)))
    return Exchange(producer, consumer, source, feed, readings, np.zeros(len(feed), np.int64))


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep this process's garbage collector out of what is measured."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def _latencies(exchange: Exchange, bedside: bool, bare: bool) -> NDArray[np.float64]:
    """Check the results; return ms from stamp to first result, by reading."""
    feed = exchange.feed
    arrived = np.full(len(feed), np.iinfo(np.int64).max)
    numbers: dict[bytes, int] = {}
    if bare:
        numbers = {value: number for number, (_, value) in enumerate(exchange.readings)}
    checked = Checked(feed, recommendations=bedside)
    for now, records in exchange.got:
        if bare:
            which = np.array([numbers[record.value] for record in records])
        else:
            which = checked.take(records)
        np.minimum.at(arrived, which, now)
    if not bare:
        checked.complete()
    return (arrived - exchange.sent_ns) / 1e6


async def _all(
    runs: Sequence[tuple[Engine, bool]], place: Scratch, rate: float, seconds: float
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    with progress() as bar:
        task = bar.add_task(f"engines at {rate:,.0f} readings/s", total=len(runs) + 1)
        floor = await measure(None, place, rate, seconds, (bar, task))
        found = []
        for engine, tuned in runs:
            bar.update(task, description=f"{engine.name}{', tuned' if tuned else ''}")
            found.append(await measure(engine, place, rate, seconds, (bar, task), tuned=tuned))
    return floor, found


def _chosen(engines: Sequence[Engine], tuned: bool | None) -> list[tuple[Engine, bool]]:
    """Ours once, others as they come and tuned, or only one of the two."""
    wanted = (False, True) if tuned is None else (tuned,)
    return [
        (engine, how)
        for engine in engines
        for how in ((False,) if engine.name.startswith("vigil") else wanted)
    ]


def _name(each: dict[str, Any]) -> str:
    name = "bare Kafka" if each["engine"] == "kafka" else str(each["engine"])
    return f"{name}, tuned" if each["tuned"] else name


def _row(each: dict[str, Any]) -> list[str]:
    return [_name(each), *(f"{each[f'{what}_ms']:.1f}" for what in ("p50", "p99", "max"))]


@click.command(epilog="Example: vigil bench latency --engine vigil --rate 5000 --seconds 10 --json")
@engine_option
@click.option(
    "--rate",
    type=click.FloatRange(1),
    default=1_000,
    show_default=True,
    metavar="N",
    help="Readings a second.",
)
@click.option(
    "--seconds", type=click.FloatRange(1), default=30, show_default=True, help="That are measured."
)
@click.option(
    "--tuned/--not-tuned",
    default=None,
    help="Others only tuned for latency, or only as they come.  [default: both]",
)
@plot_option(_PLOT)
@broker_option
@json_option
def command(
    names: Sequence[str],
    rate: float,
    seconds: float,
    tuned: bool | None,
    plot: Path | None,
    broker: str | None,
    as_json: bool,
) -> None:
    """Measure latency: from a device's time stamp to its result at a consumer, at a fixed rate.

    Our engine runs with the settings of `throughput`; others as they come and tuned for latency.
    Every result is checked.
    """
    engines, missing = available(names)
    with scratch(broker) as place, on_core(place.cores.broker):
        floor, found = uvloop.run(_all(_chosen(engines, tuned), place, rate, seconds))
        note = "\n".join([place.note, *missing])
    if plot:
        # imported here: half a second that only a plot needs
        from bench.plots import draw_latencies

        draw_latencies([(_name(each), each) for each in (floor, *found)], plot)
    report(
        f"Latency at {rate:,.0f} readings/s for {seconds:.0f} s",
        ["engine", "p50 ms", "p99 ms", "max ms"],
        [_row(each) for each in (floor, *found)],
        note=note,
        result={"engines": found, "floor": floor} if as_json else None,
    )

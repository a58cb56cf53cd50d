"""``vigil bench rebalance``: workers join and leave under a steady load.

**What is measured.** One worker, then four, then two; readings keep coming at a fixed rate. In each
phase: latency from the moment a reading was due to its first recommendation, received here; and the
longest time that any patient was without one, which is at least the interval of its readings. A
phase of change ends when Kafka calls the group stable and every worker of it says that it is ready.

**What is checked.** Every reading is answered; after dropping repeated ids exactly once; and a
repeat says what the first one said.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import click
import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from rich.progress import Progress

from bench.common import (
    BenchError,
    Scratch,
    broker_option,
    json_option,
    progress,
    report,
    scratch,
)
from bench.population import Population, producing
from bench.watching import Watched
from config.clock import now_ms
from config.settings import Settings
from streams.topics import catalogue, ensure

__all__ = ["Phase", "Watch", "command", "measure"]

_START_S = 120
_END_S = 60
_TICK_S = 0.005


@dataclass(frozen=True, slots=True)
class Phase:
    """What was seen between two moments.

    Attributes:
        name: for people.
        seconds: how long it took.
        readings: that were due in it.
        p50_ms: median latency.
        p99_ms: 99th percentile of the latency.
        max_ms: longest latency.
        longest_gap_s: longest time that a patient was without a recommendation.
    """

    name: str
    seconds: float
    readings: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    longest_gap_s: float


class _Answer(msgspec.Struct):
    recommendation_id: str
    patient_id: str
    original_data: dict[str, Any]
    risk: float


@dataclass(slots=True)
class Watch:
    """Every reading that was sent, and every recommendation that came.

    Attributes:
        sent: patient and observed time → the moment it was due, monotonic seconds.
        first: patient and observed time → the moment its first answer came.
        said: recommendation id → risk.
        answers: how many came, repeats included.
        different: repeats that said something else, and second ids of one reading.
    """

    sent: dict[tuple[str, str], float] = field(default_factory=dict)
    first: dict[tuple[str, str], float] = field(default_factory=dict)
    said: dict[str, float] = field(default_factory=dict)
    answers: int = 0
    different: int = 0

    def take(self, answer: _Answer, at: float) -> None:
        """Take a recommendation in."""
        reading = answer.patient_id, str(answer.original_data["observed_at"])
        self.answers += 1
        if self.said.setdefault(answer.recommendation_id, answer.risk) != answer.risk:
            self.different += 1
        self.first.setdefault(reading, at)

    async def complete(self, seconds: float) -> None:
        """Wait until all readings are answered, but not longer than so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for reading in list(self.sent):
                    while reading not in self.first:  # noqa: ASYNC110 - an event a reading
                        await asyncio.sleep(_TICK_S)

    def check(self) -> None:
        """Hold the answers against the readings.

        Raises:
            BenchError: one is missing, doubled or different.
        """
        missing = self.sent.keys() - self.first.keys()
        if missing:
            patients = len({patient for patient, _ in missing})
            due = sorted(self.sent[reading] for reading in missing)
            raise BenchError(
                f"{len(missing)} of {len(self.sent)} readings, of {patients} patients, were not "
                f"answered; they were due within {due[-1] - due[0]:.1f} s"
            )
        if len(self.said) != len(self.sent):
            raise BenchError(f"{len(self.said)} ids for {len(self.sent)} readings")
        if self.different:
            raise BenchError(f"{self.different} repeats differ from the first answer")

    def phase(self, name: str, start: float, end: float) -> Phase:
        """Look back on what was due between two moments."""
        due = [reading for reading, at in self.sent.items() if start <= at < end]
        latency = np.array([self.first[reading] - self.sent[reading] for reading in due]) * 1000
        times: dict[str, list[float]] = {}
        for (patient, _), at in self.first.items():
            times.setdefault(patient, []).append(at)
        gaps = [
            float(np.diff(ats)[(ats[1:] > start) & (ats[:-1] < end)].max(initial=0))
            for ats in map(np.sort, times.values())
        ]
        p50, p99, longest = np.percentile(latency, [50, 99, 100]) if due else (0, 0, 0)
        return Phase(name, end - start, len(due), p50, p99, longest, max(gaps, default=0))


async def measure(
    bench: Scratch, patients: int, rate: float, seconds: float, shown: Progress
) -> tuple[list[Phase], Watch]:
    """Let workers join and leave while readings come.

    Args:
        bench: broker and folder.
        patients: how many; each has its reading every ``patients / rate`` seconds.
        rate: readings a second.
        seconds: of each phase without a change.
        shown: where progress is shown.

    Raises:
        BenchError: a reading was not answered exactly once.
    """
    prefix = f"{bench.folder.name}."
    workers = [
        Watched(bench, f"rebalance-{n}", pinned=False, topic_prefix=prefix) for n in range(4)
    ]
    settings = workers[0].settings
    await ensure(settings)
    watch, marks = Watch(), [("", 0.0)]
    task = shown.add_task("", total=5)

    async with AsyncExitStack() as stack:
        for worker in workers:
            stack.callback(worker.kill)
        group = await stack.enter_async_context(_Group(settings))
        producer = await stack.enter_async_context(producing(settings))
        population = Population(settings, patients, 1)
        await population.admit(producer)

        def mark(name: str) -> None:
            shown.update(task, description=name, completed=len(marks) - 1)
            marks.append((name, time.monotonic()))

        workers[0].start()
        await group.works(workers[:1])
        reader = asyncio.create_task(_read(settings, watch))
        sender = asyncio.create_task(_send(settings, producer, population, patients, rate, watch))
        for ended in (reader, sender):
            stack.callback(ended.cancel)
        await asyncio.sleep(1)  # the first readings wait for admissions and compilers

        mark("1 worker")
        await asyncio.sleep(seconds)
        mark("1 to 4 workers")
        for worker in workers[1:]:
            worker.start()
        await group.works(workers)
        mark("4 workers")
        await asyncio.sleep(seconds)
        mark("4 to 2 workers")
        await asyncio.gather(*(asyncio.to_thread(worker.stop) for worker in workers[2:]))
        await group.works(workers[:2])
        mark("2 workers")
        await asyncio.sleep(seconds)
        mark("")
        sender.cancel()
        await asyncio.wait([reader], timeout=0)
        if not reader.done():
            await watch.complete(_END_S)
        for part in (reader, sender):
            if part.done() and not part.cancelled() and part.exception():
                raise BenchError(f"the bench itself failed: {part.exception()!r}")
    watch.check()
    spans = pairwise(marks[1:])
    return [watch.phase(name, start, end) for (name, start), (_, end) in spans], watch


class _Group:
    """The workers' consumer group, as Kafka sees it."""

    def __init__(self, settings: Settings) -> None:
        self._name = f"{settings.topic_prefix}bedside"
        self._admin = AIOKafkaAdminClient(**settings.kafka_client())

    async def __aenter__(self) -> "_Group":
        await self._admin.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._admin.close()

    async def works(self, workers: Sequence[Watched]) -> None:
        """Wait until these workers, and no others, share the partitions.

        Raises:
            BenchError: one of them ended, or the time is up.
        """
        end = time.monotonic() + _START_S
        while True:
            for worker in workers:
                worker.check()
            if await self._stable(len(workers)):
                ready = [await asyncio.to_thread(getattr, worker, "ready") for worker in workers]
                if all(ready) and await self._stable(len(workers)):
                    return
            if time.monotonic() > end:
                raise BenchError(f"no stable group of {len(workers)} after {_START_S} s")
            await asyncio.sleep(0.02)

    async def _stable(self, members: int) -> bool:
        try:
            (answer,) = await self._admin.describe_consumer_groups([self._name])
        except KafkaError:
            return False  # a broker without groups so far makes their topic first
        (_, _, state, _, _, found, *_) = answer.groups[0]
        return state == "Stable" and len(found) == members


async def _send(
    settings: Settings,
    producer: AIOKafkaProducer,
    population: Population,
    patients: int,
    rate: float,
    watch: Watch,
) -> None:
    """Send readings at a rate until cancelled; a reading counts from when it was due."""
    topic = catalogue(settings).vitals.name
    began, began_ms, number = time.monotonic(), now_ms(), 0
    while True:
        due = (time.monotonic() - began) * rate
        while number < due:
            at_ms = began_ms + round(number / rate * 1000)
            partition, key, value = population.reading(number % patients, at_ms)
            observed = value.partition(b'"observed_at":"')[2].partition(b'"')[0]
            watch.sent[key.decode(), observed.decode()] = began + number / rate
            await producer.send(topic, value, key=key, partition=partition)
            number += 1
        await asyncio.sleep(_TICK_S)


async def _read(settings: Settings, watch: Watch) -> None:
    decode = msgspec.json.Decoder(_Answer).decode
    consumer = AIOKafkaConsumer(
        catalogue(settings).recommendations.name,
        **settings.kafka_client(),
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        while True:
            fetched = await consumer.getmany(timeout_ms=100)
            at = time.monotonic()
            for records in fetched.values():
                for record in records:
                    watch.take(decode(record.value), at)
    finally:
        await consumer.stop()


@click.command(epilog="Example: vigil bench rebalance --rate 2000 --seconds 20")
@click.option(
    "--rate", type=click.FloatRange(1), default=1_000, show_default=True, help="A second."
)
@click.option("--patients", type=click.IntRange(64), default=500, show_default=True, help="Number.")
@click.option(
    "--seconds",
    type=click.FloatRange(1),
    default=15,
    show_default=True,
    help="Of each phase without a change.",
)
@broker_option
@json_option
def command(rate: float, patients: int, seconds: float, broker: str | None, as_json: bool) -> None:
    """1 worker, then 4, then 2, under a steady load: latency, gaps, nothing lost or doubled."""
    with progress() as shown, scratch(broker) as bench:
        phases, watch = asyncio.run(measure(bench, patients, rate, seconds, shown))
    report(
        f"{rate:,.0f} readings/s of {patients:,} patients",
        ["phase", "seconds", "readings", "p50 ms", "p99 ms", "max ms", "longest gap s"],
        [
            [
                phase.name,
                f"{phase.seconds:.1f}",
                f"{phase.readings:,}",
                f"{phase.p50_ms:.1f}",
                f"{phase.p99_ms:.1f}",
                f"{phase.max_ms:.0f}",
                f"{phase.longest_gap_s:.2f}",
            ]
            for phase in phases
        ],
        note=(
            f"{len(watch.sent):,} readings, each answered exactly once after dropping "
            f"{watch.answers - len(watch.said):,} repeats, all of them alike. A patient has a "
            f"reading every {patients / rate:.2f} s. Broker, workers and load share the cores."
        ),
        result={
            "readings": len(watch.sent),
            "answers": watch.answers,
            "repeats": watch.answers - len(watch.said),
            "phases": [
                {
                    "phase": phase.name,
                    "seconds": round(phase.seconds, 3),
                    "readings": phase.readings,
                    "p50_ms": round(phase.p50_ms, 2),
                    "p99_ms": round(phase.p99_ms, 2),
                    "max_ms": round(phase.max_ms, 1),
                    "longest_gap_s": round(phase.longest_gap_s, 3),
                }
                for phase in phases
            ],
        }
        if as_json
        else None,
    )

"""Replay: recorded or simulated patients, sent to the broker as devices would have sent them.

Readings of all patients are sent in the order of their observed times, each patient's on the
partition of its key. What is sent, and when, is in `streams.timeline`. A record's Kafka time is the
time at which it was sent, so latency is measured from there.

A patient's admission is with the broker before the first reading is sent, a laboratory result
before the first reading that may know it, and the outcome is sent when the broker has the last
one.
"""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import numpy as np
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2

from config.clock import iso, now_ms
from config.settings import Settings
from models.stay import Stay
from streams.clients import opened
from streams.timeline import Rate, Speed, Timeline, admission, lab_result, outcome, reading
from streams.topics import Topic, catalogue

__all__ = ["Counts", "Flow", "Record", "Replay"]

log = logging.getLogger(__name__)

#: Readings encoded before the event loop gets a turn: about 5 ms.
_SLICE = 4_096
#: Bytes of a record batch, well below the 1 MiB that a broker takes by default.
_BATCH_BYTES = 256 * 1024
#: Readings that fall due within this time are sent together.
_TICK_S = 0.005

_encode = msgspec.json.Encoder().encode
_Kind = Literal["readings", "admissions", "labs", "outcomes"]


@dataclass(slots=True)
class Counts:
    """How many events of each kind."""

    readings: int = 0
    admissions: int = 0
    labs: int = 0
    outcomes: int = 0

    def add(self, kind: _Kind, count: int) -> None:
        """Count some more events of a kind."""
        setattr(self, kind, getattr(self, kind) + count)


@dataclass(slots=True)
class _Pass:
    """One run through all stays."""

    ids: list[str]
    base_ms: int
    sent: int = 0


@dataclass(slots=True)
class _Topic:
    """A topic that is sent to, and Kafka's default partitioner for it."""

    kind: _Kind
    name: str
    partitions: list[int]

    def partition(self, hashed: int) -> int:
        return self.partitions[hashed % len(self.partitions)]


@dataclass(slots=True)
class Record:
    """What is sent; ``hashed`` is `murmur2` of the key, without its sign."""

    hashed: int
    key: bytes | None
    value: bytes


@dataclass(slots=True)
class Flow:
    """What is on its way to the broker."""

    producer: AIOKafkaProducer
    readings: _Topic
    admissions: _Topic
    labs: _Topic
    outcomes: _Topic
    waiting: set["asyncio.Future[Any]"] = field(default_factory=set)
    failure: BaseException | None = None

    def track(self, future: "asyncio.Future[Any]") -> None:
        """Wait for it before the replay is over."""
        self.waiting.add(future)
        future.add_done_callback(self._done)

    def _done(self, future: "asyncio.Future[Any]") -> None:
        self.waiting.discard(future)
        if not future.cancelled():
            self.failure = self.failure or future.exception()


class Replay:
    """Sends patients to the broker.

    Attributes:
        sent: handed to the producer so far.
        acknowledged: held by the broker, on all its in-sync replicas.
        total: readings in one run through all stays.
        patients: ids of the first run.
    """

    def __init__(
        self,
        settings: Settings,
        stays: Sequence[Stay],
        *,
        speed: float | None = None,
        rate: float | None = None,
        loop: bool = False,
        keyed: bool = True,
        unit: str | None = None,
        suffix: str = "",
    ) -> None:
        """Prepare a replay; nothing is sent before `run`.

        Args:
            settings: name the broker and the topics.
            stays: the patients.
            speed: times real time. With neither speed nor rate, as fast as the broker takes them.
            rate: readings a second; infinity = as fast as the broker takes them.
            loop: start again at the end, until stopped, with new patients: their ids end in -2,
                -3 and so on.
            keyed: readings carry their patient's id as key; without, Kafka spreads them at random,
                as the original producer did.
            unit: ``unit_id`` of readings and admissions; None leaves it out.
            suffix: put after every patient's id.

        Raises:
            ValueError: speed and rate exclude each other, and are above zero.
        """
        if speed is not None and rate is not None:
            raise ValueError("give a speed or a rate, not both")
        for name, given in (("speed", speed), ("rate", rate)):
            if given is not None and not given > 0:
                raise ValueError(f"{name} is {given}; give a number above zero")
        self._settings = settings
        self._timeline = Timeline(stays)
        self._speed, self._rate = speed, rate or math.inf
        self._loop, self._keyed, self._unit, self._suffix = loop, keyed, unit, suffix
        self._random = np.random.default_rng()
        self._passes: list[_Pass] = []
        self._sent_ms = 0
        self._stopping = asyncio.Event()
        self.sent, self.acknowledged = Counts(), Counts()
        self.total = len(self._timeline)
        self.patients = [stay.patient_id + suffix for stay in stays]

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    @property
    def passes(self) -> int:
        """Runs through all stays that have begun."""
        return len(self._passes)

    def stop(self) -> None:
        """Send nothing more; `run` returns when the broker has what was sent."""
        self._stopping.set()

    def keys(self) -> Iterator[tuple[str, int]]:
        """Yield patient id and observed time (ms since 1970) of every reading sent so far."""
        for each in self._passes:
            sent = slice(0, each.sent)
            for stay, second in zip(
                self._timeline.of[sent].tolist(), self._timeline.seconds[sent].tolist(), strict=True
            ):
                yield each.ids[stay], each.base_ms + second * 1000

    async def run(self) -> None:
        """Send everything, or until `stop`, and wait until the broker has it.

        Raises:
            aiokafka.errors.KafkaError: the broker is not there or did not take a record.
        """
        async with self._producer() as flow:
            await self._one_pass(flow, self._suffix)
            while self._loop and self.total and not self.stopped:
                await self._one_pass(flow, f"{self._suffix}-{len(self._passes) + 1}")
            while flow.waiting:
                await asyncio.wait(flow.waiting)
            if flow.failure is not None:
                raise flow.failure

    @asynccontextmanager
    async def _producer(self) -> AsyncIterator[Flow]:
        idempotent = AIOKafkaProducer(
            **self._settings.kafka_client(),
            acks="all",
            enable_idempotence=True,  # a retry neither repeats nor overtakes
            max_batch_size=_BATCH_BYTES,
        )
        async with opened(idempotent) as producer:
            topics = catalogue(self._settings)

            async def topic(kind: _Kind, which: Topic) -> _Topic:
                return _Topic(kind, which.name, sorted(await producer.partitions_for(which.name)))

            yield Flow(
                producer,
                await topic("readings", topics.vitals),
                await topic("admissions", topics.admissions),
                await topic("labs", topics.labs),
                await topic("outcomes", topics.outcomes),
            )

    async def _one_pass(self, flow: Flow, suffix: str) -> None:
        stays = self._timeline.stays
        now = _Pass([stay.patient_id + suffix for stay in stays], self._timeline.base_ms(now_ms()))
        self._passes.append(now)
        log.info("%d patients, %d readings, admitted %s", len(stays), self.total, iso(now.base_ms))
        hashes = [murmur2(patient_id.encode()) & 0x7FFFFFFF for patient_id in now.ids]

        admissions = (
            Record(hashed, patient_id.encode(), _encode(event))
            for hashed, patient_id, stay in zip(hashes, now.ids, stays, strict=True)
            for event in [admission(stay, patient_id, now.base_ms, self._unit)]
        )
        await asyncio.gather(*await self._send(flow, flow.admissions, admissions))

        pace = (
            Rate(self._rate) if self._speed is None else Speed(self._speed, self._timeline.seconds)
        )
        clock = asyncio.get_running_loop().time
        started = clock()
        while now.sent < self.total and not self.stopped:
            due = min(pace.due(clock() - started), self.total)
            if due <= now.sent:
                await self._pause(max(started + pace.at(now.sent) - clock(), _TICK_S))
                continue
            start, end = now.sent, min(due, now.sent + _SLICE)
            if not self._keyed:
                # spread over partitions, only their Kafka times tell the order of a patient's
                # readings: no two of them may have the same
                end = self._timeline.before_repeat(start, end)
                while now_ms() <= self._sent_ms:
                    await self._pause(0.001)
            if labs := self._timeline.labs(start, end):
                results = (
                    Record(hashes[stay], now.ids[stay].encode(), _encode(event))
                    for stay, lab, second, thousandths in labs
                    for at_ms in [now.base_ms + second * 1000]
                    for event in [lab_result(now.ids[stay], at_ms, lab, thousandths)]
                )
                await asyncio.gather(*await self._send(flow, flow.labs, results))
            readings = self._readings(now, hashes, start, end)
            now.sent = end
            futures = await self._send(flow, flow.readings, readings)
            if ended := self._timeline.ended(start, end):
                flow.track(asyncio.ensure_future(self._close(flow, now, hashes, ended, futures)))

    def _readings(self, now: _Pass, hashes: list[int], start: int, end: int) -> Iterator[Record]:
        spread = self._random.integers(0, 2**31, end - start).tolist()
        for random, (stay, second, values) in zip(
            spread, self._timeline.readings(start, end), strict=True
        ):
            patient_id = now.ids[stay]
            value = reading(values, patient_id, now.base_ms + second * 1000, self._unit)
            if self._keyed:
                yield Record(hashes[stay], patient_id.encode(), value)
            else:
                yield Record(random, None, value)

    async def _close(
        self,
        flow: Flow,
        now: _Pass,
        hashes: list[int],
        ended: list[int],
        last: list["asyncio.Future[Any]"],
    ) -> None:
        """Send the outcomes of stays when the broker has their last readings."""
        await asyncio.gather(*last)
        outcomes = (
            Record(hashes[stay], now.ids[stay].encode(), _encode(event))
            for stay in ended
            for event in [outcome(self._timeline.stays[stay], now.ids[stay], now.base_ms)]
            if event is not None
        )
        await asyncio.gather(*await self._send(flow, flow.outcomes, outcomes))

    async def _send(
        self, flow: Flow, topic: _Topic, records: Iterable[Record]
    ) -> list["asyncio.Future[Any]"]:
        """Hand records to the producer as one batch a partition, more where one is full.

        Returns:
            A future for each batch, done when the broker has it.
        """
        futures: list[asyncio.Future[Any]] = []
        batches: dict[int, Any] = {}
        now = self._sent_ms = now_ms()

        async def hand_over(partition: int, batch: Any) -> None:
            count = batch.record_count()
            batch.close()
            # waits while the batch before it has not left: that is the back-pressure
            future = await flow.producer.send_batch(batch, topic.name, partition=partition)
            self.sent.add(topic.kind, count)
            future.add_done_callback(lambda done: self._settle(done, topic.kind, count))
            flow.track(future)
            futures.append(future)

        for record in records:
            partition = topic.partition(record.hashed)
            batch = batches.get(partition)
            if batch is None:
                batch = batches[partition] = flow.producer.create_batch()
            if batch.append(timestamp=now, key=record.key, value=record.value) is None:
                await hand_over(partition, batch)
                batch = batches[partition] = flow.producer.create_batch()
                batch.append(timestamp=now, key=record.key, value=record.value)
        for partition, batch in batches.items():
            await hand_over(partition, batch)
        return futures

    def _settle(self, done: "asyncio.Future[Any]", kind: _Kind, count: int) -> None:
        if done.cancelled() or done.exception() is not None:
            self.stop()  # a gap cannot be made good; `run` raises the error
        else:
            self.acknowledged.add(kind, count)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

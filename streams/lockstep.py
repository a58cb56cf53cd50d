"""A shift through the real stream, in lockstep: what comes out depends on no machine's speed.

    segment → admissions, labs → vitals ─→ recommendations
            → outcomes of stays that ended ─→ lessons
            → where the learner is to make a layer: wait until the bedside scores with it

`models.shift_stream.Course` says what is in a segment. The next one is sent when all of that is
through.
"""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.partitioner import murmur2
from numpy.typing import NDArray
from typing_extensions import override

from config.clock import to_ms
from config.settings import Settings
from models.risk import Tiers
from models.shift_stream import Course, Said, Segment
from streams.demo import Worker
from streams.replay import Flow, Record, Replay
from streams.timeline import admission, lab_result, outcome, reading
from streams.topics import catalogue

__all__ = ["Lockstep", "LockstepError", "remove_topics"]

#: Nothing has come for so long: what is missing will not come, in seconds.
_STALL_S = 60.0
#: Between two looks at what cannot be waited for.
_LOOK_S = 0.01
_TIERS = {name: number for number, name in enumerate(("none", *Tiers._fields))}

_encode = msgspec.json.Encoder().encode


class _Answer(msgspec.Struct):
    """What counts of a recommendation."""

    patient_id: str
    observed_at: datetime
    risk: float
    tier: str
    model_version: str


_answer = msgspec.json.Decoder(_Answer).decode


class LockstepError(RuntimeError):
    """The stream does not go on; the message says what is missing."""


class Lockstep(Replay):
    """Sends a course to the broker, segment by segment, and keeps what is said of it.

    Args:
        settings: name the broker and the topics, which nobody has used yet.
        course: what to send.
        bedside: the worker that scores; the only one.
        moved: called with the number of readings that were answered, as they are.
    """

    def __init__(
        self,
        settings: Settings,
        course: Course,
        bedside: Worker,
        moved: Callable[[int], None] = lambda answered: None,
    ) -> None:
        super().__init__(settings, course.stays)
        self._course, self._bedside, self._moved = course, bedside, moved
        self._topics = catalogue(settings)
        self._labs_too = settings.feature_set == "labs"
        rows = len(course.order)
        self._probability = np.full(rows, np.nan)
        self._tier = np.full(rows, -1, np.int8)
        self._version = [""] * rows
        self._answered = self._lessons = 0
        self._row_of = dict(
            zip(
                zip(course.data.patient.tolist(), course.at_ms.tolist(), strict=True),
                range(rows),
                strict=True,
            )
        )
        self._stay_of = {stay.patient_id: i for i, stay in enumerate(course.stays)}

    def said(self) -> Said:
        """What the stream said of each row."""
        return self._course.heard(self._probability, self._tier, self._version)

    @override
    async def _one_pass(self, flow: Flow, suffix: str) -> None:
        topics = (self._topics.recommendations, self._topics.dead_letters, self._topics.vitals_late)
        consumer = AIOKafkaConsumer(
            **self._settings.kafka_client(),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            check_crcs=False,
            max_partition_fetch_bytes=8 * 1024 * 1024,
        )
        await consumer.start()
        try:
            consumer.assign(
                [TopicPartition(t.name, number) for t in topics for number in range(t.partitions)]
            )
            patients = _Patients(self._course, self._labs_too)
            for segment in self._course.segments():
                # the broker has the facts that readings are to be scored with, and the learner's
                # topic all that was known before
                await asyncio.gather(*await self._facts(flow, patients, segment))
                await self._taught(consumer)
                await self._send(flow, flow.readings, patients.readings(segment))
                await self._answers(consumer, segment.rows[1])
                outcomes = list(patients.outcomes(segment))
                await self._send(flow, flow.outcomes, outcomes)
                self._lessons += segment.rows[1] - segment.rows[0] + len(outcomes)
                if segment.layer is not None:
                    await self._followed(self._course.layers[segment.layer - 1].version)
        finally:
            await consumer.stop()

    async def _facts(
        self, flow: Flow, patients: "_Patients", segment: Segment
    ) -> list["asyncio.Future[Any]"]:
        sent = await self._send(flow, flow.admissions, patients.admissions(segment))
        if self._labs_too:
            sent += await self._send(flow, flow.labs, patients.labs(segment))
        return sent

    async def _answers(self, consumer: AIOKafkaConsumer, until: int) -> None:
        """Wait until the first so many readings are answered."""
        while self._answered < until:
            found = await consumer.getmany(timeout_ms=round(_STALL_S * 1000))
            if not found:
                raise LockstepError(
                    f"{until - self._answered} readings have no recommendation after {_STALL_S:g} s"
                )
            for tp, records in found.items():
                if tp.topic != self._topics.recommendations.name:
                    raise LockstepError(
                        f"a reading went to {tp.topic} instead of being scored: "
                        f"see offset {records[0].offset}"
                    )
                for record in records:
                    self._take(_answer(record.value))
            self._moved(self._answered)

    def _take(self, answer: _Answer) -> None:
        row = self._row_of[self._stay_of[answer.patient_id], to_ms(answer.observed_at)]
        if not self._version[row]:  # delivery is at least once
            self._answered += 1
        self._probability[row], self._version[row] = answer.risk, answer.model_version
        self._tier[row] = _TIERS[answer.tier]

    async def _taught(self, consumer: AIOKafkaConsumer) -> None:
        """Wait until examples and outcomes are where the learner reads them."""
        tp = TopicPartition(self._topics.lessons.name, 0)

        async def there() -> bool:
            return (await consumer.end_offsets([tp]))[tp] >= self._lessons

        await self._until(there, "not all examples and outcomes have come to the learner")

    async def _followed(self, version: str) -> None:
        """Wait until a model scores."""

        async def scores() -> bool:
            return f'version="{version}"' in (await self._bedside.page("/metrics") or "")

        await self._until(scores, f"the bedside does not score with {version}")

    async def _until(self, done: Any, what: str) -> None:
        try:
            async with asyncio.timeout(_STALL_S):
                while True:
                    if await done():
                        return
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            raise LockstepError(f"{what}, after {_STALL_S:g} s") from None


class _Patients:
    """What is to be sent of the patients in each segment; segments come in their order."""

    def __init__(self, course: Course, labs: bool) -> None:
        self._course = course
        patient = course.data.patient
        self._stay_of = patient[course.order]
        self._at_ms = course.at_ms[course.order]
        lasts = np.flatnonzero(np.diff(patient, append=-1))
        firsts = np.append(0, lasts[:-1] + 1)
        place = np.empty(len(patient), np.int64)
        place[course.order] = np.arange(len(patient))
        # by place: whose first or last reading it is
        self._first, self._last = place[firsts], place[lasts]
        self._values = np.concatenate([stay.values for stay in course.stays])
        self._ids = [stay.patient_id for stay in course.stays]
        self._keys = [name.encode() for name in self._ids]
        self._hashed = [murmur2(key) & 0x7FFFFFFF for key in self._keys]
        self._admitted = np.argsort(self._first)
        self._ended = np.argsort(self._last)
        self._labs = self._results() if labs else np.empty((0, 4), np.int64)
        self._charted = 0

    def _results(self) -> NDArray[np.int64]:
        """Stay, test, time and thousandths of all results that a reading follows, by time."""
        course = self._course
        found = np.concatenate(
            [
                np.column_stack([np.full(len(stay.labs), i), stay.labs])[
                    stay.labs[:, 1] <= stay.seconds[-1]
                ]
                for i, stay in enumerate(course.stays)
            ]
        )
        found[:, 2] = course.start_ms[found[:, 0]] + found[:, 2] * 1000
        return found[np.argsort(found[:, 2], kind="stable")]

    def _within(
        self, order: NDArray[np.int64], places: NDArray[np.int64], segment: Segment
    ) -> list[int]:
        start, end = np.searchsorted(places[order], segment.rows)
        found: list[int] = order[start:end].tolist()
        return found

    def _record(self, stay: int, event: Any) -> Record:
        value = event if isinstance(event, bytes) else _encode(event)
        return Record(self._hashed[stay], self._keys[stay], value)

    def admissions(self, segment: Segment) -> Iterator[Record]:
        """Of those whose first reading is in a segment."""
        for i in self._within(self._admitted, self._first, segment):
            base_ms = int(self._course.start_ms[i])
            yield self._record(i, admission(self._course.stays[i], self._ids[i], base_ms))

    def labs(self, segment: Segment) -> Iterator[Record]:
        """What was found by the end of a segment and was not sent before."""
        end = int(np.searchsorted(self._labs[:, 2], segment.until_ms, "right"))
        for stay, lab, at_ms, thousandths in self._labs[self._charted : end].tolist():
            yield self._record(stay, lab_result(self._ids[stay], at_ms, lab, thousandths))
        self._charted = end

    def readings(self, segment: Segment) -> Iterator[Record]:
        """The readings of a segment."""
        rows = slice(*segment.rows)
        values = self._values[self._course.order[rows]].tolist()
        for stay, at_ms, row in zip(
            self._stay_of[rows].tolist(), self._at_ms[rows].tolist(), values, strict=True
        ):
            yield self._record(stay, reading(row, self._ids[stay], at_ms))

    def outcomes(self, segment: Segment) -> Iterator[Record]:
        """Of those whose last reading is in a segment."""
        for i in self._within(self._ended, self._last, segment):
            event = outcome(self._course.stays[i], self._ids[i], int(self._course.start_ms[i]))
            assert event is not None, "outcomes of a course are known"
            yield self._record(i, event)


async def remove_topics(settings: Settings) -> None:
    """Delete the topics of a course, changelogs among them, from a broker that is not ours.

    Args:
        settings: name the broker and the prefix, which is of this course alone.
    """
    assert settings.topic_prefix, "other topics would go with them"
    admin = AIOKafkaAdminClient(**settings.kafka_client())
    await admin.start()
    try:
        there = await admin.list_topics()
        await admin.delete_topics([n for n in there if n.startswith(settings.topic_prefix)])
    finally:
        await admin.close()

"""From the topic ``lessons`` to data sets: read on from where the last collection ended.

    lessons ─→ pseudonyms ─→ join examples with outcomes ─→ DIR/vN

What waits at the end (stays that go on, labels that are not due) is read again the next time.
Patients' ids do not leave: not in the sets, and not in the archive beside them.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition

from config.clock import iso, now_ms
from config.settings import Settings
from models.collection import DueStay, Ended, Join, Seen
from models.features import FEATURES
from models.lesson_sets import (
    LessonSetError,
    SetStay,
    SetWriter,
    Span,
    collected_ends,
    manifest_of,
    newest,
)
from models.pseudonyms import Pseudonyms
from streams.clients import opened
from streams.lessons import FEATURES_VERSION, Example, StayEnd, decode
from streams.topics import TopicError, catalogue

__all__ = ["Collection", "Collector", "collect"]

log = logging.getLogger(__name__)

_POLL_MS = 1_000
_encode = msgspec.msgpack.Encoder().encode
_encode_json = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Collection:
    """What came of a collection.

    Attributes:
        manifest: of the new set; None where nothing new was due.
        records: records that were read for the first time.
        waiting: examples and outcomes that wait for their stay's end or its delay.
        lost: records that were gone before they could be read again.
    """

    manifest: dict[str, Any] | None
    records: int
    waiting: tuple[int, int]
    lost: int


@dataclass(slots=True)
class Collector:
    """Takes in the records of the topic one after another; knows no broker.

    Attributes:
        writer: of the set that comes of it.
        join: of examples and outcomes.
        pseudonyms: names that leave.
        new_from: offset from which on records were not read before.
        tolerance_ms: how far a time may lie after its record's Kafka time.
        left_out: counts of records that are no lessons for this set.
    """

    writer: SetWriter
    join: Join[Example]
    pseudonyms: Pseudonyms
    new_from: int = 0
    tolerance_ms: int = 300_000
    left_out: dict[str, int] = field(
        default_factory=lambda: {"bad": 0, "future": 0, "other_features": 0}
    )

    def take(self, offset: int, timestamp_ms: int, value: bytes | None) -> None:
        """Take in a record.

        Args:
            offset: of the record.
            timestamp_ms: its Kafka time.
            value: its value.
        """
        new = offset >= self.new_from
        try:
            lesson = decode(value)
        except ValueError as error:
            if new:
                log.warning("lessons, offset %d: %s", offset, error)
                self.left_out["bad"] += 1
            return
        at_ms = lesson.observed_at_ms if isinstance(lesson, Example) else lesson.ended_at_ms
        if at_ms > timestamp_ms + self.tolerance_ms:
            # it would make every label due
            self.left_out["future"] += new
            return
        patient = self.pseudonyms.of(lesson.patient_id)
        if isinstance(lesson, StayEnd):
            if new:
                self.writer.archive(offset, timestamp_ms, _outcome(lesson, patient))
            ended = Ended(offset, lesson.ended_at_ms, lesson.septic, lesson.onset_at_ms)
            self.join.outcome(patient, ended)
        else:
            example = msgspec.structs.replace(lesson, patient_id=patient)
            if new:
                self.writer.archive(offset, timestamp_ms, _encode(example))
            if lesson.features_version != FEATURES_VERSION:
                self.left_out["other_features"] += new
                return
            self.join.example(patient, Seen(offset, lesson.observed_at_ms, example))
        for stay in self.join.due():
            self.writer.add(_set_stay(stay))


async def collect(
    settings: Settings, root: Path, *, site: str, code: str | None = None
) -> Collection:
    """Collect what is new into the next set.

    Args:
        settings: name the broker, the topic, the delay and the key of the pseudonyms.
        root: folder of the sets.
        site: hospital; kept in the manifest.
        code: version of the code; kept in the manifest.

    Raises:
        LessonSetError: the sets that are there are of another topic, site or key.
        TopicError: there is no such topic.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    topic = catalogue(settings).lessons.name
    secret = settings.pseudonym_key
    pseudonyms = Pseudonyms(None if secret is None else secret.get_secret_value().encode())
    last = newest(root)
    before = None if last is None else manifest_of(last)
    if before is not None:
        _require_same(before, root, site, topic, pseudonyms)
    delay_ms = round(settings.label_delay_hours * 3_600_000)
    new_from = 0 if before is None else before["offsets"]["next"]
    resume = 0 if before is None else before["offsets"]["resume"]
    join: Join[Example] = Join(
        delay_ms,
        ended=collected_ends(root),
        watermark_ms=0 if before is None else before["watermark_ms"],
    )
    async with _reading(settings, topic) as (consumer, partition):
        beginning = (await consumer.beginning_offsets([partition]))[partition]
        end = (await consumer.end_offsets([partition]))[partition]
        if end < new_from:
            raise LessonSetError(
                f"topic {topic!r} ends at {end} and {root} was collected up to {new_from}: it was "
                "made anew. Collect into another folder."
            )
        lost = max(beginning - resume, 0) if before is not None else 0
        if lost:
            log.warning("%d records that waited are gone: collect more often", lost)
        with SetWriter(root, FEATURES, FEATURES_VERSION) as writer:
            collector = Collector(
                writer, join, pseudonyms, new_from, round(settings.future_tolerance_s * 1000)
            )
            consumer.seek(partition, max(resume, beginning))
            while await consumer.position(partition) < end:
                fetched = await consumer.getmany(partition, timeout_ms=_POLL_MS)
                for record in fetched.get(partition, ()):
                    if record.offset < end:
                        collector.take(record.offset, record.timestamp, record.value)
            records, waiting = end - max(new_from, beginning), join.waiting
            if not writer.stays:
                return Collection(None, records, waiting, lost)
            span = Span(
                site=site,
                topic=topic,
                first=max(new_from, beginning),
                next=end,
                resume=join.resume(end),
                watermark_ms=join.watermark_ms,
                delay_ms=delay_ms,
                left_out={**collector.left_out, **asdict(join.counts), "lost": lost},
                pseudonyms={"kind": pseudonyms.kind, "check": pseudonyms.check},
                code=code,
            )
            return Collection(writer.finish(span, iso(now_ms())), records, waiting, lost)


@asynccontextmanager
async def _reading(
    settings: Settings, topic: str
) -> AsyncIterator[tuple[AIOKafkaConsumer, TopicPartition]]:
    consumer = AIOKafkaConsumer(**settings.kafka_client(), enable_auto_commit=False)
    async with opened(consumer):
        if topic not in await consumer.topics():
            raise TopicError(f"There is no topic {topic!r}: create the topics with `vigil topics`.")
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        yield consumer, partition


def _require_same(
    before: dict[str, Any], root: Path, site: str, topic: str, pseudonyms: Pseudonyms
) -> None:
    for what, ours, theirs in (
        ("site", site, before["site"]),
        ("topic", topic, before["topic"]),
        ("pseudonyms", pseudonyms.check, before["pseudonyms"]["check"]),
    ):
        if ours != theirs:
            hint = "VIGIL_PSEUDONYM_KEY is another one" if what == "pseudonyms" else repr(theirs)
            raise LessonSetError(
                f"the sets in {root} are of another {what} ({hint}): patients would be mixed up. "
                "Collect into another folder."
            )


def _outcome(ended: StayEnd, patient: str) -> bytes:
    """An outcome with a pseudonym, and without whatever else its sender put there."""
    onset = None if ended.onset_at_ms is None else iso(ended.onset_at_ms)
    return _encode_json(
        {
            "patient_id": patient,
            "ended_at": iso(ended.ended_at_ms),
            "septic": ended.septic,
            "onset_at": onset,
        }
    )


def _set_stay(stay: DueStay[Example]) -> SetStay:
    examples = [seen.example for seen in stay.examples]
    return SetStay(
        patient=stay.patient_id,
        ended_ms=stay.ended.ended_at_ms,
        septic=stay.ended.septic,
        onset_ms=stay.ended.onset_at_ms,
        outcome_offset=stay.ended.offset,
        at_ms=np.array([seen.at_ms for seen in stay.examples], np.int64),
        labels=stay.labels(),
        features=np.array([example.features for example in examples]),
        logits=np.array([example.logit for example in examples]),
        model_versions=[example.model_version for example in examples],
        recommendation_ids=[example.recommendation_id for example in examples],
        unit_ids=[example.unit_id for example in examples],
    )

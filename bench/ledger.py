"""What went in, what came out, and what was committed meanwhile: nothing lost, doubled, different.

`Ledger` reads every topic from its beginning while faults happen. Beside it, it asks the group for
its committed offsets, again and again. Each such sample is held against what the output topics held
at that moment: every record before a committed offset must have been answered.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from config.settings import Settings
from models.dataset import featurise
from models.registry import SHIPPED, load_model
from models.stay import Stay
from streams.bedside import ORIGIN_HEADER
from streams.replay import Replay
from streams.timeline import Timeline
from streams.topics import catalogue

__all__ = ["Ledger", "Risks", "Verdict", "offline"]

#: Index of the stay and seconds since admission → probability.
Risks = dict[tuple[int, int], float]

#: How often the committed offsets are asked for. A worker of the tests commits as often.
_SAMPLE_S = 0.2
#: A broker that is away is asked again after this.
_ANSWER_S = 5.0


class _Place(NamedTuple):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int


class _Recommendation(msgspec.Struct):
    recommendation_id: str
    patient_id: str
    observed_at: datetime
    risk: float


class _Letter(msgspec.Struct):
    topic: str
    partition: int
    offset: int


_recommendation = msgspec.json.Decoder(_Recommendation).decode
_letter = msgspec.json.Decoder(_Letter).decode


def offline(stays: Sequence[Stay], feature_set: str = "context") -> Risks:
    """Score every reading of every stay with the model that ships with the project."""
    data = featurise(stays)
    probability = load_model(SHIPPED[feature_set]).score(data.X).probability
    places = zip(data.patient.tolist(), data.seconds.tolist(), strict=True)
    return dict(zip(places, probability.tolist(), strict=True))


@dataclass
class Verdict:
    """What was found; all but the first two are zero where nothing is wrong.

    Attributes:
        readings: that were sent.
        repeats: recommendations that came again under their id, which is allowed.
        lost: readings without a recommendation.
        doubled: readings with recommendations of several ids.
        different: recommendations, repeats included, with a probability that is not the one of a
            run without faults.
        offsets_back: committed offsets that went back.
        offsets_ahead: records before a committed offset that had no answer at that moment.
        examples: of what is wrong, for people.
    """

    readings: int = 0
    repeats: int = 0
    lost: int = 0
    doubled: int = 0
    different: int = 0
    offsets_back: int = 0
    offsets_ahead: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not (
            self.lost + self.doubled + self.different + self.offsets_back + self.offsets_ahead
        )


class Ledger:
    """Follows the topics of one installation; use it as an async context.

    Args:
        settings: name the broker and the topics.
        group: consumer group of the workers.
    """

    def __init__(self, settings: Settings, group: str | None = None) -> None:
        self._settings = settings
        self._group = group or f"{settings.topic_prefix}bedside"
        topics = catalogue(settings)
        self._inputs = {topics.vitals.name, topics.vitals_routed.name}
        self._routed, self._letters = topics.vitals_routed.name, topics.dead_letters.name
        self._recommendations, self._late = topics.recommendations.name, topics.vitals_late.name
        self._offline: dict[int, Risks] = {}
        self._expected: dict[tuple[str, int], float] = {}
        # what came out, by reading: id → risks in the order they came
        self._risks: dict[tuple[str, int], dict[str, list[float]]] = {}
        self._read: dict[tuple[str, int], list[_Place]] = {}
        self._origin: dict[_Place, _Place] = {}
        self._answered: set[_Place] = set()
        self._committed: dict[TopicPartition, int] = {}
        self._checked: dict[tuple[str, int], int] = {}
        self._may_go_back: set[TopicPartition] = set()
        self._found = Verdict()
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        #: Samples of the committed offsets that were held against the outputs.
        self.samples = 0

    async def __aenter__(self) -> Self:
        self._consumer = AIOKafkaConsumer(
            **self._settings.kafka_client(),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_partition_fetch_bytes=8_000_000,
        )
        await self._consumer.start()
        names = [*self._inputs, self._recommendations, self._late, self._letters]
        self._outputs = [
            TopicPartition(name, partition)
            for name in names
            for partition in range(self._settings.partitions)
        ]
        self._consumer.assign(self._outputs)
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._watch())]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._consumer.stop()

    # -- what is asked

    def expect(self, replay: Replay, stays: Sequence[Stay]) -> None:
        """Expect a recommendation for every reading that a replay of stays has sent."""
        if id(stays) not in self._offline:
            self._offline[id(stays)] = offline(stays)
        risks = self._offline[id(stays)]
        timeline = Timeline(stays)
        order = list(zip(timeline.of.tolist(), timeline.seconds.tolist(), strict=True))
        for number, (patient, at_ms) in enumerate(replay.keys()):
            self._expected[patient, at_ms] = risks[order[number % len(order)]]

    def allow_set_back(self) -> None:
        """Allow the offsets to go back, each once: an operator is about to set them back.

        What is read again must be answered and committed again; see `complete`.
        """
        self._may_go_back = set(self._committed)

    @property
    def recommended(self) -> int:
        """Readings that have a recommendation."""
        return len(self._risks)

    async def until(self, count: int) -> None:
        """Wait until so many readings have a recommendation."""
        while len(self._risks) < count:
            self._check_tasks()
            self._news.clear()
            await self._news.wait()

    async def complete(self) -> None:
        """Wait until everything that is expected is there and committed."""
        while self._missing() or not await self._all_committed():
            self._check_tasks()
            self._news.clear()
            await self._news.wait()

    def verdict(self) -> Verdict:
        """Hold what came out against what was expected."""
        found = Verdict(
            readings=len(self._expected),
            offsets_back=self._found.offsets_back,
            offsets_ahead=self._found.offsets_ahead,
            examples=list(self._found.examples),
        )
        for reading in self._missing():
            found.lost += 1
            found.examples.append(f"lost: {reading}")
        for reading, ids in self._risks.items():
            expected = self._expected.get(reading)
            found.doubled += len(ids) - 1
            if len(ids) > 1:
                found.examples.append(f"doubled: {reading} {list(ids)}")
            for name, risks in ids.items():
                found.repeats += len(risks) - 1
                wrong = sum(risk != expected for risk in risks)
                if wrong:
                    found.different += wrong
                    found.examples.append(f"different: {name} {reading}: {risks} not {expected}")
        return found

    # -- reading along

    async def _follow(self) -> None:
        while True:
            for tp, records in (await self._consumer.getmany(timeout_ms=100)).items():
                for record in records:
                    self._note(tp.topic, record)
            self._news.set()

    def _note(self, topic: str, record: Any) -> None:
        place = _Place(record.topic, record.partition, record.offset)
        if topic in self._inputs:
            self._read.setdefault((topic, record.partition), []).append(place)
            if topic == self._routed:
                self._origin[place] = _origin_of(record)
                self._answered.add(_origin_of(record)._replace(topic=f"→{topic}"))
        elif topic == self._recommendations:
            found = _recommendation(record.value)
            at_ms = round(found.observed_at.timestamp() * 1000)
            of_reading = self._risks.setdefault((found.patient_id, at_ms), {})
            of_reading.setdefault(found.recommendation_id, []).append(found.risk)
            name, partition, offset, _ = found.recommendation_id.rsplit("-", 3)
            self._answered.add(_Place(name, int(partition), int(offset)))
        elif topic == self._late:
            self._answered.add(_origin_of(record))
        else:
            letter = _letter(record.value)
            self._answered.add(_Place(letter.topic, letter.partition, letter.offset))

    # -- committed offsets

    async def _watch(self) -> None:
        admin = AIOKafkaAdminClient(**self._settings.kafka_client())
        await admin.start()
        try:
            while True:
                try:
                    async with asyncio.timeout(_ANSWER_S):
                        committed = await admin.list_consumer_group_offsets(self._group)
                        ends = await self._consumer.end_offsets(self._outputs)
                except (KafkaError, OSError, TimeoutError):
                    await asyncio.sleep(_SAMPLE_S)
                    continue
                await self._reached(ends)
                self._hold(
                    {tp: at.offset for tp, at in committed.items() if tp.topic in self._inputs}
                )
                self.samples += 1
                await asyncio.sleep(_SAMPLE_S)
        finally:
            await admin.close()

    async def _reached(self, ends: dict[TopicPartition, int]) -> None:
        for tp, end in ends.items():
            while await self._consumer.position(tp) < end:
                self._news.clear()
                await self._news.wait()
        # the position moves before the records are noted
        self._news.clear()
        await self._news.wait()

    def _hold(self, committed: dict[TopicPartition, int]) -> None:
        for tp, offset in committed.items():
            before = self._committed.get(tp, 0)
            if offset < before and tp in self._may_go_back:
                self._may_go_back.remove(tp)
                self._checked[tp.topic, tp.partition] = 0
            elif offset < before:
                self._found.offsets_back += 1
                self._found.examples.append(f"back: {tp} from {before} to {offset}")
            self._committed[tp] = offset
            places = self._read.get((tp.topic, tp.partition), [])
            at = self._checked.get((tp.topic, tp.partition), 0)
            while at < len(places) and places[at].offset < offset:
                if not self._has_answer(places[at]):
                    self._found.offsets_ahead += 1
                    self._found.examples.append(f"ahead: {places[at]} committed to {offset}")
                at += 1
            self._checked[tp.topic, tp.partition] = at

    def _has_answer(self, place: _Place) -> bool:
        if place.topic == self._routed:
            return self._origin[place] in self._answered
        return place in self._answered or place._replace(topic=f"→{self._routed}") in self._answered

    # -- the end

    def _missing(self) -> Iterable[tuple[str, int]]:
        return self._expected.keys() - self._risks.keys()

    async def _all_committed(self) -> bool:
        return all(
            not places or self._checked.get(at, 0) == len(places)
            for at, places in self._read.items()
        )

    def _check_tasks(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()


def _origin_of(record: Any) -> _Place:
    told = next((value for name, value in record.headers if name == ORIGIN_HEADER), None)
    if told is None:
        return _Place(record.topic, record.partition, record.offset)
    topic, partition, offset = told.decode().split("/")
    return _Place(topic, int(partition), int(offset))

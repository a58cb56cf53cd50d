"""A driver for agents without a broker: fake topics, a fake consumer, a producer that can wait.

What Faust and aiokafka do for an agent is played by the smallest things that keep the same
promises: records have offsets, a batch is acknowledged once, a send completes when the test says
so, in the order of its partition.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
from faust.types import TP
from numpy.typing import NDArray

from agents.admissions import AdmissionsAgent
from agents.labs import LabsAgent
from agents.outcomes import OutcomesAgent
from agents.vitals import VitalsAgent
from config.guidance import guidance
from config.settings import Settings
from models.features import FEATURES, GROUPS
from models.risk import Scores, Tiers
from streams.bedside import Bedside
from streams.intake import IntakeRules
from streams.outbox import Outbox
from streams.recommend import Recommender
from streams.topics import catalogue
from streams.transport import Batch
from tables.labs import Labs
from tables.stays import Stays
from tables.windows import Windows

__all__ = ["Bench", "Event", "FailedError", "StubModel", "record"]

NOW_MS = 1_767_225_600_000  # 2026-01-01T00:00Z


class FailedError(Exception):
    """The worker would have stopped."""


class StubModel:
    """A model whose risk is plain to see: a hundredth of the current heart rate."""

    name, version = "stub", "1"
    tiers = Tiers(watch=0.8, warning=1.0, urgent=1.2)

    def score(self, features: NDArray[np.float64]) -> Any:
        """Score rows of features."""
        risk = np.nan_to_num(features[:, FEATURES.index("heart_rate")]) / 100
        return Scores(risk, np.zeros((len(risk), len(GROUPS))), risk)


def record(
    topic: str, offset: int, value: bytes | None, key: bytes | None = None, **more: Any
) -> Any:
    """Return a raw record as the consumer hands it over."""
    return SimpleNamespace(
        topic=topic,
        partition=more.get("partition", 0),
        offset=offset,
        key=key,
        value=value,
        timestamp=more.get("timestamp", NOW_MS + offset),
        headers=more.get("headers", ()),
    )


class _Batch:
    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    @property
    def _builder(self) -> "_Batch":
        return self

    def append(self, offset: int, timestamp: int, key: Any, value: Any, headers: Any) -> bool:
        fields = {"timestamp": timestamp, "key": key, "value": value, "headers": headers}
        assert offset == len(self.records), "offsets in a batch follow each other"
        self.records.append(fields)
        return True

    def record_count(self) -> int:
        return len(self.records)

    def close(self) -> None:
        """Nothing more may be added."""


class Producer:
    """Keeps what is sent; a send completes at once, or when `deliver` is called."""

    def __init__(self) -> None:
        self.sent: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.waits = False
        self.error: Exception | None = None
        self._waiting: list[asyncio.Future[Any]] = []
        # a batch is on its way at once, so that none waits to be joined
        self._message_accumulator = SimpleNamespace(_batches={})

    def create_batch(self) -> _Batch:
        """Return an empty record batch."""
        return _Batch()

    async def send_batch(self, batch: _Batch, topic: str, *, partition: int) -> asyncio.Future[Any]:
        """Take a record batch."""
        assert batch.records, "the broker gives an empty batch no offset"
        self.sent[topic] += [{**fields, "partition": partition} for fields in batch.records]
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        if not self.waits:
            self.deliver()
        return future

    def deliver(self) -> None:
        """The broker has acknowledged everything, or refused it."""
        for future in self._waiting:
            if self.error is None:
                future.set_result(SimpleNamespace(offset=0))
            else:
                future.set_exception(self.error)
        self._waiting.clear()


class Consumer:
    """Knows offsets; a test moves them."""

    def __init__(self, topics: list[str], partitions: int) -> None:
        self.assignment_number = 1
        self.assigned = {TP(topic, p) for topic in topics for p in range(partitions)}
        self.ends: dict[TP, int] = defaultdict(int)
        self.markers: dict[TP, int] = defaultdict(int)
        self.commits = 0

    def assignment(self) -> set[TP]:
        """Partitions of this worker."""
        return self.assigned

    def resumed_at(self, tp: TP) -> int:
        """Where the worker resumed."""
        return 0

    def committed(self, tp: TP) -> int:
        """What is committed."""
        return 0

    def highwater(self, tp: TP) -> int:
        """End of the partition, as last heard."""
        return self.ends[tp]

    async def end_offset(self, tp: TP) -> int:
        """End of the partition, as the broker says."""
        return self.ends[tp]

    def handled(self, tp: TP, end: int, handled_to: int) -> bool:
        """Everything up to the end was fetched, but for markers that are never delivered."""
        return handled_to >= end - self.markers[tp]

    async def begin(self, batch: Batch) -> bool:
        """The partition is this worker's until the batch is stale."""
        return not batch.stale

    def lag(self, tp: TP, end: int) -> int:
        """Records behind."""
        return max(0, self.ends[tp] - end)

    async def commit(self) -> None:
        """Commit what is acknowledged."""
        self.commits += 1


class Table:
    """A table in memory."""

    def __init__(self, name: str) -> None:
        self.changelog = f"{name}-changelog"
        self.rows: dict[tuple[int, bytes], bytes] = {}

    def load(self, partition: int, key: bytes) -> bytes | None:
        """Read."""
        return self.rows.get((partition, key))

    def load_all(self, partition: int, keys: list[bytes]) -> list[bytes | None]:
        """Read several."""
        return [self.load(partition, key) for key in keys]

    def scan(self, partition: int, start: bytes | None = None) -> list[tuple[bytes, bytes]]:
        """Read from a key on, or all, by key."""
        found = sorted((key, value) for (at, key), value in self.rows.items() if at == partition)
        return [(key, value) for key, value in found if key >= (start or b"")]

    def store(self, partition: int, writes: list[tuple[bytes, Any]], outbox: Outbox) -> None:
        """Write, and put the changelog into the outbox."""
        self.announce(partition, writes, outbox)
        self.apply(partition, writes)

    def announce(self, partition: int, writes: list[tuple[bytes, Any]], outbox: Outbox) -> None:
        """Put the changelog into the outbox."""
        outbox.extend(self.changelog, partition, writes)

    def apply(self, partition: int, writes: list[tuple[bytes, Any]]) -> None:
        """Write."""
        for key, value in writes:
            if value is None:
                self.rows.pop((partition, key), None)
            else:
                self.rows[partition, key] = value

    def stored(self, partition: int, delivered: dict[tuple[str, int], int]) -> None:
        """The changelog is with the broker."""


@dataclass(eq=False)
class Event:
    """A batch on its way through an agent."""

    value: Batch
    acked: bool = False

    def ack(self) -> None:
        """Acknowledge; twice is a bug."""
        assert not self.acked, "acknowledged twice"
        self.acked = True


class _Stream:
    def __init__(self, events: list[Event]) -> None:
        self._events = events

    def noack(self) -> "_Stream":
        return self

    async def events(self) -> AsyncIterator[Event]:
        for event in self._events:
            yield event


@dataclass(eq=False)
class Bench:
    """The bedside agents on fake topics."""

    settings: Settings = field(
        default_factory=lambda: Settings(broker="nowhere:1", partitions=2, route_hold_ms=0)
    )

    model: Any = field(default_factory=StubModel)

    def __post_init__(self) -> None:
        settings = self.settings
        self.topics = catalogue(settings)
        names = [topic.name for topic in self.topics]
        self.producer = Producer()
        self.consumer = Consumer(names, settings.partitions)
        self.windows, self.stays = Table("windows"), Table("stays")
        self.results = Table("results")
        self.model_known = asyncio.Event()
        self.model_known.set()
        self.failed: BaseException | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.app: Any = SimpleNamespace(
            settings=settings,
            consumer=self.consumer,
            batch_producer=self.producer,
            sizes=dict.fromkeys(names, settings.partitions),
            add_future=self._add_future,
            fail=self._fail,
            should_stop=False,
            ready=True,
            rebalancing=False,
            lease=SimpleNamespace(sends=True),
        )
        stays = Stays(self.stays.load_all, capacity=100)
        windows = Windows(self.windows.load_all, capacity=100, grace_ms=3_600_000)
        self.admit = AdmissionsAgent(self.app, self.topics, stays, self.stays)  # type: ignore[arg-type]
        labs = Labs(self.results.load_all, capacity=100) if settings.feature_set == "labs" else None
        self.chart = labs and LabsAgent(self.app, self.topics, labs, self.results)  # type: ignore[arg-type]
        self.bedside = Bedside(
            windows,
            stays,
            labs,
            Recommender(self.model, guidance()),
            IntakeRules(),
            settings.partitions,
            clock=lambda: NOW_MS,
        )
        self.score = VitalsAgent(
            self.app,
            self.topics,
            self.bedside,
            self.windows,
            self.admit,
            self.chart,  # type: ignore[arg-type]
            self.model_known,
        )
        self.close = OutcomesAgent(self.app, self.topics, self.score)

    def bedside_learns(self) -> None:
        """From now on examples are made of readings."""
        self.bedside._learning = True

    def _add_future(self, coroutine: Any) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)

    async def _fail(self, error: BaseException) -> NoReturn:
        self.failed = error
        raise FailedError from error

    async def feed(self, agent: Any, *batches: list[Any] | Batch) -> list[Event]:
        """Give an agent batches, or records for batches; return when it has handled them."""
        events = [
            Event(b if isinstance(b, Batch) else Batch(TP(b[0].topic, b[0].partition), b))
            for b in batches
        ]
        await agent.run(_Stream(events))
        await self.settle()
        return events

    async def settle(self) -> None:
        """Let deliveries that can complete, complete."""
        for _ in range(20):
            await asyncio.sleep(0)

    def sent(self, topic: Any) -> list[dict[str, Any]]:
        """What was sent to a topic of the catalogue."""
        return self.producer.sent[topic.name]

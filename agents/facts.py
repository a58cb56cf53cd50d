"""Facts about patients → a table: what `agents.admissions` and `agents.labs` have in common.

A fact comes under its patient's key, or is sent on under the right one. One without a value (a
tombstone) forgets what is known of the patient.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from contextlib import suppress
from time import monotonic
from typing import Any

import msgspec
from aiokafka.errors import KafkaError
from faust.types import TP

from agents.work import Work, settle
from streams.application import VigilApp
from streams.deadletters import encode
from streams.events import patient_key
from streams.intake import record_bytes
from streams.metrics import metrics
from streams.outbox import Outbox
from streams.partitions import partition_of
from streams.topics import Catalogue, Topic
from streams.transport import Batch
from tables.store import BatchTable

__all__ = ["FactsAgent"]

log = logging.getLogger(__name__)

#: How often a waiting reading looks whether admissions were read to the end.
_LOOK_AGAIN_S = 0.01
#: Looks between two questions to the broker whether it is there.
_LOOKS = 25
#: A broker that takes longer to answer is away. A fetch may be ahead of the question: 1.5 s.
_ANSWER_S = 3.0


class FactsAgent(ABC):
    """Keeps a table of what is known of each patient.

    Args:
        app: the application.
        topics: all of them.
        topic: the one that the facts come on.
        row: msgspec struct of a fact.
        table: where they are kept.
    """

    def __init__(
        self, app: VigilApp, topics: Catalogue, topic: Topic, row: Any, table: BatchTable
    ) -> None:
        self._app, self._topics, self._topic, self._table = app, topics, topic, table
        self._decode = msgspec.json.Decoder(row).decode
        # assignment and offset: what an earlier assignment has read does not count
        self._read_to: dict[int, tuple[int, int]] = {}
        self._progress = asyncio.Event()

    @abstractmethod
    def keep(self, partition: int, key: bytes, fact: Any) -> bytes | None:
        """Take in a fact; return the patient's state to be stored, None where nothing changed.

        Raises:
            ValueError: the fact cannot be used; the reason goes on the dead letter.
        """

    @abstractmethod
    def forget(self, partition: int, key: bytes) -> None:
        """Forget a patient."""

    async def run(self, stream: Any) -> None:
        """Take a batch, keep the facts, send what is not ours."""
        async for event in stream.noack().events():
            if await self._app.consumer.begin(event.value):
                try:
                    await self._keep(event)
                except Exception as error:
                    await self._app.fail(error)

    async def caught_up(self, batch: Batch) -> None:
        """Wait until all facts that the broker holds now for a batch's patients are kept.

        A reading may be read before a fact that was sent earlier but on another topic. Bounded by
        ``admissions_wait_s``: a fact that is late must not hold up scoring.
        Time in which the broker does not answer, or this process was stopped, does not count: then
        what is waited for may be there and only cannot be read. Ends when the batch is stale: in a
        rebalance that has begun the partition may be gone before anybody has been told.
        """
        partition = batch.tp.partition
        tp = TP(self._topic.name, partition)
        consumer = self._app.consumer
        end: int | None = None
        left = self._app.settings.admissions_wait_s
        while not batch.stale:
            if tp not in consumer.assignment():
                await asyncio.sleep(_LOOK_AGAIN_S)
                continue
            try:
                async with asyncio.timeout(_ANSWER_S):
                    answer = await consumer.end_offset(tp)
            except (KafkaError, TimeoutError):
                await asyncio.sleep(_LOOK_AGAIN_S * _LOOKS)
                continue
            end = answer if end is None else end
            for _ in range(_LOOKS):
                if batch.stale:
                    return
                if consumer.handled(tp, end, self._handled_to(partition)):
                    return
                if left <= 0:
                    log.warning(
                        "%s %d: not read to %d in time; scoring goes on",
                        self._topic.role, partition, end,
                    )  # fmt: skip
                    return
                looked = monotonic()
                # a fetch that brings no record tells nobody
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._progress.wait(), _LOOK_AGAIN_S)
                left -= min(monotonic() - looked, _LOOK_AGAIN_S)

    def _handled_to(self, partition: int) -> int:
        assignment, offset = self._read_to.get(partition, (-1, 0))
        return offset if assignment == self._app.consumer.assignment_number else 0

    async def _keep(self, event: Any) -> None:
        batch: Batch = event.value
        partition = batch.tp.partition
        outbox = Outbox(self._app.batch_producer)
        writes: dict[bytes, bytes | None] = {}
        for record in batch.records:
            try:
                key, fact = self._read(record)
                home = partition_of(key, self._topic.partitions)
                if record.key != key or home != partition:
                    outbox.add(record.topic, home, key, record.value, record.timestamp)
                elif fact is None:
                    self.forget(partition, key)
                    writes[key] = None
                elif (state := self.keep(partition, key, fact)) is not None:
                    writes[key] = state
            except ValueError as error:
                metrics.dead_letters.labels(record.topic).inc()
                dead_letters = self._topics.dead_letters.name
                place = partition % self._app.sizes[dead_letters]
                outbox.add(dead_letters, place, None, encode(record, str(error)))
        self._table.store(partition, list(writes.items()), outbox)
        self._read_to[partition] = self._app.consumer.assignment_number, batch.end
        self._progress.set()
        self._progress = asyncio.Event()
        acks = await outbox.hand_over()
        self._app.add_future(settle(self._app, acks, Work(event), self._table))

    def _read(self, record: Any) -> tuple[bytes, Any]:
        """Return patient and fact, None for a tombstone; ValueError tells what is wrong."""
        if record.value is None:
            if record.key is None:
                raise ValueError("neither key nor value")
            return record.key, None
        most = self._app.settings.max_reading_bytes
        if (size := record_bytes(record)) > most:
            raise ValueError(f"too large: {size} bytes, at most {most}")
        try:
            fact = self._decode(record.value)
            return patient_key(fact.patient_id).encode(), fact
        except RecursionError as error:
            raise ValueError(f"not JSON: {error}") from None
        except msgspec.ValidationError as error:
            # msgspec quotes a value that is none of a list; reasons carry no values
            place = str(error).rpartition(" - at ")[2]
            raise ValueError(f"wrong type or missing field at {place}") from None

"""Facts about patients → a table: what `agents.admissions` and `agents.labs` have in common.

A fact comes under its patient's key, or is sent on under the right one. One without a value (a
tombstone) forgets what is known of the patient.
"""

from abc import ABC, abstractmethod
from typing import Any

import msgspec

from agents.progress import Progress
from agents.work import Work, dead_letter, each, settle
from streams.application import VigilApp
from streams.events import patient_key
from streams.header_names import require_names
from streams.intake import record_bytes
from streams.outbox import Outbox
from streams.partitions import partition_of
from streams.topics import Catalogue, Topic
from streams.transport import Batch
from tables.remembered import Remembered
from tables.store import BatchTable

__all__ = ["FactsAgent"]


class FactsAgent(ABC):
    """Keeps a table of what is known of each patient.

    Args:
        app: the application.
        topics: all of them.
        topic: the one that the facts come on.
        row: msgspec struct of a fact.
        table: where they are kept.
        remembered: what of them is in memory.
    """

    def __init__(
        self,
        app: VigilApp,
        topics: Catalogue,
        topic: Topic,
        row: Any,
        table: BatchTable,
        remembered: Remembered[Any],
    ) -> None:
        self._app, self._topics, self._topic, self._table = app, topics, topic, table
        self._decode = msgspec.json.Decoder(row).decode
        self._progress = Progress(app, topic)
        self._remembered, self._assignment = remembered, -1

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
        await each(self._app, stream, self._keep)

    async def caught_up(self, batch: Batch) -> None:
        """Wait until all facts that the broker holds now for a batch's patients are kept.

        A reading may be read before a fact that was sent earlier but on another topic. Bounded by
        ``admissions_wait_s``: a fact that is late must not hold up scoring.
        """
        await self._progress.reach(batch, self._app.settings.admissions_wait_s)

    async def _keep(self, event: Any) -> None:
        batch: Batch = event.value
        partition = batch.tp.partition
        if self._assignment != self._app.consumer.assignment_number:
            # another worker may have kept more since; what is stored here is up to date again
            self._assignment = self._app.consumer.assignment_number
            for any_partition in range(self._topic.partitions):
                self._remembered.forget(any_partition)
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
                dead_letter(self._app, self._topics, outbox, record, str(error))
        self._table.store(partition, list(writes.items()), outbox)
        self._progress.note(batch)
        acks = await outbox.hand_over()
        self._app.add_future(settle(self._app, acks, Work(event), self._table))

    def _read(self, record: Any) -> tuple[bytes, Any]:
        """Return patient and fact, None for a tombstone; ValueError tells what is wrong."""
        require_names(record)
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

"""The audit topic: every change of every alert, each entry bound to the one before by its hash.

Ids and hashes only: who was paged about what is known to whoever has the topic `alerts` beside it,
and nobody can change or take out an entry without breaking the chain. A change that is told again
after a crash is in it twice, with the same change id; the chain goes on.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic import ValidationError

from config.settings import Settings
from streams.alert_events import AlertChange, AuditEntry
from streams.clients import opened

__all__ = ["Break", "Chain", "check", "newest"]

_NOTHING = "0" * 64
_WAIT_MS = 500


@dataclass(frozen=True, slots=True)
class Break:
    """Where the chain does not hold.

    Attributes:
        offset: of the entry on the topic.
        what: is wrong, for people.
    """

    offset: int
    what: str


class Chain:
    """Makes entries, each bound to the one before.

    Args:
        last: the newest entry that is on the topic; None = there is none.
    """

    def __init__(self, last: AuditEntry | None = None) -> None:
        self._number = -1 if last is None else last.number
        self._hash = _NOTHING if last is None else last.hash

    def entry(self, change: AlertChange, content: bytes) -> bytes:
        """Make the next entry, as it is on the wire.

        Args:
            change: that it is of.
            content: the change as it went out.
        """
        made = AuditEntry(
            number=self._number + 1,
            change_id=change.change_id,
            alert_id=change.alert_id,
            state=change.state,
            at=change.at,
            contact=change.contact,
            content=hashlib.sha256(content).hexdigest(),
            previous=self._hash,
            hash="",
        )
        bound = made.model_copy(update={"hash": _hash_of(made)})
        self._number, self._hash = bound.number, bound.hash
        return bound.model_dump_json().encode()


def check(entries: Iterable[tuple[int, bytes | None]]) -> tuple[int, list[Break]]:
    """Check a whole topic.

    Args:
        entries: offset and value, in order.

    Returns:
        How many entries there are, and where the chain does not hold.
    """
    count, breaks, before = 0, [], Chain()
    for offset, value in entries:
        count += 1
        try:
            entry = AuditEntry.model_validate_json(value or b"")
        except ValidationError:
            breaks.append(Break(offset, "it is no audit entry"))
            continue
        if entry.hash != _hash_of(entry):
            breaks.append(Break(offset, f"entry {entry.number} was changed"))
        if (entry.number, entry.previous) != (before._number + 1, before._hash):
            breaks.append(
                Break(offset, f"entry {entry.number} does not follow entry {before._number}")
            )
        before = Chain(entry)
    return count, breaks


def _hash_of(entry: AuditEntry) -> str:
    return hashlib.sha256(entry.model_dump_json(exclude={"hash"}).encode()).hexdigest()


async def newest(settings: Settings, topic: str) -> AuditEntry | None:
    """Read the newest entry of the topic; None where there is none.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
        pydantic.ValidationError: it is no audit entry.
    """
    consumer = AIOKafkaConsumer(**settings.kafka_client(), enable_auto_commit=False)
    tp = TopicPartition(topic, 0)
    async with opened(consumer):
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        begin = (await consumer.beginning_offsets([tp]))[tp]
        if end <= begin:
            return None
        consumer.seek(tp, end - 1)
        while not (found := (await consumer.getmany(tp, timeout_ms=_WAIT_MS)).get(tp)):
            pass
        return AuditEntry.model_validate_json(found[-1].value)

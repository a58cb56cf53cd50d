"""The audit topics: what became of every alert and question, each entry bound to the one before.

Ids and hashes only: who was paged about what is known to whoever has the topic `alerts` beside it,
who asked what to whoever has `chat.questions`; and nobody can change or take out an entry without
breaking the chain. With `Settings.audit_key` the hashes are keyed: else whoever can guess ids can
try them all. What is told again after a crash is in it twice, with the same id; the chain
goes on. Each partition has a chain of its own.
"""

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic import ValidationError

from config.settings import Settings
from streams.alert_events import AlertChange, AuditEntry
from streams.audit_hashes import Hashes, sha256_of
from streams.chat_events import ChatAnswer, ChatAuditEntry
from streams.clients import opened
from streams.events import ChainedEntry

__all__ = [
    "Break",
    "Chain",
    "Head",
    "check",
    "cut_off",
    "head",
    "newest",
    "of_answer",
    "of_change",
]

log = logging.getLogger(__name__)

_Entry = TypeVar("_Entry", bound=ChainedEntry)
_UNBOUND: dict[str, Any] = {"number": 0, "previous": "", "hash": ""}

_NOTHING = "0" * 64
_WAIT_MS = 500
_PLAIN = Hashes()


@dataclass(frozen=True, slots=True)
class Break:
    """Where the chain does not hold.

    Attributes:
        offset: of the entry on the topic; None = it is not there.
        what: is wrong, for people.
    """

    offset: int | None
    what: str


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry of a partition, as a check has found it.

    Attributes:
        partition: of the topic.
        number: of the entry.
        hash: of the entry; it tells all before it from any others.
    """

    partition: int
    number: int
    hash: str


class Chain:
    """Makes entries, each bound to the one before.

    Args:
        last: the newest entry that is on the topic; None = there is none.
    """

    def __init__(self, last: ChainedEntry | None = None) -> None:
        self._number = -1 if last is None else last.number
        self._hash = _NOTHING if last is None else last.hash

    def bind(self, entry: ChainedEntry) -> bytes:
        """Make an entry the next one; return it as it is on the wire.

        Args:
            entry: its number and hashes are given here.
        """
        made = entry.model_copy(
            update={"number": self._number + 1, "previous": self._hash, "hash": ""}
        )
        bound = made.model_copy(update={"hash": _hash_of(made)})
        self._number, self._hash = bound.number, bound.hash
        return bound.model_dump_json(exclude_unset=True).encode()

    def follows(self, entry: ChainedEntry) -> bool:
        """Whether an entry is the next one."""
        return (entry.number, entry.previous) == (self._number + 1, self._hash)

    @property
    def number(self) -> int:
        """Of the last entry, -1 where there is none."""
        return self._number


def of_change(change: AlertChange, content: bytes, hashes: Hashes = _PLAIN) -> AuditEntry:
    """Make the entry of a change of an alert, not bound yet.

    Args:
        change: that it is of.
        content: the change as it went out.
        hashes: of what it does not say in clear. An alert's id is a hash of its patient's.
    """
    return AuditEntry(
        **_UNBOUND,
        change_id=hashes.of_id(change.change_id),
        alert_id=hashes.of_id(change.alert_id),
        state=change.state,
        at=change.at,
        contact=change.contact,
        content=hashes.of_bytes(content),
    )


def of_answer(
    answer: ChatAnswer,
    content: bytes,
    question: str,
    asked_by: str | None,
    hashes: Hashes = _PLAIN,
    about: str | None = None,
) -> ChatAuditEntry:
    """Make the entry of an answer, not bound yet.

    Args:
        answer: that it is of.
        content: the answer as it went out.
        question: its text.
        asked_by: subject of the claims; None = nobody said.
        hashes: of what it does not say in clear. An answer's id is a hash of its session's.
        about: hash of what a refusal was about; None = it is none, or of nobody.
    """
    patient = answer.patient_id
    return ChatAuditEntry(
        **_UNBOUND,
        question_id=answer.question_id,
        answer_id=hashes.of_id(answer.answer_id),
        outcome=answer.outcome,
        at=answer.answered_at,
        asked_by=None if asked_by is None else hashes.of("asker", asked_by),
        patient=None if patient is None else hashes.of("patient", patient),
        about=about,
        rules=[rule.named for rule in answer.rules],
        set_aside=[rule.named for rule in answer.set_aside],
        tools=answer.tools,
        documents=list(dict.fromkeys(quote.document_id for quote in answer.quotes)),
        question=hashes.of_bytes(question.encode()),
        content=hashes.of_bytes(content),
    )


def check(
    entries: Iterable[tuple[int, bytes | None]],
    kind: type[ChainedEntry] = AuditEntry,
    expected: Iterable[Head] = (),
) -> tuple[int, list[Break]]:
    """Check a whole partition.

    Args:
        entries: offset and value, in order.
        kind: of entry.
        expected: newest entries of this partition that earlier checks have found.

    Returns:
        How many entries there are, and where the chain does not hold.
    """
    count, before = 0, Chain()
    breaks: list[Break] = []
    gone = {(each.number, each.hash): each for each in expected}
    for offset, value in entries:
        count += 1
        try:
            entry = kind.model_validate_json(value or b"")
        except ValidationError:
            breaks.append(Break(offset, "it is no audit entry"))
            continue
        if entry.hash != _hash_of(entry):
            breaks.append(Break(offset, f"entry {entry.number} was changed"))
        if not before.follows(entry):
            breaks.append(
                Break(offset, f"entry {entry.number} does not follow entry {before.number}")
            )
        before = Chain(entry)
        gone.pop((entry.number, entry.hash), None)
    return count, breaks + [cut_off(each) for each in gone.values()]


def cut_off(expected: Head) -> Break:
    """An entry that an earlier check has found is not there."""
    return Break(
        None,
        f"entry {expected.number}, which an earlier check has found, is not there: the end was "
        "cut off, or the topic made anew",
    )


def head(
    entries: Sequence[tuple[int, bytes | None]], kind: type[ChainedEntry], partition: int
) -> Head | None:
    """The newest entry of a partition; None where there is none."""
    for _, value in reversed(entries):
        with suppress(ValidationError):
            last = kind.model_validate_json(value or b"")
            return Head(partition, last.number, last.hash)
    return None


def _hash_of(entry: ChainedEntry) -> str:
    # of what it says: an entry of an older release has no fields that came since
    return sha256_of(entry.model_dump_json(exclude={"hash"}, exclude_unset=True).encode())


async def newest(
    settings: Settings, topic: str, kind: type[_Entry], partition: int = 0
) -> _Entry | None:
    """Read the newest entry of a partition; None where there is none, or it is none.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    consumer = AIOKafkaConsumer(**settings.kafka_client(), enable_auto_commit=False)
    tp = TopicPartition(topic, partition)
    async with opened(consumer):
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        begin = (await consumer.beginning_offsets([tp]))[tp]
        if end <= begin:
            return None
        consumer.seek(tp, end - 1)
        while not (found := (await consumer.getmany(tp, timeout_ms=_WAIT_MS)).get(tp)):
            pass
        try:
            return kind.model_validate_json(found[-1].value or b"")
        except ValidationError:
            # somebody else wrote it; `vigil audit verify` shows that the chain begins anew here
            log.error("%s, partition %d, offset %d: no audit entry", topic, partition, end - 1)
            return None

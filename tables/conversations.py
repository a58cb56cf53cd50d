"""Conversations: what has been asked in a session, so that "what about children?" has a meaning.

    question ─→ answered already? ─→ the same answer again, to the byte
             └→ what went before  ─→ answer ─→ turn: history, or the summary once it is old

A conversation is over when nothing was asked for a while, in event time. Questions may come out of
order: what an old one may refer to is what had been asked by then, and the turns of a conversation
end in the same history in whatever order they come, unless a late one falls into a pause after
which the conversation had already begun anew.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tables.conversation_rows import About, Conversation, Given, Told, Turn, decode, encode

__all__ = [
    "Conversations",
    "Past",
    "Rules",
    "recall",
    "summary_text",
    "take",
    "what_was",
]

_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Rules:
    """How much is remembered, and for how long.

    Attributes:
        ttl_ms: event time without a question after which a conversation is over.
        turns: kept whole; older ones go into the summary.
        summary: parts of the summary.
        given: answers kept for questions that are read again.
        characters: of a question that are kept.
    """

    ttl_ms: int = 15 * _MINUTE_MS
    turns: int = 8
    summary: int = 8
    given: int = 4
    characters: int = 500

    def __post_init__(self) -> None:
        """Check them.

        Raises:
            ValueError: one is below 1.
        """
        if min(self.ttl_ms, self.turns, self.summary, self.given, self.characters) < 1:
            raise ValueError("rules of conversations: every one of them is at least 1")


@dataclass(frozen=True, slots=True)
class Past:
    """What a question may refer to.

    Attributes:
        turns: before it, the newest last.
        focus: subject of the newest turn that has one; empty where none has.
        patient: of the newest turn that has one; empty where none has.
        about: which of the two came last; None where there is neither.
        summary: of what was before the turns, a sentence; empty where there was nothing.
    """

    turns: tuple[Turn, ...] = ()
    focus: str = ""
    patient: str = ""
    about: About | None = None
    summary: str = ""


def recall(conversation: Conversation | None, question_id: str) -> bytes | None:
    """The answer that a question has had, None where it had none."""
    given = () if conversation is None else conversation.given
    return next((g.answer for g in given if g.question_id == question_id), None)


def what_was(
    conversation: Conversation | None, at_ms: int, rules: Rules, question_id: str = ""
) -> Past:
    """What a question may refer to that was asked at a certain time.

    Args:
        conversation: of its session.
        at_ms: when it was asked, event time.
        rules: of conversations.
        question_id: its own; read again, it does not refer to itself.
    """
    if conversation is None:
        return Past()
    before = [
        turn
        for turn in conversation.turns
        if turn.at_ms <= at_ms and turn.question_id != question_id
    ]
    if not before or at_ms - before[-1].at_ms > rules.ttl_ms:
        return Past()
    focus = next((turn.focus for turn in reversed(before) if turn.focus), "")
    patient = next((turn.patient for turn in reversed(before) if turn.patient), "")
    newest = next((turn for turn in reversed(before) if turn.focus or turn.patient), None)
    about: About | None = None
    if newest is not None:
        about = "patient" if newest.patient else "subject"
    return Past(tuple(before), focus, patient, about, summary_text(conversation.summary))


def take(
    conversation: Conversation | None, turn: Turn, answer: bytes, rules: Rules
) -> Conversation:
    """Remember a question and its answer.

    Args:
        conversation: of its session; None: this is its first question.
        turn: the question; one that is known already changes nothing.
        answer: as it goes out, to the byte.
        rules: of conversations.
    """
    now = conversation or Conversation(last_ms=turn.at_ms)
    if recall(now, turn.question_id) is not None:
        return now
    given = (*now.given, Given(turn.question_id, turn.at_ms, answer))[-rules.given :]
    turn = Turn(
        turn.at_ms,
        turn.question_id,
        turn.question[: rules.characters],
        turn.outcome,
        turn.focus,
        turn.patient,
    )
    last_ms = max(now.last_ms, turn.at_ms)
    told = {(t.focus, t.outcome): t for t in now.summary}
    turns = _since_last_pause(sorted({*now.turns, turn}), rules.ttl_ms)
    if not turns or turns[0].at_ms - now.last_ms > rules.ttl_ms:
        told = {}  # another conversation has begun
    for old in turns[: -rules.turns]:
        _fold(told, old)
    newest = sorted(told.values(), key=lambda t: (-t.at_ms, t.focus, t.outcome))
    return Conversation(
        last_ms, tuple(turns[-rules.turns :]), tuple(newest[: rules.summary]), given
    )


def _since_last_pause(turns: Sequence[Turn], ttl_ms: int) -> list[Turn]:
    """The turns after the last pause that ended a conversation."""
    start = 0
    for index, (before, after) in enumerate(pairwise(turns), 1):
        if after.at_ms - before.at_ms > ttl_ms:
            start = index
    return list(turns[start:])


def _fold(told: dict[tuple[str, str], Told], turn: Turn) -> None:
    key = turn.focus, turn.outcome
    before = told.get(key)
    times, at_ms = (before.times, before.at_ms) if before else (0, turn.at_ms)
    told[key] = Told(*key, times + 1, max(at_ms, turn.at_ms))


def summary_text(summary: Iterable[Told]) -> str:
    """The summary in words; of what was asked it has the subjects only, of patients nothing.

    >>> summary_text([Told("Sepsis", "answered", 2, 0), Told("", "abstained", 1, 0)])
    'Earlier: Sepsis (answered, 2 times); without a subject (abstained).'
    """
    parts = [
        f"{told.focus or 'without a subject'} ({told.outcome}"
        f"{f', {told.times} times' if told.times > 1 else ''})"
        for told in summary
    ]
    return f"Earlier: {'; '.join(parts)}." if parts else ""


class Conversations:
    """The conversations of the partitions that a worker has, in memory.

    They last minutes, so all of them fit. Whoever owns the store writes what `take` returns and
    deletes what `prune` names.

    Args:
        rules: how much is remembered, and for how long.
        keep_ms: event time beyond the end of a conversation for which it is kept, for questions
            that come late or are read again.
    """

    def __init__(self, rules: Rules | None = None, *, keep_ms: int = 5 * _MINUTE_MS) -> None:
        self.rules = rules or Rules()
        self._keep_ms = self.rules.ttl_ms + keep_ms
        self._held: dict[int, dict[str, Conversation]] = {}
        self._due: dict[int, list[tuple[int, str]]] = {}

    def __len__(self) -> int:
        return sum(len(held) for held in self._held.values())

    def load(self, partition: int, stored: Iterable[tuple[str, bytes]]) -> None:
        """Take over a partition: what its store holds of each session.

        Raises:
            tables.codec.StateError: a conversation is damaged, or of another version.
        """
        held = {session: decode(data) for session, data in stored}
        self._held[partition] = held
        self._due[partition] = [(c.last_ms + self._keep_ms, session) for session, c in held.items()]
        heapq.heapify(self._due[partition])

    def drop(self, partition: int) -> None:
        """Give a partition away."""
        self._held.pop(partition, None)
        self._due.pop(partition, None)

    def recall(self, partition: int, session: str, question_id: str) -> bytes | None:
        """See `recall`."""
        return recall(self._held.get(partition, {}).get(session), question_id)

    def what_was(self, partition: int, session: str, at_ms: int, question_id: str = "") -> Past:
        """See `what_was`."""
        conversation = self._held.get(partition, {}).get(session)
        return what_was(conversation, at_ms, self.rules, question_id)

    def take(self, partition: int, session: str, turn: Turn, answer: bytes) -> bytes:
        """See `take`; returns the bytes to be stored."""
        held = self._held.setdefault(partition, {})
        before = held.get(session)
        after = held[session] = take(before, turn, answer, self.rules)
        if before is None:
            due = self._due.setdefault(partition, [])
            heapq.heappush(due, (after.last_ms + self._keep_ms, session))
        return encode(after)

    def prune(self, partition: int, watermark_ms: int) -> list[str]:
        """Forget the conversations that are over; returns their sessions, to be deleted.

        Args:
            partition: which one.
            watermark_ms: event time before which no question is expected any more.
        """
        held, due = self._held.get(partition, {}), self._due.get(partition, [])
        over: list[str] = []
        while due and due[0][0] < watermark_ms:
            _, session = heapq.heappop(due)
            ends_ms = held[session].last_ms + self._keep_ms
            if ends_ms < watermark_ms:
                del held[session]
                over.append(session)
            else:  # it has gone on meanwhile
                heapq.heappush(due, (ends_ms, session))
        return over

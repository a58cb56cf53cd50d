"""Events of transcripts, and the rows of a data set that they become."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field

import msgspec

from rag.answers import Outcome

__all__ = [
    "Answered",
    "Asked",
    "Joined",
    "Malformed",
    "Row",
    "Source",
    "joined",
    "parse",
    "parse_row",
]


class Malformed(ValueError):  # noqa: N818
    """A line that is no event."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question.

    Attributes:
        question_id: unique.
        text: what was asked.
        session_id: of the conversation; empty where there is none.
        asked_at: when, RFC 3339; empty where nobody said so.
        redacted: whether identifiers were taken out of the text.
    """

    question_id: str
    text: str
    session_id: str = ""
    asked_at: str = ""
    redacted: bool = False

    def line(self) -> str:
        """The event as a line of a transcript."""
        return f"{msgspec.json.encode(self).decode()}\n"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A quote, see `rag.answers.Quote`."""

    document_id: str
    start: int
    end: int
    text: str
    title: str = ""
    source: str = ""
    url: str = ""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that decided, see `rag.answers.RuleMatch`."""

    rule: str
    version: str = ""


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, see `rag.answers.Answer`.

    Attributes:
        question_id: of which question.
        redacted: whether identifiers were taken out of the text.
    """

    question_id: str
    outcome: Outcome
    text: str
    quotes: tuple[Source, ...] = ()
    confidence: float | None = None
    rules: tuple[Rule, ...] = ()
    set_aside: tuple[Rule, ...] = ()
    tools: tuple[str, ...] = ()
    redacted: bool = False

    def line(self) -> str:
        """The event as a line of a transcript."""
        return f"{msgspec.json.encode(self).decode()}\n"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a data set.

    Attributes:
        question_id: of the transcript.
        session: the same for the questions of a conversation; tells nothing of who it was.
        asked_at: when, RFC 3339; empty where nobody said so.
        question: without identifiers.
        response: without identifiers.
        outcome: of the answer.
        confidence: 0 to 1; None where no evidence was asked.
        sources: quotes of the response.
        flags: ``rule:…`` for each rule that decided, ``tool:…`` for each patient tool in it,
            ``redacted`` where identifiers were taken out.
    """

    question_id: str
    session: str
    asked_at: str
    question: str
    response: str
    outcome: Outcome
    confidence: float | None
    sources: tuple[Source, ...]
    flags: tuple[str, ...]

    def line(self) -> str:
        """The row as a line of JSON."""
        return f"{msgspec.json.encode(self).decode()}\n"


_decode_asked = msgspec.json.Decoder(Asked).decode
_decode_answered = msgspec.json.Decoder(Answered).decode
_decode_row = msgspec.json.Decoder(Row).decode


class _Kind(msgspec.Struct):
    """Tells an answer from a question."""

    outcome: str | None = None


_decode_kind = msgspec.json.Decoder(_Kind).decode


def parse(line: bytes, redact: Callable[[str], str]) -> Asked | Answered:
    """Read an event, without identifiers.

    Args:
        line: of a transcript.
        redact: takes identifiers out of a text.

    Raises:
        Malformed: it is neither a question nor an answer, or has no id or no text.
    """
    try:
        kind = _decode_kind(line).outcome
        event = _decode_asked(line) if kind is None else _decode_answered(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from None
    if not event.question_id or not event.text.strip():
        raise Malformed("no question_id, or no text")
    text = redact(event.text)
    return msgspec.structs.replace(event, text=text, redacted=event.redacted or text != event.text)


def parse_row(line: bytes) -> Row:
    """Read a row.

    Raises:
        Malformed: it is none.
    """
    try:
        return _decode_row(line)
    except msgspec.MsgspecError as error:
        raise Malformed(str(error)) from None


@dataclass(slots=True)
class Joined:
    """Questions with their answers.

    Attributes:
        rows: in the order of their ids.
        waiting: events without a counterpart, in the order of their ids.
        counts: of events that were left out, by why.
    """

    rows: list[Row] = field(default_factory=list)
    waiting: list[Asked | Answered] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def joined(events: Iterable[Asked | Answered], seen: Set[str]) -> Joined:
    """Join questions with their answers; of several events of one id the first counts.

    Args:
        events: in any order.
        seen: ids of questions that are in a set already.
    """
    found = Joined()
    asked: dict[str, Asked] = {}
    answered: dict[str, Answered] = {}
    for event in events:
        if event.question_id in seen:
            found.counts["seen before"] += 1
            continue
        place: dict[str, Asked] | dict[str, Answered] = (
            asked if isinstance(event, Asked) else answered
        )
        if event.question_id in place:
            found.counts["repeated"] += 1
        else:
            place[event.question_id] = event  # type: ignore[assignment]
    for key in sorted(asked.keys() & answered.keys()):
        found.rows.append(_row(asked[key], answered[key]))
    found.waiting += [asked[key] for key in sorted(asked.keys() - answered.keys())]
    found.waiting += [answered[key] for key in sorted(answered.keys() - asked.keys())]
    if found.waiting:
        found.counts["waiting"] = len(found.waiting)
    return found


def _row(question: Asked, answer: Answered) -> Row:
    session = hashlib.sha256(question.session_id.encode()).hexdigest()[:16]
    return Row(
        question_id=question.question_id,
        session=session if question.session_id else "",
        asked_at=question.asked_at,
        question=question.text,
        response=answer.text,
        outcome=answer.outcome,
        confidence=answer.confidence,
        sources=answer.quotes,
        flags=(
            *(f"rule:{match.rule}" for match in answer.rules),
            *(f"set aside:{match.rule}" for match in answer.set_aside),
            *(f"tool:{name}" for name in answer.tools),
            *(("redacted",) if question.redacted or answer.redacted else ()),
        ),
    )

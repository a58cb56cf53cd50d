"""Event models of answers: what is on the wire of its topics.

Contract as in `streams.events`, and in a file of its own because another application reads it.
"""

from typing import Annotated

from pydantic import Field, StringConstraints

from rag.answers import Outcome
from streams.alert_events import Moment
from streams.events import ChainedEntry, Event, PatientId

__all__ = ["ChatAnswer", "ChatAuditEntry", "Citation", "DocumentEvent", "Question", "SafetyRule"]

_Id = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Question(Event):
    """What somebody asks. Who asks, and what they may see, is in the record's headers."""

    session_id: _Id = Field(description="The conversation; also the record's key.")
    text: str = Field(min_length=1, max_length=8_000)
    question_id: _Id | None = Field(
        None, description="A repeat has the same; null = from its place on the topic."
    )
    asked_at: Moment | None = Field(None, description="Event time; null = Kafka's.")
    patient_id: PatientId | None = Field(None, description="Whom it is about, if anybody.")
    unit_id: str | None = Field(None, max_length=128, description="Ward it is about, if any.")


class Citation(Event):
    """Words of a document, to the letter: its text from ``start`` to ``end``."""

    document_id: str
    start: int = Field(ge=0)
    end: int
    text: str
    title: str
    source: str
    url: str


class SafetyRule(Event):
    """A rule of safety, or the net behind the rules; the span is of the question's text."""

    rule: str
    version: str
    start: int
    end: int

    @property
    def named(self) -> str:
        """The rule with its version, as an audit names it."""
        return f"{self.rule}@{self.version}"


class ChatAnswer(Event):
    """The answer to one question."""

    answer_id: str = Field(description="Deterministic: a repeat has the same id.")
    question_id: str
    session_id: str
    outcome: Outcome
    text: str
    quotes: list[Citation]
    confidence: float | None = Field(
        description="0 to 1 that the quotes answer it; null where no evidence was asked."
    )
    tools: list[str] = Field(description="Patient tools whose results are in the text.")
    rules: list[SafetyRule] = Field(description="That decided.")
    set_aside: list[SafetyRule] = Field(
        default_factory=list,
        description="That matched and did not count, and last the net that was sure of it.",
    )
    patient_id: PatientId | None = None
    asked_at: Moment
    answered_at: Moment
    corpus: str = Field(description="Version of the documents that were asked.")
    disclaimer: str


class DocumentEvent(Event):
    """A document to answer from; a later one replaces it, a record without a value removes it."""

    document_id: _Id = Field(description="Also the record's key.")
    title: str = Field(min_length=1, max_length=1_000, description="A question, or its heading.")
    text: str = Field(min_length=1, max_length=500_000)
    focus: str = Field("", max_length=300, description="What it is about.")
    synonyms: list[str] = Field(default_factory=list, max_length=100)
    question_type: str = Field("", max_length=100)
    source: str = Field("", max_length=300, description="Who published it.")
    url: str = Field("", max_length=2_000, pattern=r"^(https?://.*)?$")
    licence: str = Field("", max_length=200)


class ChatAuditEntry(ChainedEntry):
    """An answer as it is kept for good: ids and hashes, each entry bound to the one before.

    With ``VIGIL_AUDIT_KEY`` its hashes are HMAC-SHA-256 with the key: of ids with their kind before
    them, ``asker/nurse-1``, ``patient/p-77``, ``id/`` and the answer's id.
    """

    question_id: str
    answer_id: str = Field(description="With a key its hash.")
    outcome: Outcome
    at: Moment
    asked_by: str | None = Field(description="SHA-256 of the subject of the claims; null = nobody.")
    patient: str | None = Field(description="SHA-256 of the patient's id.")
    about: str | None = Field(
        None,
        description="Of a refusal: SHA-256 of whom or what it was about, `patient/` and the id, "
        "`unit/…` or `alert/…`.",
    )
    rules: list[str] = Field(description="That decided, with their versions.")
    set_aside: list[str] = Field(
        default_factory=list, description="That matched and did not count, with their versions."
    )
    tools: list[str]
    documents: list[str]
    question: str = Field(description="SHA-256 of the question's text.")
    content: str = Field(description="SHA-256 of the answer as it went out on `chat.answers`.")

"""What is answered: an outcome, a text, and the quotes that it rests on."""

from dataclasses import dataclass
from typing import Literal

from rag.documents import Document

__all__ = ["Answer", "Outcome", "Quote", "RuleMatch"]

#: answered: from evidence or from the patient's data. abstained: there is no evidence. refused: it
#: is not for Vigil to answer (a dose, a diagnosis, no right to see the patient). emergency, crisis:
#: a rule or the net found one, and nothing after it may downgrade it.
Outcome = Literal["answered", "abstained", "refused", "emergency", "crisis"]


@dataclass(frozen=True, slots=True)
class Quote:
    """Words of a document, to the letter.

    Attributes:
        document_id: of which document.
        start: offset of the first character in its text.
        end: offset after the last character.
        text: ``document.text[start:end]``.
        title: of the document.
        source: who published it.
        url: where a reader finds it.
    """

    document_id: str
    start: int
    end: int
    text: str
    title: str = ""
    source: str = ""
    url: str = ""

    @classmethod
    def of(cls, document: Document, start: int, end: int) -> "Quote":
        """Cut a quote out of a document."""
        return cls(
            document.id,
            start,
            end,
            document.text[start:end],
            document.title,
            document.source,
            document.url,
        )

    def stands_in(self, document: Document) -> bool:
        """Whether the document has these words at this place."""
        return bool(self.text) and document.text[self.start : self.end] == self.text


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """A rule of safety that matched, or the net behind the rules.

    Attributes:
        rule: its id, ``emergency/chest-pain``; of the net ``net/`` and what it found.
        version: of the rules' file, of the net's weights.
        start: offset in the message of the first character that it matched.
        end: offset after the last.
    """

    rule: str
    version: str
    start: int
    end: int

    @property
    def named(self) -> str:
        """The rule with its version, as an audit names it."""
        return f"{self.rule}@{self.version}"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a question.

    Attributes:
        outcome: see `Outcome`.
        text: for people; every statement of medicine in it is a quote or cites one.
        quotes: in the order in which the text refers to them, [1] the first.
        confidence: 0 to 1 that the quotes answer the question; None where no evidence was asked.
        rules: of safety that decided; empty where none did.
        tools: names of the patient tools whose results are in the text.
        set_aside: rules of safety that matched and did not count, and last what was sure of it.
    """

    outcome: Outcome
    text: str
    quotes: tuple[Quote, ...] = ()
    confidence: float | None = None
    rules: tuple[RuleMatch, ...] = ()
    tools: tuple[str, ...] = ()
    set_aside: tuple[RuleMatch, ...] = ()

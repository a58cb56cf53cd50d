"""The words around an answer: its quotes, its sources, and that Vigil is not a medical device."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from config.guidance import guidance
from rag.answers import Answer, Quote
from rag.documents import Document

__all__ = [
    "NO_EVIDENCE",
    "abstained",
    "extractive",
    "one_line",
    "sources",
    "verified",
    "with_notes",
]

#: What is said where there is no evidence.
NO_EVIDENCE = (
    "I have no evidence for an answer to that in my sources. Please ask your care team, or ask "
    "again naming the condition or the treatment."
)


def extractive(quotes: Sequence[Quote], confidence: float | None = None) -> Answer:
    """An answer made of quotes; without any, an abstention.

    Args:
        quotes: in the order in which they are shown.
        confidence: 0 to 1 that they answer the question.
    """
    if not quotes:
        return abstained(confidence)
    said = "\n\n".join(f"“{one_line(q.text)}” [{n}]" for n, q in enumerate(quotes, 1))
    return Answer("answered", with_notes(said, quotes), tuple(quotes), confidence)


def abstained(confidence: float | None = None) -> Answer:
    """Say that there is no evidence."""
    return Answer("abstained", with_notes(NO_EVIDENCE, ()), (), confidence)


def verified(answer: Answer, documents: Mapping[str, Document]) -> Answer:
    """Drop every quote that does not stand in its source, to the letter and at its place.

    The last check before an answer leaves. A text may rest on a quote that goes, so where one goes
    the text is made anew of those that stay; where none stays, it is an abstention.

    Args:
        answer: of any outcome.
        documents: those that the quotes are of, by id.
    """
    stay = tuple(
        quote
        for quote in answer.quotes
        if (document := documents.get(quote.document_id)) and quote.stands_in(document)
    )
    if len(stay) == len(answer.quotes):
        return answer
    if answer.outcome != "answered":
        # what a rule has decided is said in the rule's words, and stands
        return replace(answer, quotes=stay)
    return replace(extractive(stay, answer.confidence), rules=answer.rules)


def with_notes(text: str, quotes: Sequence[Quote]) -> str:
    """A text with its list of sources and the disclaimer beneath it."""
    return "\n\n".join(part for part in (text, sources(quotes), guidance().disclaimer) if part)


def sources(quotes: Sequence[Quote]) -> str:
    """The list of sources, a line a document; empty without quotes."""
    marks: dict[str, str] = {}
    lines: dict[str, str] = {}
    for number, quote in enumerate(quotes, 1):
        told = one_line(quote.title) or quote.document_id
        by = f" ({one_line(quote.source)})" if quote.source else ""
        link = f": {quote.url}" if quote.url else ""
        marks[quote.document_id] = f"{marks.get(quote.document_id, '')}[{number}]"
        lines[quote.document_id] = f"{told}{by}{link}"
    return "\n".join(["Sources", *(f"{marks[i]} {lines[i]}" for i in lines)] if lines else [])


def one_line(text: str) -> str:
    """Text without line breaks and doubled spaces."""
    return " ".join(text.split())

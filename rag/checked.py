"""What remains of a model's reply when only that stays which its sources say.

A sentence stays if it cites evidence that there is, every quote of it stands in the source of that
evidence, and it says nothing beyond what it cites: its numbers are there, most of its words are
there, the sentence nearest to it has a "not" where it has one and none where it has none; and it
has no link. The rest goes, sentence by sentence; where
nothing stays, the answer is made of quotes.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.answers import Answer, Quote
from rag.asked import content_words
from rag.documents import Document
from rag.found import find
from rag.reply_text import extractive, one_line, with_notes

__all__ = ["Checked", "Claim", "checked", "claims"]

_CITED = re.compile(r"\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]")
_LINK = re.compile(r"https?://|www\.|<[a-z/!]|\]\(", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NOT = re.compile(
    r"\b(?:no|not|never|none|without|cannot|neither|nor)\b|n['\u2019]t\b", re.IGNORECASE
)
# The end of a sentence, with the citations behind it; not after "e.g.", which goes on small.
_END = re.compile(
    r"[.!?]+[\"\u201d)]*(?:[,;\s]*\[\d[\d,;\s]*\])*(?=\s+[^a-z\s]|\s*$)|\n+", re.MULTILINE
)
_BULLET = re.compile(r"^[ \t]*(?:[-*\u2022]|\d+[.)])[ \t]+", re.MULTILINE)
#: Share of a sentence's words of meaning that what it cites must have.
_SAID = 0.6
#: Shortest quote, characters: "the" stands in every source.
_SHORTEST = 12


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of a reply.

    Attributes:
        text: without its citations.
        cites: numbers of evidence, and for each the words it is said to have; empty words stand for
            the whole piece.
    """

    text: str
    cites: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """What remains of a reply.

    Attributes:
        answer: of its sentences, or of quotes where none stayed.
        kept: sentences that stayed.
        dropped: sentences that went.
    """

    answer: Answer
    kept: int
    dropped: int


def claims(reply: str) -> list[Claim]:
    """Read a reply: JSON as `rag.prompt` asks for, or text with citations as [1].

    Never fails; of what cannot be read, no sentence cites anything.
    """
    plain = re.sub(r"^\s*```(?:json)?|```\s*$", "", reply.strip())
    try:
        data = json.loads(plain)
    except (ValueError, RecursionError):
        return [_from_text(each) for each in _sentences(plain)]
    sentences = data.get("sentences") if isinstance(data, dict) else None
    return [_from_json(each) for each in sentences] if isinstance(sentences, list) else []


def _sentences(text: str) -> list[str]:
    text = _BULLET.sub("", text)
    ends = [0, *(match.end() for match in _END.finditer(text)), len(text)]
    parts = (text[start:end] for start, end in pairwise(ends))
    return [part for part in parts if part.strip()]


def _from_text(sentence: str) -> Claim:
    numbers = [int(n) for group in _CITED.findall(sentence) for n in re.findall(r"\d+", group)]
    text = re.sub(r"[\s,;]+([.!?])", r"\1", one_line(_CITED.sub("", sentence)))
    return Claim(text.rstrip(",; "), tuple((number, "") for number in dict.fromkeys(numbers)))


def _from_json(given: object) -> Claim:
    if not isinstance(given, dict) or not isinstance(given.get("text"), str):
        return Claim("", ())
    cites: list[tuple[int, str]] = []
    listed = given.get("cites")
    for cite in listed if isinstance(listed, list) else ():
        number = cite.get("n") if isinstance(cite, dict) else None
        quote = cite.get("quote", "") if isinstance(cite, dict) else None
        if not isinstance(number, int) or isinstance(number, bool) or not isinstance(quote, str):
            return Claim("", ())
        cites.append((number, quote))
    # a citation in the text itself is shown anew, with the number that its quote has in the end
    return Claim(one_line(_CITED.sub("", given["text"])), tuple(cites))


def checked(
    reply: str,
    evidence: Sequence[Quote],
    documents: Mapping[str, Document],
    confidence: float | None = None,
) -> Checked:
    """Keep what a reply says with its sources.

    Args:
        reply: what a model wrote.
        evidence: what it was given, in that order.
        documents: of the evidence, by id.
        confidence: 0 to 1 that the evidence answers the question.
    """
    quotes: list[Quote] = []
    lines: list[str] = []
    found = claims(reply)
    for claim in found:
        cited = _resolved(claim, evidence, documents)
        if not cited or not _says_no_more(claim.text, cited):
            continue
        quotes += [quote for quote in cited if quote not in quotes]
        marks = "".join(f"[{quotes.index(quote) + 1}]" for quote in dict.fromkeys(cited))
        lines.append(f"{claim.text} {marks}")
    dropped = len(found) - len(lines)
    if not lines:
        return Checked(extractive(evidence, confidence), 0, dropped)
    text = with_notes(" ".join(lines), quotes)
    return Checked(Answer("answered", text, tuple(quotes), confidence), len(lines), dropped)


def _resolved(
    claim: Claim, evidence: Sequence[Quote], documents: Mapping[str, Document]
) -> list[Quote]:
    """The quotes of a sentence, each where it stands; none if one of them does not."""
    quotes: list[Quote] = []
    for number, words_of_it in claim.cites:
        piece = evidence[number - 1] if 1 <= number <= len(evidence) else None
        document = documents.get(piece.document_id) if piece else None
        if piece is None or document is None or not piece.stands_in(document):
            return []
        if not words_of_it.strip():
            quotes.append(piece)
            continue
        # the words at their place in this piece, or elsewhere in the same source
        span = find(words_of_it, document.text, piece.start, piece.end) or find(
            words_of_it, document.text
        )
        if span is None or len(one_line(words_of_it)) < _SHORTEST:
            return []
        quotes.append(Quote.of(document, *span))
    return quotes


def _says_no_more(sentence: str, quotes: Sequence[Quote]) -> bool:
    """Whether the quotes have the sentence's numbers, most of its words, and its "not"."""
    if not sentence or _LINK.search(sentence):
        return False
    said = " ".join(one_line(quote.text) for quote in quotes)
    if not set(_NUMBER.findall(sentence)) <= set(_NUMBER.findall(said)):
        return False
    own, theirs = content_words(sentence), set(content_words(said))
    if not own or sum(word in theirs for word in own) < _SAID * len(own):
        return False
    nearest = max(_parts(said), key=lambda part: _shared(part, own))
    return bool(_NOT.search(nearest)) == bool(_NOT.search(sentence))


def _parts(text: str) -> list[str]:
    """Sentences, roughly."""
    return re.split(r"(?<=[.!?;])\s+", text)


def _shared(part: str, words: Sequence[str]) -> float:
    """How much of the words a sentence has; of equal ones the shorter has more."""
    own = content_words(part)
    return len({*own} & {*words}) + 1 / (2 + len(own))

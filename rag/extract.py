"""Extractive answers: which sentences of what was found are quoted.

Sentences are scored by the question's words in them, weighted by how rare a word is among the
candidates (BM25; Robertson & Zaragoza 2009), by the rank of their document, and by whether the
document answers this kind of question. They are then taken greedily, each less for what it repeats
of those already taken (maximal marginal relevance; Carbonell & Goldstein 1998).

Vectors of sentences would choose much the same (F1 .88) and cost ten times as much as all of this:
see docs/measured.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.answers import Quote
from rag.asked import content_words, name_words, question_types
from rag.documents import Document, Hit
from rag.quotable import Flagged, Part, Quotable, Split
from rag.sentence_scores import SPENT, relevance, repeated

__all__ = ["Extractor", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is quoted.

    Attributes:
        quotes: at most; neighbouring sentences are one quote.
        characters: of all quotes together, at most.
        documents: that are quoted, at most.
        shortest: characters of a sentence worth quoting; shorter ones are headings.
        sentences: of a document's beginning that are looked at; of the others those that have a
            word of the question.
        floor: share of the best score that a sentence must have.
        behind: how much smaller the cosine of a document may be than that of the best, -1 to 1.
    """

    quotes: int = 4
    characters: int = 900
    documents: int = 3
    shortest: int = 20
    sentences: int = 60
    floor: float = 0.45
    behind: float = 0.12

    def __post_init__(self) -> None:
        """Check them.

        Raises:
            ValueError: nothing could ever be quoted.
        """
        if min(self.quotes, self.documents) < 1 or self.characters < self.shortest:
            raise ValueError(
                "limits of an answer: at least one quote, one document, and as many characters as "
                "the shortest sentence"
            )


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence that could be quoted, of which document, and how that ranks."""

    document: Document
    rank: int
    part: Part


class Extractor:
    """Chooses quotes.

    Args:
        sentences: splits a document's text.
        limits: how much is quoted.
        flagged: finds what may not be quoted; a sentence with any of it is left out.
            None: everything may be.
    """

    def __init__(
        self, sentences: Split, limits: Limits | None = None, flagged: Flagged | None = None
    ) -> None:
        self._limits = limits or Limits()
        self._quotable = Quotable(
            sentences, flagged, self._limits.shortest, self._limits.characters
        )

    def quotes(self, question: str, hits: Sequence[Hit]) -> tuple[Quote, ...]:
        """Choose quotes, in the order in which an answer shows them.

        Args:
            question: that was asked.
            hits: what was found for it, the best first.

        Returns:
            The best document's first; empty where nothing fits.
        """
        asked, kinds = content_words(question), question_types(question)
        sentences = self._candidates(hits, asked, kinds)
        words = [each.part.words for each in sentences]
        return self._choose(sentences, relevance(asked, words, _priors(kinds, sentences)))

    # -- what could be quoted

    def _candidates(
        self, hits: Sequence[Hit], asked: Sequence[str], kinds: Sequence[str]
    ) -> list[_Sentence]:
        wanted = frozenset(asked)
        found = [
            _Sentence(document, rank, part)
            for rank, document in enumerate(self._documents(hits, wanted, kinds))
            for part in self._looked_at(document.text, wanted)
        ]
        # where nothing says anything, where to read on is still an answer
        return [each for each in found if not each.part.elsewhere] or found

    def _looked_at(self, text: str, wanted: frozenset[str]) -> list[Part]:
        """The beginning of a text, what has a word of the question, and what that leans on."""
        looked_at: list[Part] = []
        after: Part | None = None
        for part in reversed(self._quotable.of(text)):
            needed = after is not None and after.leans and part.number == after.number - 1
            near = part.number < self._limits.sentences or not wanted.isdisjoint(part.words)
            after = part if near or needed else None
            if after is not None:
                looked_at.append(after)
        return looked_at[::-1]

    def _documents(
        self, hits: Sequence[Hit], asked: frozenset[str], kinds: Sequence[str]
    ) -> list[Document]:
        """The best document and those that can stand beside it: as near, and of what was asked.

        That is the subject of the best one, and subjects all of whose name is in the question. Of
        those, first the named ones, and among them the kind of document that was asked for.
        """
        if not hits:
            return []
        best = hits[0]
        subject = best.document.focus.casefold()
        named = {hit.document.id: _is_named(hit.document, asked) for hit in hits}
        kept = [
            hit
            for hit in hits
            if hit.cosine >= best.cosine - self._limits.behind
            # without a subject nothing tells whether another document speaks of the same thing
            and (not subject or named[hit.document.id] or hit.document.focus.casefold() == subject)
        ]
        kept.sort(
            key=lambda hit: (
                not named[hit.document.id],
                bool(kinds) and hit.document.question_type not in kinds,
            )
        )
        # several publishers give the same text
        once = {hit.document.text: hit for hit in reversed(kept)}
        different = [hit.document for hit in kept if once[hit.document.text] is hit]
        return different[: self._limits.documents]

    # -- what is

    def _choose(
        self, sentences: Sequence[_Sentence], scores: NDArray[np.float64]
    ) -> tuple[Quote, ...]:
        taken: list[_Sentence] = []
        if not len(scores):
            return ()
        floor = self._limits.floor * scores.max()
        bags = [frozenset(each.part.words) for each in sentences]
        left = scores.copy()
        while (best := int(left.argmax())) >= 0 and left[best] >= floor:
            sentence, left[best] = sentences[best], SPENT
            before = self._before(sentences, best)
            group = [*taken, sentence]
            if sentence.part.leans and before is not None and before not in taken:
                group.append(before)
            if not self._fits(group):
                continue
            taken = group
            for index, each in enumerate(sentences):
                if each in taken:
                    left[index] = SPENT
                elif left[index] > SPENT:
                    left[index] -= repeated(bags[index], bags[best]) * scores[index] / 2
        return tuple(self._merged(taken))

    @staticmethod
    def _before(sentences: Sequence[_Sentence], index: int) -> _Sentence | None:
        """The sentence directly before, where it could be quoted too."""
        if index == 0:
            return None
        this, before = sentences[index], sentences[index - 1]
        follows = before.rank == this.rank and before.part.number == this.part.number - 1
        return before if follows else None

    def _fits(self, sentences: Sequence[_Sentence]) -> bool:
        quotes = self._merged(sentences)
        characters = sum(len(quote.text) for quote in quotes)
        return len(quotes) <= self._limits.quotes and characters <= self._limits.characters

    @staticmethod
    def _merged(sentences: Sequence[_Sentence]) -> list[Quote]:
        """Quotes, the best document first, in the order of its text; neighbours are one quote."""
        spans: list[tuple[_Sentence, int, int]] = []
        for each in sorted(sentences, key=lambda s: (s.rank, s.part.number)):
            if spans:
                last, start, number = spans[-1]
                if last.rank == each.rank and number == each.part.number - 1:
                    spans[-1] = (each, start, each.part.number)
                    continue
            spans.append((each, each.part.start, each.part.number))
        return [Quote.of(last.document, start, last.part.end) for last, start, _ in spans]


def _is_named(document: Document, asked: frozenset[str]) -> bool:
    """Whether a question has all words of a name of the document's subject."""
    names = (name_words(name) for name in (document.focus, *document.synonyms))
    return any(name and asked.issuperset(name) for name in names)


def _priors(kinds: Sequence[str], sentences: Sequence[_Sentence]) -> list[float]:
    """What speaks for sentences before their words are read, 0 to 1 each.

    Args:
        kinds: of answer that were asked for.
        sentences: that could be quoted.
    """
    priors: list[float] = []
    for sentence in sentences:
        fits = not kinds or sentence.document.question_type in kinds
        # the documents of a corpus of answers begin with what they have to say
        early = 1 / (1 + 0.3 * sentence.part.number)
        priors.append((0.5 * early + 0.25 * fits + 0.25) / (1 + sentence.rank))
    return priors

"""Extractive answers: which sentences of what was found are quoted.

Sentences are scored by the question's words in them, weighted by how rare a word is among the
candidates (BM25; Robertson & Zaragoza 2009), by their similarity to the question where there is an
encoder, by the rank of their document, and by whether the document answers this kind of question.
They are then taken greedily, each less for what it repeats of those already taken (maximal marginal
relevance; Carbonell & Goldstein 1998). Whole sentences only, so every quote stands in its source.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.answers import Quote
from rag.asked import content_words, name_words, question_types
from rag.documents import Document, Hit
from rag.sentence_scores import SPENT, relevance, repeated

__all__ = ["Encode", "Extractor", "Flagged", "Limits", "Sentences", "Span"]

#: Splits a text into sentences: offsets of each, in order.
Sentences = Callable[[str], Sequence[tuple[int, int]]]
#: Texts to unit vectors, shape [n, 384].
Encode = Callable[[Sequence[str]], NDArray[np.float32]]


class Span(Protocol):
    """A place in a text; `rag.safety.injection.Flag` is one."""

    @property
    def start(self) -> int:
        """Offset of its first character."""

    @property
    def end(self) -> int:
        """Offset after its last."""


#: Finds what may not be quoted in a text, `rag.safety.injection.flag`.
Flagged = Callable[[str], Sequence[Span]]

# What stands before a sentence and is no part of it: a bullet, a label of the source.
_LEAD_IN = re.compile(r"(?:\s|[-*\u2022\u00b7\u2013]\s|summary\s*:)+", re.IGNORECASE)
#: A sentence that leans on the one before it reads badly alone.
_LEANS = re.compile(
    r"(these|this|those|that|it|its|they|their|he|she|his|her|however|therefore|thus|also|but|and|"
    r"or|other|others|another|in addition|for example|as a result|such)\b",
    re.IGNORECASE,
)
#: Says where something could be read, and not what.
_ELSEWHERE = re.compile(
    r"these resources|for (?:more|additional|further) information|to (?:learn|find out) more|"
    r"see (?:also|the)|click|visit|the human phenotype ontology|key points",
    re.IGNORECASE,
)
#: An entry of a list of addresses: "National Eye Institute: Dry Eye".
_ENTRY = re.compile(r"[A-Z][^.:]{3,90}: [A-Z][^.]*")
#: Of a sentence, characters that the encoder reads: the rest costs time and hardly turns a vector.
_READ = 240


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is quoted.

    Attributes:
        quotes: at most; neighbouring sentences are one quote.
        characters: of all quotes together, at most.
        documents: that are quoted, at most.
        shortest: characters of a sentence worth quoting; shorter ones are headings.
        sentences: that are looked at, of a document's beginning, beside its nearest passage.
        encoded: sentences of a question whose similarity is computed; the rest is ranked by words.
        floor: share of the best score that a sentence must have.
        behind: how much smaller the cosine of a document may be than that of the best, -1 to 1.
    """

    quotes: int = 4
    characters: int = 900
    documents: int = 3
    shortest: int = 20
    sentences: int = 60
    encoded: int = 8
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
    """A sentence that could be quoted; `number` counts those of its document, `rank` documents,
    `words` are its stems.
    """

    document: Document
    rank: int
    number: int
    start: int
    end: int
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        return self.document.text[self.start : self.end]


class Extractor:
    """Chooses quotes.

    Args:
        sentences: splits a document's text.
        encode: for similarity; None: words alone decide. It is called once a batch.
        limits: how much is quoted.
        flagged: finds what may not be quoted; a sentence with any of it is left out.
            None: everything may be.
    """

    def __init__(
        self,
        sentences: Sentences,
        encode: Encode | None = None,
        limits: Limits | None = None,
        flagged: Flagged | None = None,
    ) -> None:
        self._sentences, self._encode, self._flagged = sentences, encode, flagged
        self._limits = limits or Limits()

    def quotes(self, asked: Sequence[tuple[str, Sequence[Hit]]]) -> list[tuple[Quote, ...]]:
        """Choose quotes for each question, in the order in which an answer shows them.

        Args:
            asked: questions, each with what was found for it, the best first.

        Returns:
            For each question its quotes; none where nothing fits.
        """
        found = [self._candidates(question, hits) for question, hits in asked]
        scored = [
            relevance(
                content_words(question),
                [each.words for each in sentences],
                _priors(question_types(question), sentences),
            )
            for (question, _), sentences in zip(asked, found, strict=True)
        ]
        if self._encode is not None:
            self._add_similarity(self._encode, [question for question, _ in asked], found, scored)
        return [
            self._choose(sentences, scores) for sentences, scores in zip(found, scored, strict=True)
        ]

    # -- what could be quoted

    def _candidates(self, question: str, hits: Sequence[Hit]) -> list[_Sentence]:
        found: list[_Sentence] = []
        for rank, hit in enumerate(self._documents(question, hits)):
            document = hit.document
            # of the whole text: what is flagged may begin in one sentence and end in the next
            barred = self._flagged(document.text) if self._flagged else ()
            for number, (start, end) in enumerate(self._sentences(document.text)):
                if number >= self._limits.sentences and not (
                    start < hit.chunk.end and hit.chunk.start < end
                ):
                    continue
                lead = _LEAD_IN.match(document.text, start, end)
                start = lead.end() if lead else start
                end = start + len(document.text[start:end].rstrip())
                text = document.text[start:end]
                if any(each.start < end and start < each.end for each in barred):
                    continue
                if self._quotable(text):
                    own = tuple(content_words(text))
                    found.append(_Sentence(document, rank, number, start, end, own))
        # where nothing says anything, where to read on is still an answer
        return [
            each
            for each in found
            if not (_ELSEWHERE.match(each.text) or _ENTRY.fullmatch(each.text))
        ] or found

    def _quotable(self, text: str) -> bool:
        """Whether a sentence can be shown, and shown whole."""
        # a text may open by repeating its question; a colon announces what is not in the sentence
        whole = self._limits.shortest <= len(text) <= self._limits.characters
        return whole and text[-1] not in "?:"

    def _documents(self, question: str, hits: Sequence[Hit]) -> list[Hit]:
        """The best document and those that can stand beside it: as near, and of what was asked.

        That is the subject of the best one, and subjects all of whose name is in the question. Of
        those, first the named ones, and among them the kind of document that was asked for.
        """
        if not hits:
            return []
        best, kinds = hits[0], question_types(question)
        asked = frozenset(content_words(question))
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
        return [hit for hit in kept if once[hit.document.text] is hit][: self._limits.documents]

    def _add_similarity(
        self,
        encode: Encode,
        questions: Sequence[str],
        found: Sequence[Sequence[_Sentence]],
        scored: Sequence[NDArray[np.float64]],
    ) -> None:
        """Add the cosine with the question to the best of each question's scores."""
        chosen = [np.argsort(-scores, kind="stable")[: self._limits.encoded] for scores in scored]
        texts = [
            sentences[index].text[:_READ]
            for sentences, indices in zip(found, chosen, strict=True)
            for index in indices
        ]
        if not texts:
            return
        place = {text: at for at, text in enumerate(dict.fromkeys([*questions, *texts]))}
        vectors = encode(list(place))
        for question, sentences, indices, scores in zip(
            questions, found, chosen, scored, strict=True
        ):
            rows = [place[sentences[index].text[:_READ]] for index in indices]
            scores[indices] += np.clip(vectors[rows] @ vectors[place[question]], 0, 1)
            # what was not encoded may not overtake what was
            rest = np.setdiff1d(np.arange(len(scores)), indices)
            scores[rest] *= 0.5

    # -- what is

    def _choose(
        self, sentences: Sequence[_Sentence], scores: NDArray[np.float64]
    ) -> tuple[Quote, ...]:
        taken: list[_Sentence] = []
        if not len(scores):
            return ()
        floor = self._limits.floor * scores.max()
        bags = [frozenset(each.words) for each in sentences]
        left = scores.copy()
        while (best := int(left.argmax())) >= 0 and left[best] >= floor:
            sentence, left[best] = sentences[best], SPENT
            before = self._before(sentences, best)
            group = [*taken, sentence]
            if _LEANS.match(sentence.text) and before is not None and before not in taken:
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
        follows = before.rank == this.rank and before.number == this.number - 1
        return before if follows else None

    def _fits(self, sentences: Sequence[_Sentence]) -> bool:
        quotes = self._merged(sentences)
        characters = sum(len(quote.text) for quote in quotes)
        return len(quotes) <= self._limits.quotes and characters <= self._limits.characters

    @staticmethod
    def _merged(sentences: Sequence[_Sentence]) -> list[Quote]:
        """Quotes, the best document first, in the order of its text; neighbours are one quote."""
        spans: list[tuple[_Sentence, int, int]] = []
        for each in sorted(sentences, key=lambda s: (s.rank, s.number)):
            if spans:
                last, start, number = spans[-1]
                if last.rank == each.rank and number == each.number - 1:
                    spans[-1] = (each, start, each.number)
                    continue
            spans.append((each, each.start, each.number))
        return [Quote.of(last.document, start, last.end) for last, start, _ in spans]


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
        early = 1 / (1 + 0.3 * sentence.number)
        priors.append((0.5 * early + 0.25 * fits + 0.25) / (1 + sentence.rank))
    return priors

"""Documents that answer a question: four rankings fused, and what names and kind of question say.

Two rankings by words (BM25 over question, focus and synonyms; over question and answer) and two by
meaning (vectors of question and of answer), fused by reciprocal ranks: scores of different kinds
need not be comparable. Cormack, Clarke & Büttcher (2009), Reciprocal Rank Fusion outperforms
Condorcet and individual Rank Learning Methods.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.documents import Hit
from rag.filters import Filters
from rag.index import Index, Rows
from rag.question_type import ANSWER_WORDS, question_types
from rag.shorten import Shortened, shorten
from rag.words import STOP_WORDS, stem, stems, words

__all__ = ["Asked", "Retriever", "Weights"]

_Floats = NDArray[np.float64]

_ANSWER_STEMS = {kind: tuple(stems(said)) for kind, said in ANSWER_WORDS.items()}


@dataclass(frozen=True, slots=True)
class Weights:
    """What counts how much; measured with `vigil evaluate retrieval`.

    Attributes:
        titles: BM25 over question, focus and synonyms.
        texts: BM25 over question and answer.
        questions: vectors of questions.
        passages: vectors of answers.
        whole: a whole message beside its shortened question, whose weight is 1, where that names
            no illness.
        k: of the fusion; 60 as in the paper: the first places count not much more than the next.
        depth: of each ranking, places that count.
        focus: for documents about what the question names; the best place in a ranking is worth
            1 / (k + 1) = .016.
        kind: for documents of the type that the question asks for.
        likely: what a word counts that answers of this type have, in the ranking of texts, where a
            word of the question counts 1.
    """

    titles: float = 1.0
    texts: float = 1.0
    questions: float = 1.0
    passages: float = 1.0
    whole: float = 0.5
    k: float = 60.0
    depth: int = 200
    focus: float = 0.05
    kind: float = 0.015
    likely: float = 0.4


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it is searched.

    Attributes:
        text: shortened.
        words: of it, spelling corrected, without stop words.
        names: stems of each name of an illness in it → how much it matters, up to 1: "pain" says
            little of "pain in the knee after a fall", "gout" all of "how is gout treated".
        kinds: types of question, see `rag.question_type.question_types`.
    """

    text: str
    words: tuple[str, ...]
    names: Mapping[tuple[str, ...], float]
    kinds: tuple[str, ...]


class Retriever:
    """Hybrid search. Synchronous, and safe to call from several threads.

    Args:
        index: of documents.
        weights: see `Weights`.
    """

    def __init__(self, index: Index, *, weights: Weights | None = None) -> None:
        self.index = index
        self._weights = weights or Weights()

    def search(
        self, queries: Sequence[str], *, limit: int = 10, filters: Filters | None = None
    ) -> list[list[Hit]]:
        """Find documents for questions; all are encoded at once.

        Args:
            queries: questions or whole messages.
            limit: hits for each, at most.
            filters: which documents may be found.

        Returns:
            For each query its hits, best first; none where nothing has anything to do with it.
        """
        shortened = [self.shorten(query) for query in queries]
        texts = list(dict.fromkeys(each.text for each in shortened))
        # a question that names no illness may be the wrong cut: then the whole message helps
        cut = [not (each.whole or each.names) and self._weights.whole > 0 for each in shortened]
        texts += [query for query, was_cut in zip(queries, cut, strict=True) if was_cut]
        place = {text: number for number, text in enumerate(texts)}
        vectors = self.index.encoder.encode(texts)
        nearest = self.index.dense.search(vectors, self._weights.depth, filters)
        found = []
        for query, short, was_cut in zip(queries, shortened, cut, strict=True):
            forms = [(short.text, 1.0)]
            if was_cut:
                forms.append((query, self._weights.whole))
            ranked = [(text, weight, nearest[place[text]]) for text, weight in forms]
            found.append(self._hits(ranked, vectors[place[short.text]], limit, filters))
        return found

    def shorten(self, message: str) -> Shortened:
        """Cut a message down to its question."""
        with self.index.rows() as rows:
            return shorten(message, rows.names, rows.texts.rarity, rows.right)

    def asked(self, question: str) -> Asked:
        """Read a question: words, names, kinds."""
        with self.index.rows() as rows:
            return _asked(question, rows)

    # -- one question

    def _hits(
        self,
        forms: Sequence[tuple[str, float, tuple[dict[str, float], dict[str, float]]]],
        vector: NDArray[np.float32],
        limit: int,
        filters: Filters | None,
    ) -> list[Hit]:
        with self.index.rows() as rows:
            asked = [_asked(text, rows) for text, _, _ in forms]
            scores = np.zeros(len(rows.documents))
            allowed = None if filters is None else rows.allowed(filters)
            for (_, weight, nearest), each in zip(forms, asked, strict=True):
                self._fuse(scores, each, nearest, rows, weight)
            self._prefer(scores, asked[0], rows)
            if allowed is not None:
                scores[~allowed] = 0
            best = _best(scores, limit)
            rarity = {word: rows.texts.rarity(word) for word in asked[0].words}
            hits = [
                (document, float(scores[row]), _covered(rarity, rows.texts.held(row, rarity)))
                for row in best
                if (document := rows.documents[row]) is not None
            ]
        cosines = self._cosines(vector, [each.id for each, _, _ in hits], forms[0][2])
        return [
            Hit(document, score, cosines.get(document.id, 0.0), covered)
            for document, score, covered in hits
        ]

    def _fuse(
        self,
        scores: _Floats,
        asked: Asked,
        nearest: tuple[dict[str, float], dict[str, float]],
        rows: Rows,
        weight: float,
    ) -> None:
        """Add the reciprocal ranks of the four rankings to the scores."""
        its, depth = self._weights, self._weights.depth
        rankings = (
            (its.titles, _best(rows.titles.scores(asked.words), depth)),
            (its.texts, _best(rows.texts.scores(self._likely(asked)), depth)),
            (its.questions, rows.of(nearest[0])),
            (its.passages, rows.of(nearest[1])),
        )
        for each, ranking in rankings:
            if each and len(ranking):
                places = np.arange(1, len(ranking) + 1)
                scores[np.asarray(ranking)] += weight * each / (its.k + places)

    def _likely(self, asked: Asked) -> dict[str, float]:
        """Words of the question and those that its answers likely have, with their weights."""
        kind = asked.kinds[0] if asked.kinds else ""
        # words that nobody asks for find nothing by themselves
        likely = _ANSWER_STEMS.get(kind, ()) if asked.words and self._weights.likely else ()
        weights = dict.fromkeys(likely, self._weights.likely)
        for word in asked.words:
            weights[word] = weights.get(word, 0.0) + 1.0
        return weights

    def _prefer(self, scores: _Floats, asked: Asked, rows: Rows) -> None:
        """Add what the question's names and kind say of a document."""
        for key, share in asked.names.items():
            about = list(rows.names.documents(key))
            scores[about] += self._weights.focus * share
        if asked.kinds:
            fit = list(rows.where("question_type", asked.kinds[:1]))
            fit_scores = scores[fit]
            scores[fit] = np.where(fit_scores > 0, fit_scores + self._weights.kind, 0)

    def _cosines(
        self,
        vector: NDArray[np.float32],
        ids: Sequence[str],
        nearest: tuple[dict[str, float], dict[str, float]],
    ) -> dict[str, float]:
        """Cosine of the nearest vector of each; the search knows most of them."""
        first, second = nearest
        known = {
            each: max(first[each], second[each]) for each in ids if each in first and each in second
        }
        return known | self.index.dense.cosines(vector, [each for each in ids if each not in known])


def _asked(question: str, rows: Rows) -> Asked:
    split = words(question)
    right = rows.names.corrected(split, rows.right(split))
    named = rows.names.named(right)
    rarity = rows.texts.rarity
    # words that no document has are nothing that one could be about
    content = {
        each
        for each in (stem(word) for word in right if word not in STOP_WORDS)
        if rows.texts.frequency(each) or rows.titles.frequency(each)
    }
    half = sum(map(rarity, content)) / 2
    names = {
        each.key: min(1.0, sum(rarity(word) for word in {*each.key} & content) / half)
        for each in named
        if half > 0
    }
    inside = {number for each in named for number in range(each.start, each.end)}
    rest = " ".join(word for number, word in enumerate(right) if number not in inside)
    return Asked(
        question,
        tuple(stem(word) for word in right if word not in STOP_WORDS),
        names,
        _kinds(rest, " ".join(right), bool(named)),
    )


def _kinds(rest: str, question: str, named: bool) -> tuple[str, ...]:
    """Kinds by the words beside the names; where they say nothing, by all of them.

    A name alone asks what that is.
    """
    kinds = question_types(rest)
    if kinds in ((), ("information",)):
        kinds = question_types(question) or kinds
    return kinds or (("information",) if named else ())


def _best(scores: NDArray[np.floating], count: int) -> list[int]:
    """Rows of the highest scores above 0, best first; of equal ones the lower row."""
    able = np.flatnonzero(scores > 0)
    if count < len(able):
        # most rows have no word of the question: only the others are sorted
        some = scores[able]
        floor = np.partition(some, len(some) - count)[len(some) - count]
        able = able[some >= floor]
    order = np.argsort(-scores[able], kind="stable")[:count]
    found: list[int] = able[order].tolist()
    return found


def _covered(rarity: Mapping[str, float], held: Collection[str]) -> float:
    """Share of the question's words that a document has, each by how rare it is.

    Of "What is a depression in meteorology?" the common half is not half of it.

    Args:
        rarity: of each word of the question.
        held: those that the document has.
    """
    # in the order of the question: a sum in the order of a set would differ in the last digit
    known = sum(each for word, each in rarity.items() if word in held)
    return known / sum(rarity.values()) if rarity else 0.0

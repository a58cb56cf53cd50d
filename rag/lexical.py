"""BM25 over texts that come and go.

bm25s, which is as fast, bakes the frequency of every word in the whole corpus into each document's
scores, so that one new document means a new index. Here documents' words are kept as counts, and
scores are made when somebody asks: what was added a moment ago and what was there before are
scored alike. A test holds it against bm25s.

Robertson & Zaragoza (2009), The Probabilistic Relevance Framework: BM25 and Beyond; the inverse
document frequency is Lucene's.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["LexicalIndex"]

#: Added documents are searched in a dictionary, and put into arrays when there are so many.
_MERGE_AT = 1_024

_Ints = NDArray[np.int32]
_Floats = NDArray[np.float32]


class LexicalIndex:
    """BM25 over numbered documents. Not safe for several threads: its owner locks.

    Args:
        k1: how soon more of a word says no more.
        b: how much long documents are marked down, 0 to 1.
    """

    def __init__(self, *, k1: float = 1.2, b: float = 0.75) -> None:
        self._k1, self._b = k1, b
        self._terms: dict[str, int] = {}
        self._words: list[str] = []  # of each term
        self._free_terms: list[int] = []
        self._counts: list[tuple[_Ints, _Floats] | None] = []  # of each row
        self._lengths = np.zeros(0, np.float32)
        self._frequency = np.zeros(0, np.int64)  # documents of each term
        self._documents = 0
        # arrays of what was there at the last merge: of term t, [starts[t]:starts[t + 1]]
        self._starts = np.zeros(1, np.int64)
        self._rows = np.zeros(0, np.int32)
        self._times = np.zeros(0, np.float32)
        # term → rows and counts of what was added since
        self._added: dict[int, tuple[list[int], list[float]]] = {}
        self._since: set[int] = set()
        # rows that were removed: nothing of them is left, or the arrays have it until they are made
        self._free: list[int] = []
        self._dead: list[int] = []

    def __len__(self) -> int:
        """How many documents there are."""
        return self._documents

    @property
    def size(self) -> int:
        """How many rows there are, with those that are free."""
        return len(self._counts)

    def add(self, words: Sequence[str], *, later: bool = False) -> int:
        """Add a document.

        Args:
            words: of the document, repeated as often as they are there.
            later: it need not be found before the next `merge`: faster for many at once.

        Returns:
            Its row: that of a document that was removed before, or a new one. Indexes that are
            asked for the same in the same order give the same rows.
        """
        tally = Counter(words)
        terms = np.fromiter((self._term(word) for word in tally), np.int32, len(tally))
        times = np.fromiter(tally.values(), np.float32, len(tally))
        if self._free:
            row = self._free.pop()
            self._counts[row] = terms, times
        else:
            row = len(self._counts)
            self._counts.append((terms, times))
        self._lengths = _put(self._lengths, row, len(words))
        if len(self._frequency) < len(self._words):
            more = max(1_024, len(self._frequency), len(self._words) - len(self._frequency))
            self._frequency = np.concatenate([self._frequency, np.zeros(more, np.int64)])
        self._frequency[terms] += 1
        self._documents += 1
        if later:
            return row
        for term, count in zip(terms.tolist(), times.tolist(), strict=True):
            rows, counts = self._added.setdefault(term, ([], []))
            rows.append(row)
            counts.append(count)
        self._since.add(row)
        if len(self._since) >= max(_MERGE_AT, self._documents // 4):
            self.merge()
        return row

    def remove(self, row: int) -> None:
        """Take a document out; what the arrays have of it stays until the next merge, unscored."""
        if (counts := self._counts[row]) is None:
            return
        terms = counts[0]
        self._frequency[terms] -= 1
        self._lengths[row] = 0
        self._counts[row] = None
        self._documents -= 1
        if row in self._since:
            self._take_out(row, terms)
            self._free.append(row)
        else:
            self._dead.append(row)
        for term in terms[self._frequency[terms] == 0].tolist():
            # what the arrays have of it is of removed documents
            del self._terms[self._words[term]]
            self._free_terms.append(term)

    def _term(self, word: str) -> int:
        """Number of a word; one that is new gets a number."""
        term = self._terms.get(word)
        if term is None:
            if self._free_terms:
                term = self._free_terms.pop()
                self._words[term] = word
            else:
                term = len(self._words)
                self._words.append(word)
            self._terms[word] = term
        return term

    def _take_out(self, row: int, terms: _Ints) -> None:
        """Take a document out of what was added since the last merge."""
        self._since.discard(row)
        for term in terms.tolist():
            rows, counts = self._added[term]
            at = rows.index(row)
            del rows[at], counts[at]
            if not rows:
                del self._added[term]

    def merge(self) -> None:
        """Put everything that is there into arrays."""
        there = [(row, counts) for row, counts in enumerate(self._counts) if counts is not None]
        rows = np.repeat(
            np.array([row for row, _ in there], np.int32),
            np.array([len(counts[0]) for _, counts in there], np.int64),
        )
        terms = np.concatenate([counts[0] for _, counts in there] or [np.zeros(0, np.int32)])
        times = np.concatenate([counts[1] for _, counts in there] or [np.zeros(0, np.float32)])
        order = np.argsort(terms, kind="stable")
        self._rows, self._times = rows[order], times[order]
        self._starts = np.searchsorted(terms[order], np.arange(len(self._words) + 1))
        self._added, self._since = {}, set()
        self._free += self._dead
        self._dead = []

    def held(self, row: int, words: Iterable[str]) -> set[str]:
        """Those of these words that a document has."""
        if (counts := self._counts[row]) is None:
            return set()
        terms = set(counts[0].tolist())
        return {word for word in words if self._terms.get(word) in terms}

    def frequency(self, word: str) -> int:
        """How many documents have this word."""
        term = self._terms.get(word)
        return 0 if term is None else int(self._frequency[term])

    def rarity(self, word: str) -> float:
        """Inverse document frequency of a word; of an unknown one that of one in no document."""
        frequency = self.frequency(word)
        return float(np.log1p((self._documents - frequency + 0.5) / (frequency + 0.5)))

    def scores(self, words: Sequence[str] | Mapping[str, float]) -> _Floats:
        """Score every row for a question; rows that were removed or have no word of it get 0.

        Args:
            words: of the question; or each word and how much it counts.

        Returns:
            (`size`,), 0 and above.
        """
        scores = np.zeros(self.size, np.float32)
        if not self._documents:
            return scores
        lengths = self._lengths[: self.size]
        average = lengths.sum() / self._documents
        norm = self._k1 * (1 - self._b + self._b * lengths / max(average, 1e-9))
        weights = words if isinstance(words, Mapping) else Counter(words)
        for word, weight in weights.items():
            term = self._terms.get(word)
            if term is None or not self._frequency[term]:
                continue
            rarity = self.rarity(word) * weight
            for rows, times in self._postings(term):
                scores[rows] += rarity * times / (times + norm[rows])
        scores[lengths == 0] = 0
        return scores

    def _postings(self, term: int) -> list[tuple[_Ints, _Floats]]:
        found = []
        if term + 1 < len(self._starts):
            here = slice(self._starts[term], self._starts[term + 1])
            found.append((self._rows[here], self._times[here]))
        if term in self._added:
            rows, times = self._added[term]
            found.append((np.array(rows, np.int32), np.array(times, np.float32)))
        return found


def _put(array: _Floats, index: int, value: float) -> _Floats:
    """Set an element; the array doubles where it is too short."""
    if index >= len(array):
        array = np.concatenate([array, np.zeros(max(1_024, len(array)), np.float32)])
    array[index] = value
    return array

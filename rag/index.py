"""A corpus that can be searched: its documents by number, their words, names and vectors.

What is in the index is one set of documents at every moment. An update is encoded before anything
changes, and then put in all at once as far as a search sees it: a search asks the vectors first
and takes from them only documents that the rest has.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.dense import DenseIndex, Vectors
from rag.documents import Document
from rag.encoder import Encoder
from rag.filters import Filters
from rag.focus import FocusIndex
from rag.lexical import LexicalIndex
from rag.vectors import Chunks, encode_corpus, encode_documents, question_text
from rag.words import stem, stems

__all__ = ["Index", "Rows", "build_index"]

#: Documents that are put in while nobody may search; encoded before that.
_AT_ONCE = 256
#: Documents that have a word which nobody doubts; documents have slips themselves.
_NO_SLIP = 3


class Rows:
    """Documents by number, and what of their words each number has. Its owner locks."""

    def __init__(self) -> None:
        self.documents: list[Document | None] = []
        self.row_of: dict[str, int] = {}
        #: question, focus and its other names
        self.titles = LexicalIndex()
        #: question and answer
        self.texts = LexicalIndex()
        self.names = FocusIndex()
        self._with: dict[tuple[str, str], set[int]] = defaultdict(set)

    def __len__(self) -> int:
        """How many documents there are."""
        return len(self.row_of)

    def add(self, document: Document, *, later: bool = False) -> None:
        """Add a document; one of the same id goes.

        Args:
            document: whole.
            later: its words need not be found before the next `merge`.
        """
        before = self.row_of.get(document.id)
        head = stems(question_text(document))
        row = self.titles.add([*head, *stems(" ".join(document.synonyms))], later=later)
        self.texts.add([*head, *stems(document.text)], later=later)
        self.names.add(row, document.focus, document.synonyms)
        if row < len(self.documents):
            self.documents[row] = document  # the place of one that was removed
        else:
            self.documents.append(document)
        self.row_of[document.id] = row
        for field in _FIELDS:
            self._with[field, getattr(document, field)].add(row)
        if before is not None:
            self._drop(before)

    def remove(self, document_id: str) -> bool:
        """Take a document out; False where it is not there."""
        row = self.row_of.pop(document_id, None)
        if row is not None:
            self._drop(row)
        return row is not None

    def merge(self) -> None:
        """Put words that were added one by one in order; a search is faster after it."""
        self.titles.merge()
        self.texts.merge()

    def of(self, ids: Iterable[str]) -> list[int]:
        """Rows of those of the documents that are there."""
        return [row for each in ids if (row := self.row_of.get(each)) is not None]

    def where(self, field: str, values: Iterable[str]) -> set[int]:
        """Rows whose document has one of these values in a field."""
        return set().union(*(self._with.get((field, value), ()) for value in values))

    def right(self, split: Iterable[str]) -> set[str]:
        """Words that are no slips: several documents have them."""
        return {each for each in split if self.texts.frequency(stem(each)) >= _NO_SLIP}

    def allowed(self, filters: Filters) -> NDArray[np.bool_]:
        """Which rows a search with these filters may find: (rows,)."""
        there = np.array([each is not None for each in self.documents], bool)
        for field, values in filters.items():
            inside = np.zeros_like(there)
            inside[list(self.where(field, values))] = True
            there &= inside
        return there

    def _drop(self, row: int) -> None:
        document = self.documents[row]
        if document is None:
            return
        self.documents[row] = None
        self.titles.remove(row)
        self.texts.remove(row)
        self.names.remove(row)
        for field in _FIELDS:
            place = field, getattr(document, field)
            self._with[place].discard(row)
            if not self._with[place]:
                del self._with[place]


_FIELDS = ("collection", "question_type", "focus")


class Index:
    """Documents that can be searched, added and removed, from any thread.

    Args:
        encoder: of documents; questions have to be encoded with the same.
        dense: where the vectors go.
        chunks: see `rag.vectors.passage_texts`.
    """

    def __init__(
        self, encoder: Encoder, dense: DenseIndex | None = None, *, chunks: Chunks | None = None
    ) -> None:
        self.encoder = encoder
        self.dense = dense or DenseIndex()
        self._chunks = chunks
        self._rows = Rows()
        self._reading = threading.Lock()
        # two updates of one document: vectors and words of the same one must win
        self._writing = threading.Lock()

    def __len__(self) -> int:
        """How many documents there are."""
        return len(self._rows)

    def __contains__(self, document_id: str) -> bool:
        """Whether a document is there."""
        return document_id in self._rows.row_of

    def get(self, document_id: str) -> Document | None:
        """A document by its id."""
        with self._reading:
            row = self._rows.row_of.get(document_id)
            return None if row is None else self._rows.documents[row]

    @contextmanager
    def rows(self) -> Iterator[Rows]:
        """Documents and words, which do not change meanwhile. Be quick."""
        with self._reading:
            yield self._rows

    def upsert(self, documents: Sequence[Document], vectors: Sequence[Vectors] = ()) -> None:
        """Add documents, or replace those of the same ids.

        Args:
            documents: of two of one id the last is taken.
            vectors: of each, where they are known; else they are encoded.
        """
        last = {each.id: each for each in documents}
        known = {each.id: its for each, its in zip(documents, vectors, strict=bool(vectors))}
        fresh = [each for each in last.values() if each.id not in known]
        if fresh:
            made = encode_documents(self.encoder, fresh, self._chunks)
            known |= {each.id: its for each, its in zip(fresh, made, strict=True)}
        ready = [(each, known[each.id]) for each in last.values()]
        with self._writing:
            if not len(self):
                self._fill(ready)
                return
            for start in range(0, len(ready), _AT_ONCE):
                part = ready[start : start + _AT_ONCE]
                self.dense.upsert([each for each, _ in part], [its for _, its in part])
                with self._reading:
                    for document, _ in part:
                        self._rows.add(document)

    def _fill(self, ready: Sequence[tuple[Document, Vectors]]) -> None:
        """Put the first documents in: nobody misses them yet, so that it may be done in one go."""
        self.dense.upsert([each for each, _ in ready], [its for _, its in ready])
        with self._reading:
            for document, _ in ready:
                self._rows.add(document, later=True)
            self._rows.merge()

    def remove(self, ids: Iterable[str]) -> int:
        """Take documents out; unknown ones are passed over.

        Returns:
            How many went.
        """
        with self._writing:
            with self._reading:
                gone = [each for each in ids if self._rows.remove(each)]
            self.dense.remove(gone)
        return len(gone)


def build_index(
    folder: Path,
    documents: Sequence[Document],
    encoder: Encoder,
    *,
    dense: DenseIndex | None = None,
    chunks: Chunks | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Index:
    """Make the index of a corpus.

    Args:
        folder: of the corpus; vectors are read from there and, where new, written there.
        documents: of the corpus.
        encoder: of documents and questions.
        dense: see `Index`.
        chunks: see `rag.vectors.passage_texts`.
        progress: told texts done and to do while new ones are encoded.
    """
    vectors = encode_corpus(folder, documents, encoder, chunks=chunks, progress=progress)
    index = Index(encoder, dense, chunks=chunks)
    index.upsert(documents, vectors)
    return index

"""Passages of a document, cut between sentences.

What is encoded and shown: a vector of a whole article would mean nothing. Neighbours overlap, so
that what a sentence refers to is near it in one of them.
"""

import re
from dataclasses import dataclass

from rag.corpus.sentences import sentences
from rag.documents import Chunk, Document

__all__ = ["ChunkSettings", "chunk_document", "chunk_spans"]


@dataclass(frozen=True, slots=True)
class ChunkSettings:
    """How a text is cut.

    Attributes:
        size: characters, at most; a single longer word makes its chunk longer.
        overlap: characters that two neighbours share, at most.

    Raises:
        ValueError: a size below 1, or an overlap that is not smaller than it.
    """

    size: int = 1_000
    overlap: int = 200

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"chunks of {self.size} characters: take at least 1")
        if not 0 <= self.overlap < self.size:
            raise ValueError(
                f"an overlap of {self.overlap} with chunks of {self.size} characters: take one "
                "from 0 to less than the size"
            )


def chunk_document(document: Document, settings: ChunkSettings | None = None) -> list[Chunk]:
    """Cut a document into its passages; a short one is one passage, an empty one none."""
    spans = chunk_spans(document.text, settings or ChunkSettings())
    return [Chunk(document.id, number, start, end) for number, (start, end) in enumerate(spans)]


def chunk_spans(text: str, settings: ChunkSettings) -> list[tuple[int, int]]:
    """Cut a text between sentences.

    A chunk begins where a sentence does. A sentence longer than a chunk is cut between words, and
    only then does a chunk begin within one.

    Returns:
        (start, end) of each, in order; together they hold every character that is no space.
    """
    parts, heads = _parts(text, settings.size)
    spans: list[tuple[int, int]] = []
    first = 0
    while first < len(parts):
        start = parts[first][0]
        last = first
        while last + 1 < len(parts) and parts[last + 1][1] - start <= settings.size:
            last += 1
        spans.append((start, parts[last][1]))
        first = _next(parts, heads, first, last, settings)
    return spans


def _parts(text: str, size: int) -> tuple[list[tuple[int, int]], list[bool]]:
    """Sentences, the long ones in pieces; and of each part whether a sentence begins with it."""
    parts: list[tuple[int, int]] = []
    heads: list[bool] = []
    for start, end in sentences(text):
        pieces = [(start, end)] if end - start <= size else _pieces(text, start, end, size)
        parts += pieces
        heads += [number == 0 for number in range(len(pieces))]
    return parts, heads


def _pieces(text: str, start: int, end: int, size: int) -> list[tuple[int, int]]:
    """Pieces of a sentence, each as long as its words allow."""
    pieces: list[tuple[int, int]] = []
    for word in re.finditer(r"\S+", text[start:end]):
        at, to = start + word.start(), start + word.end()
        if pieces and to - pieces[-1][0] <= size:
            pieces[-1] = (pieces[-1][0], to)
        else:
            pieces.append((at, to))
    return pieces


def _next(
    parts: list[tuple[int, int]], heads: list[bool], first: int, last: int, settings: ChunkSettings
) -> int:
    """Part with which the next chunk begins: as early as the overlap and its size allow."""
    after = last + 1
    if after == len(parts):
        return after
    chosen = after
    for part in range(last, first, -1):
        start = parts[part][0]
        if parts[last][1] - start > settings.overlap or parts[after][1] - start > settings.size:
            break
        if heads[part]:
            chosen = part
    return chosen

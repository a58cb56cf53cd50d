"""Vectors of a corpus, kept beside it: a start reads them, and a rebuild encodes what changed.

``vectors-VERSION.npz`` in the corpus' folder: hashes of texts and their vectors. A text is known
by its hash, so that a vector can be for no other text, and moved or renamed documents keep theirs.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from rag.dense import Vectors
from rag.documents import Chunk, Document
from rag.encoder import DIMENSIONS, Encoder

__all__ = ["Chunks", "encode_corpus", "encode_documents", "passage_texts", "question_text"]

log = logging.getLogger(__name__)

#: Cuts a document into passages, as `rag.corpus.chunks.chunk_document` does.
Chunks = Callable[[Document], Sequence[Chunk]]

#: Texts between two calls of ``progress``.
_STEP = 256
#: Words of an answer that go into its vector. Its beginning says what it is about.
_WORDS = 80


def question_text(document: Document) -> str:
    """What a document's first vector is of: the question that it answers, and about what."""
    if not document.focus or document.focus.lower() in document.title.lower():
        return document.title or document.focus
    return f"{document.title} {document.focus}".strip()


def passage_texts(document: Document, chunks: Chunks | None = None) -> list[str]:
    """What its other vectors are of: its question and the first words of the answer.

    Args:
        document: whole.
        chunks: encode every passage that this cuts, rather than the beginning.
    """
    head = question_text(document)
    if chunks is None:
        return [f"{head} {' '.join(document.text.split()[:_WORDS])}".strip()]
    cut = [document.text[each.start : each.end] for each in chunks(document)]
    return [f"{head} {text}".strip() for text in cut or [""]]


def encode_documents(
    encoder: Encoder, documents: Sequence[Document], chunks: Chunks | None = None
) -> list[Vectors]:
    """Encode documents, all their texts in one go."""
    texts, counts = _texts(documents, chunks)
    return _split(encoder.encode(texts), counts)


def encode_corpus(
    folder: Path,
    documents: Sequence[Document],
    encoder: Encoder,
    *,
    chunks: Chunks | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Vectors]:
    """Vectors of documents, from the folder where it has them; new ones are encoded and kept.

    Args:
        folder: of the corpus; where it cannot be written to, new vectors are not kept.
        documents: in it.
        encoder: makes what is missing.
        chunks: see `passage_texts`.
        progress: told texts done and texts to do, of those that have to be encoded.

    Returns:
        One for each document, in order.
    """
    texts, counts = _texts(documents, chunks)
    keys = [hashlib.sha256(text.encode()).digest()[:16] for text in texts]
    path = folder / f"vectors-{encoder.version}.npz"
    known = _read(path)
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
    # by length, so that a step has texts of one length and nothing is padded
    todo = sorted(missing.items(), key=lambda each: (len(each[1]), each[0]))
    for start in range(0, len(todo), _STEP):
        if progress is not None:
            progress(start, len(todo))
        step = todo[start : start + _STEP]
        encoded = encoder.encode([text for _, text in step])
        known.update((key, row) for (key, _), row in zip(step, encoded, strict=True))
    if progress is not None:
        progress(len(todo), len(todo))
    wanted = {key: known[key] for key in keys}
    if todo or len(wanted) != len(known):
        try:
            _write(path, wanted)
        except OSError as error:  # a volume that is only to be read, say
            log.warning(
                "vectors cannot be kept, and are made anew at each start: %s: %s",
                path.parent,
                error.strerror,
            )
    rows = np.array([known[key] for key in keys], np.float32).reshape(-1, DIMENSIONS)
    return _split(rows, counts)


def _texts(documents: Sequence[Document], chunks: Chunks | None) -> tuple[list[str], list[int]]:
    """All texts of all documents, one after the other, and how many passages each one has."""
    texts: list[str] = []
    counts = []
    for document in documents:
        passages = passage_texts(document, chunks)
        # what has no title is found by its text alone: an empty text is near to anything
        texts += [question_text(document) or passages[0], *passages]
        counts.append(len(passages))
    return texts, counts


def _split(rows: NDArray[np.float32], counts: Sequence[int]) -> list[Vectors]:
    found, at = [], 0
    for count in counts:
        found.append(Vectors(rows[at], rows[at + 1 : at + 1 + count]))
        at += 1 + count
    return found


def _read(path: Path) -> dict[bytes, NDArray[np.float32]]:
    """What the folder has; nothing where the file is missing or broken: it can be made anew."""
    try:
        with path.open("rb") as file, np.load(file) as kept:
            keys, rows = kept["keys"], kept["rows"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return {}
    if rows.ndim != 2 or rows.shape[1] != DIMENSIONS or keys.shape != (len(rows), 16):
        return {}
    return dict(zip((key.tobytes() for key in keys), rows, strict=True))


def _write(path: Path, vectors: dict[bytes, NDArray[np.float32]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = np.frombuffer(b"".join(vectors), np.uint8).reshape(-1, 16)
    rows = np.array(list(vectors.values()), np.float32).reshape(-1, DIMENSIONS)
    # under another name first: a worker that starts meanwhile reads the old file or the new one
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            np.savez(file, keys=keys, rows=rows)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise

"""A corpus on disk.

    FOLDER/manifest.json            see `rag.corpus.manifest`; names the generation
          /<generation>/documents.jsonl     a document a line
          /<generation>/…                   what is made of the documents: vectors, an index

A generation is named after its content and written before the manifest names it, in one step: a
build that is killed leaves the corpus that was there. The generation before is kept until the next
build, for a reader that had just read the manifest.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from rag.corpus.manifest import MANIFEST, CorpusError, Manifest, read_manifest
from rag.corpus.splits import Side, side_of
from rag.documents import Document

__all__ = ["DOCUMENTS", "Corpus", "encode_documents", "load", "locked", "publish"]

DOCUMENTS = "documents.jsonl"
_LOCK = ".lock"
_NAME = 16


@dataclass(frozen=True)
class Corpus:
    """Documents and what their manifest says of them.

    Attributes:
        folder: of the generation: what is made of the documents lies there.
        manifest: see `Manifest`.
        documents: in the corpus's order.
    """

    folder: Path
    manifest: Manifest
    documents: Sequence[Document]
    _by_id: dict[str, Document] = field(init=False, repr=False, compare=False)
    _others: dict[str, list[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {each.id: each for each in self.documents})
        others: dict[str, list[str]] = {}
        for dropped, kept in self.manifest.same.items():
            others.setdefault(kept, []).append(dropped)
        object.__setattr__(self, "_others", others)

    def kept_id(self, document_id: str) -> str | None:
        """Id under which a document is in the corpus.

        Args:
            document_id: of a document or of a duplicate that was dropped for it.

        Returns:
            None where neither is in the corpus.
        """
        found = self.manifest.same.get(document_id, document_id)
        return found if found in self._by_id else None

    def find(self, document_id: str) -> Document | None:
        """Look a document up by its id or by that of a duplicate."""
        kept = self.kept_id(document_id)
        return None if kept is None else self._by_id[kept]

    def source_ids(self, document_id: str) -> tuple[str, ...]:
        """Ids that a document has in its source: its own first, then those of its duplicates.

        For whoever judges answers by the ids of the source.
        """
        ids = (document_id, *self._others.get(document_id, ()))
        return tuple(dict.fromkeys(self.manifest.renamed.get(each, each) for each in ids))

    def side(self, document: Document) -> Side:
        """Side of the document's question: train, validation or production."""
        return side_of(document.title, self.manifest.split_seed)


def load(folder: Path) -> Corpus:
    """Read a corpus and check it against its hash.

    Raises:
        CorpusError: it is not there or not what was written; says what to do.
    """
    try:
        return _load(folder)
    except CorpusError:
        # between manifest and documents two builds may have ended; then both are new now
        return _load(folder)


def _load(folder: Path) -> Corpus:
    manifest = read_manifest(folder)
    path = folder / manifest.generation / DOCUMENTS
    again = "make the corpus again with `vigil corpus build`"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path} cannot be read ({error.strerror}): {again}") from error
    if hashlib.sha256(data).hexdigest() != manifest.sha256:
        raise CorpusError(f"{path} is not what its manifest says: it was changed, so {again}")
    try:
        documents = msgspec.json.Decoder(Document).decode_lines(data)
    except msgspec.DecodeError as error:
        raise CorpusError(f"{path} holds no documents of this version ({error}): {again}") from None
    return Corpus(path.parent, manifest, documents)


def encode_documents(documents: Sequence[Document]) -> bytes:
    """Write documents as lines of JSON."""
    return msgspec.json.Encoder().encode_lines(documents)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other builds out of a folder.

    Raises:
        CorpusError: one is at work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CorpusError(
                f"another build writes {folder}: wait for it, or name another folder with --out"
            ) from None
        yield


def publish(
    folder: Path, data: bytes, manifest: Manifest, more: Callable[[Path], None]
) -> Manifest:
    """Write a generation and then, in one step, let the manifest name it.

    Args:
        folder: of the corpus; the caller holds its lock.
        data: of the documents' file.
        manifest: of it; the generation is named here.
        more: makes what else belongs into the generation's folder, before the manifest names it.

    Returns:
        The manifest that was written.
    """
    # passages too: vectors of other passages are another generation
    content = f"{manifest.sha256} {manifest.chunks.size} {manifest.chunks.overlap}"
    name = hashlib.sha256(content.encode()).hexdigest()[:_NAME]
    manifest = replace(manifest, generation=name)
    generation = folder / name
    generation.mkdir(exist_ok=True)
    _write(generation / DOCUMENTS, data)
    more(generation)
    try:
        before = read_manifest(folder).generation
    except CorpusError:
        before = name
    _write(folder / MANIFEST, manifest.encoded())
    for old in folder.iterdir():
        if old.is_dir() and (old / DOCUMENTS).exists() and old.name not in (name, before):
            shutil.rmtree(old, ignore_errors=True)
    return manifest


def _write(path: Path, data: bytes) -> None:
    """Replace a file in one step; it is on the disk when this returns."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    parent = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)

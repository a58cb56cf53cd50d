"""What a corpus says of itself: ``manifest.json``."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from rag.corpus.chunks import ChunkSettings

__all__ = ["FORMAT", "MANIFEST", "CorpusError", "Manifest", "Source", "read_manifest"]

#: Another one cannot be read by this version.
FORMAT = "vigil-corpus/1"
MANIFEST = "manifest.json"


class CorpusError(RuntimeError):
    """A corpus is not there, or not what its manifest says; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was read.

    Attributes:
        name: from the path that was given on.
        sha256: of its bytes, hexadecimal.
        bytes: how many.
        documents: read from it, before duplicates went.
    """

    name: str
    sha256: str
    bytes: int
    documents: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """Counts, hashes and settings of a corpus. The same input gives the same one.

    Attributes:
        format: `FORMAT`.
        generation: folder beside the manifest with the documents and what was made of them.
        documents: how many.
        sha256: of the documents' file, hexadecimal.
        cleaning: version of the rules of cleaning.
        chunks: how documents are cut.
        chunk_count: how many passages that makes.
        split_seed: of the sides.
        sides: train, validation, production → documents whose question is on that side.
        answered: documents with a text before duplicates went.
        collections: name → documents.
        dropped: reason → how many were left out.
        warnings: what may want mending → how often.
        unreadable: name of a file and why it could not be read.
        same: id of a dropped duplicate → id of the document kept for it.
        renamed: id given here → id in the source, which several documents have there.
        sources: files that were read; of a tar, the tar.
    """

    format: str
    generation: str
    documents: int
    sha256: str
    cleaning: str
    chunks: ChunkSettings
    chunk_count: int
    split_seed: int
    sides: dict[str, int]
    answered: int
    collections: dict[str, int]
    dropped: dict[str, int] = field(default_factory=dict)
    warnings: dict[str, int] = field(default_factory=dict)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    same: dict[str, str] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)

    def encoded(self) -> bytes:
        """Write it as JSON for people."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    def counts(self) -> dict[str, Any]:
        """Everything but the long lists: those of ids and sources are counted."""
        shown: dict[str, Any] = msgspec.to_builtins(self)
        for name in ("same", "renamed", "sources"):
            shown[name] = len(shown[name])
        return shown


def read_manifest(folder: Path) -> Manifest:
    """Read a corpus folder's manifest.

    Raises:
        CorpusError: there is none, it is broken, or of another format.
    """
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise CorpusError(
            f"{folder} holds no corpus: make one with `vigil corpus build PATH`, or name its "
            "folder in VIGIL_CORPUS"
        ) from None
    except OSError as error:
        raise CorpusError(f"{path} cannot be read ({error.strerror}): may it be?") from error
    try:
        found = msgspec.json.decode(data, type=dict[str, msgspec.Raw]).get("format")
        given = None if found is None else msgspec.json.decode(found)
        if given == FORMAT:
            return msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise CorpusError(
            f"{path} is broken ({error}): make the corpus again with `vigil corpus build`"
        ) from None
    raise CorpusError(
        f"{path} is of format {given!r}, and this version reads {FORMAT}: make the corpus again "
        "with `vigil corpus build`"
    )

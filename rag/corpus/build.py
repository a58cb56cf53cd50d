"""A corpus out of files: read, clean, drop duplicates, write."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from rag.corpus.chunks import ChunkSettings, chunk_spans
from rag.corpus.cleaning import VERSION
from rag.corpus.duplicates import keep
from rag.corpus.entries import Entry, ReadError, in_order, open_entries
from rag.corpus.folder import encode_documents, locked, publish
from rag.corpus.manifest import FORMAT, CorpusError, Manifest, Source
from rag.corpus.reading import read_entry
from rag.corpus.report import Report
from rag.corpus.splits import SIDES, side_of
from rag.documents import Document

__all__ = ["Encode", "Track", "build"]

T = TypeVar("T")


class Track(Protocol):
    """Shows how far work has come, as `models.progress.track` does."""

    def __call__(self, items: Sequence[T], description: str) -> Iterator[T]:
        """Iterate over the items beside a bar."""


#: Folder of a generation, its documents, progress: makes there what searches need. It must bear to
#: be called again for a generation that is in use, so it replaces whole files.
Encode = Callable[[Path, Sequence[Document], Track], None]


def _no_bar(items: Sequence[T], description: str) -> Iterator[T]:
    yield from items


def build(
    paths: Sequence[Path],
    out: Path,
    *,
    chunks: ChunkSettings | None = None,
    seed: int = 0,
    more: Sequence[Document] = (),
    encode: Encode | None = None,
    progress: Track = _no_bar,
) -> Manifest:
    """Make a corpus of files; the same files and settings give the same bytes.

    Args:
        paths: files, tars or folders, in any mix.
        out: the corpus's folder; what it holds stays in use until the new one is whole.
        chunks: how documents are cut.
        seed: of the split into sides.
        more: documents that come first, such as those that ship.
        encode: makes vectors and an index of the documents.
        progress: shows how far it is.

    Returns:
        The manifest that was written.

    Raises:
        FileNotFoundError: a path that is not there.
        CorpusError: no document in them, or another build is at work on the folder.
    """
    chunks = chunks or ChunkSettings()
    report = Report()
    found, sources = _read(paths, report, progress)
    kept = keep([*more, *found], report)
    report.answered = len(more) + len(found)
    if not kept.documents:
        raise CorpusError(_nothing(report))
    passages = [
        len(chunk_spans(document.text, chunks))
        for document in progress(kept.documents, "Cutting documents")
    ]
    data = encode_documents(kept.documents)
    manifest = Manifest(
        format=FORMAT,
        generation="",
        documents=len(kept.documents),
        sha256=hashlib.sha256(data).hexdigest(),
        cleaning=VERSION,
        chunks=chunks,
        chunk_count=sum(passages),
        split_seed=seed,
        sides=_sides(kept.documents, seed),
        answered=report.answered,
        collections=dict(Counter(document.collection for document in kept.documents)),
        dropped=dict(sorted(report.dropped.items())),
        warnings=dict(sorted(report.warnings.items())),
        unreadable=[(file.name, file.reason) for file in report.files],
        same=kept.same,
        renamed=kept.renamed,
        sources=sources,
    )

    def make_more(generation: Path) -> None:
        # the one place where vectors and an index are made of what was written
        if encode is not None:
            encode(generation, kept.documents, progress)

    with locked(out):
        return publish(out, data, manifest, make_more)


def _read(
    paths: Sequence[Path], report: Report, progress: Track
) -> tuple[list[Document], list[Source]]:
    """Documents of all files in the order of their names, however the files are packed."""
    read: list[tuple[Entry, list[Document]]] = []
    sources: list[Source] = []
    with open_entries(paths, report) as entries:
        for entry in progress(entries, "Reading files"):
            try:
                data = entry.read()
            except ReadError as error:
                report.unreadable(entry.name, str(error))
                continue
            except OSError as error:
                report.unreadable(entry.name, f"{error.strerror}: may it be read?")
                continue
            documents = read_entry(entry, data, report)
            read.append((entry, documents))
            digest = hashlib.sha256(data).hexdigest()
            sources.append(Source(entry.name, digest, len(data), len(documents)))
    # without the first part, the name of what they are packed in
    read.sort(key=lambda pair: in_order(pair[0].name.partition("/")[2] or pair[0].name))
    sources.sort(key=lambda source: in_order(source.name))
    report.files.sort(key=lambda file: in_order(file.name))
    return [document for _, documents in read for document in documents], sources


def _sides(documents: Sequence[Document], seed: int) -> dict[str, int]:
    found = Counter(side_of(document.title, seed) for document in documents)
    return {side: found[side] for side in SIDES}


def _nothing(report: Report) -> str:
    reasons = [f"{file.name}: {file.reason}" for file in report.files[:5]]
    reasons += [f"{count:,}: {reason}" for reason, count in report.dropped.most_common(5)]
    told = "; ".join([*reasons, *report.warnings]) or "there are no files"
    return f"no document was found, so nothing was written: {told}"

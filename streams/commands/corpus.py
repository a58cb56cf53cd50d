"""``vigil corpus``: make the documents that answers quote, and see what there is."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from config.settings import settings
from rag.corpus.build import Track
from rag.corpus.chunks import ChunkSettings
from rag.corpus.manifest import Manifest
from rag.documents import Document

__all__ = ["corpus"]

_json = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
_USUAL = ChunkSettings()
#: So many files that could not be read are named on the terminal; the manifest names all.
_NAMED = 20


def _encode(folder: Path, documents: Sequence[Document], track: Track) -> None:
    """Make the vectors of the documents, so that a worker need not."""
    from rag.encoder import load_encoder
    from rag.vectors import encode_corpus

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Encoding", total=None)
        encode_corpus(
            folder,
            documents,
            load_encoder(threads=os.cpu_count() or 1),  # nobody else waits for a core
            progress=lambda done, whole: bar.update(task, completed=done, total=whole),
        )


def _folder(given: Path | None) -> Path:
    return given or settings().corpus_path


@click.group(epilog="Example: vigil corpus build medquad-xml.tar.xz guidelines/")
def corpus() -> None:
    """Make the corpus that answers quote: the folder that VIGIL_CORPUS names.

    \b
    Exit codes: 0 done; 1 it did not work; 2 the command line was wrong.
    """


@corpus.command(
    epilog="Examples: vigil corpus build medquad-xml.tar.xz ;  "
    "vigil corpus build guidelines/ notes.csv --out corpus/ --size 800 --overlap 100"
)
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH…"
)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder. Default: VIGIL_CORPUS."
)
@click.option(
    "--size",
    type=int,
    default=_USUAL.size,
    show_default=True,
    help="Of a passage, characters. The manifest counts passages; the search does not use them.",
)
@click.option(
    "--overlap",
    type=int,
    default=_USUAL.overlap,
    show_default=True,
    help="Of two passages, characters.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another one: another split.")
@click.option("--with-shipped", is_flag=True, help="Put Vigil's own documents first.")
@_json
def build(
    paths: tuple[Path, ...],
    out: Path | None,
    size: int,
    overlap: int,
    seed: int,
    with_shipped: bool,
    as_json: bool,
) -> None:
    """Read PATH…: MedQuAD's XML, CSV, PDF, Markdown and HTML, in files, folders and tars.

    The new corpus takes the place of the old one when it is whole. A file that cannot be read is
    named, and stops nothing.
    """
    # imported here: readers take time that the help does not need
    from models.progress import track
    from rag.corpus.build import build as build_corpus
    from rag.corpus.shipped import shipped

    try:
        chunks = ChunkSettings(size, overlap)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    folder = _folder(out)
    manifest = build_corpus(
        paths,
        folder,
        chunks=chunks,
        seed=seed,
        more=shipped() if with_shipped else (),
        encode=_encode,
        progress=track,
    )
    _tell(folder, manifest, as_json)


@corpus.command(epilog="Example: vigil corpus show --json")
@click.option(
    "--corpus",
    "given",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder. Default: VIGIL_CORPUS.",
)
@_json
def show(given: Path | None, as_json: bool) -> None:
    """Count what is in the corpus, after checking it against its hash."""
    from rag.corpus.folder import load

    folder = _folder(given)
    _tell(folder, load(folder).manifest, as_json)


def _tell(folder: Path, manifest: Manifest, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"folder": str(folder), **manifest.counts()}))
        return
    said = Console()
    said.print(
        f"{folder}: {manifest.documents:,} documents, {manifest.chunk_count:,} passages of at most "
        f"{manifest.chunks.size:,} characters, hash {manifest.sha256[:16]}.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    said.print(_table("collection", "documents", manifest.collections))
    said.print(_table("side", "documents", manifest.sides))
    if manifest.dropped:
        said.print(_table("left out", "", manifest.dropped))
    if manifest.warnings:
        said.print(_table("warning", "", manifest.warnings))
    for name, reason in manifest.unreadable[:_NAMED]:
        click.echo(f"not read: {name}: {reason}", err=True)
    if (rest := len(manifest.unreadable) - _NAMED) > 0:
        click.echo(f"not read: {rest:,} files more: the manifest names them", err=True)


def _table(what: str, counted: str, rows: dict[str, int]) -> Table:
    table = Table(what, counted)
    for name, count in rows.items():
        table.add_row(name, f"{count:,}")
    return table

"""What there is to read under a path: files, in a folder or a tar, in one order.

Names are as a person gave them, from the last part of the path on: nothing of where a machine keeps
its files gets into a corpus.
"""

import lzma
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from rag.corpus.report import Report

__all__ = ["MAX_BYTES", "Entry", "ReadError", "in_order", "open_entries"]

#: A larger file is left out and named: it would be unpacked into memory.
MAX_BYTES = 256 * 2**20
_TAR = re.compile(r"\.(?:tar|tgz|txz|tbz2|tar\.(?:gz|xz|bz2))$", re.IGNORECASE)
_BROKEN_TAR = (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError)


class ReadError(ValueError):
    """A file cannot be read; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file to read.

    Attributes:
        name: ``collection/path/within``, for people and for ids.
        collection: name of the folder or tar that was given; of a single file, its own.
        folder: name of the folder that it is in.
        read: gives its bytes; raises OSError or `ReadError`.
        asked: whether it was named itself, and not found in a folder.
    """

    name: str
    collection: str
    folder: str
    read: Callable[[], bytes]
    asked: bool = False

    @property
    def suffix(self) -> str:
        """Ending of its name, in small letters, with the dot."""
        return PurePosixPath(self.name).suffix.lower()

    @property
    def stem(self) -> str:
        """Last part of its name, without the ending."""
        return PurePosixPath(self.name).stem


def in_order(name: str) -> list[tuple[int, str]]:
    """Key that sorts names as people do: 2 before 10."""
    return [
        (int(part), "") if part.isdigit() and part.isascii() else (0, part)
        for part in re.split(r"([0-9]+)", name)
    ]


@contextmanager
def open_entries(paths: Sequence[Path], report: Report) -> Iterator[list[Entry]]:
    """List the files under the paths; they can be read until the context ends.

    Hidden files are not meant; links in a folder or a tar are not followed.

    Args:
        paths: files, tars or folders.
        report: is told of what cannot be opened.

    Raises:
        FileNotFoundError: there is no such path: nothing of it can be meant.
    """
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: there is no such file or folder")
    with ExitStack() as opened:
        yield [entry for path in paths for entry in _under(path.resolve(), report, opened)]


def _under(path: Path, report: Report, opened: ExitStack) -> Iterator[Entry]:
    if path.is_dir():
        yield from _in_folder(path, report, opened)
    elif _TAR.search(path.name):
        yield from _in_tar(path, report, opened)
    else:
        yield Entry(path.name, path.stem, path.parent.name, partial(_content, path), asked=True)


def _in_folder(top: Path, report: Report, opened: ExitStack) -> Iterator[Entry]:
    def refuse(error: OSError) -> None:
        report.unreadable(Path(error.filename).name, f"{error.strerror}: may it be read?")

    found: list[Path] = []
    for folder, folders, names in os.walk(top, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    for path in sorted(found, key=lambda path: in_order(path.relative_to(top).as_posix())):
        if not path.is_file() or path.is_symlink():
            continue
        if _TAR.search(path.name):
            yield from _in_tar(path, report, opened)
        else:
            name = f"{top.name}/{path.relative_to(top).as_posix()}"
            yield Entry(name, top.name, path.parent.name, partial(_content, path))


def _content(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise ReadError(f"larger than {MAX_BYTES // 2**20} MiB: split it")
    return path.read_bytes()


def _in_tar(path: Path, report: Report, opened: ExitStack) -> Iterator[Entry]:
    """Members in the order in which they lie: in any other, each would unpack the tar again."""
    collection = _TAR.sub("", path.name)
    members: list[tarfile.TarInfo] = []
    try:
        archive = opened.enter_context(tarfile.open(path))  # noqa: SIM115
    except _BROKEN_TAR as error:
        report.unreadable(path.name, f"not a tar that can be opened ({error}): fetch it again")
        return
    try:
        members += archive
    except _BROKEN_TAR as error:
        report.unreadable(
            path.name, f"breaks off after {len(members):,} files ({error}): fetch it again"
        )
    for member in members:
        parts = [part for part in member.name.split("/") if part not in ("", ".", "..")]
        if not member.isfile() or not parts or any(part.startswith(".") for part in parts):
            continue
        folder = parts[-2] if len(parts) > 1 else collection
        name = "/".join([collection, *parts])
        yield Entry(name, collection, folder, partial(_member, archive, member))


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > MAX_BYTES:
        raise ReadError(f"larger than {MAX_BYTES // 2**20} MiB: split it")
    try:
        file = archive.extractfile(member)
        return b"" if file is None else file.read()
    except _BROKEN_TAR as error:
        raise ReadError(f"its tar is broken here ({error}): fetch it again") from error

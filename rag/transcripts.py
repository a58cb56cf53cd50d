"""Data sets of questions and answers, from the transcripts of what was asked.

    FOLDER/chats-5f1c…/rows.jsonl      a row a question: question, response, sources, flags
                      /manifest.json   from which files, how many, what was left out
          /waiting.jsonl               what has no counterpart yet: for the next set

A transcript is JSON lines, an event a line: a question (``question_id``, ``session_id``, ``text``,
``asked_at``) or an answer (``question_id``, ``outcome``, ``text``, ``quotes``, and what else
`rag.answers.Answer` has). A set is named after its content: the same files give the same set, and
one that is there already is not made again. It is whole or not there. Read files are moved to an
archive last, so whatever is cut short is done again, and no question comes into two sets.

Identifiers are taken out as events are read, before anything is written. The archive holds the
files as they were: keep it as you keep the transcripts.
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.transcript_events import Answered, Asked, Malformed, Row, joined, parse, parse_row

__all__ = ["Made", "TranscriptError", "make_set", "transcripts_in"]

_FORMAT = "vigil-chats/1"
_ROWS, _MANIFEST, _WAITING = "rows.jsonl", "manifest.json", "waiting.jsonl"
#: Characters of a line; a longer one is no event.
_LONGEST = 262_144


class TranscriptError(ValueError):
    """A set cannot be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Made:
    """What became of transcripts.

    Attributes:
        folder: of the set; None: there was nothing new.
        manifest: of the set; None without one.
        files: that were read and archived.
        counts: events by what became of them.
    """

    folder: Path | None
    manifest: dict[str, Any] | None
    files: tuple[str, ...]
    counts: dict[str, int]


def transcripts_in(path: Path) -> list[Path]:
    """The transcripts that a path names: a file, or a folder's ``*.jsonl`` in order of their names.

    Raises:
        TranscriptError: there are none.
    """
    if path.is_file():
        return [path]
    found = sorted(each for each in path.glob("*.jsonl") if each.is_file())
    if not found:
        raise TranscriptError(f"{path} holds no transcripts: they are files named *.jsonl")
    return found


def make_set(paths: Sequence[Path], out: Path, archive: Path, redact: Callable[[str], str]) -> Made:
    """Make the next data set out of transcripts, and archive them.

    Args:
        paths: transcripts.
        out: folder of the sets.
        archive: folder into which read transcripts are moved.
        redact: takes identifiers out of a text.

    Raises:
        TranscriptError: a set in the folder was changed, or the archive holds another file of a
            transcript's name.
        OSError: a file cannot be read, written or moved.
    """
    _check_archive(paths, archive)
    counts: Counter[str] = Counter()
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    events = [*_events([out / _WAITING], redact, Counter()), *_events(paths, redact, counts)]
    seen = set(_seen(out))
    found = joined(events, seen)
    counts += Counter(found.counts)
    folder = manifest = None
    if found.rows:
        folder, manifest = _write(found.rows, out, digests, dict(sorted(counts.items())))
    _replace(out / _WAITING, "".join(event.line() for event in found.waiting))
    archive.mkdir(parents=True, exist_ok=True)
    for path in paths:
        shutil.move(path, archive / path.name)
    return Made(folder, manifest, tuple(digests), dict(sorted(counts.items())))


def _check_archive(paths: Sequence[Path], archive: Path) -> None:
    names = [path.name for path in paths]
    if len({*names}) != len(names):
        raise TranscriptError("two transcripts have the same name: rename one")
    for path in paths:
        if (archive / path.name).exists():
            raise TranscriptError(
                f"{archive / path.name} is archived already: rename the new one, or remove it if "
                "it is the same"
            )


def _events(
    paths: Sequence[Path], redact: Callable[[str], str], counts: Counter[str]
) -> Iterator[Asked | Answered]:
    for path in paths:
        if not path.exists():
            continue
        with path.open("rb") as lines:
            for line in lines:
                if not line.strip():
                    continue
                try:
                    if len(line) > _LONGEST:
                        raise Malformed
                    yield parse(line, redact)
                except Malformed:
                    counts["malformed"] += 1
                    continue
                counts["events"] += 1


def _seen(out: Path) -> Iterator[str]:
    """Questions that are in a set already."""
    for folder in sorted(out.glob("chats-*")):
        try:
            text = (folder / _ROWS).read_bytes()
            if _digest(text) != folder.name.removeprefix("chats-"):
                raise TranscriptError(f"{folder} was changed: put it back as it was, or remove it")
            yield from (parse_row(line).question_id for line in text.splitlines())
        except (OSError, Malformed) as error:
            raise TranscriptError(f"{folder} cannot be read ({error!r}): remove it") from None


def _write(
    rows: Sequence[Row], out: Path, digests: dict[str, str], counts: dict[str, int]
) -> tuple[Path, dict[str, Any]]:
    text = "".join(row.line() for row in rows).encode()
    digest = _digest(text)
    outcomes = Counter(row.outcome for row in rows)
    manifest = {
        "format": _FORMAT,
        "name": f"chats-{digest}",
        "rows": len(rows),
        "outcomes": dict(sorted(outcomes.items())),
        "events": counts,
        "files": dict(sorted(digests.items())),
        "rows_sha256": hashlib.sha256(text).hexdigest(),
    }
    out.mkdir(parents=True, exist_ok=True)
    scratch = out / f".chats-{digest}.{os.getpid()}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        (scratch / _ROWS).write_bytes(text)
        (scratch / _MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        for file in scratch.iterdir():
            file.chmod(0o444)
        scratch.rename(out / f"chats-{digest}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return out / f"chats-{digest}", manifest


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:16]


def _replace(path: Path, text: str) -> None:
    """Write a file so that it is the old one or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)

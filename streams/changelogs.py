"""What a commit says of the changelogs, so that one that was lost is noticed.

A committed offset promises that the state holds everything before it. The state is in the
changelogs. Where one was deleted, emptied or made anew while the offsets live on, state would be
restored without readings that never come again, and every window after that would be wrong, in
silence. So the metadata of a commit names the changelogs of its partition, each with a `Mark`:
which topic it was, where it began and how far it reached. A marked record was acknowledged by the
broker before the commit was made, so a changelog that now falls short of its mark is another one.

A commit without such a note (by an older release, or by a tool that set offsets back) promises
nothing, and nothing is compared: that is the way out, which `vigil rebuild` takes.
"""

from collections.abc import Mapping

import msgspec

__all__ = ["ChangelogLostError", "Mark", "decode", "encode", "loss"]

#: Of the format. A note of another version is as good as none.
_VERSION = 1


class ChangelogLostError(RuntimeError):
    """A changelog does not hold what a commit says that it does."""


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """A partition of a changelog at one moment.

    Attributes:
        topic_id: that Kafka gave the topic when it was made; empty where it gives none.
        start: offset of the first record that is kept. Compaction does not move it.
        end: offset after the last record.
    """

    topic_id: str
    start: int
    end: int


class _Note(msgspec.Struct):
    changelogs: dict[str, Mark]
    v: int = _VERSION


def encode(marks: Mapping[str, Mark]) -> str:
    """Write the metadata of a commit, some hundred bytes of JSON; empty where there is no mark.

    Args:
        marks: by the changelog's name, of the partition that is committed.
    """
    return msgspec.json.encode(_Note(dict(marks))).decode() if marks else ""


def decode(metadata: str | None) -> dict[str, Mark]:
    """Read the marks of a commit; none where it has no note, or somebody else's."""
    try:
        note = msgspec.json.decode(metadata or "", type=_Note)
    except msgspec.DecodeError:
        return {}
    return note.changelogs if note.v == _VERSION else {}


def loss(noted: Mark, found: Mark) -> str | None:
    """Say what a changelog has lost since a commit; None where it has all.

    Args:
        noted: at the commit, or before it.
        found: afterwards.
    """
    if noted.topic_id and found.topic_id and noted.topic_id != found.topic_id:
        return "was made anew"
    if found.end < noted.end:
        return f"ends at {found.end} and reached {noted.end}"
    if found.start > noted.start:
        return f"begins at {found.start} and began at {noted.start}"
    return None

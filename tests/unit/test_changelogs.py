"""A commit notes how far the changelogs reach, and what falls short of that is told."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.structs import OffsetAndMetadata
from faust.types import TP

from streams.changelogs import Mark, decode, encode, loss
from streams.recovery import BatchTables
from streams.transport import BatchConsumer

pytestmark = pytest.mark.unit

WINDOWS, STAYS = "bedside-windows-changelog", "bedside-stays-changelog"
MARKS = {WINDOWS: Mark("Wl3a7iGGQ8-Y0zkGGyQOvg", 0, 1_234), STAYS: Mark("", 0, 0)}


def test_a_note_is_read_as_it_was_written() -> None:
    assert decode(encode(MARKS)) == MARKS


def test_a_note_names_its_version_and_fits_a_commit_many_times() -> None:
    note = encode(MARKS)

    assert json.loads(note)["v"] == 1
    assert len(note) < 4096 / 16, "Kafka takes 4096 bytes"


def test_where_there_is_no_changelog_nothing_is_noted() -> None:
    assert encode({}) == ""


@pytest.mark.parametrize(
    "metadata",
    [None, "", "somebody's own", "[]", "{}", '{"v":2,"changelogs":{"a":["",0,1]}}',
     '{"v":1,"changelogs":{"a":[0]}}', '{"v":1,"changelogs":{"a":{"end":1}}}'],
)  # fmt: skip
def test_a_commit_of_somebody_else_promises_nothing(metadata: str | None) -> None:
    assert decode(metadata) == {}


NOTED = Mark("first", 0, 100)


@pytest.mark.parametrize(
    "found",
    [
        NOTED,
        Mark("first", 0, 500),
        Mark("", 0, 100),  # a broker that gives no ids
    ],
)
def test_a_changelog_that_holds_what_was_noted_has_lost_nothing(found: Mark) -> None:
    assert loss(NOTED, found) is None


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Mark("second", 0, 0), "made anew"),
        (Mark("second", 0, 100_000), "made anew"),
        (Mark("first", 0, 99), "ends at 99 and reached 100"),
        (Mark("", 0, 0), "ends at 0"),
        (Mark("first", 100, 100), "begins at 100 and began at 0"),
        (Mark("first", 1, 500), "begins at 1"),
    ],
)
def test_what_a_changelog_has_lost_is_told(found: Mark, said: str) -> None:
    assert said in str(loss(NOTED, found))


def test_a_note_of_a_broker_without_ids_is_held_against_the_ends() -> None:
    assert loss(Mark("", 0, 100), Mark("given since", 0, 100)) is None
    assert loss(Mark("", 0, 100), Mark("given since", 0, 99))


# -- what is noted


def tables() -> Any:
    made: Any = BatchTables.__new__(BatchTables)
    made.marks = {TP(WINDOWS, 0): Mark("w", 0, 10), TP(WINDOWS, 1): Mark("w", 0, 20)}
    return made


def test_a_mark_moves_with_what_the_broker_has_acknowledged_and_never_back() -> None:
    made = tables()

    made.delivered(TP(WINDOWS, 0), 14)
    made.delivered(TP(WINDOWS, 0), 12)  # of a batch before, which was done later

    assert decode(made.note(0)) == {WINDOWS: Mark("w", 0, 15)}
    assert decode(made.note(1)) == {WINDOWS: Mark("w", 0, 20)}


def test_a_partition_that_is_not_this_workers_has_no_mark() -> None:
    made = tables()
    made.delivered(TP(WINDOWS, 2), 5)

    assert made.note(2) == ""


async def test_every_offset_is_committed_with_the_note_of_its_partition() -> None:
    taken: dict[TP, Any] = {}

    async def commit(offsets: dict[TP, Any]) -> bool:
        taken.update(offsets)
        return True

    consumer: Any = BatchConsumer.__new__(BatchConsumer)
    consumer.app = SimpleNamespace(tables=tables())
    consumer._thread = SimpleNamespace(commit=commit)

    assert await consumer._commit({TP("vitals", 1): 7, TP("other", 9): 3})

    assert taken == {
        TP("vitals", 1): OffsetAndMetadata(7, consumer.app.tables.note(1)),
        TP("other", 9): OffsetAndMetadata(3, ""),
    }

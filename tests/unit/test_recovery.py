"""Changelog records into tables, batch by batch; tables that cannot be trusted."""

import asyncio
import gc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faust.stores.rocksdb import RocksDBOptions
from faust.types import TP

from streams.changelogs import Mark, encode
from streams.recovery import BatchRecovery, _check, newest
from tables.rocksdb import Store, set_aside
from tables.store import BatchTable

TABLE = "windows-changelog"
FIRST, SECOND = TP(TABLE, 0), TP(TABLE, 1)
READINGS = TP("vitals", 0)


class _Store(Store):
    """A store in a folder, without an application around it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rocksdb_options = RocksDBOptions(
            block_cache_size=1 << 20, write_buffer_size=1 << 20, max_write_buffer_number=2
        )
        self._dbs: dict[int, Any] = {}

    def partition_path(self, partition: int) -> Path:
        return self.folder / f"windows-{partition}.db"

    def close(self) -> None:
        self._dbs.clear()
        gc.collect()


@pytest.fixture
def store(tmp_path: Path) -> _Store:
    return _Store(tmp_path)


def _record(key: bytes, value: bytes | None, offset: int) -> Any:
    return SimpleNamespace(key=key, value=value, offset=offset)


def _recovery(store: _Store, positions: dict[TP, int] | None = None) -> BatchRecovery:
    """A recovery of one table of which partition 0 is active and 1 standby."""
    at = {
        tp: SimpleNamespace(position=position, has_valid_position=True)
        for tp, position in (positions or {}).items()
    }
    assignment = SimpleNamespace(state_value=at.get)
    subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=assignment))
    thread = SimpleNamespace(_ensure_consumer=lambda: SimpleNamespace(_subscription=subscription))
    app: Any = SimpleNamespace(
        conf=SimpleNamespace(stream_recovery_delay=0), consumer=SimpleNamespace(_thread=thread)
    )
    table = SimpleNamespace(data=store, _on_changelog_event=None)
    ready: list[bool] = []
    tables: Any = SimpleNamespace(
        changelog_topics={TABLE},
        _changelogs={TABLE: table},
        standbys_ready=False,
        on_standbys_ready=lambda: ready.append(True),
        ready=ready,
    )
    recovery = BatchRecovery(app, tables)
    recovery.active_tps.add(FIRST)
    recovery.standby_tps.add(SECOND)
    recovery.tp_to_table.update({FIRST: table, SECOND: table})
    recovery.active_offsets[FIRST] = -1
    recovery.standby_offsets[SECOND] = -1
    recovery.in_recovery = recovery._sought = True
    return recovery


def test_the_last_version_of_a_key_wins_and_a_deletion_is_a_version() -> None:
    records = [_record(b"a", b"1", 0), _record(b"b", b"1", 1), _record(b"a", b"2", 2)]

    assert newest([*records, _record(b"b", None, 3)]) == {b"a": b"2", b"b": None}


async def test_a_fetch_goes_into_its_table_and_leaves_other_topics_alone(store: _Store) -> None:
    recovery = _recovery(store)
    recovery.active_highwaters[FIRST] = 9
    readings = [_record(b"p", b"reading", 5)]

    left = recovery.take(
        {FIRST: [_record(b"a", b"1", 3), _record(b"a", b"2", 4)], READINGS: readings}, None
    )

    assert left == {READINGS: readings}
    assert store.load(0, b"a") == b"2"
    assert store.persisted_offset(FIRST) == recovery.active_offsets[FIRST] == 4
    assert not recovery.signal_recovery_end.is_set()


async def test_recovery_ends_when_the_high_water_is_reached(store: _Store) -> None:
    recovery = _recovery(store)
    recovery.active_highwaters[FIRST] = 4

    recovery.take({FIRST: [_record(b"a", b"1", 4)]}, None)

    assert recovery.signal_recovery_end.is_set()


async def test_recovery_ends_where_the_log_does_not_end_with_a_record(store: _Store) -> None:
    recovery = _recovery(store, positions={FIRST: 8})
    recovery.active_highwaters[FIRST] = 7
    recovery.take({FIRST: [_record(b"a", b"1", 4)]}, None)

    assert recovery.signal_recovery_end.is_set()
    assert store.persisted_offset(FIRST) == 7


async def test_what_is_still_to_be_read_is_waited_for(store: _Store) -> None:
    recovery = _recovery(store, positions={FIRST: 7})
    recovery.active_highwaters[FIRST] = 7

    recovery.take({}, None)

    assert not recovery.signal_recovery_end.is_set()


async def test_what_is_known_of_the_assignment_before_does_not_end_a_recovery(
    store: _Store,
) -> None:
    recovery = _recovery(store)
    recovery._sought = False

    recovery.take({}, None)

    assert not recovery.signal_recovery_end.is_set()


async def test_records_of_a_revoked_or_paused_partition_are_dropped(store: _Store) -> None:
    recovery = _recovery(store)
    elsewhere = TP(TABLE, 2)

    left = recovery.take(
        {elsewhere: [_record(b"a", b"1", 0)], FIRST: [_record(b"b", b"1", 0)]}, {elsewhere}
    )

    assert left == {}
    assert not store._dbs  # opened for nobody


async def test_records_that_were_applied_before_change_nothing(store: _Store) -> None:
    recovery = _recovery(store)
    recovery.active_highwaters[FIRST] = 9
    recovery.take({FIRST: [_record(b"a", b"2", 5)]}, None)

    recovery.take({FIRST: [_record(b"a", b"1", 4), _record(b"a", b"other", 5)]}, None)

    assert store.load(0, b"a") == b"2"
    assert recovery.active_offsets[FIRST] == 5


async def test_a_standby_is_ready_when_it_has_caught_up(store: _Store) -> None:
    recovery = _recovery(store)
    recovery.standby_highwaters[SECOND] = 4
    recovery.take({SECOND: [_record(b"a", b"1", 3)]}, None)
    assert not recovery.tables.ready

    recovery.take({SECOND: [_record(b"a", b"2", 4)]}, None)

    assert recovery.tables.ready
    assert store.load(1, b"a") == b"2"


async def test_a_table_with_more_to_do_takes_the_stock_path(store: _Store) -> None:
    recovery = _recovery(store)
    recovery.tables._changelogs[TABLE]._on_changelog_event = print
    fetched = {FIRST: [_record(b"a", b"1", 3)]}

    assert recovery.take(fetched, None) == fetched


# -- copies and changelogs that cannot be trusted


class _Refused(Exception):  # noqa: N818
    """The worker would have stopped."""


def _consumer(mark: Mark, notes: dict[TP, str] | None = None) -> Any:
    async def starts(*tps: TP) -> dict[TP, int]:
        return dict.fromkeys(tps, mark.start)

    async def survey(tps: set[TP]) -> Any:
        return dict.fromkeys(tps, mark), notes or {}

    return SimpleNamespace(survey=survey, earliest_offsets=starts)


async def _build(recovery: BatchRecovery, consumer: Any) -> None:
    async def fail(error: Exception) -> None:
        raise _Refused(str(error))

    recovery.app.fail = fail
    recovery.app.application, recovery.app.conf.id = "bedside", "icu.bedside"
    await recovery._build_offsets(consumer, {FIRST}, recovery.active_offsets, "active")


def _with_copy(store: _Store, offset: int | None) -> BatchRecovery:
    recovery = _recovery(store)
    store._db_for_partition(0).put(b"a", b"1")
    recovery.active_offsets[FIRST] = offset
    return recovery


@pytest.mark.parametrize("offset", [4, 1_000])
async def test_a_copy_that_is_ahead_of_its_changelog_is_set_aside(
    store: _Store, offset: int
) -> None:
    recovery = _with_copy(store, offset)

    await _build(recovery, _consumer(Mark("", 0, 4)))

    assert recovery.active_offsets[FIRST] == -1
    assert store.load(0, b"a") is None
    assert (store.folder / "windows-0.db.aside").is_dir()


@pytest.mark.parametrize("topic_id", ["", "first"])
async def test_a_copy_that_is_as_far_as_its_changelog_is_kept(store: _Store, topic_id: str) -> None:
    recovery = _with_copy(store, 3)

    for _ in range(2):
        await _build(recovery, _consumer(Mark(topic_id, 0, 4)))

    assert recovery.active_offsets[FIRST] == 3
    assert store.load(0, b"a") == b"1"


@pytest.mark.parametrize("offset", [3, None])
async def test_a_copy_of_a_topic_that_was_made_anew_is_set_aside_however_long_that_is(
    store: _Store, offset: int | None
) -> None:
    recovery = _with_copy(store, offset)
    await _build(recovery, _consumer(Mark("first", 0, 4)))

    await _build(recovery, _consumer(Mark("second", 0, 1_000)))

    assert recovery.active_offsets[FIRST] == -1
    assert store.load(0, b"a") is None
    store.close()
    store._db_for_partition(0).put(b"a", b"2")
    await _build(recovery, _consumer(Mark("second", 0, 1_000)))
    assert store.load(0, b"a") == b"2", "the new copy is of the new topic"


NOTE = encode({TABLE: Mark("first", 0, 4)})


async def test_a_changelog_that_lacks_what_was_committed_stops_the_worker_and_touches_nothing(
    store: _Store,
) -> None:
    recovery = _with_copy(store, 3)

    with pytest.raises(_Refused) as refused:
        await _build(recovery, _consumer(Mark("second", 0, 0), {READINGS: NOTE}))

    said = str(refused.value)
    assert f"{TABLE}-0 was made anew" in said
    assert "Stop all workers of group icu.bedside, run `vigil rebuild bedside`" in said
    assert store.load(0, b"a") == b"1"
    assert not recovery._trusted


async def test_a_changelog_that_holds_what_was_committed_is_marked(store: _Store) -> None:
    recovery = _with_copy(store, 3)

    await _build(recovery, _consumer(Mark("first", 0, 9), {READINGS: NOTE}))

    assert recovery._trusted
    assert recovery.tables.marks == {FIRST: Mark("first", 0, 9)}


@pytest.mark.parametrize("note", ["", encode({"of-no-table": Mark("first", 0, 4)})])
async def test_a_commit_without_a_note_of_a_changelog_is_no_reason_to_stop(
    store: _Store, note: str
) -> None:
    recovery = _with_copy(store, None)

    await _build(recovery, _consumer(Mark("second", 0, 0), {READINGS: note}))

    assert recovery._trusted


async def test_a_standby_copy_of_a_topic_that_was_made_anew_is_set_aside_and_stops_nobody(
    store: _Store,
) -> None:
    recovery = _recovery(store)
    store._db_for_partition(1).put(b"a", b"1")
    for topic_id in "first", "second":
        consumer = _consumer(Mark(topic_id, 0, 9), {READINGS: NOTE})
        recovery.standby_offsets[SECOND] = 3
        await recovery._build_offsets(consumer, {SECOND}, recovery.standby_offsets, "standby")

    assert recovery.standby_offsets[SECOND] == -1
    assert store.load(1, b"a") is None


async def test_nothing_is_scored_where_the_look_at_the_changelogs_came_to_no_end(
    store: _Store,
) -> None:
    recovery = _recovery(store)

    async def fail(error: Exception) -> None:
        raise _Refused(str(error))

    recovery.app.fail = fail
    recovery.app.application, recovery.app.conf.id = "bedside", "icu.bedside"
    recovery.app.consumer = _consumer(Mark("second", 0, 0), {READINGS: NOTE})

    with pytest.raises(_Refused):
        await recovery.on_recovery_completed()


def test_what_was_written_is_there_after_a_clean_stop_although_nothing_is_logged(
    store: _Store,
) -> None:
    store._db_for_partition(0).put(b"a", b"1")
    store.set_persisted_offset(FIRST, 7)
    store.close()

    assert store.load(0, b"a") == b"1"
    assert store.persisted_offset(FIRST) == 7


@pytest.mark.parametrize("file", ["CURRENT", "MANIFEST-*", "*.sst"])
def test_a_database_that_cannot_be_opened_is_set_aside_and_made_anew(
    store: _Store, file: str
) -> None:
    store._db_for_partition(0).put(b"a", b"1")
    store.close()
    for damaged in store.partition_path(0).glob(file):
        damaged.write_bytes(b"x")

    assert store.load(0, b"a") is None
    assert (store.folder / "windows-0.db.aside").is_dir()


def test_a_database_that_fails_to_read_is_set_aside_at_the_next_start(store: _Store) -> None:
    for i in range(2_000):
        store._db_for_partition(0).put(b"%d" % i, bytes(range(256)) * 2)
    store.close()
    for table in store.partition_path(0).glob("*.sst"):
        content = bytearray(table.read_bytes())
        content[: len(content) // 2] = bytes(len(content) // 2)
        table.write_bytes(content)

    with pytest.raises(Exception, match="Corruption"):
        [store.load(0, b"%d" % i) for i in range(2_000)]
    store.close()

    assert store.load(0, b"0") is None
    assert (store.folder / "windows-0.db.aside").is_dir()


def test_a_locked_database_is_not_taken_for_a_damaged_one(store: _Store) -> None:
    store._db_for_partition(0)

    with pytest.raises(Exception, match="lock"):
        store._open_for_partition(0)

    assert not (store.folder / "windows-0.db.aside").exists()


def test_only_the_last_database_that_was_set_aside_is_kept(tmp_path: Path) -> None:
    for content in "old", "new":
        folder = tmp_path / "windows-0.db"
        folder.mkdir()
        (folder / "file").write_text(content)
        aside = set_aside(folder)

    assert (aside / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["windows-0.db.aside"]


def test_tables_of_another_cluster_are_set_aside(tmp_path: Path) -> None:
    (tmp_path / "windows-0.db").mkdir()
    _check(tmp_path, "first")  # of an older release: kept
    _check(tmp_path, "first")
    assert (tmp_path / "windows-0.db").is_dir()

    _check(tmp_path, "second")

    assert not (tmp_path / "windows-0.db").exists()
    assert (tmp_path / "windows-0.db.aside").is_dir()
    assert (tmp_path / "cluster-id").read_text() == "second\n"


async def test_a_rebalance_while_the_broker_is_asked_changes_nothing_that_is_being_looked_at(
    store: _Store,
) -> None:
    """Faust clears and fills its own set of partitions, and cancels this a little later."""
    recovery = _with_copy(store, 4)
    consumer = _consumer(Mark("", 0, 9))
    answer, asked = asyncio.Event(), asyncio.Event()
    survey = consumer.survey

    async def slowly(tps: set[TP]) -> Any:
        found = await survey(tps)
        asked.set()
        await answer.wait()
        return found

    consumer.survey = slowly
    live = recovery.active_tps
    building = asyncio.create_task(
        recovery._build_offsets(consumer, live, recovery.active_offsets, "active")
    )
    await asked.wait()
    live.clear()
    live.add(SECOND)
    answer.set()
    await building
    assert recovery.active_offsets[FIRST] == 4


def test_the_note_of_the_offset_is_no_row_of_the_table(store: _Store) -> None:
    app = SimpleNamespace(Table=lambda *names, **given: SimpleNamespace(data=store))
    table = BatchTable(app, "windows", partitions=2, buffer_mib=1, about="")
    table.apply(0, [(b"Ward 1", b"a"), (b"s1", b"b")])
    store.set_persisted_offset(FIRST, 33)
    assert list(table.scan(0)) == [(b"Ward 1", b"a"), (b"s1", b"b")]

"""Tables come back in whole fetched batches: Faust's recovery without its cost a record.

Stock Faust brings each changelog record through a message, an event, a queue and a buffer, at some
hundred microseconds each. Here the records of a partition in one fetch go into RocksDB as one write
batch, the last version of a key wins, and the offset that they reach is part of the same batch: a
crash leaves both or neither.

Everything else is Faust's `Recovery`: what is active and what is standby, offsets and high
waters, when recovery starts and ends, its statistics. Four things are added to it:

* A table whose records need more than to be stored (a callback, a set) takes the stock path.
* A log need not end with a record: compaction may have removed the last ones, or a transaction's
  marker stands there. What was read is told by the consumer's position, so recovery ends.
* A local copy of another log (it is ahead of its changelog, or the topic was made anew) is set
  aside, and the table is restored from the changelog.
* A changelog that lacks what a commit says it holds stops the worker, before anything is scored
  (see `streams.changelogs`).
"""

import asyncio
import gc
import logging
from collections.abc import Mapping
from itertools import repeat
from pathlib import Path
from time import monotonic
from typing import Any

import rocksdict
from aiokafka.admin import AIOKafkaAdminClient
from faust.stores.rocksdb import Store
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP

from streams.changelogs import ChangelogLostError, Mark, decode, encode, loss
from streams.metrics import metrics
from tables.rocksdb import set_aside

__all__ = ["BatchRecovery", "BatchTables", "newest", "set_aside_foreign"]

# not `__name__`: Faust's services log under the module of their subclass, and too much
log = logging.getLogger("streams.tables")

#: Beside the tables: the id of the cluster that holds their changelogs.
_CLUSTER = "cluster-id"
#: Beside a database's files: the id of the topic that they are a copy of.
_TOPIC = "vigil-topic-id"

Records = Mapping[Any, list[Any]]


def newest(records: list[Any]) -> dict[bytes, bytes | None]:
    """Return the last version of each key; None where it was deleted.

    Args:
        records: with ``key`` and ``value``, in the order of their offsets.
    """
    return {record.key: record.value for record in records}


class BatchRecovery(Recovery):
    """Recovery that is handed what the consumer fetched."""

    #: Changelog records read since the last assignment.
    _read = 0
    _last_active_event_processed_at: float | None = None
    #: The consumer stands where recovery starts; before that, high waters and offsets are of the
    #: assignment before, and tell nothing.
    _sought = False
    #: The changelogs of this assignment hold what the commits say.
    _trusted = False

    async def on_rebalance(self, *args: Any, **more: Any) -> None:
        """Call when partitions are assigned."""
        self._sought = self._trusted = False
        self.completed.clear()  # Faust leaves it set after the first
        await super().on_rebalance(*args, **more)

    async def _seek_offsets(self, consumer: Any, tps: set[TP], offsets: Any, title: str) -> None:
        await super()._seek_offsets(consumer, tps, offsets, title)
        self.signal_recovery_end.clear()
        self._sought = True

    def take(self, fetched: Records, active: set[TP] | None) -> Records:
        """Put fetched changelog records into their tables, and return the records of other topics.

        Called after every fetch, even one that brought nothing, before another one starts.

        Args:
            fetched: records by partition.
            active: partitions that are wanted now; what else was fetched is dropped.
        """
        changelogs = self.tables.changelog_topics
        others = {}
        for key, records in fetched.items():
            tp = TP(key.topic, key.partition)
            if tp.topic not in changelogs or not self._plain(tp):
                others[key] = records
            elif records and (active is None or tp in active):
                self._apply(tp, records)
        if self.in_recovery and self._sought:
            self._skip_what_is_no_record()
            if not self.need_recovery():
                self.signal_recovery_end.set()
        return others

    def _plain(self, tp: TP) -> bool:
        """Whether a changelog record is a key and a value to be stored and nothing more."""
        table = self.tables._changelogs[tp.topic]
        return isinstance(table.data, Store) and table._on_changelog_event is None

    def _apply(self, tp: TP, records: list[Any]) -> None:
        started = monotonic()
        active = tp in self.active_tps
        if not active and tp not in self.standby_tps:
            return  # revoked
        offsets = self.active_offsets if active else self.standby_offsets
        before, last = offsets.get(tp), records[-1].offset
        if before is not None and last <= before:
            return
        store = self.tp_to_table[tp].data
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in newest(records).items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(store.offset_key, str(last).encode())
        store._db_for_partition(tp.partition).write(batch)
        offsets[tp] = last
        self._read += len(records)

        now = self._last_flush_at = monotonic()
        if active:
            self._active_events_received_at[tp] = now
            self._time(len(records), now - (self._last_active_event_processed_at or started))
            self._last_active_event_processed_at = now
        else:
            self._standby_events_received_at[tp] = now
            if not self.tables.standbys_ready and not self.standby_remaining_total():
                self.tables.on_standbys_ready()

    def _time(self, count: int, seconds: float) -> None:
        """Note how long records took, from which Faust estimates the time that is left."""
        samples = self.num_samples_required_for_estimate
        self._processing_times.extend(repeat(seconds / count, min(count, samples)))
        while len(self._processing_times) > samples:
            self._processing_times.popleft()

    def _skip_what_is_no_record(self) -> None:
        for tp, remaining in self.active_remaining().items():
            highwater = self.active_highwaters[tp]
            if remaining > 0 and _position(self.app.consumer, tp) > highwater:
                self.active_offsets[tp] = highwater
                self.tp_to_table[tp].data.set_persisted_offset(tp, highwater)

    async def _build_offsets(
        self, consumer: Any, tps: set[TP], destination: Any, title: str
    ) -> None:
        tps = set(tps)  # a rebalance changes Faust's own meanwhile
        if title == "active":
            marks = await self._trust(consumer)
        else:
            marks, _ = await consumer.survey(tps)
        for tp in tps & marks.keys():
            path, offset, mark = self._path(tp), destination[tp], marks[tp]
            why = "" if path is None else _foreign(path, mark)
            if not why and offset is not None and offset >= mark.end:
                why = f"it is at offset {offset} and its changelog ends at {mark.end}"
            if why:
                log.warning(
                    "the local copy of %s-%d belongs to another changelog: %s. It is set aside, "
                    "and what the changelog holds is restored",
                    tp.topic, tp.partition, why,
                )  # fmt: skip
                _forget(self.tp_to_table[tp].data, tp.partition)
                destination[tp] = None
            if path is not None:
                _note_topic(path, mark)
        await super()._build_offsets(consumer, tps, destination, title)

    def _path(self, tp: TP) -> Path | None:
        store = self.tp_to_table[tp].data
        return store.partition_path(tp.partition) if isinstance(store, Store) else None

    async def _trust(self, consumer: Any) -> Mapping[TP, Mark]:
        """Stop the worker where a changelog lacks what a commit says it holds; return the marks."""
        found, notes = await consumer.survey(set(self.active_tps))
        lost = {
            f"{tp.topic}-{tp.partition} {said}"
            for source, note in notes.items()
            for name, noted in decode(note).items()
            if (tp := TP(name, source.partition)) in found and (said := loss(noted, found[tp]))
        }
        if lost:
            group, application = self.app.conf.id, self.app.application
            await self.app.fail(ChangelogLostError(_refusal(lost, group, application)))
        self.tables.marks = dict(found)
        self._trusted = True
        return self.tables.marks

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Call when the tables are restored; the log tells how long it took."""
        if not self._trusted:  # Faust gives up building offsets after a time-out, and goes on
            await self._trust(self.app.consumer)
        await super().on_recovery_completed(generation_id)
        if self.completed.is_set():
            seconds = monotonic() - self.tables.assigned_at
            metrics.recovery.set(seconds)
            log.info(
                "tables of %d partitions ready %.2f s after assignment, %d changelog records read",
                len(self.active_tps), seconds, self._read,
            )  # fmt: skip
            self._read = 0


def _position(consumer: Any, tp: TP) -> int:
    """Offset that the consumer would read next; -1 where it does not know yet."""
    assignment = consumer._thread._ensure_consumer()._subscription.subscription.assignment
    state = assignment.state_value(tp) if assignment is not None else None
    return state.position if state is not None and state.has_valid_position else -1


class BatchTables(TableManager):
    """Faust's table manager with `BatchRecovery`.

    Attributes:
        assigned_at: monotonic time of the last assignment.
        marks: how far the broker is known to hold the changelogs of this assignment.
    """

    assigned_at = 0.0
    _recovery: BatchRecovery | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.marks: dict[TP, Mark] = {}

    def delivered(self, tp: TP, offset: int) -> None:
        """Note that the broker holds a changelog up to and including an offset."""
        mark = self.marks.get(tp)
        if mark is not None and offset >= mark.end:
            self.marks[tp] = Mark(mark.topic_id, mark.start, offset + 1)

    def note(self, partition: int) -> str:
        """Return what a commit of a partition is to say of the changelogs."""
        return encode({tp.topic: m for tp, m in self.marks.items() if tp.partition == partition})

    @property
    def recovery(self) -> BatchRecovery:
        """The recovery service."""
        if self._recovery is None:
            self._recovery = BatchRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_rebalance(self, *args: Any, **more: Any) -> None:
        """Call when partitions are assigned."""
        self.assigned_at = monotonic()
        await super().on_rebalance(*args, **more)

    async def on_start(self) -> None:
        """Register the tables at once: Faust waits a second, for tables that we do not have."""
        await self._update_channels()
        await self.recovery.start()


def _refusal(lost: set[str], group: str, application: str) -> str:
    more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
    return (
        f"changelog {min(lost)}{more}, by what was noted when offsets were last committed. States "
        "would lack readings that are committed, so nothing is scored. Stop all workers of group "
        f"{group}, run `vigil rebuild {application}`, and start them: states are then computed "
        "anew from the readings and admissions that the topics still hold, and what was "
        "recommended comes again under its id."
    )


def _foreign(path: Path, mark: Mark) -> str:
    """Say why a local copy is of another topic than the changelog; empty where it is not known."""
    note = path / _TOPIC
    known = note.read_text().strip() if note.exists() else mark.topic_id
    return "the topic was made anew" if mark.topic_id and known != mark.topic_id else ""


def _note_topic(path: Path, mark: Mark) -> None:
    note = path / _TOPIC
    if mark.topic_id and not note.exists():
        path.mkdir(parents=True, exist_ok=True)
        note.write_text(mark.topic_id + "\n")


def _forget(store: Store, partition: int) -> None:
    """Close a partition's database and set its folder aside; it is made anew when next used."""
    store._dbs.pop(partition, None)
    gc.collect()  # closes it
    set_aside(store.partition_path(partition))


async def set_aside_foreign(client: dict[str, Any], folder: Path) -> None:
    """Set the tables of another cluster aside: their offsets mean nothing on this one.

    Args:
        client: arguments that connect an aiokafka client.
        folder: of the tables.
    """
    admin = AIOKafkaAdminClient(**client)
    try:
        await admin.start()
        cluster = str((await admin.describe_cluster())["cluster_id"])
    finally:
        await admin.close()
    await asyncio.to_thread(_check, folder, cluster)


def _check(folder: Path, cluster: str) -> None:
    note = folder / _CLUSTER
    known = note.read_text().strip() if note.exists() else cluster
    if known != cluster:
        for database in sorted(folder.glob("*.db")):
            set_aside(database)
        log.warning(
            "the tables in %s belong to cluster %s and this is %s: they are set aside as *.aside, "
            "and what the changelogs hold is restored",
            folder, known, cluster,
        )  # fmt: skip
    if known != cluster or not note.exists():
        folder.mkdir(parents=True, exist_ok=True)
        note.write_text(cluster + "\n")

"""A Kafka transport for Faust that hands a fetched batch of a partition to the agent as one event.

Stock Faust spends about 200 microseconds on an event: four asyncio tasks a message, a queue, a
future a send. With a batch as the event that cost is paid once for thousands of readings, and
everything else of Faust stays as it is: agents, tables, assignor, changelogs, recovery.

**Which topics.** Those named in `BatchApp.batched_topics`; changelogs go into their tables as they
were fetched (see `streams.recovery`); all others take the stock path record by record.

**What an agent gets.** An event whose value is a `Batch`: the raw records of one partition in one
fetch, in the order of their offsets, at most ``batch_max`` of them, with keys, values, headers and
timestamps undecoded. Nothing is decoded on the way, so no record can be lost to a decode error: a
poison record is the agent's to dead-letter, beside its good neighbours.

**Acknowledgement.** A batch is acknowledged whole (`event.ack()`), by its agent, once the broker
holds everything that came of it. The committed offset of a partition only ever moves over a prefix
of acknowledged batches, whatever order they finish in; it is the offset after the last record of
the last of them, so gaps that compaction or transactions leave in the offsets do not matter.

**Back-pressure.** While ``batches_in_flight`` batches of a partition wait for acknowledgement it is
not fetched from, nor while its newest one is small and not begun. Other partitions go on.

**Rebalance, suspension, shutdown.** Batches of a revoked partition are forgotten: a late
acknowledgement changes nothing, their records come again to whoever owns the partition. Such a
batch knows that it is `stale`, and an agent asks before it touches state. When the flow is
suspended in the middle of a fetch, the rest of the fetch is dropped and Faust seeks back to the
committed offsets, as it does for single messages. Within one assignment the offsets of a partition
are delivered in sequence, none twice and none passed over, whatever was in flight when Faust
sought.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from time import monotonic
from typing import Any

import faust
from aiokafka.errors import IllegalStateError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from streams.changelogs import Mark
from streams.fetching import ConsumerThread, Record
from streams.lease import Lease
from streams.producer import BatchProducer
from streams.recovery import BatchTables

__all__ = ["Batch", "BatchApp", "BatchSchema"]


@dataclass(slots=True, eq=False)
class Batch:
    """Records of one partition, in the order of their offsets; never empty.

    Attributes:
        tp: topic and partition.
        records: with keys and values as they came.
        begun: its agent works on it.
        acked: everything that came of it is with the broker.
        stale: its partition has been revoked since; state must not be touched for it any more.
        fetched_at: monotonic time in seconds.
    """

    tp: TP
    records: list[Record]
    begun: bool = False
    acked: bool = False
    stale: bool = False
    fetched_at: float = field(default_factory=monotonic)

    @property
    def end(self) -> int:
        """Offset after the last record."""
        return int(self.records[-1].offset) + 1


class BatchSchema(faust.Schema):
    """Passes on what the transport made: nothing is decoded."""

    def loads_key(self, app: Any, message: Any, **options: Any) -> None:
        """A batch has no key."""

    def loads_value(self, app: Any, message: Any, **options: Any) -> Any:
        """Return the batch."""
        return message.value


@dataclass(slots=True, eq=False)
class _Partition:
    """Batches of one partition that wait for acknowledgement, in the order of their offsets."""

    waiting: deque[Batch] = field(default_factory=deque)
    committable: int | None = None
    #: Monotonic time since which something committable is not committed.
    uncommitted_since: float | None = None

    def settle(self) -> None:
        """Move the committable offset over the acknowledged prefix."""
        while self.waiting and self.waiting[0].acked:
            self.committable = self.waiting.popleft().end
            self.uncommitted_since = self.uncommitted_since or monotonic()

    def confirm(self, offset: int) -> None:
        """Note that the broker has confirmed a commit."""
        self.uncommitted_since = None if offset == self.committable else monotonic()


_LOOK_AGAIN_S = 0.01
_ABOUT_TO_BE_ACTIVE_S = 0.01


class BatchConsumer(driver.Consumer):
    """A consumer that delivers batches for some topics."""

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def on_init(self) -> None:
        """Set up the bookkeeping; Faust calls it again at every restart."""
        super().on_init()
        self._partitions: dict[TP, _Partition] = {}
        self._resumed_at: dict[TP, int] = {}
        self._confirmed: dict[TP, int] = {}
        self._expected: dict[TP, int] = {}
        self._gaps: dict[TP, int] = {}
        self._released = asyncio.Event()
        self._positions: dict[TP, int] = {}
        self._fetched_to: dict[TP, int] = {}
        self._assignments = 0

    # -- what agents ask

    def resumed_at(self, tp: TP) -> int:
        """Offset at which this worker resumed a partition when it was last assigned."""
        return self._resumed_at.get(tp, 0)

    def committed(self, tp: TP) -> int:
        """Offset up to which (exclusive) the broker has confirmed a commit.

        Not Faust's own record, which moves although a commit was refused in a rebalance.
        """
        return self._confirmed.get(tp, 0)

    @property
    def assignment_number(self) -> int:
        """Counts assignments: when it changes, state built before is no longer to be trusted."""
        return self._assignments

    def waiting(self) -> list[Batch]:
        """Batches that wait for acknowledgement."""
        return [batch for partition in self._partitions.values() for batch in partition.waiting]

    async def end_offset(self, tp: TP) -> int:
        """Ask the broker for the end of a partition.

        Not through Faust's queue to the consumer's thread, where it would wait behind a fetch.
        """
        inner = self._thread._ensure_consumer()
        asked = asyncio.run_coroutine_threadsafe(inner.end_offsets([tp]), self._thread.thread_loop)
        return int((await asyncio.wrap_future(asked))[tp])

    async def survey(self, changelogs: set[TP]) -> tuple[dict[TP, Mark], dict[TP, str]]:
        """Ask the broker what it holds of changelogs, and what was committed beside them.

        Returns:
            A mark of each changelog's partition, and the note of each commit of this worker's
            other partitions that has been made.
        """
        sources = {ensure_TP(tp) for tp in self.assignment()}
        sources = {tp for tp in sources if tp.topic not in self.app.tables.changelog_topics}
        asked = asyncio.run_coroutine_threadsafe(
            self._thread.survey(changelogs, sources), self._thread.thread_loop
        )
        return await asyncio.wrap_future(asked)

    def handled(self, tp: TP, end: int, handled_to: int) -> bool:
        """Whether all records before an offset have been handled by their agent.

        The consumer's position tells how far a partition was fetched. The last record would not:
        a transaction's marker has an offset and is never delivered, and an emptied log has none.

        Args:
            tp: the partition.
            end: offset before which everything is asked for.
            handled_to: offset after the last record that the agent has handled, 0 = none.
        """
        if tp not in self._expected or self._positions.get(tp, -1) < end:
            return False
        # records on their way from the consumer's thread to the agent are counted as well
        fetched_to = max(self._expected[tp], self._fetched_to.get(tp, 0))
        return max(handled_to, self.resumed_at(tp)) >= fetched_to

    async def begin(self, batch: Batch) -> bool:
        """Begin with a batch; tell whether its partition is surely still this worker's.

        An agent asks before it writes state, and gives the batch up where it is told no.

        A worker that was stopped for longer than its session wakes up with batches in hand, while
        another has long gone on with its partitions: what it wrote to a changelog now would take
        the other's place. So it waits for a heartbeat that the broker has accepted, or for the
        rebalance that makes the batch stale.
        """
        while True:
            if batch.stale:
                return False
            if self.app.lease.runs:
                break
            await asyncio.sleep(_LOOK_AGAIN_S)
        batch.begun = True
        self._make_room(batch.tp)
        return True

    def oldest_work(self) -> float | None:
        """Monotonic time of the oldest thing that is fetched and not committed; None: nothing."""
        times = [batch.fetched_at for batch in self.waiting()]
        times += [p.uncommitted_since for p in self._partitions.values() if p.uncommitted_since]
        return min(times, default=None)

    def lag(self, tp: TP, end: int) -> int:
        """Records between ``end`` and the end of a partition, as it was last heard of."""
        highwater = self.highwater(tp)
        return 0 if highwater is None else max(0, int(highwater) - end)

    # -- fetching

    def fetched(self, records: Mapping[Any, list[Any]], positions: dict[TP, int]) -> None:
        """Note what was fetched, before any of it is delivered."""
        self._positions = positions
        for tp, found in records.items():
            if tp.topic in self.app.batched_topics and found:
                self._fetched_to[ensure_TP(tp)] = found[-1].offset + 1

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:  # noqa: ASYNC109
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        if not self._get_active_partitions():
            # Faust waits a second, also right after a rebalance, when they are about to be active
            self._released.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._released.wait(), _ABOUT_TO_BE_ACTIVE_S)
            return {}, set()
        return await super()._wait_next_records(timeout)

    async def getmany(
        self,
        timeout: float,  # noqa: ASYNC109 - as Faust calls it
    ) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Fetch; yield a message per batch of a batched topic, else a message per record."""
        records, active = await self._wait_next_records(timeout)
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            # as in stock Faust: what was fetched is dropped, and fetched again from the commit;
            # where partitions are revoked meanwhile, the rebalance ends with another seek
            with suppress(IllegalStateError):
                await self.perform_seek()
            return
        generation = self.app.consumer_generation_id
        records = self.app.tables.recovery.take(records, active)
        await self._read_again(records)
        for fetched_tp, fetched in records.items():
            tp = ensure_TP(fetched_tp)
            if tp.topic in self.app.batched_topics:
                fetched = await self._in_sequence(tp, fetched)
            for message in self._messages(tp, fetched):
                if not self.flow_active or generation != self.app.consumer_generation_id:
                    return
                if active is None or tp in active or tp in self._buffered_partitions:
                    self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
                    self._track(tp, message)
                    yield tp, message

    async def _drain_messages(self, fetcher: Any) -> None:
        """Fetch and deliver until told to stop; as Faust's, without four tasks a message."""
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                await asyncio.sleep(0)  # where there is always something to read, others run too
                async for tp, message in self.getmany(timeout=1.0):
                    await self._deliver(tp, message)
        except (asyncio.CancelledError, *self.consumer_stopped_errors):
            if not self.app.should_stop:
                raise

    async def _deliver(self, tp: TP, message: ConsumerMessage) -> None:
        read_to = self._read_offset[tp]
        if not isinstance(message.value, Batch):
            if read_to is not None and message.offset < read_to:
                return  # came before
            gap = read_to and message.offset > read_to + 1
            if gap and self.app.topics.acks_enabled_for(message.topic):
                await self._add_gap(tp, read_to + 1, message.offset)
        if isinstance(message.value, Batch) and self.flow_active:
            await self.callback(message)
        else:  # it may have to wait for room, which a suspended flow does not make
            await self.wait_first(self.callback(message), self.suspend_flow.wait())
        self._read_offset[tp] = message.offset

    async def _read_again(self, records: Mapping[Any, list[Any]]) -> None:
        """Go back where the position has moved on and no record has come.

        A fetch that a rebalance has cancelled may have moved it: its records reached nobody, and
        nothing would tell that the last ones of a partition are missing. Where nothing comes the
        second time either there is nothing: a transaction's marker, or a log without its end.

        Not while `_in_sequence` drops what comes: that would count as the second time.
        """
        if not self.app.tables.recovery.completed.is_set():
            return
        await self._go_back(
            {
                tp: expected
                for tp, expected in self._expected.items()
                if self._positions.get(tp, -1) > expected
                and tp not in records
                and tp.topic in self.app.batched_topics
                and self._gaps.get(tp) != expected
            }
        )

    async def _go_back(self, offsets: dict[TP, int]) -> None:
        """Read on from there once more; what is missing then too is a gap.

        Noted before it is waited for: a rebalance may come meanwhile, with notes of its own.
        """
        if offsets:
            for notes in (self._gaps, self._fetched_to, self._positions):
                notes.update(offsets)
            await self._thread.seek_in_thread(offsets)

    async def _seek(self, partition: TP, offset: int) -> None:
        await self._thread.seek_in_thread({partition: offset})

    async def _in_sequence(self, tp: TP, records: list[Any]) -> list[Any]:
        """Return the records that follow those delivered before, or none and fetch again.

        Around a rebalance a fetch may still be under way while Faust seeks: its records can come
        twice, or be lost between the two with the position already beyond them. Here nothing is
        delivered twice in one assignment, and nothing is passed over: where an offset is missing
        the partition is read again from there, once. If it is missing again it is a gap of the log
        (compaction, a transaction's marker, retention).
        """
        expected = self._expected.get(tp)
        # Assigned, and not yet sought to the committed offset; or sought, and Faust has still to
        # empty the agents' queues, and what is in them, before it calls the recovery completed.
        if expected is None or not self.app.tables.recovery.completed.is_set():
            return []
        if records[0].offset > expected and self._gaps.get(tp) != expected:
            await self._go_back({tp: expected})
            return []
        if records[0].offset >= expected:
            return records
        return [record for record in records if record.offset >= expected]

    def _messages(self, tp: TP, records: list[Any]) -> Iterator[ConsumerMessage]:
        if tp.topic not in self.app.batched_topics:
            for record in records:
                yield self._to_message(tp, record)
            return
        size = self.app.batch_max
        for start in range(0, len(records), size):
            batch = Batch(tp, records[start : start + size])
            first = batch.records[0]
            yield ConsumerMessage(
                tp.topic,
                tp.partition,
                first.offset,
                first.timestamp / 1000.0,
                first.timestamp_type,
                (),
                None,
                batch,
                None,
                tp=tp,
                generation_id=self.app.consumer_generation_id,
            )

    def _track(self, tp: TP, message: ConsumerMessage) -> None:
        if isinstance(message.value, Batch):
            self._expected[tp] = message.value.end
            partition = self._partitions.setdefault(tp, _Partition())
            partition.waiting.append(message.value)
            if self._is_full(partition):
                self.on_buffer_full(tp)

    def _is_full(self, partition: _Partition) -> bool:
        """Whether more of a partition would only wait here.

        Until its newest batch is begun, what follows waits as well at the broker, and comes as one
        batch: the busier the agents, the larger the batches, and the less a record costs. Where
        there is enough for whole batches anyway, they come ahead.
        """
        if not partition.waiting:
            return False
        newest = partition.waiting[-1]
        small = len(newest.records) < self.app.batch_max
        return len(partition.waiting) >= self.app.batches_in_flight or (small and not newest.begun)

    def _make_room(self, tp: TP) -> None:
        """Fetch from a partition again, where it is not full any more."""
        if tp in self._buffered_partitions and not self._is_full(self._partitions[tp]):
            self.on_buffer_drop(tp)
            self._released.set()
            self._thread.look_again()

    # -- acknowledging and committing

    def track_message(self, message: Any) -> None:
        """Count a message as being worked on; a batch is tracked when it is fetched."""
        if not isinstance(message.value, Batch):
            super().track_message(message)

    def ack(self, message: Any) -> bool:
        """Mark a message as done; for a batch, all its records."""
        batch = message.value
        if not isinstance(batch, Batch):
            return bool(super().ack(message))
        if batch.acked or batch.stale:
            return False
        message.acked = batch.acked = batch.begun = True
        self._partitions[batch.tp].settle()
        self._make_room(batch.tp)
        return True

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        ready = (tp for tp, p in self._partitions.items() if p.committable is not None)
        return chain(
            super()._filter_tps_with_pending_acks(topics),
            (tp for tp in ready if topics is None or tp in topics or tp.topic in topics),
        )

    def _new_offset(self, tp: TP) -> int | None:
        if tp.topic not in self.app.batched_topics:
            offset: int | None = super()._new_offset(tp)
            return offset
        partition = self._partitions.get(tp)
        return None if partition is None else partition.committable

    async def _commit_offsets(
        self, offsets: Mapping[TP, int], start_new_transaction: bool = True
    ) -> bool:
        assignment = self._assignments
        before = {tp: self._committed_offset[tp] for tp in offsets}
        done = bool(await super()._commit_offsets(offsets, start_new_transaction))
        if not done:  # Faust notes it as done
            self._committed_offset.update(before)
        if done and assignment == self._assignments:
            mine = self.assignment()
            for tp, offset in offsets.items():
                if tp in mine:
                    self._confirmed[tp] = offset
                    self._partitions.get(tp, _Partition()).confirm(offset)
        return done

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit, and note how far the changelogs reach: see `streams.changelogs`."""
        note = self.app.tables.note
        noted = {tp: OffsetAndMetadata(at, note(tp.partition)) for tp, at in offsets.items()}
        return bool(await super()._commit(noted))

    async def wait_empty(self) -> None:
        """Commit what is acknowledged; batches that are not come again to the next owner."""
        await self.commit_and_end_transactions()

    # -- rebalance

    async def perform_seek(self) -> None:
        """Seek to the committed offsets and note them: agents build state from there."""
        self._expected.clear()  # nothing is delivered in between
        await super().perform_seek()
        self._forget(list(self._partitions))
        # aiokafka seeks only where something is committed; elsewhere the position stays where an
        # earlier fetch has left it
        await self._thread.seek_in_thread(
            {
                tp: 0
                for tp in map(ensure_TP, self.assignment())
                if tp.topic in self.app.batched_topics and not self._read_offset[tp]
            }
        )
        # from here on without a pause: all of it is of this assignment
        self._resumed_at = {ensure_TP(tp): self._read_offset[tp] or 0 for tp in self.assignment()}
        self._confirmed = dict(self._resumed_at)
        self._expected = dict(self._resumed_at)
        self._gaps.clear()
        self._positions, self._fetched_to = {}, {}  # a fetch may have ended meanwhile
        self._assignments += 1

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit and forget; nothing that was sent arrives once this is over."""
        try:
            await super().on_partitions_revoked(revoked)
            self._forget(revoked)
            if revoked:
                await self.app.producer.revoke()
        finally:  # aiokafka joins the group again, whatever is raised here
            self.app.lease.end()

    def _forget(self, tps: Iterable[TP]) -> None:
        for tp in tps:
            self._expected.pop(tp, None)
            for batch in self._partitions.pop(tp, _Partition()).waiting:
                batch.stale = True


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with the consumer above and `BatchProducer`."""

    Consumer = BatchConsumer
    Producer = BatchProducer


class BatchApp(faust.App):
    """A Faust application some of whose topics are delivered in batches.

    Attributes:
        batched_topics: their names.
        batch_max: records in a batch at most.
        batches_in_flight: unacknowledged batches of a partition at most.
        application: its name, without the prefix of the topics.
        broker_wait_s: how long a broker that is away is waited for at the start.
    """

    application: str = ""
    broker_wait_s: float = 0
    batched_topics: frozenset[str] = frozenset()
    batch_max: int = 1_000
    batches_in_flight: int = 4

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"TableManager": BatchTables, **options})

    @cached_property
    def lease(self) -> Lease:
        """Until when this worker's partitions are surely its own."""
        # a worker that does not come to a rebalance is given up after the one, or after the other
        return Lease(min(self.conf.broker_session_timeout, self.conf.broker_rebalance_timeout))

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_producer, self)

    def batch_topic(self, *names: str, **options: Any) -> Any:
        """Declare topics that are delivered in batches, to one agent in one stream."""
        self.batched_topics |= frozenset(names)
        return self.topic(*names, schema=BatchSchema(), **options)

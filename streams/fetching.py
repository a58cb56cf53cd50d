"""The thread around aiokafka's consumer: what it fetches, and what it asks of the brokers.

Faust runs the consumer in a thread of its own, so that heartbeats go on while an agent calculates.
What is changed here is how long anything waits: a fetch waits in no queue, nothing waits behind a
fetch, and what a rebalance does not need to wait for it does not.
"""

import asyncio
import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any

import msgspec
from aiokafka import TopicPartition
from aiokafka.client import ConnectionGroup
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import (
    IllegalGenerationError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    UnknownMemberIdError,
)
from aiokafka.protocol.group import HeartbeatRequest, LeaveGroupRequest, SyncGroupRequest
from aiokafka.protocol.offset import OffsetRequest
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.changelogs import Mark
from streams.patience import connected
from streams.topic_ids import topic_ids
from streams.unpacking import accept_any_name

__all__ = ["ConsumerThread", "Record"]

log = logging.getLogger(__name__)

_SWITCH_S = 0.0005
#: How long a fetch waits at the broker for the first record.
_FETCH_WAIT_MS = 20
#: How long partitions whose records are still here hold up the broker's others; where the records
#: are few.
_HELD_UP_S = 0.003
_HELD_UP_BY_LITTLE_S = 0.02
_LITTLE_BYTES = 64 * 1024
_NOT_A_MEMBER = (UnknownMemberIdError.errno, IllegalGenerationError.errno)

accept_any_name()


class Record(msgspec.Struct, gc=False):
    """A record as it was fetched: what aiokafka's has, made in a fifth of the time.

    Attributes:
        topic: it was read from.
        partition: it was read from.
        offset: its place there.
        timestamp: Kafka time, ms.
        timestamp_type: 0 = of the producer, 1 = of the broker.
        key: bytes or None.
        value: bytes or None.
        headers: names and bytes; of the names see `streams.header_names`.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    # Faust passes these on
    checksum: None = None
    serialized_key_size: int = -1
    serialized_value_size: int = -1


def _record(tp: Any, fetched: Any) -> Record:
    return Record(
        tp.topic,
        tp.partition,
        fetched.offset,
        fetched.timestamp,
        fetched.timestamp_type,
        fetched.key,
        fetched.value,
        fetched.headers,
    )


class _Fetched(dict[Any, Any]):
    """What aiokafka has fetched and not yet handed over; its records are made by `_record`.

    A little is taken within milliseconds, and fetched for again together with everything else. If
    the next fetch were sent without its partition, it would wait at the broker for records of
    topics that seldom have any, and the partition for its end.
    """

    def __setitem__(self, tp: Any, result: Any) -> None:
        if isinstance(result, FetchResult):
            fetched = result._partition_records
            fetched._consumer_record = _record
            if fetched._records.size_in_bytes() < _LITTLE_BYTES:
                result._backoff = _HELD_UP_BY_LITTLE_S
        super().__setitem__(tp, result)


async def _send(send: Any, node: int, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
    """Ask for the end of a partition on the coordinator's connection.

    On that of the fetches a broker would answer when the fetch before it has ended.
    """
    if isinstance(request, OffsetRequest):
        group = ConnectionGroup.COORDINATION
    try:
        return await send(node, request, group=group)
    except RuntimeError as error:  # what uvloop says of a connection that was closed a moment ago
        raise KafkaConnectionError(str(error)) from error


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's thread around the consumer, without a queue in front of a fetch."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # whatever else is asked of a broker waits behind the fetch on its connection, and so does
        # the first fetch after a seek: with Faust's 1.5 s a rebalance stands still for seconds
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS
        return consumer

    async def on_start(self) -> None:
        """Connect."""
        # Each piece of a fetch that arrives needs the interpreter, which a busy main thread gives
        # away only so often: at Python's 5 ms, 64 KiB at a time, the network would be the brake.
        sys.setswitchinterval(_SWITCH_S)
        await connected(super().on_start, lambda: self._consumer, self.app)
        coordinator = self._ensure_consumer()._coordinator
        coordinator._send_req = partial(self._ask_group, coordinator._send_req)
        client = self._ensure_consumer()._client
        client.send = partial(_send, client.send)
        fetcher = self._ensure_consumer()._fetcher
        fetcher._records = _Fetched()
        # How long partitions whose records are still here hold up the broker's others. At once, the
        # next fetch would be without them, and they without a fetch until it has ended.
        fetcher._prefetch_backoff = _HELD_UP_S

    async def _ask_group(self, send: Any, request: Any) -> Any:
        """Ask the group's coordinator, and note what its answer says about the lease."""
        lease = self.app.lease
        if isinstance(request, LeaveGroupRequest):
            lease.end()
        asked_at = monotonic()
        answer = await send(request)
        if isinstance(request, SyncGroupRequest) and not answer.error_code:
            lease.begin(asked_at)
        elif isinstance(request, HeartbeatRequest):
            if not answer.error_code:
                lease.renew(asked_at)
            elif answer.error_code in _NOT_A_MEMBER:
                lease.end()
        return answer

    async def getmany(
        self,
        active_partitions: set[TP] | None,
        timeout: float,  # noqa: ASYNC109 - as Faust calls it
    ) -> Any:
        """Fetch, beside whatever else is asked of the thread.

        In Faust's queue a fetch that waits for records holds up commits, seeks and questions for
        up to a second, and each call takes two more turns of the thread's loop.
        """
        assignment = self.consumer.assignment_number
        fetching = asyncio.run_coroutine_threadsafe(
            self._fetch(active_partitions, timeout), self.thread_loop
        )
        records, positions = await asyncio.wrap_future(fetching)
        sought = assignment != self.consumer.assignment_number
        # positions from before a seek tell nothing about what follows it
        self.consumer.fetched(records, {} if sought else positions)
        return records

    async def _fetch(
        self, active_partitions: set[TP] | None, seconds: float
    ) -> tuple[Any, dict[TP, int]]:
        """Return records, and the positions with just these records fetched."""
        consumer = self._ensure_consumer()
        records = await self._fetch_records(
            consumer, active_partitions, timeout=seconds, max_records=consumer._max_poll_records
        )
        subscribed: Any = consumer._subscription.subscription
        assignment = subscribed and subscribed.assignment
        states = {tp: assignment.state_value(tp) for tp in assignment.tps} if assignment else {}
        return records, {tp: s.position for tp, s in states.items() if s.has_valid_position}

    async def seek_in_thread(self, offsets: Mapping[TP, int]) -> None:
        """Seek in the thread that fetches.

        aiokafka is not made for two threads: a seek takes away records that a fetch is about to
        hand over, and the fetch ends in a KeyError. Faust seeks from the main thread.

        Args:
            offsets: by partition. One that was revoked a moment ago is left to its next owner.
        """
        seeking = asyncio.run_coroutine_threadsafe(self._seek(offsets), self.thread_loop)
        # who waits may be told to stop; what was noted of the seek is true all the same
        await asyncio.shield(asyncio.wrap_future(seeking))

    async def _seek(self, offsets: Mapping[TP, int]) -> None:
        consumer = self._ensure_consumer()
        for tp, offset in offsets.items():
            with suppress(IllegalStateError):
                consumer.seek(TopicPartition(*tp), offset)

    def look_again(self) -> None:
        """Tell a fetch under way that a partition is wanted again: its records may be here."""
        self.thread_loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        fetcher = self._ensure_consumer()._fetcher
        for waiter in list(fetcher._fetch_waiters):
            fetcher._notify(waiter)

    async def survey(
        self, changelogs: set[TP], sources: set[TP]
    ) -> tuple[dict[TP, Mark], dict[TP, str]]:
        """See `BatchConsumer.survey`."""
        consumer = self._ensure_consumer()
        # first: what is committed meanwhile may tell of more than is found here
        commits = await consumer._coordinator.fetch_committed_offsets(
            [TopicPartition(*tp) for tp in sources]
        )
        asked = [TopicPartition(*tp) for tp in changelogs]
        starts, ends, ids = await asyncio.gather(
            consumer.beginning_offsets(asked),
            consumer.end_offsets(asked),
            topic_ids(consumer._client, {tp.topic for tp in changelogs}),
        )
        return (
            {tp: Mark(ids[tp.topic], starts[tp], ends[tp]) for tp in changelogs},
            {ensure_TP(tp): commit.metadata for tp, commit in commits.items()},
        )

    async def _commit(self, offsets: Mapping[TP, Any]) -> bool:
        """Commit; a commit that the broker did not take is made up for by the next one.

        Faust stops the worker instead, although nothing is lost: the offsets stay where they were.

        Args:
            offsets: each with its note.
        """
        mine = self.assignment()
        try:
            await self._ensure_consumer().commit(
                {TopicPartition(*tp): noted for tp, noted in offsets.items() if tp in mine}
            )
        except KafkaError as error:
            log.warning("a commit was not taken, the next one will do: %s", error)
            return False
        return True

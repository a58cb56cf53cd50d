"""A Kafka producer for Faust whose records arrive while their sender is who it was, or never.

A record of a changelog says what a worker knew of a key. Once another worker has the partition and
has written the key again, it must not arrive any more: it would stand after the newer one, and who
restores the table would believe it. A transactional producer is fenced by the broker. This one
fences itself, by the lease of its worker's partitions (`streams.lease`).

**Retries.** The producer is idempotent: what it sends again neither repeats nor reorders.

**While the lease runs.** A produce request, first try or not, is begun only while `Lease.sends`;
otherwise it waits for a heartbeat. When the lease runs out, connections that a produce request is
on are reset, so that the kernel drops what it still holds of it. Where the process is stopped at
that moment, the kernel gives up by itself (``TCP_USER_TIMEOUT``, where there is one), and what it
has still to give to the kernel it does not when it wakes up.

**One producer an assignment.** In a rebalance, what waits is given a moment to be delivered. The
rest is given up: its futures fail with `RevokedError`, requests under way are cancelled and their
connections reset, and whoever still has that producer in hand cannot add to it any more. What
follows is sent by a producer that shares its connections and nothing else: with an id of its own,
so that no gap in the sequence of the one before stops it.

Nothing of this is done for a record: a request is held against the clock once, and a timer looks
after requests under way, once in the better part of a session.
"""

import asyncio
import copy
import logging
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from itertools import chain
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.client import ConnectionGroup
from aiokafka.conn import CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError, NodeNotReadyError
from aiokafka.protocol.produce import ProduceRequest
from faust.transport.drivers import aiokafka as driver

from streams.lease import Lease
from streams.patience import connected

__all__ = ["BatchProducer", "Gate", "OneProducer", "RevokedError"]

log = logging.getLogger(__name__)

#: Closed with this, a socket is reset and what it has not sent is dropped.
_RESET = struct.pack("ii", 1, 0)
#: Bytes that a socket takes at once while nothing else is on it.
_SMALL = 32 * 1024


class RevokedError(KafkaError):
    """What was sent belongs to an assignment that is over; the partition's next owner sends it."""


class OneProducer(AIOKafkaProducer):
    """aiokafka's producer, for what is sent in one assignment.

    Args:
        settings: as aiokafka takes them.
    """

    client: Any
    _metadata: Any

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._requests: set[asyncio.Task[Any]] = set()
        self._error: RevokedError | None = None
        accumulator, sender = self._message_accumulator, self._sender
        accumulator._append_batch = partial(self._append, accumulator._append_batch)
        sender._send_produce_req = partial(self._request, sender._send_produce_req)

    def follow(self, before: "OneProducer") -> None:
        """Start, on the connections of a producer that is given up.

        The broker is not waited for: it is asked for an id before anything is sent.
        """
        sender = self._sender
        self.client = sender.client = before.client
        self._metadata = self._message_accumulator._cluster = before._metadata
        sender._sender_task = asyncio.create_task(sender._sender_routine())
        sender._sender_task.add_done_callback(sender._fail_all)
        before._closed = True  # all but its connections, which go on

    async def settle(self, lease: Lease, seconds: float) -> None:
        """Wait until everything is delivered, while it may be, and no longer than so long."""
        end = monotonic() + seconds
        while waiting := [batch.future for batch in self._undelivered() if not batch.future.done()]:
            left = min(end, lease.sends_until) - monotonic()
            if left <= 0:
                return
            await asyncio.wait(waiting, timeout=left)

    def give_up(self) -> int:
        """Deliver nothing more; return how many record batches that concerns.

        Of those that were under way nobody knows whether the broker has them.
        """
        self._error = error = RevokedError("its partitions were given up")
        accumulator, sender = self._message_accumulator, self._sender
        undelivered = self._undelivered()
        accumulator._batches.clear()
        # those that wait for another try are not there, and take themselves out when they fail
        accumulator._pending_batches.update(undelivered)
        accumulator._exception = error
        for batch in undelivered:
            batch.failure(error)
            # whether anybody waits for it or not
            batch.future.exception()
            batch._drain_waiter.exception()
        for request in self._requests:
            request.cancel()
        if sender._sender_task is not None:
            sender._sender_task.cancel()
            sender._sender_task = None
        return len(undelivered)

    def _undelivered(self) -> list[Any]:
        accumulator = self._message_accumulator
        return [*chain.from_iterable(accumulator._batches.values()), *accumulator._pending_batches]

    def _append(self, append: Any, builder: Any, tp: Any) -> Any:
        if self._error is not None:  # it waited for room meanwhile
            raise copy.copy(self._error)
        return append(builder, tp)

    async def _request(self, send: Any, node: int, batches: Any) -> None:
        if self._error is not None:  # it was to be sent next
            return
        task: Any = asyncio.current_task()
        self._requests.add(task)
        try:
            await send(node, batches)
        finally:
            self._requests.discard(task)


class Gate:
    """Lets produce requests pass while the lease runs; what is under way when it ends is cut off.

    Args:
        client: of the producers; its ``send`` goes through here from now on.
        lease: of the partitions that they send for.
    """

    def __init__(self, client: Any, lease: Lease) -> None:
        self._client, self._lease = client, lease
        self._send, client.send = client.send, self.send
        self._get_conn, client._get_conn = client._get_conn, self._connection
        self._bound: dict[Any, Any] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def send(self, node: int, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        """Send a request; see `AIOKafkaClient.send`."""
        if isinstance(request, ProduceRequest):
            # Connect first: nothing is waited for between the look at the lease and the first byte.
            while await self._client.ready(node, group=group):
                if self._lease.sends:
                    break
                await self._lease.sending()
            else:
                raise NodeNotReadyError(f"node {node} is not there")
            self._watch()
        try:
            return await self._send(node, request, group=group)
        except RuntimeError as error:  # what uvloop says of a connection closed a moment ago
            raise KafkaConnectionError(str(error)) from error

    def cut(self) -> None:
        """Reset connections that a produce request is on."""
        for connection in list(self._client._conns.values()):
            if _is_produced_to(connection):
                _reset(connection)

    def _watch(self) -> None:
        """Look again when the lease, as it is now, has run out."""
        if self._timer is None:
            left = max(0.0, self._lease.sends_until - monotonic())
            self._timer = asyncio.get_running_loop().call_later(left, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._lease.sends:
            self.cut()
        elif any(map(_is_produced_to, self._client._conns.values())):
            self._watch()

    async def _connection(self, node: Any, **more: Any) -> Any:
        connection = await self._get_conn(node, **more)
        place = node, more.get("group", ConnectionGroup.DEFAULT)
        if connection is not None and self._bound.get(place) is not connection:
            self._bound[place] = connection
            self._bind(connection)
        return connection

    def _bind(self, connection: Any) -> None:
        # closed a moment ago: its reader has yet to hear of it, and uvloop takes nothing any more
        if not connection.connected() or connection._writer.transport.is_closing():
            return
        transport = connection._writer.transport
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            milliseconds = max(1, int(self._lease.margin_s * 1000))
            transport.get_extra_info("socket").setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds
            )
        connection._writer = _Writer(connection, self._lease)


class _Writer:
    """Keeps the last byte of a large request until the kernel has the others, and looks again.

    What a kernel does not take at once waits in this process. One that is stopped meanwhile, for
    longer than its session, would give it to the kernel as the first thing when it wakes up. No
    broker reads a request without its last byte. What is small a kernel takes.
    """

    def __init__(self, connection: Any, lease: Lease) -> None:
        self._connection, self._lease = connection, lease
        self._inner = connection._writer
        self._inner.transport.set_write_buffer_limits(high=0)
        self._held: list[Any] = []
        self._task: asyncio.Task[None] | None = None

    def write(self, data: bytes) -> None:
        """Write, or keep for after what is kept."""
        if self._held:
            self._held.append(data)
        elif len(data) <= _SMALL:
            self._inner.write(data)
        else:
            self._held = [data[-1:]]
            self._inner.write(memoryview(data)[:-1])
            self._task = asyncio.create_task(self._write_held())

    async def _write_held(self) -> None:
        with suppress(OSError):  # the connection's reader hears of it, too
            await self._inner.drain()
            held, self._held = b"".join(self._held), []
            if not self._connection.connected():
                return
            if self._lease.sends:
                self._inner.write(held)
            else:
                _reset(self._connection)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _is_produced_to(connection: Any) -> bool:
    """Whether a produce request waits for its answer."""
    return connection.connected() and any(
        request is not None and request.API_KEY == ProduceRequest.API_KEY
        for _, request, _ in connection._requests
    )


def _reset(connection: Any) -> None:
    transport = connection._writer.transport
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()
    connection.close(reason=CloseReason.CONNECTION_BROKEN)


class BatchProducer(driver.Producer):
    """Faust's producer: one `OneProducer` after the other, behind one `Gate`."""

    _gate: Gate | None = None
    _producer: OneProducer | None

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    @property
    def _producer_type(self) -> type[OneProducer]:
        return OneProducer

    async def on_start(self) -> None:
        """Call when the producer starts."""
        start = super().on_start

        async def connect() -> None:
            self._gate = None  # of the client of the attempt before
            await start()

        await connected(connect, lambda: self._producer, self.app)

    def _new_producer(self, transactional_id: str | None = None) -> OneProducer:
        producer: OneProducer = super()._new_producer(transactional_id)
        # who consumes nothing has no partitions to lose
        if self._gate is None and not (self.app.client_only or self.app.producer_only):
            self._gate = Gate(producer.client, self.app.lease)
        return producer

    async def flush(self) -> None:
        """Wait until everything is delivered, while it may be, and for a moment at most.

        Where the broker is away a rebalance would wait for it.
        """
        if self._gate is None:
            await super().flush()
            return
        await self.buffer.flush()
        if self._producer is not None:
            await self._producer.settle(self.app.lease, self.app.lease.margin_s)

    async def revoke(self) -> None:
        """Deliver what waits, or give it up; what is sent from now on is of the next assignment."""
        before, gate = self._producer, self._gate
        if before is None or gate is None:
            return
        await before.settle(self.app.lease, self.app.lease.margin_s)
        if self._producer is not before:  # stopped meanwhile
            return
        # Nothing is waited for until the next producer is there: what an agent sends from here on
        # would otherwise be refused, or belong to the assignment that is over.
        if count := self._give_up(before, gate):
            log.warning(
                "%d record batches were not delivered while the partitions were surely this "
                "worker's: they are given up, and the next owner makes them again", count,
            )  # fmt: skip
        self._producer = self._new_producer()
        self._producer.follow(before)

    async def on_stop(self) -> None:
        """Call when the producer stops, after the consumer has left its group."""
        if self._producer is not None and self._gate is not None:
            self._give_up(self._producer, self._gate)
        await super().on_stop()

    @staticmethod
    def _give_up(producer: OneProducer, gate: Gate) -> int:
        count = producer.give_up()
        gate.cut()
        return count

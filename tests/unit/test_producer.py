"""Records arrive while their sender has its partitions, or never; nobody is left waiting."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from time import monotonic
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.memory_records import MemoryRecords

from streams.lease import Lease
from streams.outbox import Outbox
from streams.producer import Gate, OneProducer, RevokedError, _Writer

TOPIC = "changelog"
SESSION_S = 60


class Sent(NamedTuple):
    """One record batch of a request: who sent it, its place in the sequence, what is in it."""

    producer: int
    sequence: int
    values: list[bytes]


class Client:
    """Plays aiokafka's client, and a broker that answers when it is told to."""

    def __init__(self) -> None:
        self.cluster = SimpleNamespace(
            leader_for_partition=lambda tp: 1, partitions_for_topic=lambda topic: {0}
        )
        self.requests: list[Sent] = []
        self.away, self.asked_in_vain = False, asyncio.Event()
        self.arrived = asyncio.Event()
        self._answer: asyncio.Future[Any] | None = None
        self._ids = 0
        self._conns: dict[Any, Any] = {}
        self._client_id = "test"

    async def ready(self, node: int, *, group: Any = None) -> bool:
        return True

    async def _get_conn(self, node: int, **more: Any) -> Any:
        return None

    async def _wait_on_metadata(self, topic: str) -> set[int]:
        return {0}

    async def _maybe_wait_metadata(self) -> None:
        """It is there, unless the broker is away."""
        if self.away:
            self.asked_in_vain.set()
            await asyncio.Event().wait()

    def get_random_node(self) -> int:
        return 1

    def force_metadata_update(self) -> Any:
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        done.set_result(True)
        return done

    async def send(self, node: int, request: Any, *, group: Any = None) -> Any:
        if not isinstance(request, ProduceRequest):
            self._ids += 1
            return SimpleNamespace(error_code=0, producer_id=self._ids, producer_epoch=0)
        ((_, ((_, data),)),) = request._topics
        producer, _, sequence = struct.unpack_from(">qhi", data, 43)
        batch = MemoryRecords(bytes(data)).next_batch()
        assert batch is not None
        self.requests.append(Sent(producer, sequence, [record.value for record in batch]))
        self.arrived.set()
        self._answer = asyncio.get_running_loop().create_future()
        return await self._answer

    async def request(self) -> Sent:
        """Wait for a request."""
        async with asyncio.timeout(1):
            await self.arrived.wait()
        self.arrived.clear()
        return self.requests[-1]

    def take(self, offset: int = 0) -> None:
        """The broker has what was sent last."""
        assert self._answer is not None
        partitions: list[Any] = [(0, 0, offset, -1, 0, [], None)]
        self._answer.set_result(SimpleNamespace(API_VERSION=8, topics=[(TOPIC, partitions)]))

    def lose(self) -> None:
        """The connection breaks before there is an answer."""
        assert self._answer is not None
        self._answer.set_exception(KafkaConnectionError("gone"))


@pytest.fixture
def lease() -> Lease:
    lease = Lease(SESSION_S)
    lease.begin(monotonic())
    return lease


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
async def producer(client: Client, lease: Lease) -> AsyncIterator[OneProducer]:
    producer = OneProducer(
        bootstrap_servers="nowhere:1", acks="all", enable_idempotence=True, retry_backoff_ms=1
    )
    Gate(client, lease)
    before: Any = SimpleNamespace(client=client, _metadata=client.cluster)
    producer.follow(before)
    yield producer
    producer.give_up()
    producer._closed = True


async def hand_over(producer: OneProducer, *values: bytes) -> Awaitable[Any]:
    outbox = Outbox(producer)
    outbox.extend(TOPIC, 0, [(b"key", value) for value in values])
    return asyncio.ensure_future(await outbox.hand_over())


async def turns() -> None:
    """Let happen what can."""
    for _ in range(20):
        await asyncio.sleep(0)


def follower(producer: OneProducer) -> OneProducer:
    following = OneProducer(bootstrap_servers="nowhere:1", acks="all", enable_idempotence=True)
    following.follow(producer)
    return following


# -- the gate


async def test_while_the_lease_runs_records_are_sent(producer: OneProducer, client: Client) -> None:
    acks = await hand_over(producer, b"1", b"2")
    assert (await client.request()).values == [b"1", b"2"]
    client.take(offset=7)
    assert await acks == {(TOPIC, 0): 8}


async def test_when_the_lease_has_run_out_nothing_is_sent_until_a_heartbeat(
    producer: OneProducer, client: Client, lease: Lease
) -> None:
    lease.begin(monotonic() - SESSION_S)
    await hand_over(producer, b"1")
    await turns()
    assert client.requests == []

    lease.renew(monotonic())
    assert (await client.request()).values == [b"1"]


async def test_a_request_is_not_tried_again_when_the_lease_has_run_out(
    producer: OneProducer, client: Client, lease: Lease
) -> None:
    acks = await hand_over(producer, b"1")
    first = await client.request()
    lease.begin(monotonic() - SESSION_S)
    client.lose()
    with suppress(TimeoutError):  # twenty times what it waits before it tries again
        await asyncio.wait_for(client.arrived.wait(), 0.02)
    assert client.requests == [first]

    lease.renew(monotonic())
    assert await client.request() == first, "the same place in the sequence: it cannot repeat"
    client.take()
    assert await acks == {(TOPIC, 0): 0}


async def test_a_connection_with_a_request_under_way_is_cut_when_the_lease_runs_out(
    client: Client, lease: Lease
) -> None:
    under_way, idle = _Connection(ProduceRequest.API_KEY), _Connection()
    client._conns = {1: under_way, 2: idle}
    gate = Gate(client, lease)
    lease.begin(monotonic() - SESSION_S + lease.margin_s + 0.02)
    gate._watch()
    async with asyncio.timeout(1):
        await under_way.closed.wait()
    assert not idle.closed.is_set()


async def test_no_connection_is_cut_while_heartbeats_are_accepted(
    client: Client, lease: Lease
) -> None:
    under_way = _Connection(ProduceRequest.API_KEY)
    client._conns = {1: under_way}
    gate = Gate(client, lease)
    lease.begin(monotonic() - SESSION_S + lease.margin_s + 0.01)
    gate._watch()
    lease.renew(monotonic())
    gate._look()
    assert not under_way.closed.is_set()
    assert gate._timer is not None, "it looks again"


# -- a rebalance


async def test_what_waits_when_partitions_are_revoked_is_never_sent_and_says_so(
    producer: OneProducer, client: Client, lease: Lease
) -> None:
    lease.begin(monotonic() - SESSION_S)
    acks = [await hand_over(producer, b"1"), await hand_over(producer, b"2")]
    await turns()
    assert producer.give_up() == 2, "one was at the gate"
    lease.renew(monotonic())
    for each in acks:
        with pytest.raises(RevokedError):
            await each
    await turns()
    assert client.requests == []


async def test_a_request_under_way_when_partitions_are_revoked_is_not_sent_again(
    producer: OneProducer, client: Client
) -> None:
    acks = await hand_over(producer, b"1")
    first = await client.request()
    producer.give_up()
    with pytest.raises(RevokedError):
        await acks
    await turns()
    assert client.requests == [first]


async def test_what_waits_for_another_try_when_partitions_are_revoked_is_given_up_like_the_rest(
    producer: OneProducer, client: Client
) -> None:
    raised: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    acks = await hand_over(producer, b"1")
    await client.request()
    client.away = True
    client.lose()
    async with asyncio.timeout(5):
        await client.asked_in_vain.wait()
    assert producer.give_up() == 1
    with pytest.raises(RevokedError):
        await acks
    await turns()
    assert raised == []
    assert len(client.requests) == 1


async def test_a_request_that_was_about_to_begin_is_not_sent(
    producer: OneProducer, client: Client
) -> None:
    about_to = asyncio.create_task(producer._sender._send_produce_req(1, {}))
    producer.give_up()
    await about_to
    assert client.requests == []


async def test_who_has_the_old_producer_in_hand_cannot_send_by_it(
    producer: OneProducer, client: Client
) -> None:
    producer.give_up()
    acks = await hand_over(producer, b"1")
    with pytest.raises(RevokedError):
        await acks
    assert client.requests == []


async def test_who_waited_for_room_when_partitions_were_revoked_cannot_send(
    producer: OneProducer, client: Client
) -> None:
    producer._message_accumulator._batch_size = 100
    handing = asyncio.create_task(hand_over(producer, b"1" * 90, b"2" * 90, b"3" * 90))
    first = await client.request()
    await turns()
    producer.give_up()
    async with asyncio.timeout(1):
        with pytest.raises(RevokedError):
            await (await handing)
    assert client.requests == [first]


async def test_the_next_producer_has_an_id_and_a_sequence_of_its_own(
    producer: OneProducer, client: Client
) -> None:
    await hand_over(producer, b"1")
    first = await client.request()
    client.take()
    await turns()
    await hand_over(producer, b"2")
    assert (await client.request()).sequence == 1
    producer.give_up()  # and nobody knows whether the broker has it

    following = follower(producer)
    acks = await hand_over(following, b"3")
    third = await client.request()
    assert third.producer != first.producer
    assert third.sequence == 0
    client.take()
    assert await acks == {(TOPIC, 0): 0}
    following.give_up()
    following._closed = True


async def test_a_rebalance_waits_for_what_can_be_delivered(
    producer: OneProducer, client: Client, lease: Lease
) -> None:
    acks = await hand_over(producer, b"1")
    await client.request()
    settling = asyncio.create_task(producer.settle(lease, 60))
    await turns()
    assert not settling.done()
    client.take()
    async with asyncio.timeout(1):
        await settling
    assert producer.give_up() == 0
    assert await acks == {(TOPIC, 0): 0}


@pytest.mark.parametrize("reason", ["its time is up", "the lease has run out"])
async def test_a_rebalance_does_not_wait_for_a_broker_that_is_away(
    producer: OneProducer, client: Client, lease: Lease, reason: str
) -> None:
    await hand_over(producer, b"1")
    await client.request()
    if reason == "the lease has run out":
        lease.begin(monotonic() - SESSION_S)
    async with asyncio.timeout(1):
        await producer.settle(lease, 60 if reason == "the lease has run out" else 0.01)


# -- what the kernel has


class _Connection:
    """As much of aiokafka's as is looked at, on a socket or none."""

    def __init__(self, *keys: int, writer: Any = None) -> None:
        self._requests = deque((1, SimpleNamespace(API_KEY=key), None) for key in keys)
        self.closed = asyncio.Event()
        self._writer = writer or SimpleNamespace(
            transport=SimpleNamespace(
                get_extra_info=lambda name: SimpleNamespace(setsockopt=lambda *_: None),
                abort=lambda: None,
            )
        )

    def connected(self) -> bool:
        return not self.closed.is_set()

    def close(self, **_: Any) -> None:
        self.closed.set()


class _Peer:
    """A server that reads when it is told to, from one connection."""

    def __init__(self) -> None:
        self.reading = asyncio.Event()
        self.got = bytearray()
        self.news = asyncio.Event()
        self.error: Exception | None = None
        self.ended = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.reading.wait()
        try:
            while data := await reader.read(1 << 20):
                self.got += data
                self.news.set()
        except OSError as error:
            self.error = error
        writer.transport.abort()
        self.ended.set()

    async def has(self, count: int) -> bytearray:
        """Read so many bytes."""
        self.reading.set()
        async with asyncio.timeout(5):
            while len(self.got) < count:
                await self.news.wait()
                self.news.clear()
        return self.got


@pytest.fixture
async def peer() -> AsyncIterator[tuple[_Peer, asyncio.StreamWriter]]:
    """A peer, and what writes to it."""
    peer = _Peer()
    server = await asyncio.start_server(peer, "127.0.0.1", 0, limit=1 << 10)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    yield peer, writer
    writer.transport.abort()
    peer.reading.set()
    await peer.ended.wait()
    server.close()
    await server.wait_closed()
    await turns()  # sockets are closed in the next


#: More than kernel and peer hold between them.
LARGE = bytes(12 << 20)


async def test_the_last_byte_of_a_large_request_is_sent_when_the_kernel_has_the_others(
    peer: tuple[_Peer, asyncio.StreamWriter], lease: Lease
) -> None:
    connection = _Connection(writer=peer[1])
    writer = _Writer(connection, lease)
    writer.write(LARGE)
    writer.write(b"next")
    assert await peer[0].has(len(LARGE) + 4) == LARGE + b"next"


async def test_a_large_request_is_not_finished_when_the_lease_has_run_out_meanwhile(
    peer: tuple[_Peer, asyncio.StreamWriter], lease: Lease
) -> None:
    connection = _Connection(writer=peer[1])
    writer = _Writer(connection, lease)
    writer.write(LARGE)
    await turns()
    lease.begin(monotonic() - SESSION_S)
    peer[0].reading.set()
    async with asyncio.timeout(5):
        await connection.closed.wait()
        await peer[0].ended.wait()
    assert len(peer[0].got) < len(LARGE)
    assert isinstance(peer[0].error, ConnectionResetError)


async def test_what_is_small_is_sent_at_once(
    peer: tuple[_Peer, asyncio.StreamWriter], lease: Lease
) -> None:
    _Writer(_Connection(writer=peer[1]), lease).write(b"small")
    assert await peer[0].has(5) == b"small"


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="not on this system")
async def test_the_kernel_gives_up_by_itself_before_the_lease_is_over(
    peer: tuple[_Peer, asyncio.StreamWriter], client: Client
) -> None:
    """The peer takes nothing, as a network that drops every packet; this process does nothing."""
    session_s = 4
    lease = Lease(session_s)
    connection = _Connection(writer=peer[1])
    Gate(client, lease)._bind(connection)
    peer[1].transport.set_write_buffer_limits(high=0)
    peer[1].write(LARGE)
    began = monotonic()
    async with asyncio.timeout(3 * session_s):
        with pytest.raises(OSError, match=r"timed out|[Cc]onnection"):
            await peer[1].drain()
    assert monotonic() - began < session_s

"""What the consumer answers for when a rebalance, a sleep or another thread comes between."""

import asyncio
from collections.abc import Callable
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from faust.types import TP
from yarl import URL

from streams.fetching import Record
from streams.lease import Lease
from streams.patience import connected
from streams.transport import Batch, BatchConsumer

pytestmark = pytest.mark.unit

MINE, OTHER = TP("vitals", 0), TP("somebody's", 0)


def record(offset: int) -> Record:
    return Record(MINE.topic, MINE.partition, offset, 0, 0, None, b"", [])


class Consumer(BatchConsumer):
    """The bookkeeping alone: no thread, no broker."""

    def __init__(self) -> None:
        self.completed = asyncio.Event()
        self.completed.set()
        self.app = SimpleNamespace(
            tables=SimpleNamespace(recovery=SimpleNamespace(completed=self.completed)),
            batched_topics=frozenset({MINE.topic}),
            lease=Lease(60),
            batch_max=3,
            batches_in_flight=4,
            in_recovery=False,
        )
        self._partitions = {}
        self._buffered_partitions: set[TP] = set()
        self._active_partitions = {MINE}
        self._released = asyncio.Event()
        self.woken = 0
        self._thread = SimpleNamespace(
            look_again=self._look_again, seek_in_thread=self._seek_in_thread
        )
        self.meanwhile: Callable[[], None] = lambda: None
        self._expected, self._positions = {MINE: 5, OTHER: 5}, {MINE: 5, OTHER: 5}
        self._fetched_to, self._gaps, self._resumed_at = {}, {}, {MINE: 5}
        self.sought: list[tuple[TP, int]] = []

    async def _seek_in_thread(self, offsets: dict[TP, int]) -> None:
        self.sought += offsets.items()
        await asyncio.sleep(0)
        self.meanwhile()

    def _look_again(self) -> None:
        self.woken += 1

    def deliver(self, *offsets: int) -> SimpleNamespace:
        """Deliver a batch as `getmany` does; return its message."""
        message = SimpleNamespace(value=Batch(MINE, [record(offset) for offset in offsets]))
        self._track(MINE, message)
        return message

    @property
    def fetches(self) -> bool:
        """Whether the partition is fetched from."""
        return MINE in self._get_active_partitions()


@pytest.fixture
def consumer() -> Consumer:
    return Consumer()


# -- a position that moved


async def test_a_position_that_moved_without_a_record_is_gone_back_from_once(
    consumer: Consumer,
) -> None:
    consumer._positions[MINE] = 9
    await consumer._read_again({})
    assert consumer.sought == [(MINE, 5)]
    consumer._positions[MINE] = 9  # again nothing: a transaction's marker
    await consumer._read_again({})
    assert consumer.sought == [(MINE, 5)]


async def test_a_rebalance_while_it_goes_back_is_not_written_over(consumer: Consumer) -> None:
    second = TP(MINE.topic, 1)
    consumer._expected[second] = 7
    consumer._positions.update({MINE: 9, second: 9})
    consumer.meanwhile = consumer._gaps.clear  # as after an assignment
    await consumer._read_again({})
    assert consumer.sought == [(MINE, 5), (second, 7)]
    assert consumer._gaps == {}


@pytest.mark.parametrize("position", [5, 4])
async def test_a_position_that_did_not_move_is_left_alone(
    consumer: Consumer, position: int
) -> None:
    consumer._positions[MINE] = position
    await consumer._read_again({})
    assert consumer.sought == []


async def test_a_position_that_moved_with_its_records_is_left_alone(consumer: Consumer) -> None:
    consumer._positions[MINE] = 9
    await consumer._read_again({MINE: [record(offset) for offset in range(5, 9)]})
    assert consumer.sought == []


async def test_topics_that_are_not_batched_are_fausts_own(consumer: Consumer) -> None:
    consumer._positions[OTHER] = 9
    await consumer._read_again({})
    assert consumer.sought == []


async def test_what_is_dropped_before_recovery_is_completed_is_read_again_after_it(
    consumer: Consumer,
) -> None:
    """Twice: what comes a second time and is dropped as well has still reached nobody."""
    consumer.completed.clear()
    for _ in range(2):
        found = {MINE: [record(offset) for offset in range(5, 9)]}
        consumer.fetched(found, {MINE: 9})
        await consumer._read_again(found)
        assert await consumer._in_sequence(MINE, found[MINE]) == []
        consumer.fetched({}, {MINE: 9})
        await consumer._read_again({})
    consumer.sought.clear()
    consumer.completed.set()
    await consumer._read_again({})
    assert consumer.sought == [(MINE, 5)]
    assert await consumer._in_sequence(MINE, found[MINE]) == found[MINE]


# -- read to the end


def test_records_on_their_way_to_the_agent_are_not_handled(consumer: Consumer) -> None:
    assert consumer.handled(MINE, 5, 0), "nothing since the commit"
    consumer.fetched({MINE: [record(5), record(6)]}, {MINE: 7})
    assert not consumer.handled(MINE, 5, 0)
    assert not consumer.handled(MINE, 7, 6)
    assert consumer.handled(MINE, 7, 7)
    assert not consumer.handled(MINE, 8, 7), "the consumer has not got there"


def test_positions_from_before_a_seek_tell_nothing(consumer: Consumer) -> None:
    consumer.fetched({}, {})
    assert not consumer.handled(MINE, 5, 5)


# -- back-pressure


async def test_what_follows_a_small_batch_waits_at_the_broker_until_that_is_begun(
    consumer: Consumer,
) -> None:
    consumer.app.lease.begin(monotonic())
    first = consumer.deliver(5)
    assert not consumer.fetches
    assert await consumer.begin(first.value)
    assert consumer.fetches
    assert consumer.woken == 1, "a fetch that is under way may have its records"
    consumer.deliver(6, 7)
    assert not consumer.fetches


def test_whole_batches_come_ahead_until_as_many_wait_as_may_be_in_flight(
    consumer: Consumer,
) -> None:
    messages = []
    for start in range(5, 17, 3):
        assert consumer.fetches
        messages.append(consumer.deliver(start, start + 1, start + 2))
    assert not consumer.fetches
    for message in messages:
        message.value.begun = True
    consumer.ack(messages[1])
    assert not consumer.fetches, "the one before it is not done"
    consumer.ack(messages[0])
    assert consumer.fetches


def test_a_small_batch_that_is_acknowledged_without_being_begun_holds_up_nothing(
    consumer: Consumer,
) -> None:
    consumer.ack(consumer.deliver(5))
    assert consumer.fetches
    assert consumer.woken == 1


async def test_a_small_batch_that_is_given_up_does_not_count_when_the_partition_comes_back(
    consumer: Consumer,
) -> None:
    consumer.deliver(5)
    consumer._forget([MINE])
    for start in (5, 8):
        consumer.deliver(start, start + 1, start + 2)
    assert not consumer._is_full(consumer._partitions[MINE])


# -- the lease


def a_batch() -> Batch:
    return Batch(MINE, [record(5)])


async def test_a_batch_is_begun_while_the_last_heartbeat_is_young(consumer: Consumer) -> None:
    consumer.app.lease.begin(monotonic())
    assert await consumer.begin(a_batch())


async def test_after_a_long_sleep_a_batch_waits_for_a_heartbeat(consumer: Consumer) -> None:
    waiting = asyncio.create_task(consumer.begin(a_batch()))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    consumer.app.lease.begin(monotonic())
    async with asyncio.timeout(1):
        assert await waiting


async def test_after_a_long_sleep_a_batch_whose_partition_has_gone_is_given_up(
    consumer: Consumer,
) -> None:
    batch: Any = a_batch()
    waiting = asyncio.create_task(consumer.begin(batch))
    await asyncio.sleep(0)
    batch.stale = True
    async with asyncio.timeout(1):
        assert not await waiting


# -- the start


async def test_a_client_that_could_not_connect_is_closed_and_made_anew() -> None:
    made: list[SimpleNamespace] = []
    stopped: list[SimpleNamespace] = []

    async def start() -> None:
        made.append(SimpleNamespace())
        if len(made) < 2:
            raise KafkaConnectionError("refused")

    def last() -> Any:
        async def stop() -> None:
            stopped.append(made[-1])

        return SimpleNamespace(stop=stop)

    app = SimpleNamespace(conf=SimpleNamespace(broker=[URL("kafka://b:1")]), broker_wait_s=60)
    await connected(start, last, app)

    assert len(made) == 2
    assert stopped == made[:1]

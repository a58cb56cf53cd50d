"""What an agent hands over reaches each partition in order, in as few record batches as can be."""

import asyncio
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.record.memory_records import MemoryRecords

from streams.outbox import Outbox

pytestmark = pytest.mark.unit

PLACE = TopicPartition("results", 0)


class Producer:
    """aiokafka's own accumulator, and a broker that takes a request when it is told to."""

    def __init__(self, batch_size: int = 10_000) -> None:
        cluster = SimpleNamespace(leader_for_partition=lambda tp: 1)
        self._message_accumulator = MessageAccumulator(cluster, batch_size, 0, 60)
        self.create_batch = self._message_accumulator.create_builder
        self.requests: list[list[bytes]] = []
        self._end = 0
        self._under_way: Any = None

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> Any:
        """Hand a record batch to the accumulator, as aiokafka's producer does."""
        return await self._message_accumulator.add_batch(batch, TopicPartition(topic, partition), 5)

    def send(self) -> None:
        """Take what waits for the partition and send it; the answer is not there yet."""
        batches, _ = self._message_accumulator.drain_by_nodes(ignore_nodes=set())
        self._under_way = batches[1][PLACE]
        data = MemoryRecords(bytes(self._under_way.get_data_buffer()))
        found = []
        while data.has_next():
            found += [record.value for record in data.next_batch()]
        self.requests.append(found)

    def answer(self) -> None:
        """The broker has taken the request."""
        self._under_way.done(base_offset=self._end)
        self._end += len(self.requests[-1])

    def refuse(self, error: Exception) -> None:
        """The broker will not take the request."""
        self._under_way.failure(error)


async def hand_over(producer: Producer, *values: bytes) -> Awaitable[Any]:
    outbox = Outbox(producer)  # type: ignore[arg-type]
    outbox.extend(PLACE.topic, PLACE.partition, [(b"key", value) for value in values])
    return await outbox.hand_over()


async def test_what_is_handed_over_while_a_request_is_under_way_goes_in_one_batch() -> None:
    producer = Producer()
    first = await hand_over(producer, b"1", b"2")
    producer.send()
    second = await hand_over(producer, b"3")
    third = await hand_over(producer, b"4", b"5")
    producer.answer()
    producer.send()
    producer.answer()

    assert producer.requests == [[b"1", b"2"], [b"3", b"4", b"5"]]
    assert await first == {PLACE: 1}
    assert await second == {PLACE: 2}, "its own last record, not that of the batch"
    assert await third == {PLACE: 4}


async def test_a_batch_that_is_on_its_way_is_not_joined_even_when_it_has_to_go_again() -> None:
    producer = Producer()
    first = await hand_over(producer, b"1")
    producer.send()
    producer._message_accumulator.reenqueue(producer._under_way)  # the broker was not there
    second = asyncio.create_task(hand_over(producer, b"2"))
    await asyncio.sleep(0)
    producer.send()
    producer.answer()
    waiting = await second
    producer.send()
    producer.answer()

    assert producer.requests == [[b"1"], [b"1"], [b"2"]]
    assert await first == {PLACE: 0}
    assert await waiting == {PLACE: 1}


async def test_what_does_not_fit_into_a_batch_follows_in_the_next() -> None:
    producer = Producer(batch_size=300)
    values = [bytes([65 + i]) * 100 for i in range(5)]
    handed = asyncio.create_task(hand_over(producer, *values))
    while not handed.done():
        await asyncio.sleep(0)
        if producer._message_accumulator._batches:
            producer.send()
            producer.answer()
        await asyncio.sleep(0)
    if producer._message_accumulator._batches:
        producer.send()
        producer.answer()

    assert [value for request in producer.requests for value in request] == values
    assert len(producer.requests) > 1
    assert await (await handed) == {PLACE: 4}


async def test_a_record_larger_than_a_batch_goes_alone() -> None:
    producer = Producer(batch_size=300)
    acks = await hand_over(producer, b"x" * 1_000)
    producer.send()
    producer.answer()
    assert producer.requests == [[b"x" * 1_000]]
    assert await acks == {PLACE: 0}


async def test_a_refusal_is_everybodys_whose_records_were_in_the_batch() -> None:
    producer = Producer()
    acks = [await hand_over(producer, b"1"), await hand_over(producer, b"2")]
    producer.send()
    producer.refuse(ConnectionError("gone"))
    for each in acks:
        with pytest.raises(ConnectionError, match="gone"):
            await each


async def test_nothing_handed_over_is_nothing_sent() -> None:
    producer = Producer()
    assert await (await hand_over(producer)) == {}
    assert not producer._message_accumulator._batches

"""Topics of a measurement: made, filled, watched, read to their end, removed."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from bench.common import BenchError
from streams.partitions import partitions_of

__all__ = [
    "PARTITIONS",
    "Ends",
    "create",
    "fill",
    "read",
    "remove",
    "total",
    "watching",
]

PARTITIONS = 4
#: Records that are made before they are sent, so that a batch of every partition is well filled.
_SLICE = 20_000
_BATCH_BYTES = 512 * 1024
_FETCH_BYTES = 8 * 1024 * 1024


async def create(
    bootstrap: str,
    topics: Mapping[str, Mapping[str, str]],
    partitions: int = PARTITIONS,
    replication: int = 1,
) -> None:
    """Make topics, name → settings; one that is there is left as it is.

    Raises:
        BenchError: the broker refuses.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        wanted = [
            NewTopic(name, partitions, replication, topic_configs=dict(config))
            for name, config in topics.items()
        ]
        response = await admin.create_topics(wanted)
        for name, code, *_ in response.topic_errors:
            if code and for_code(code) is not TopicAlreadyExistsError:
                raise BenchError(
                    f"The broker would not make topic {name!r}: {for_code(code).__name__}"
                )
    finally:
        await admin.close()


async def remove(bootstrap: str, containing: str) -> None:
    """Remove the topics whose name has ``containing`` in it, changelogs included."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        if names := [name for name in await admin.list_topics() if containing in name]:
            await admin.delete_topics(names)
    finally:
        await admin.close()


async def fill(
    bootstrap: str,
    topic: str,
    count: int,
    records: Callable[[int, int], Iterable[tuple[int, bytes]]],
    keys: list[bytes],
    advance: Callable[[int], object] = lambda count: None,
) -> None:
    """Fill a topic, every record on the partition of its key, in order.

    Args:
        bootstrap: address of the broker.
        topic: its name; it has `PARTITIONS` partitions.
        count: records.
        records: called with a start and an end, yields key's number and value.
        keys: by number.
        advance: called with how many more are sent.
    """
    places = partitions_of(keys, PARTITIONS).tolist()
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        max_batch_size=_BATCH_BYTES,
        max_request_size=8 * _BATCH_BYTES,
    )
    await producer.start()
    waiting: list[asyncio.Future[Any]] = []
    try:
        for start in range(0, count, _SLICE):
            end = min(start + _SLICE, count)
            by_partition = defaultdict(list)
            for number, value in records(start, end):
                by_partition[places[number]].append((keys[number], value))
            for partition, found in by_partition.items():
                batch = producer.create_batch()
                for key, value in found:
                    if batch.append(timestamp=None, key=key, value=value) is None:
                        waiting.append(await producer.send_batch(batch, topic, partition=partition))
                        batch = producer.create_batch()
                        batch.append(timestamp=None, key=key, value=value)
                waiting.append(await producer.send_batch(batch, topic, partition=partition))
            advance(end - start)
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()


class Ends:
    """How far topics have been written."""

    def __init__(self, consumer: AIOKafkaConsumer, topics: Iterable[str], partitions: int) -> None:
        self._consumer = consumer
        self._places = [TopicPartition(t, p) for t in topics for p in range(partitions)]

    async def total(self) -> int:
        """Count the records that were ever written."""
        return sum((await self._consumer.end_offsets(self._places)).values())


@asynccontextmanager
async def watching(
    bootstrap: str, *topics: str, partitions: int = PARTITIONS
) -> AsyncIterator[Ends]:
    """Open what tells how far topics have been written."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        yield Ends(consumer, topics, partitions)
    finally:
        await consumer.stop()


async def total(bootstrap: str, *topics: str, partitions: int = PARTITIONS) -> int:
    """Count the records that were ever written to topics."""
    async with watching(bootstrap, *topics, partitions=partitions) as ends:
        return await ends.total()


async def read(
    bootstrap: str, topic: str, partitions: int = PARTITIONS
) -> AsyncIterator[list[Any]]:
    """Yield what a topic holds now, some records of a partition at a time."""
    places = [TopicPartition(topic, partition) for partition in range(partitions)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=_FETCH_BYTES,
        fetch_max_bytes=4 * _FETCH_BYTES,
    )
    await consumer.start()
    try:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        left = {tp for tp, end in ends.items() if end}
        while left:
            for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                yield records
                if records[-1].offset + 1 >= ends[tp]:
                    left.discard(tp)
    finally:
        await consumer.stop()

"""A whole topic for a command: everything that is in it now, or what comes until something is."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from config.settings import Settings
from streams.topics import TopicError, ensure

__all__ = ["read_all", "send"]

_POLL_MS = 500
_MOST_BYTES = 8 * 1024 * 1024


async def read_all(settings: Settings, topic: str) -> AsyncIterator[tuple[Any, int]]:
    """Read a topic to the end that it has now: each record, and how many are still to come.

    Partitions come one after the other.

    Raises:
        TopicError: there is no such topic.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    consumer = AIOKafkaConsumer(
        **settings.kafka_client(),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=_MOST_BYTES,
    )
    try:
        await consumer.start()
        if topic not in await consumer.topics():
            raise TopicError(f"There is no topic {topic!r}: create the topics with `vigil topics`.")
        places = [
            TopicPartition(topic, number)
            for number in sorted(consumer.partitions_for_topic(topic) or ())
        ]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        at = {place: await consumer.position(place) for place in places}
        for place in places:
            # a transaction's marker at the end is never delivered: the position tells
            while await consumer.position(place) < ends[place]:
                for record in (await consumer.getmany(place, timeout_ms=_POLL_MS)).get(place, ()):
                    at[place] = record.offset + 1
                    yield record, sum(max(0, ends[p] - at[p]) for p in places)
    finally:
        await consumer.stop()


async def send(
    settings: Settings, topic: str, records: Sequence[tuple[bytes | None, bytes | None]]
) -> None:
    """Send keys and values to a topic's partition 0, one after the other.

    The topics are created where they are missing.

    Raises:
        aiokafka.errors.KafkaError: the broker does not take a record.
    """
    await ensure(settings)
    producer = AIOKafkaProducer(**settings.kafka_client(), enable_idempotence=True)
    try:
        await producer.start()
        for key, value in records:
            await producer.send_and_wait(topic, value, key, partition=0)
    finally:
        await producer.stop()

"""A topic of one partition from a command: all that is on it now, and one record more."""

from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from config.settings import Settings
from streams.clients import opened
from streams.topics import TopicError, ensure

__all__ = ["read_whole", "send"]

_POLL_MS = 500


async def read_whole(
    settings: Settings,
    topic: str,
    progress: Callable[[int, int], None] = lambda read, whole: None,
    **consumer_options: Any,
) -> list[Any]:
    """Read a topic from its begin to what is its end when it is asked for.

    Args:
        settings: name the broker.
        topic: its name; it has one partition.
        progress: called with how many offsets have been read, and how many there are.
        consumer_options: more arguments of `aiokafka.AIOKafkaConsumer`.

    Returns:
        aiokafka's records.

    Raises:
        TopicError: there is no such topic.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    found: list[Any] = []
    consumer = AIOKafkaConsumer(
        **settings.kafka_client(), enable_auto_commit=False, **consumer_options
    )
    async with opened(consumer):
        if topic not in await consumer.topics():
            raise TopicError(f"There is no topic {topic!r}: create the topics with `vigil topics`.")
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        end = (await consumer.end_offsets([partition]))[partition]
        while await consumer.position(partition) < end:
            fetched = await consumer.getmany(partition, timeout_ms=_POLL_MS)
            found += fetched.get(partition, ())
            progress(await consumer.position(partition), end)
    return found


async def send(settings: Settings, topic: str, key: bytes, value: bytes | None) -> None:
    """Send a record to a topic; it is created where it is missing.

    Args:
        settings: name the broker.
        topic: its name; it has one partition.
        key: of the record.
        value: None takes back what the key stood for.

    Raises:
        aiokafka.errors.KafkaError: the broker does not take it.
    """
    await ensure(settings)
    producer = AIOKafkaProducer(**settings.kafka_client(), enable_idempotence=True)
    async with opened(producer):
        await producer.send_and_wait(topic, value, key, partition=0)

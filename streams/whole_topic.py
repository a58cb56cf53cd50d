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
    partition: int = 0,
    **consumer_options: Any,
) -> list[Any]:
    """Read a partition from its begin to what is its end when it is asked for.

    Args:
        settings: name the broker.
        topic: its name.
        progress: called with how many offsets have been read, and how many there are.
        partition: of it.
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
        tp = TopicPartition(topic, partition)
        consumer.assign([tp])
        await consumer.seek_to_beginning(tp)
        end = (await consumer.end_offsets([tp]))[tp]
        while await consumer.position(tp) < end:
            fetched = await consumer.getmany(tp, timeout_ms=_POLL_MS)
            found += fetched.get(tp, ())
            progress(await consumer.position(tp), end)
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

"""The topic ``models`` from a command: read it to its end, publish records and see what came of it.

Workers that tail it use `models.releases.Releases` alike.
"""

from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from config.settings import Settings
from models.learner import require_room
from models.registry import load_files
from models.release_records import AnyRecord, ModelRecord, key_of
from models.releases import Releases
from streams.clients import opened
from streams.topics import catalogue, ensure
from streams.whole_topic import read_whole

__all__ = ["MAX_RECORD_BYTES", "publish", "read_releases"]

#: A record of the topic, at most: what `streams.topics` creates it with, less what Kafka adds.
MAX_RECORD_BYTES = 4 * 1024 * 1024 - 4096


async def read_releases(settings: Settings, site: str) -> Releases:
    """Read the models of a site as they are now.

    Args:
        settings: name the broker and the topic.
        site: whose.

    Raises:
        TopicError: there is no such topic.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    releases = Releases(site)
    topic = catalogue(settings).models.name
    for record in await read_whole(settings, topic, max_partition_fetch_bytes=2 * MAX_RECORD_BYTES):
        releases.take(record.key, record.value, record.offset)
    return releases


async def publish(settings: Settings, records: Sequence[AnyRecord]) -> None:
    """Publish records, one after the other, each held by the broker before the next is sent.

    The topic is created where it is missing.

    Args:
        settings: name the broker and the topic.
        records: a pointer after what it points to.

    Raises:
        ValueError: a record is too large for the topic.
        models.registry.ModelError: a model is too large to be learned on.
        aiokafka.errors.KafkaError: the broker does not take a record.
    """
    for record in records:
        if isinstance(record, ModelRecord):
            require_room(load_files(record.contents()))
    encoded = [(key_of(record), record.model_dump_json().encode()) for record in records]
    for key, value in encoded:
        if len(value) > MAX_RECORD_BYTES:
            raise ValueError(
                f"{key.decode()} is {len(value):,} bytes, the topic takes {MAX_RECORD_BYTES:,}: "
                "train a smaller model"
            )
    await ensure(settings)
    topic = catalogue(settings).models.name
    producer = AIOKafkaProducer(
        **settings.kafka_client(), enable_idempotence=True, max_request_size=MAX_RECORD_BYTES + 4096
    )
    async with opened(producer):
        for key, value in encoded:
            await producer.send_and_wait(topic, value, key, partition=0)

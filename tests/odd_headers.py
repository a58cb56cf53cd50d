"""Record batches as only a producer of one's own can make them: header names of any bytes."""

from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from config.clock import now_ms
from config.settings import Settings
from streams.clients import opened

__all__ = ["NOT_UTF8", "produce", "record_batch"]

#: A name in Latin-1, as an older gateway may write it.
NOT_UTF8 = "Gerät".encode("latin-1")

#: Key, value, headers.
Made = tuple[bytes | None, bytes | None, Sequence[tuple[bytes, bytes | None]]]


class _Name(str):
    """A name that goes on the wire as given bytes."""

    raw: bytes

    def encode(self, *_: Any) -> bytes:
        return self.raw


def _name(raw: bytes) -> str:
    name = _Name("name")
    name.raw = raw
    return name


def record_batch(records: Sequence[Made], compression: int = 0) -> bytes:
    """Return a record batch as a broker keeps it.

    Of now: what is older than its topic's retention a broker deletes, read or not, when it next
    looks for such.
    """
    now = now_ms()
    builder = _DefaultRecordBatchBuilderPy(2, compression, 0, -1, -1, -1, 8 * 1024 * 1024)
    for offset, (key, value, headers) in enumerate(records):
        named = [(_name(name), content) for name, content in headers]
        builder.append(offset, now, key, value, named)
    return bytes(builder.build())


async def produce(
    chosen: Settings, topic: str, records: Sequence[Made], partition: int = 0, compression: int = 0
) -> None:
    """Send records as one batch; done when the broker has them."""
    producer = AIOKafkaProducer(**chosen.kafka_client(), max_request_size=8 * 1024 * 1024)
    async with opened(producer):
        batch = producer.create_batch()
        batch.close()
        batch._buffer = record_batch(records, compression)
        batch._relative_offset = len(records)
        await (await producer.send_batch(batch, topic, partition=partition))

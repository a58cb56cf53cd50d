"""What an agent sends for one batch: gathered by partition, sent as record batches, acknowledged.

One `Outbox` a batch: `add` records in any order, then `deliver` returns once the broker holds all
of them. A failed delivery raises: then the batch must not be acknowledged.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from aiokafka.producer import AIOKafkaProducer

__all__ = ["Headers", "Outbox"]

Headers = Sequence[tuple[str, bytes]]


class Outbox:
    """Records on their way, in the order in which they were added, by topic and partition."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._records: dict[tuple[str, int], list[tuple[Any, ...]]] = defaultdict(list)

    def add(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        timestamp_ms: int | None = None,
        headers: Headers = (),
    ) -> None:
        """Put a record in; without a timestamp it gets the time of sending."""
        self._records[topic, partition].append((timestamp_ms, key, value, headers))

    async def deliver(self) -> dict[tuple[str, int], int]:
        """Send everything and wait until the broker has acknowledged it.

        Returns:
            Per topic and partition the offset of the last record.

        Raises:
            aiokafka.errors.KafkaError: the broker did not take a record within the producer's
                time-out, or refused it for good.
        """
        places = list(self._records)
        last = await asyncio.gather(*(self._send(*place) for place in places))
        self._records.clear()
        return dict(zip(places, last, strict=True))

    async def _send(self, topic: str, partition: int) -> int:
        futures = []
        batch = self._producer.create_batch()
        for timestamp, key, value, headers in self._records[topic, partition]:
            record = {"timestamp": timestamp, "key": key, "value": value, "headers": headers}
            if batch.append(**record) is None:
                futures.append(await self._hand_over(batch, topic, partition))
                batch = self._producer.create_batch()
                # a record that is larger than a batch goes alone
                batch.append(**record)
        count = batch.record_count()
        futures.append(await self._hand_over(batch, topic, partition))
        acknowledged = await asyncio.gather(*futures)
        return int(acknowledged[-1].offset) + count - 1

    async def _hand_over(self, batch: Any, topic: str, partition: int) -> asyncio.Future[Any]:
        batch.close()
        future: asyncio.Future[Any] = await self._producer.send_batch(
            batch, topic, partition=partition
        )
        return future

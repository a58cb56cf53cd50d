"""What an agent sends for one batch: gathered by partition, sent as record batches, acknowledged.

One `Outbox` a batch: `add` records, `hand_over` gives them to the producer in order and returns
what completes once the broker holds all of them. A failed delivery raises: then the batch must not
be acknowledged.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Iterable
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.producer import AIOKafkaProducer

from config.clock import now_ms

__all__ = ["Headers", "Outbox"]

Headers = list[tuple[str, bytes]]
_NONE: Headers = []


class Outbox:
    """Records on their way, in the order in which they were added, by topic and partition."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._records: dict[tuple[str, int], list[tuple[Any, ...]]] = defaultdict(list)

    def extend(
        self, topic: str, partition: int, records: Iterable[tuple[bytes | None, bytes | None]]
    ) -> None:
        """Put keys and values in."""
        found = [(None, key, value, _NONE) for key, value in records]
        if found:  # an empty batch would be sent, and has no offset
            self._records[topic, partition] += found

    def add(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        timestamp_ms: int | None = None,
        headers: Headers | None = None,
    ) -> None:
        """Put a record in; without a timestamp it gets the time of sending."""
        self._records[topic, partition].append((timestamp_ms, key, value, headers or _NONE))

    async def hand_over(self) -> Awaitable[dict[tuple[str, int], int]]:
        """Hand everything to the producer, in order, and return what waits for the broker.

        Two outboxes that are handed over one after the other reach each partition in that order.

        Returns:
            An awaitable: per topic and partition the offset of the last record. It raises a
            `aiokafka.errors.KafkaError` where the producer, or the broker within the producer's
            time-out, did not take a record, or refused it for good.
        """
        places = list(self._records)
        sent = await asyncio.gather(*(self._send(*place) for place in places))
        self._records.clear()
        return _offsets(dict(zip(places, sent, strict=True)))

    async def _send(self, topic: str, partition: int) -> tuple[list[asyncio.Future[Any]], int]:
        """Hand over the records of one partition.

        Returns:
            What completes when the broker holds each record batch, and the place of the last record
            in the last of them.
        """
        futures: list[asyncio.Future[Any]] = []
        try:
            last = await self._fill(topic, partition, futures)
        except KafkaError as error:  # beside what was handed over before, and to other partitions
            last = 0
            futures.append(asyncio.get_running_loop().create_future())
            futures[-1].set_exception(error)
        return futures, last

    async def _fill(self, topic: str, partition: int, futures: list[asyncio.Future[Any]]) -> int:
        now = now_ms()
        waiting = _waiting(self._producer, TopicPartition(topic, partition))
        batch = self._producer.create_batch() if waiting is None else waiting._builder
        count = batch.record_count()
        for timestamp, key, value, headers in self._records[topic, partition]:
            at = now if timestamp is None else timestamp
            # the builder itself: around it aiokafka spends more than in it
            if batch._builder.append(count, at, key, value, headers) is None:
                batch._relative_offset = count
                batch.close()
                futures += await self._submit(batch, waiting, topic, partition)
                batch, waiting, count = self._producer.create_batch(), None, 0
                # a record that is larger than a batch goes alone
                batch._builder.append(count, at, key, value, headers)
            count += 1
        batch._relative_offset = count
        futures += await self._submit(batch, waiting, topic, partition)
        return count - 1

    async def _submit(
        self, batch: Any, waiting: Any | None, topic: str, partition: int
    ) -> list[asyncio.Future[Any]]:
        if waiting is not None:  # the producer has it already
            return [asyncio.shield(waiting.future)]
        return [await self._producer.send_batch(batch, topic, partition=partition)]


def _waiting(producer: AIOKafkaProducer, tp: TopicPartition) -> Any | None:
    """The record batch that waits to be sent to a partition, if it takes more records.

    One request at a time goes to a broker, with one record batch a partition in it. What is handed
    over meanwhile joins the batch that goes next; by itself aiokafka would send it a request later.
    """
    batches = producer._message_accumulator._batches.get(tp)
    last = batches[-1] if batches else None
    if last is None or last.retry_count or last._drain_waiter.done() or last._builder.closed():
        return None
    return last


async def _offsets(
    sent: dict[tuple[str, int], tuple[list[asyncio.Future[Any]], int]],
) -> dict[tuple[str, int], int]:
    # all at once: where one fails, nobody is left to hear of the others
    await asyncio.gather(*(future for futures, _ in sent.values() for future in futures))
    # the broker tells the offset of the first record of a batch
    return {at: int(futures[-1].result().offset) + last for at, (futures, last) in sent.items()}

"""Many patients: admitted once, then measured in rounds, every patient once a round in any order.

Readings differ in their patients, values and times only, so that they are made faster than any
engine reads them: one takes about 4 microseconds.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any

import numpy as np
from aiokafka import AIOKafkaProducer

from config.clock import iso, now_ms
from config.settings import Settings
from models.vitals import VITALS
from streams.partitions import partitions_of
from streams.topics import catalogue

__all__ = ["Population", "producing"]

#: Plausible values of the vital signs, in their order: middle and spread.
_TYPICAL = ((85, 12), (85, 12), (18, 3), (37, 0.5), (97, 1.5), (120, 15), (65, 9), (83, 10))
_VARIANTS = 4_096
_READING = b'{"patient_id":"%b","observed_at":"%b",%b}'


@asynccontextmanager
async def producing(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """Open a producer that takes large record batches."""
    producer = AIOKafkaProducer(
        **settings.kafka_client(),
        enable_idempotence=True,
        max_batch_size=512 * 1024,
        max_request_size=8 * 1024 * 1024,
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


class Population:
    """Patients who are measured again and again.

    Args:
        settings: name the topics and their partitions.
        patients: how many.
        rounds: how many there will be; the last one is observed about now.
        span_s: observed time from the first round to the last, seconds.
        seed: of the values and of the order of each round.
    """

    def __init__(
        self,
        settings: Settings,
        patients: int,
        rounds: int,
        *,
        span_s: float = 3_600,
        seed: int = 1,
    ) -> None:
        self.patients = patients
        self._topics = catalogue(settings)
        self._random = np.random.default_rng(seed)
        self._bodies = [self._body() for _ in range(_VARIANTS)]
        step_ms = span_s * 1000 / max(rounds, 1)
        self._times = [now_ms() - round(step_ms * left) for left in range(rounds, 0, -1)]
        self._homes: list[list[bytes]] = [[] for _ in range(settings.partitions)]
        keys = [b"patient-%07d" % number for number in range(patients)]
        places = partitions_of(keys, settings.partitions).tolist()
        for key, place in zip(keys, places, strict=True):
            self._homes[place].append(key)

    @cached_property
    def _everyone(self) -> list[tuple[int, bytes]]:
        return [(partition, key) for partition, keys in enumerate(self._homes) for key in keys]

    def _body(self) -> bytes:
        values = [self._random.normal(*typical) for typical in _TYPICAL]
        return ",".join(
            f'"{vital.wire}":{min(value, 100.0) if vital.name == "spo2" else value:.1f}'
            for vital, value in zip(VITALS, values, strict=True)
        ).encode()

    async def admit(
        self, producer: AIOKafkaProducer, sent: Callable[[int], None] = lambda count: None
    ) -> int:
        """Send an admission of each patient and wait until the broker has them.

        Args:
            producer: from `producing`.
            sent: is told how many were handed over.

        Returns:
            How many.
        """
        at = iso(self._times[0] - 3_600_000).encode()
        admission = b'{"patient_id":"%b","age_years":%d,"sex":"female","icu_admitted_at":"%b"}'
        ages = self._random.integers(20, 90, _VARIANTS).tolist()
        for partition, keys in enumerate(self._homes):
            values = (admission % (key, ages[i % _VARIANTS], at) for i, key in enumerate(keys))
            pairs = zip(keys, values, strict=True)
            await _send(producer, self._topics.admissions.name, partition, pairs, sent)
        return self.patients

    def reading(self, number: int, at_ms: int) -> tuple[int, bytes, bytes]:
        """Return partition, key and value of a reading of one patient, observed at some time."""
        partition, key = self._everyone[number]
        body = self._bodies[at_ms % _VARIANTS]
        return partition, key, _READING % (key, iso(at_ms).encode(), body)

    async def measure(
        self,
        producer: AIOKafkaProducer,
        rounds: int | None = None,
        sent: Callable[[int], None] = lambda count: None,
    ) -> int:
        """Send rounds of readings and wait until the broker has them.

        Args:
            producer: from `producing`.
            rounds: how many of those that are left; None = all.
            sent: is told how many were handed over.

        Returns:
            How many readings.
        """
        count = 0
        for _ in range(len(self._times) if rounds is None else rounds):
            at = iso(self._times.pop(0)).encode()
            for partition, keys in enumerate(self._homes):
                pairs = self._round(keys, at)
                await _send(producer, self._topics.vitals.name, partition, pairs, sent)
            count += self.patients
        return count

    def _round(self, keys: list[bytes], at: bytes) -> Iterable[tuple[bytes, bytes]]:
        order = self._random.permutation(len(keys)).tolist()
        bodies = self._random.integers(0, _VARIANTS, len(keys)).tolist()
        for i, body in zip(order, bodies, strict=True):
            key = keys[i]
            yield key, _READING % (key, at, self._bodies[body])


async def _send(
    producer: AIOKafkaProducer,
    topic: str,
    partition: int,
    pairs: Iterable[tuple[bytes, bytes]],
    sent: Callable[[int], None],
) -> None:
    waiting = []

    async def hand_over(batch: Any) -> None:
        batch.close()
        waiting.append(await producer.send_batch(batch, topic, partition=partition))
        sent(batch.record_count())

    batch = producer.create_batch()
    for key, value in pairs:
        if batch.append(timestamp=None, key=key, value=value) is None:
            await hand_over(batch)
            batch = producer.create_batch()
            batch.append(timestamp=None, key=key, value=value)
    if batch.record_count():
        await hand_over(batch)
    for future in waiting:
        await future

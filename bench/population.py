"""Many patients on a topic: rounds of readings, each patient once a round, in another order each.

Readings differ in their values and times only, so that what a bench measures is the engine and not
the maker of its input: one takes about 3 microseconds.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
from aiokafka import AIOKafkaProducer

from config.clock import iso, now_ms
from config.settings import Settings
from models.vitals import VITALS
from streams.bedside import partition_of
from streams.topics import catalogue

__all__ = ["Population", "producing"]

#: Plausible values of the vital signs, in their order: middle and spread.
_TYPICAL = ((85, 12), (85, 12), (18, 3), (37, 0.5), (97, 1.5), (120, 15), (65, 9), (83, 10))
_VARIANTS = 4_096


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
        patients: how many.
        step_s: observed time between two rounds, in seconds.
        seed: of the values and of the order of each round.
    """

    def __init__(self, patients: int, *, step_s: float = 60, seed: int = 1) -> None:
        self.patients = patients
        self._step_ms = round(step_s * 1000)
        self._random = np.random.default_rng(seed)
        self._bodies = [self._body() for _ in range(_VARIANTS)]
        # the last round is now, the rounds before it lie in the past: none is in the future
        self._start_ms = now_ms()
        self._round = 0
        self._homes: dict[int, list[list[bytes]]] = {}

    def _body(self) -> bytes:
        values = [self._random.normal(*typical) for typical in _TYPICAL]
        return ",".join(
            f'"{vital.wire}":{min(value, 100.0) if vital.name == "spo2" else value:.1f}'
            for vital, value in zip(VITALS, values, strict=True)
        ).encode()

    def rewind(self, rounds: int) -> None:
        """Let the next round lie so many rounds in the past."""
        self._start_ms -= rounds * self._step_ms

    def home(self, partitions: int) -> list[list[bytes]]:
        """Return the patients of each partition."""
        if partitions not in self._homes:
            homes: list[list[bytes]] = [[] for _ in range(partitions)]
            for number in range(self.patients):
                key = b"patient-%07d" % number
                homes[partition_of.__wrapped__(key, partitions)].append(key)
            self._homes[partitions] = homes
        return self._homes[partitions]

    async def send(
        self,
        settings: Settings,
        producer: AIOKafkaProducer,
        rounds: int,
        progress: Callable[[int], None] = lambda count: None,
    ) -> int:
        """Send rounds of readings to ``vitals`` and wait until the broker has them.

        Args:
            settings: name the topic and its partitions.
            producer: from `producing`.
            rounds: how many.
            progress: is told of readings sent.

        Returns:
            How many readings were sent.
        """
        topic = catalogue(settings).vitals.name
        sent = 0
        for _ in range(rounds):
            at = iso(self._start_ms + self._round * self._step_ms).encode()
            self._round += 1
            waiting = []
            for partition, keys in enumerate(self.home(settings.partitions)):
                order = self._random.permutation(len(keys)).tolist()
                bodies = self._random.integers(0, _VARIANTS, len(keys)).tolist()
                batch = producer.create_batch()
                for i, body in zip(order, bodies, strict=True):
                    key = keys[i]
                    value = b'{"patient_id":"%b","observed_at":"%b",%b}' % (
                        key, at, self._bodies[body],
                    )  # fmt: skip
                    if batch.append(timestamp=None, key=key, value=value) is None:
                        batch.close()
                        waiting.append(await producer.send_batch(batch, topic, partition=partition))
                        progress(batch.record_count())
                        batch = producer.create_batch()
                        batch.append(timestamp=None, key=key, value=value)
                if batch.record_count():
                    batch.close()
                    waiting.append(await producer.send_batch(batch, topic, partition=partition))
                    progress(batch.record_count())
            for future in waiting:
                await future
            sent += self.patients
        return sent

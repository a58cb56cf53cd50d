"""Whom a new patient's readings wait for: everything that the broker holds of the admissions."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from faust.types import TP

from agents import progress
from config.settings import Settings
from streams.partitions import partition_of
from streams.transport import Batch
from tests.topology.driver import Bench, record

pytestmark = pytest.mark.topology

WAIT_S = 0.05


#: Something that does not wait has ended long before, on the busiest machine.
SOON_S = 20


def a_bench(monkeypatch: pytest.MonkeyPatch, wait_s: float) -> Bench:
    monkeypatch.setattr(progress, "_LOOK_AGAIN_S", 0.001)
    monkeypatch.setattr(progress, "_LOOKS", 5)
    monkeypatch.setattr(progress, "_ANSWER_S", 0.01)
    chosen = Settings(broker="nowhere:1", partitions=2, admissions_wait_s=wait_s)
    made = Bench(chosen)
    made.consumer.ends[TP(made.topics.admissions.name, 0)] = 3
    return made


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return a_bench(monkeypatch, WAIT_S)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Waits for longer than a test does."""
    return a_bench(monkeypatch, 10 * SOON_S)


def a_batch(bench: Bench) -> Batch:
    """A batch of readings whose patients are new."""
    topic = bench.topics.vitals.name
    return Batch(TP(topic, 0), [record(topic, 0, b"{}")])


class Broker:
    """Answers, hangs or is not there."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
        self.way, self.asked = way, asyncio.Event()
        self._questions = 0
        self._answer = bench.consumer.end_offset
        monkeypatch.setattr(bench.consumer, "end_offset", self.end_offset)

    async def end_offset(self, tp: TP) -> int:
        self._questions += 1
        if self._questions == 8:  # far more than the time that counts, were it counted
            self.asked.set()
        if self.way == "hangs" and self._questions > 1:
            await asyncio.Event().wait()
        if self.way == "raises" and self._questions > 1:
            raise KafkaConnectionError("away")
        return await self._answer(tp)


async def test_an_admission_that_is_not_read_in_time_holds_up_nobody(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.admit.caught_up(a_batch(bench))
    assert "not read to 3 in time" in caplog.text


@pytest.mark.parametrize("way", ["hangs", "raises"])
async def test_time_in_which_the_broker_is_away_does_not_count(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    broker = Broker(bench, monkeypatch, way)
    waiting = asyncio.create_task(bench.admit.caught_up(a_batch(bench)))
    await broker.asked.wait()
    assert not waiting.done()

    broker.way = "answers"
    bench.consumer.ends.clear()  # and everything has been read
    bench.consumer.markers[TP(bench.topics.admissions.name, 0)] = 3
    await waiting
    assert not caplog.records


async def test_nobody_waits_for_a_partition_that_was_taken_away(patient: Bench) -> None:
    batch = a_batch(patient)
    waiting = asyncio.create_task(patient.admit.caught_up(batch))
    await asyncio.sleep(0)
    batch.stale = True
    async with asyncio.timeout(SOON_S):
        await waiting


async def test_a_partition_that_is_gone_before_anybody_was_told_is_waited_for(
    patient: Bench,
) -> None:
    """In a rebalance that has begun the consumer has no assignment, and batches are not stale."""
    batch, assigned = a_batch(patient), patient.consumer.assigned
    patient.consumer.assigned = set()
    waiting = asyncio.create_task(patient.admit.caught_up(batch))
    for _ in range(5):
        await asyncio.sleep(0.002)
    assert not waiting.done(), "scored now, the reading would miss its admission"

    patient.consumer.assigned = assigned
    patient.consumer.ends.clear()
    async with asyncio.timeout(SOON_S):
        await waiting


async def test_the_first_batch_after_an_assignment_waits_even_for_patients_who_are_known(
    bench: Bench,
) -> None:
    """The worker before may have known an admission that is still to be read here."""
    bench.consumer.ends.clear()
    topic = bench.topics.vitals.name
    asked = []
    caught_up = bench.admit.caught_up

    async def ask(batch: Batch) -> None:
        asked.append(batch)
        await caught_up(batch)

    bench.admit.caught_up = ask  # type: ignore[method-assign]

    def batch(offset: int) -> list[Any]:
        value = b'{"patient_id":"a","MDC_TEMP_Result":37.0}'
        return [record(topic, offset, value, b"a", partition=home)]

    home = partition_of(b"a", 2)
    await bench.feed(bench.score, batch(0))
    await bench.feed(bench.score, batch(1))
    assert len(asked) == 1
    bench.consumer.assignment_number += 1
    await bench.feed(bench.score, batch(2))
    await bench.feed(bench.score, batch(3))
    assert len(asked) == 2

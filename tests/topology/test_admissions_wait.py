"""Whom a new patient's readings wait for: everything that the broker holds of the admissions."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError
from faust.types import TP

from agents import admissions
from config.settings import Settings
from tests.topology.driver import Bench

pytestmark = pytest.mark.topology

WAIT_S = 0.05


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(admissions, "_LOOK_AGAIN_S", 0.001)
    monkeypatch.setattr(admissions, "_LOOKS", 5)
    monkeypatch.setattr(admissions, "_ANSWER_S", 0.01)
    chosen = Settings(broker="nowhere:1", partitions=2, admissions_wait_s=WAIT_S)
    made = Bench(chosen)
    made.consumer.ends[TP(made.topics.admissions.name, 0)] = 3
    return made


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
    await bench.admit.caught_up(0)
    assert "not read to 3 in time" in caplog.text


@pytest.mark.parametrize("way", ["hangs", "raises"])
async def test_time_in_which_the_broker_is_away_does_not_count(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    broker = Broker(bench, monkeypatch, way)
    waiting = asyncio.create_task(bench.admit.caught_up(0))
    await broker.asked.wait()
    assert not waiting.done()

    broker.way = "answers"
    bench.consumer.ends.clear()  # and everything has been read
    bench.consumer.markers[TP(bench.topics.admissions.name, 0)] = 3
    await waiting
    assert not caplog.records


async def test_nobody_waits_for_a_partition_that_was_taken_away(bench: Bench) -> None:
    waiting = asyncio.create_task(bench.admit.caught_up(0))
    await asyncio.sleep(0)
    bench.consumer.assignment_number += 1
    async with asyncio.timeout(WAIT_S / 2):
        await waiting

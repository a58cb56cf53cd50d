"""Brokers go away and come back; workers wait for them and lose nothing."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.settings import Settings
from models.simulator import simulate
from streams.kafka import LocalKafka
from streams.kafka.ports import free_ports
from streams.topics import catalogue
from tests.faults.conftest import Begin
from tests.faults.verdicts import exact
from tests.live import Worker, producing, read


@pytest.fixture
def single(tmp_path: Path) -> Iterator[LocalKafka]:
    with LocalKafka(tmp_path / "own", Settings().cache) as kafka:
        yield kafka


async def test_a_worker_that_starts_before_its_broker_waits_for_it(
    live: Settings, start_worker: Callable[[Settings], Worker], tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    chosen = live.model_copy(update={"broker": f"127.0.0.1:{port}"})
    worker = start_worker(chosen)
    await _said(worker, f"no broker at 127.0.0.1:{port}")

    broker = LocalKafka(tmp_path / "late", Settings().cache, port=port)
    await asyncio.to_thread(broker.start)
    try:
        async with producing(chosen) as producer:
            reading = b'{"patient_id": "p", "MDC_ECG_HEART_RATE_Result": 80}'
            await producer.send_and_wait(catalogue(chosen).vitals.name, reading, b"p")
        found = await read(chosen, [catalogue(chosen).recommendations.name], bool, worker)
        assert await worker.stop() == 0, worker.said
    finally:
        await asyncio.to_thread(broker.stop)

    assert len(found) == 1


async def test_a_worker_that_waits_for_its_broker_stops_when_it_is_told_to(
    live: Settings, start_worker: Callable[[Settings], Worker]
) -> None:
    worker = start_worker(live.model_copy(update={"broker": "127.0.0.1:1"}))
    await _said(worker, "no broker at")

    assert await worker.stop() == 0
    assert "Traceback" not in worker.log.read_text()


async def _said(worker: Worker, text: str, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while text not in worker.log.read_text():
            assert worker.alive, worker.said
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("end", ["stop_node", "kill"])
async def test_a_worker_outlives_a_restart_of_its_only_broker(
    single: LocalKafka, begin: Begin, end: str
) -> None:
    trial = await begin(single)
    worker = trial.join()
    trial.keep_admitting(list(simulate(80, seed=21)), 150)
    await trial.recommended(300)

    await asyncio.to_thread(getattr(single, end), 1)
    await asyncio.to_thread(single.start_node, 1)
    await trial.recommended(trial.ledger.recommended + 200)

    await exact(trial)
    assert worker.alive, worker.said


@pytest.mark.parametrize("end", [pytest.param("stop_node", marks=pytest.mark.soak), "kill"])
async def test_one_of_three_brokers_may_be_lost(begin: Begin, three: LocalKafka, end: str) -> None:
    trial = await begin(three, replication=3)
    worker = trial.join()
    trial.keep_admitting(list(simulate(80, seed=22)), 150)
    await trial.recommended(200)

    await asyncio.to_thread(getattr(three, end), 2)
    try:
        await trial.recommended(trial.ledger.recommended + 400)
    finally:
        await asyncio.to_thread(three.start_node, 2)
    await trial.recommended(trial.ledger.recommended + 200)

    await exact(trial)
    assert worker.alive, worker.said

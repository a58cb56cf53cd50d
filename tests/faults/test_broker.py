"""Brokers go away and come back; workers wait for them and lose nothing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import Settings
from models.simulator import simulate
from streams.kafka import LocalKafka
from tests.faults.conftest import Begin
from tests.faults.verdicts import exact


@pytest.fixture
def single(tmp_path: Path) -> Iterator[LocalKafka]:
    with LocalKafka(tmp_path / "own", Settings().cache) as kafka:
        yield kafka


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


@pytest.mark.parametrize("end", ["stop_node", "kill"])
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

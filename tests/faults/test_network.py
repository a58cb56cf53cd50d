"""The network between workers and brokers is cut, hangs or is slow."""

import asyncio

import pytest

from bench.chaos import Proxies
from models.simulator import simulate
from streams.kafka import LocalKafka
from tests.faults.conftest import Begin
from tests.faults.verdicts import exact

#: Longer than the session: the worker is given up meanwhile.
LONG_S = 8


@pytest.mark.parametrize("way", ["cut", pytest.param("frozen", marks=pytest.mark.soak)])
async def test_a_worker_outlives_a_network_that_was_away(
    begin: Begin, three: LocalKafka, way: str
) -> None:
    async with Proxies(three) as proxies:
        trial = await begin(three, proxies.bootstrap, replication=3)
        worker = trial.join()
        trial.keep_admitting(list(simulate(120, seed=31)), 150)
        await trial.recommended(300)

        if way == "cut":
            await proxies.cut()
        else:
            proxies.freeze()
        await asyncio.sleep(LONG_S)  # nothing tells that a session is over
        await proxies.heal()
        await trial.recommended(trial.ledger.recommended + 500)

        await exact(trial)
        assert worker.alive, worker.said


async def test_a_slow_network_makes_nothing_but_slow(begin: Begin, three: LocalKafka) -> None:
    async with Proxies(three) as proxies:
        trial = await begin(three, proxies.bootstrap, replication=3)
        trial.join()
        trial.keep_admitting(list(simulate(40, seed=32)), 100)
        await trial.recommended(50)

        proxies.delay(0.2)
        await trial.recommended(trial.ledger.recommended + 300)
        await proxies.heal()

        await exact(trial)

"""Workers die, leave, join and stall at any moment; what comes out is what would have come out."""

import random

import pytest

from models.simulator import simulate
from tests.faults.conftest import Begin
from tests.faults.verdicts import exact


@pytest.mark.parametrize(
    "keyed",
    [
        pytest.param(True, id="keyed"),
        pytest.param(False, id="unkeyed", marks=pytest.mark.soak),
    ],
)
async def test_no_kill_loses_a_reading_or_changes_a_result(begin: Begin, keyed: bool) -> None:
    trial = await begin()
    stays = list(simulate(80, seed=11))
    readings = sum(len(stay.seconds) for stay in stays)
    worker = trial.join()
    trial.admit(stays, 700, keyed=keyed)

    for count in sorted(random.Random(5).sample(range(50, readings - 50), 4)):
        await trial.recommended(count)
        worker.kill()
        worker.start()

    await exact(trial)


async def test_a_worker_that_lost_its_disk_goes_on_from_the_changelog(begin: Begin) -> None:
    trial = await begin()
    worker = trial.join()
    trial.admit(list(simulate(30, seed=12)), 150)
    await trial.recommended(500)

    worker.kill()
    trial.lose_state(worker)
    worker.start()

    await exact(trial)


async def test_a_worker_that_is_told_to_stop_leaves_with_zero_and_another_goes_on(
    begin: Begin,
) -> None:
    trial = await begin()
    worker = trial.join()
    trial.admit(list(simulate(20, seed=13)), 100)
    await trial.recommended(300)

    assert await trial.leave(worker) == 0, worker.said
    trial.join()

    await exact(trial)


async def test_workers_join_and_leave_under_load(begin: Begin) -> None:
    trial = await begin()
    first = trial.join()
    trial.keep_admitting(list(simulate(120, seed=14)), 250)
    await trial.recommended(200)

    others = [trial.join(), trial.join()]
    for worker in others:
        await trial.has_partitions(worker)
    await trial.recommended(trial.ledger.recommended + 400)
    assert await trial.leave(first) == 0, first.said
    assert await trial.leave(others[0]) == 0, others[0].said
    await trial.recommended(trial.ledger.recommended + 400)

    await exact(trial)


async def test_a_worker_that_was_stopped_for_longer_than_its_session_does_no_harm(
    begin: Begin,
) -> None:
    trial = await begin()
    sleeper = trial.join()
    trial.keep_admitting(list(simulate(120, seed=15)), 150)
    await trial.recommended(200)

    sleeper.pause()
    other = trial.join()
    await trial.has_partitions(other)
    await trial.recommended(trial.ledger.recommended + 400)
    sleeper.resume()
    await trial.has_partitions(sleeper)
    await trial.recommended(trial.ledger.recommended + 400)

    await exact(trial)

"""Workers die at any moment; what comes out is what would have come out."""

import asyncio
import random
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer

from config.settings import Settings
from models.simulator import simulate
from models.stay import Stay
from streams.replay import Replay
from streams.topics import catalogue, ensure
from tests.expected import all_of, offline, streamed
from tests.live import Worker, parsed, read

Start = Callable[[Settings], Worker]


def _readings(stays: list[Stay]) -> int:
    return sum(len(stay.seconds) for stay in stays)


async def _kill_on_the_way(live: Settings, worker: Worker, at: list[int]) -> None:
    """SIGKILL and restart the worker each time so many recommendations have come out."""
    consumer = AIOKafkaConsumer(
        catalogue(live).recommendations.name,
        **live.kafka_client(),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    seen: set[str] = set()
    try:
        for count in at:
            while len(seen) < count:
                for fetched in (await consumer.getmany(timeout_ms=200)).values():
                    seen |= {r["recommendation_id"] for r in parsed(fetched)}
            worker.kill()
            worker.start()
    finally:
        await consumer.stop()


@pytest.mark.parametrize("keyed", [True, False], ids=["keyed", "unkeyed"])
async def test_no_kill_loses_a_reading_or_changes_a_result(
    live: Settings, start_worker: Start, keyed: bool
) -> None:
    stays = list(simulate(80, seed=11))
    readings = _readings(stays)
    kills = sorted(random.Random(5).sample(range(50, readings - 50), 4))
    await ensure(live)
    worker = start_worker(live)

    replay = asyncio.create_task(Replay(live, stays, rate=700, keyed=keyed).run())
    async with asyncio.timeout(150):
        await _kill_on_the_way(live, worker, kills)
        await replay
    topic = catalogue(live).recommendations.name
    records = await read(live, [topic], all_of(readings), worker)

    assert streamed(parsed(records), stays) == offline(stays)


async def test_a_worker_that_lost_its_disk_goes_on_from_the_changelog(
    live: Settings, start_worker: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stays = list(simulate(30, seed=12))
    readings = _readings(stays)
    await ensure(live)
    worker = start_worker(live)
    replay = asyncio.create_task(Replay(live, stays, rate=500).run())
    topic = catalogue(live).recommendations.name
    await read(live, [topic], lambda found: len(found) >= readings // 2, worker)

    worker.kill()
    fresh = live.model_copy(update={"home": tmp_path_factory.mktemp("fresh")})
    replacement = start_worker(fresh)
    await replay
    records = await read(live, [topic], all_of(readings), replacement)

    assert streamed(parsed(records), stays) == offline(stays)


async def test_a_worker_that_is_told_to_stop_leaves_with_zero_and_another_goes_on(
    live: Settings, start_worker: Start
) -> None:
    stays = list(simulate(20, seed=13))
    readings = _readings(stays)
    await ensure(live)
    worker = start_worker(live)
    replay = asyncio.create_task(Replay(live, stays, rate=400).run())
    topic = catalogue(live).recommendations.name
    await read(live, [topic], lambda found: len(found) >= readings // 3, worker)

    assert await worker.stop() == 0, worker.said
    worker.start()
    await replay
    records = await read(live, [topic], all_of(readings), worker)

    assert streamed(parsed(records), stays) == offline(stays)

"""The broker goes away and comes back; workers wait for it and lose nothing."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from config.settings import Settings
from models.simulator import simulate
from streams.kafka import LocalKafka
from streams.replay import Replay
from streams.topics import catalogue, ensure
from tests.expected import all_of, offline, streamed
from tests.live import Worker, parsed, read

Start = Callable[[Settings], Worker]


@pytest.mark.parametrize("restart", ["stop_node", "kill"])
async def test_a_worker_outlives_a_restart_of_its_broker(
    live: Settings, start_worker: Start, tmp_path: Path, restart: str
) -> None:
    stays = list(simulate(40, seed=21))
    readings = sum(len(stay.seconds) for stay in stays)
    with LocalKafka(tmp_path / "own", Settings().cache) as kafka:
        live = live.model_copy(update={"broker": kafka.bootstrap})
        await ensure(live)
        worker = start_worker(live)
        topic = catalogue(live).recommendations.name
        replay = asyncio.create_task(Replay(live, stays, rate=150).run())
        await read(live, [topic], lambda found: len(found) >= readings // 3, worker)

        await asyncio.to_thread(getattr(kafka, restart), 1)
        await asyncio.to_thread(kafka.start_node, 1)
        await replay
        records = await read(live, [topic], all_of(readings), worker)

        assert streamed(parsed(records), stays) == offline(stays)

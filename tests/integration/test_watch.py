"""The board's feed from a real broker."""

import asyncio
import json
import sys
from typing import Any

import pytest

from config.clock import iso, now_ms
from config.settings import Settings
from streams.topics import catalogue, ensure
from tests.live import ROOT, environment, producing

pytestmark = pytest.mark.integration


def recommendation(patient: str, risk: float) -> bytes:
    return json.dumps(
        {
            "recommendation_id": patient,
            "patient_id": patient,
            "unit_id": "ICU-1",
            "observed_at": iso(0),
            "risk": risk,
            "tier": "watch",
            "factors": [],
            "news2": {"total": 1},
            "model_name": "m",
            "model_version": "1",
            "original_data": {},
        }
    ).encode()


async def watched(live: Settings, *arguments: str) -> tuple[int | None, bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "streams.cli", "watch", *arguments],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(live),
        cwd=ROOT,
    )
    out, err = await process.communicate()
    return process.returncode, out, err


async def snapshot(live: Settings, *arguments: str) -> dict[str, Any]:
    code, out, err = await watched(live, "--once", "--json", *arguments)
    assert code == 0, err.decode()
    found: dict[str, Any] = json.loads(out)
    return found


async def test_a_snapshot_has_what_is_there_and_counts_what_is_odd(live: Settings) -> None:
    await ensure(live)
    topics = catalogue(live)
    hour_ago = now_ms() - 3_600_000
    async with producing(live) as producer:
        name = topics.recommendations.name
        await producer.send_and_wait(name, recommendation("old", 0.9), timestamp_ms=hour_ago)
        for i in range(50):
            await producer.send(name, recommendation(f"p{i}", i / 100), key=f"p{i}".encode())
        await producer.send(name, b"not json")
        await producer.send(name, None, key=b"gone")
        await producer.send(topics.dead_letters.name, b"{}")
        await producer.flush()

    everything = await snapshot(live, "--from-start")
    assert [p["patient_id"] for p in everything["patients"]][:2] == ["old", "p49"]
    assert len(everything["patients"]) == 51
    assert (everything["skipped"], everything["dead_letters"], everything["lag"]) == (2, 1, 0)

    recent = await snapshot(live, "--back", "30", "--unit", "ICU-1")
    assert recent["patients"][0]["patient_id"] == "p49"
    assert len(recent["patients"]) == 50
    assert (await snapshot(live, "--unit", "ICU-2"))["patients"] == []


async def test_without_the_topics_the_remedy_is_named_at_once(live: Settings) -> None:
    code, _, err = await watched(live, "--once")
    assert code == 1
    assert "vigiltopics" in "".join(err.decode().split())


async def test_without_a_terminal_a_live_board_is_refused(live: Settings) -> None:
    code, _, err = await watched(live)
    assert code == 2
    assert "--once" in err.decode()

"""The outcomes' agent on fake topics."""

import asyncio
import json
from typing import Any

import pytest
from faust.types import TP

from agents import progress
from config.clock import iso
from streams.lessons import Example, StayEnd, decode
from streams.partitions import partition_of
from tests.helpers import reading
from tests.topology.driver import NOW_MS, Bench, record

pytestmark = pytest.mark.topology

PATIENT = next(f"p{i}" for i in range(100) if partition_of(f"p{i}".encode(), 2) == 0)
KEY = PATIENT.encode()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(progress, "_LOOK_AGAIN_S", 0.001)
    return Bench()


def _outcome(**more: object) -> bytes:
    ended = {"patient_id": PATIENT, "ended_at": iso(NOW_MS), "septic": False}
    return json.dumps(ended | more).encode()


def _lessons(bench: Bench) -> list[Any]:
    return [decode(sent["value"]) for sent in bench.sent(bench.topics.lessons)]


async def test_an_outcome_is_sent_on_as_it_came(bench: Bench) -> None:
    (event,) = await bench.feed(bench.close, [record("outcomes", 0, _outcome(), KEY)])

    (sent,) = bench.sent(bench.topics.lessons)
    assert (sent["key"], sent["value"], event.acked) == (KEY, _outcome(), True)


async def test_an_outcome_follows_the_readings_that_the_broker_holds(bench: Bench) -> None:
    topic = bench.topics.vitals.name
    bench.consumer.ends[TP(topic, 0)] = 1
    closing = asyncio.create_task(bench.feed(bench.close, [record("outcomes", 0, _outcome(), KEY)]))
    await asyncio.sleep(0.02)
    assert not _lessons(bench), "sent on before the stay's last reading was scored"

    value = reading(PATIENT, heart_rate=80, observed_at=iso(NOW_MS))
    bench.bedside_learns()
    await bench.feed(bench.score, [record(topic, 0, value, KEY)])
    await closing
    assert [type(lesson) for lesson in _lessons(bench)] == [Example, StayEnd]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{}", "not an outcome"),
        (b"{", "not JSON"),
        (b"\x81\xa1v\x01", "not an example"),
        (_outcome(septic=True), "septic without onset_at"),
        (_outcome(ended_at=iso(NOW_MS + 3_600_000)), "its time lies in the future"),
        (_outcome()[:-1] + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}", "not JSON"),
        (None, "no value"),
    ],
)
async def test_what_is_no_outcome_is_a_dead_letter_with_its_reason(
    bench: Bench, value: bytes | None, reason: str
) -> None:
    (event,) = await bench.feed(bench.close, [record("outcomes", 0, value, KEY)])

    (letter,) = bench.sent(bench.topics.dead_letters)
    assert reason in json.loads(letter["value"])["reason"]
    assert event.acked
    assert not _lessons(bench)


async def test_an_outcome_on_a_partition_that_vitals_does_not_have_waits_for_nobody() -> None:
    bench = Bench()
    bench.app.sizes[bench.topics.vitals.name] = 1
    bench.consumer.assigned.discard(TP(bench.topics.vitals.name, 1))
    async with asyncio.timeout(20):
        await bench.feed(bench.close, [record("outcomes", 0, _outcome(), KEY, partition=1)])
    assert _lessons(bench)


async def test_a_partition_whose_readings_are_waited_for_holds_up_no_other(bench: Bench) -> None:
    topic = bench.topics.vitals.name
    bench.consumer.ends[TP(topic, 0)] = 1
    batches = [[record("outcomes", 0, _outcome(), KEY, partition=p)] for p in (0, 1)]
    closing = asyncio.create_task(bench.feed(bench.close, *batches))
    async with asyncio.timeout(10):
        while not _lessons(bench):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.001)
    assert not closing.done()
    await bench.feed(bench.score, [record(topic, 0, reading(PATIENT, heart_rate=80), KEY)])
    assert all(event.acked for event in await closing)
    assert len(_lessons(bench)) == 2

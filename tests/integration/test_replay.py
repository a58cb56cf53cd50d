"""A replay through a real broker: everything arrives, in order, once."""

import asyncio
import json
import math
import signal
import sys
from collections import defaultdict
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.partitioner import DefaultPartitioner

from config.clock import now_ms
from config.settings import Settings
from models.simulator import simulate
from models.stay import Stay
from streams.events import Admission, Outcome, Reading
from streams.replay import Replay
from streams.topics import catalogue, ensure
from tests.live import ROOT, environment, parsed, read

pytestmark = pytest.mark.integration


def patients(count: int = 20, **given: Any) -> list[Stay]:
    return list(simulate(count, septic_share=0.3, seed=5, **given))


def rows(stays: list[Stay]) -> int:
    return sum(len(stay.seconds) for stay in stays)


async def sent_to(live: Settings, role: str, count: int) -> list[Any]:
    """The records of a topic, in the order of their offsets within a partition."""
    topic = getattr(catalogue(live), role).name
    return await read(live, [topic], lambda found: len(found) >= count, seconds=30)


def by_patient(records: list[Any]) -> dict[str, list[Any]]:
    found = defaultdict(list)
    for record in records:
        found[json.loads(record.value)["patient_id"]].append(record)
    return found


def observed(record: Any) -> str:
    return str(json.loads(record.value)["observed_at"])


async def test_every_reading_arrives_once_in_order_on_its_patients_partition(
    live: Settings,
) -> None:
    await ensure(live)
    stays, before = patients(), now_ms()
    run = Replay(live, stays)
    await run.run()

    assert run.sent == run.acknowledged
    assert run.acknowledged.readings == run.total == rows(stays)
    records = await sent_to(live, "vitals", run.total)
    assert len(records) == run.total
    partitions = list(range(live.partitions))
    for stay in stays:
        own = by_patient(records)[stay.patient_id]
        key = stay.patient_id.encode()
        assert {record.key for record in own} == {key}
        assert {r.partition for r in own} == {DefaultPartitioner()(key, partitions, partitions)}
        assert [observed(record) for record in own] == sorted(observed(record) for record in own)
        assert len(own) == len(stay.seconds)
    assert all(before <= record.timestamp <= now_ms() for record in records)
    assert all(Reading.model_validate_json(record.value).observed_at for record in records)


async def test_admissions_come_before_the_readings_and_outcomes_after_the_last_one(
    live: Settings,
) -> None:
    await ensure(live)
    stays = patients()
    run = Replay(live, stays, unit="ICU-1")
    await run.run()

    admissions = await sent_to(live, "admissions", len(stays))
    readings = await sent_to(live, "vitals", run.total)
    outcomes = await sent_to(live, "outcomes", len(stays))
    assert max(a.timestamp for a in admissions) <= min(r.timestamp for r in readings)
    assert {Admission.model_validate_json(a.value).unit_id for a in admissions} == {"ICU-1"}
    last = {name: own[-1] for name, own in by_patient(readings).items()}
    assert len(outcomes) == len(stays)
    for record in outcomes:
        outcome = Outcome.model_validate_json(record.value)
        assert record.timestamp >= last[outcome.patient_id].timestamp
        assert (
            outcome.ended_at
            == Reading.model_validate_json(last[outcome.patient_id].value).observed_at
        )
    assert [Outcome.model_validate_json(record.value).septic for record in outcomes].count(
        True
    ) == sum(bool(stay.septic) for stay in stays)


async def test_without_keys_a_patients_readings_are_spread_and_their_kafka_times_tell_the_order(
    live: Settings,
) -> None:
    await ensure(live)
    run = Replay(live, patients(5, hours=24), keyed=False)
    await run.run()

    records = await sent_to(live, "vitals", run.total)
    assert {record.key for record in records} == {None}
    assert {record.partition for record in records} == set(range(live.partitions))
    for own in by_patient(records).values():
        own.sort(key=lambda record: record.timestamp)
        assert len({record.timestamp for record in own}) == len(own)
        assert [observed(record) for record in own] == sorted(observed(record) for record in own)


async def test_a_replay_that_is_stopped_leaves_nothing_half_sent(live: Settings) -> None:
    await ensure(live)
    run = Replay(live, patients(), rate=200)
    running = asyncio.create_task(run.run())
    first = await sent_to(live, "vitals", 20)
    run.stop()
    await running

    assert len(first) <= run.acknowledged.readings < run.total
    assert run.sent == run.acknowledged
    assert len(list(run.keys())) == run.sent.readings
    found = await sent_to(live, "vitals", run.sent.readings)
    assert len(found) == run.sent.readings
    assert run.acknowledged.outcomes < len(by_patient(found))


async def test_a_loop_goes_on_with_new_patients(live: Settings) -> None:
    await ensure(live)
    stays = patients(3, hours=12)
    run = Replay(live, stays, loop=True)
    running = asyncio.create_task(run.run())
    records = await sent_to(live, "vitals", 2 * rows(stays))
    run.stop()
    await running

    assert run.passes >= 2
    found = by_patient(records)
    assert {"sim-0001", "sim-0001-2"} <= set(found)
    assert len(found["sim-0001"]) == len(stays[0].seconds)


async def test_a_rate_is_kept(live: Settings) -> None:
    await ensure(live)
    run = Replay(live, patients(10, hours=10), rate=100)
    began = asyncio.get_running_loop().time()
    await run.run()
    took = asyncio.get_running_loop().time() - began
    assert run.acknowledged.readings / took <= 105


async def test_a_broker_that_is_not_there_is_an_error(live: Settings) -> None:
    nowhere = live.model_copy(update={"broker": "127.0.0.1:1"})
    with pytest.raises(KafkaConnectionError):
        await Replay(nowhere, patients(1)).run()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_sends_no_more_and_tells_what_the_broker_has(
    live: Settings, number: signal.Signals
) -> None:
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "streams.cli", "replay", "--simulate", "50", "--rate", "100"],
        "--json",
        stdout=asyncio.subprocess.PIPE,
        env=environment(live),
        cwd=ROOT,
    )
    await ensure(live)
    await sent_to(live, "vitals", 10)
    process.send_signal(number)
    out, _ = await process.communicate()

    told = json.loads(out.splitlines()[-1])
    assert process.returncode == 130
    assert told["interrupted"]
    assert told["sent"] == told["acknowledged"]
    found = await sent_to(live, "vitals", told["sent"]["readings"])
    assert len(found) == told["sent"]["readings"]
    assert len(await sent_to(live, "admissions", 50)) == told["sent"]["admissions"] == 50


async def test_a_replay_of_recorded_patients_ends_with_what_it_sent(live: Settings) -> None:
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "streams.cli", "replay", "--simulate", "5", "--rate", "max"],
        "--json",
        stdout=asyncio.subprocess.PIPE,
        env=environment(live),
        cwd=ROOT,
    )
    out, _ = await process.communicate()
    told = json.loads(out)
    assert process.returncode == 0
    assert told["patients"] == 5
    records = parsed(await sent_to(live, "vitals", told["sent"]["readings"]))
    values = [v for record in records for k, v in record.items() if k.startswith("MDC_")]
    assert any(v is None for v in values)
    assert not any(isinstance(v, float) and math.isnan(v) for v in values)

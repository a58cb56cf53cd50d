"""A worker that lost its partitions and does not know: nothing of its own arrives any more."""

from collections import defaultdict
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.chaos import Proxies, Trial
from models.simulator import simulate
from streams.kafka import LocalKafka
from streams.topics import catalogue
from tables.codec import OFFSET, SOURCE, decode
from tests.faults.conftest import Begin
from tests.faults.verdicts import exact

#: Each way. Longer than a request takes by itself, so that there is always one on its way.
SLOW_S = 0.2


@pytest.mark.parametrize("way", ["cut", pytest.param("frozen", marks=pytest.mark.soak)])
async def test_what_a_worker_had_in_hand_when_it_was_cut_off_never_reaches_a_changelog(
    begin: Begin, three: LocalKafka, way: str
) -> None:
    async with Proxies(three) as proxies:
        trial = await begin(three, replication=3)
        cut_off, other = trial.join(broker=proxies.bootstrap), trial.join()
        await trial.has_members(2)
        half, go_on = trial.admit_half(list(simulate(80, seed=51)), 150)
        await trial.recommended(200)
        proxies.delay(SLOW_S)
        await trial.recommended(trial.ledger.recommended + 100)

        if way == "cut":
            await proxies.cut()
        else:
            proxies.freeze()
        # the session ends, and the other goes on with the same patients
        await trial.has_members(1)
        await trial.recommended(half)
        await proxies.heal()
        await trial.has_members(2)
        await trial.has_partitions(cut_off)

        await _in_order(trial)
        await _last_ones_know_everything(trial)
        assert cut_off.alive, cut_off.said
        assert "given up" in cut_off.log.read_text(), "it had nothing in hand"

        # once more from what the changelogs hold
        await trial.leave(cut_off)
        other.kill()
        trial.lose_state(other)
        other.start()
        go_on()
        await exact(trial)


async def _in_order(trial: Trial) -> None:
    """Assert that no changelog has a record behind one that was made after it."""
    for table in ("windows", "stays"):
        made: dict[int, int] = defaultdict(int)
        for record in await _read(trial, f"{trial.settings.topic_prefix}bedside-{table}-changelog"):
            before = made[record.partition]
            assert record.timestamp >= before, f"{before - record.timestamp} ms late: {record}"
            made[record.partition] = record.timestamp


async def _last_ones_know_everything(trial: Trial) -> None:
    """Assert that nobody's last state lacks a reading; all were scored."""
    name = f"{trial.settings.topic_prefix}bedside-windows-changelog"
    known = {}
    for record in await _read(trial, name):
        state = decode(record.value)
        log = state.log[state.log[:, SOURCE] == 0]
        known[record.key] = max([int(state.bounds[0]), *(log[:, OFFSET] + 1).tolist()])
    vitals = await _read(trial, catalogue(trial.settings).vitals.name)
    last = {record.key: record.offset for record in vitals}
    assert last
    assert [key for key in last if known[key] <= last[key]] == []


async def _read(trial: Trial, topic: str) -> list[Any]:
    """Return what a topic holds, each partition in the order of its offsets."""
    consumer = AIOKafkaConsumer(**trial.settings.kafka_client(), enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(trial.settings.partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(places)
        records = []
        for place in places:
            while await consumer.position(place) < ends[place]:
                for found in (await consumer.getmany(place, timeout_ms=200)).values():
                    records += found
        return records
    finally:
        await consumer.stop()

"""A worker's disk is full or damaged, or its changelog lost: no wrong result in silence."""

import asyncio
import os
import resource
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.records_to_delete import RecordsToDelete

from bench.chaos import Trial
from bench.common import ROOT, BenchError, environment
from bench.processes import Worker
from models.simulator import simulate
from models.stay import Stay
from streams.changelogs import decode
from streams.topics import ensure
from tests.faults.conftest import Begin
from tests.faults.verdicts import exact
from tests.live import producing

#: No file may grow beyond this: less than a table needs, more than the worker's messages.
SMALL = 16 * 1024


def _stays(seed: int) -> list[Stay]:
    return list(simulate(60, seed=seed))


async def _half_way(trial: Trial, seed: int, *, keyed: bool = True) -> Worker:
    """Let a worker score some patients; the rest of their readings is still to come."""
    worker = trial.join()
    trial.admit(_stays(seed), 100, keyed=keyed)
    await trial.recommended(400)
    return worker


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits another process's files")
async def test_a_disk_that_is_full_loses_nothing(begin: Begin) -> None:
    trial = await begin()
    worker = await _half_way(trial, 41)
    assert worker.process is not None

    # tables are in memory until they are flushed: the worker may go on, or stop with an error
    resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (SMALL, SMALL))
    with suppress(BenchError):
        await trial.recommended(900)
    if worker.alive:
        worker.process.terminate()
    else:
        assert worker.process.returncode != 0
        assert "too large" in worker.said, worker.said
    async with asyncio.timeout(30):
        await worker.exited()
    worker.start()

    await exact(trial)


def _flip_bytes(folder: Path) -> None:
    for file in [*folder.rglob("*.sst"), *folder.rglob("*.log")]:
        size = file.stat().st_size
        with file.open("r+b") as opened:
            for at in range(size // 3, size, 512):
                opened.seek(at)
                opened.write(os.urandom(64))


def _truncate_manifests(folder: Path) -> None:
    for file in folder.rglob("MANIFEST-*"):
        with file.open("r+b") as opened:
            opened.truncate(file.stat().st_size // 2)


def _remove_current(folder: Path) -> None:
    for file in folder.rglob("CURRENT"):
        file.write_text("MANIFEST-999999\n")


@pytest.mark.parametrize(
    "damage",
    [
        _flip_bytes,
        pytest.param(_truncate_manifests, marks=pytest.mark.soak),
        pytest.param(_remove_current, marks=pytest.mark.soak),
    ],
)
async def test_damaged_state_is_restored_or_refused(
    begin: Begin, damage: Callable[[Path], None]
) -> None:
    trial = await begin()
    worker = await _half_way(trial, 42)
    await worker.stop()  # which is when tables are written to disk
    assert list(worker.settings.home.rglob("*.sst"))
    damage(worker.settings.home)
    worker.start()
    await _goes_on_or_refuses(trial, worker, sum(len(stay.seconds) for stay in _stays(42)))


@pytest.mark.parametrize(
    ("local", "keyed"),
    [
        pytest.param("kept", True, id="kept-keyed", marks=pytest.mark.soak),
        pytest.param("lost", False, id="lost-unkeyed"),
        pytest.param("kept", False, id="kept-unkeyed", marks=pytest.mark.soak),
        pytest.param("lost", True, id="lost-keyed", marks=pytest.mark.soak),
    ],
)
async def test_a_changelog_that_was_deleted_is_noticed(
    begin: Begin, local: str, keyed: bool
) -> None:
    trial = await begin()
    worker = await _half_way(trial, 43, keyed=keyed)
    await worker.stop()
    if local == "lost":
        trial.lose_state(worker)
    async with _admin(trial) as admin:
        await _delete_changelogs(trial, admin)
    worker.start()

    await _refuses_and_is_rebuilt(trial, worker)


@pytest.mark.soak  # every run has a case of those that were deleted
async def test_a_changelog_that_was_emptied_is_noticed(begin: Begin) -> None:
    trial = await begin()
    worker = await _half_way(trial, 44)
    await worker.stop()
    trial.lose_state(worker)
    async with _admin(trial) as admin:
        await _empty_changelogs(trial, admin)
    worker.start()

    await _refuses_and_is_rebuilt(trial, worker)


@pytest.mark.soak
async def test_a_changelog_that_was_made_anew_is_noticed_however_long_it_has_grown(
    begin: Begin,
) -> None:
    trial = await begin()
    worker = await _half_way(trial, 45)
    await worker.stop()
    async with _admin(trial) as admin:
        await _delete_changelogs(trial, admin)
    await _fill_changelogs(trial)
    worker.start()

    assert await worker.exited() == 1
    assert "was made anew" in worker.said
    await _refuses_and_is_rebuilt(trial, worker)


@pytest.mark.soak
async def test_a_changelog_that_is_lost_under_running_workers_is_noticed_by_who_gets_it(
    begin: Begin,
) -> None:
    trial = await begin()
    first = await _half_way(trial, 46)
    async with _admin(trial) as admin:
        await _delete_changelogs(trial, admin)
        await ensure(trial.settings, changelogs=_sizes(trial))
    other = trial.join()

    assert await first.exited() == 1  # the partitions that it keeps are looked at as well
    await _refuses_and_is_rebuilt(trial, other)


async def test_offsets_that_a_tool_has_set_say_nothing_of_changelogs(begin: Begin) -> None:
    trial = await begin()
    worker = await _half_way(trial, 47)
    assert await worker.stop() == 0, worker.said
    async with _admin(trial) as admin:
        committed = await admin.list_consumer_group_offsets(_group(trial))
        assert all(decode(at.metadata) for at in committed.values()), committed
        await _delete_changelogs(trial, admin)
    await _commit(trial, {tp: at.offset for tp, at in committed.items()})

    worker.start()

    await trial.has_partitions(worker)


async def _refuses_and_is_rebuilt(trial: Trial, worker: Worker) -> None:
    """The worker says what to do; that is done, and every result is right, the first ones too."""
    assert await worker.exited() == 1
    assert "run `vigil rebuild bedside`" in worker.said, worker.said
    trial.ledger.allow_set_back()
    await _rebuild(worker)
    worker.start()
    await exact(trial)


def _group(trial: Trial) -> str:
    return f"{trial.settings.topic_prefix}bedside"


def _changelogs(trial: Trial) -> list[str]:
    return [f"{_group(trial)}-{table}-changelog" for table in ("windows", "stays")]


def _sizes(trial: Trial) -> dict[str, int]:
    return dict.fromkeys(_changelogs(trial), trial.settings.partitions)


@asynccontextmanager
async def _admin(trial: Trial) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**trial.settings.kafka_client())
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def _delete_changelogs(trial: Trial, admin: AIOKafkaAdminClient) -> None:
    names = _changelogs(trial)
    await admin.delete_topics(names)
    while set(names) & set(await admin.list_topics()):  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.05)


async def _empty_changelogs(trial: Trial, admin: AIOKafkaAdminClient) -> None:
    partitions = [
        TopicPartition(name, partition)
        for name in _changelogs(trial)
        for partition in range(trial.settings.partitions)
    ]
    # only what may be deleted can be
    await admin.alter_configs(
        [
            ConfigResource(ConfigResourceType.TOPIC, name, {"cleanup.policy": "compact,delete"})
            for name in _changelogs(trial)
        ]
    )
    await admin.delete_records({tp: RecordsToDelete(before_offset=-1) for tp in partitions})


async def _fill_changelogs(trial: Trial) -> None:
    """Make them anew, longer than they were."""
    await ensure(trial.settings, changelogs=_sizes(trial))
    async with producing(trial.settings) as producer:
        for name in _changelogs(trial):
            for partition in range(trial.settings.partitions):
                for _ in range(2_000):
                    await producer.send(name, b"x", key=b"nobody", partition=partition)


async def _commit(trial: Trial, offsets: dict[TopicPartition, int]) -> None:
    consumer = AIOKafkaConsumer(
        **trial.settings.kafka_client(), group_id=_group(trial), enable_auto_commit=False
    )
    await consumer.start()
    consumer.assign(list(offsets))
    await consumer.commit(offsets)
    await consumer.stop()


async def _rebuild(worker: Worker) -> None:
    done = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "streams.cli", "rebuild", "bedside", "--yes",
        env=environment(worker.settings), cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await done.communicate()
    assert done.returncode == 0, said.decode()


async def _goes_on_or_refuses(trial: Trial, worker: Worker, readings: int) -> None:
    """Either the worker goes on, or it says what to do; in the end every result is right."""
    try:
        await trial.recommended(min(trial.ledger.recommended + 200, readings), seconds=30)
    except BenchError:
        assert not worker.alive, "it neither goes on nor stops"
        assert "VIGIL_HOME" in worker.said or "delete" in worker.said, worker.said
        # what the message says to do
        trial.lose_state(worker)
        worker.start()
    await exact(trial)

"""A worker's tables come back, whatever became of the local state."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from bench.common import Cores, Scratch
from bench.population import Population, producing
from bench.recovery import digest
from bench.watching import Watched
from streams.kafka import LocalKafka
from streams.topics import ensure

PATIENTS, ROUNDS = 2_000, 3

#: Does something to the state of a worker that has stopped.
Harm = Callable[[Path], object]


async def _fill(worker: Watched) -> None:
    await ensure(worker.settings)
    population = Population(worker.settings, PATIENTS, ROUNDS)
    async with producing(worker.settings) as producer:
        await population.admit(producer)
        await population.measure(producer)


def _until_ready(worker: Watched) -> None:
    worker.start()
    worker.wait_for(lambda: worker.ready, 60)


@pytest.fixture(scope="module")
def filled(broker: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A stopped worker that has 2,000 patients."""
    folder = tmp_path_factory.mktemp("recovery")
    bench = Scratch(folder, broker.bootstrap, Cores(None, None))
    worker = Watched(bench, "w", topic_prefix=f"{folder.name}.", session_timeout_s=6)
    asyncio.run(_fill(worker))
    with worker:
        worker.wait_for(lambda: worker.readings >= PATIENTS * ROUNDS, 90)
        worker.stop()
        yield worker


def _damage(tables: Path) -> None:
    for manifest in tables.rglob("windows-*.db/MANIFEST-*"):
        manifest.write_bytes(b"not a manifest")


def _move_to_another_cluster(tables: Path) -> None:
    (note,) = tables.rglob("cluster-id")
    note.write_text("another\n")


def _delete(tables: Path) -> None:
    for database in tables.rglob("*.db"):
        for file in database.iterdir():
            file.unlink()


@pytest.mark.parametrize(
    ("harm", "warning"),
    [
        (_delete, ""),
        (_damage, "is damaged"),
        (_move_to_another_cluster, "belong to cluster another"),
    ],
)
def test_tables_come_back_from_the_changelog_alone(
    filled: Watched, harm: Harm, warning: str
) -> None:
    before = digest(filled)
    harm(filled.tables)

    _until_ready(filled)
    filled.stop()

    assert digest(filled) == before
    if warning:
        assert filled.logged(warning)


def test_local_state_is_all_that_a_clean_restart_needs(filled: Watched) -> None:
    _until_ready(filled)

    assert filled.logged(" 0 changelog records read")
    filled.stop()


def test_a_worker_starts_with_local_state_that_is_ahead_of_a_changelog_made_anew(
    filled: Watched,
) -> None:
    changelog = f"{filled.settings.topic_prefix}bedside-windows-changelog"

    async def delete() -> None:
        admin = AIOKafkaAdminClient(**filled.settings.kafka_client())
        await admin.start()
        try:
            await admin.delete_topics([changelog])
            async with asyncio.timeout(30):
                while changelog in await admin.list_topics():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        finally:
            await admin.close()

    asyncio.run(delete())
    _until_ready(filled)
    filled.stop()

    assert filled.logged("it belongs to another changelog")
    assert list(filled.tables.rglob("windows-0.db.aside"))

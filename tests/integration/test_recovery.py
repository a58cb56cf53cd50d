"""A worker's tables come back, whatever became of the local state."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.common import ROOT, Cores, Scratch, environment
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


def test_local_copies_of_changelogs_that_were_made_anew_are_set_aside_and_made_anew(
    filled: Watched,
) -> None:
    subprocess.run(
        [sys.executable, "-m", "streams.cli", "rebuild", "bedside", "--yes"],
        env=environment(filled.settings),
        cwd=ROOT,
        check=True,
    )

    filled.start()
    filled.wait_for(lambda: filled.readings >= PATIENTS * ROUNDS, 90)
    filled.stop()

    assert filled.logged("belongs to another changelog: the topic was made anew")
    assert list(filled.tables.rglob("windows-0.db.aside"))

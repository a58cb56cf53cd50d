"""``vigil bench recovery``: how soon a restarted worker goes on.

**What is measured.** Patients are admitted and measured in a few rounds, so that the changelog
holds several versions of each state, as one does that was not compacted yet. Then the worker is
killed, and restarted; stopped, and restarted; and restarted with its local state deleted, when the
changelog is all there is. The worker itself tells the seconds from the assignment of its partitions
to the moment from which readings can be handled. From the start of the process it is a second or
two more, for Python and the model; after SIGKILL as long as the broker waits for the dead one
(``VIGIL_SESSION_TIMEOUT_S``).

**What is checked.** After every restart the tables hold, byte for byte, what they held after the
others; after the last one that is what the changelog alone gives.
"""

import asyncio
import hashlib
from dataclasses import dataclass

import click
import rocksdict
from aiokafka.admin import AIOKafkaAdminClient
from faust.stores.rocksdb import Store
from rich.progress import Progress

from bench.common import (
    BenchError,
    Scratch,
    broker_option,
    json_option,
    progress,
    report,
    scratch,
)
from bench.population import Population, producing
from bench.watching import Watched
from config.settings import Settings
from streams.topics import catalogue, ensure

__all__ = ["Restart", "command", "digest", "measure"]

_START_S = 120
_SLOWEST_S = 0.002
#: What became of the local state, in the order of the restarts, and how it is called.
_TITLES = {
    "killed": "SIGKILL, local state kept",
    "kept": "clean stop, local state kept",
    "lost": "clean stop, local state lost",
}


@dataclass(frozen=True, slots=True)
class Restart:
    """One restart.

    Attributes:
        state: what became of the local state: a key of the titles.
        assigned_s: seconds from assignment to ready.
        started_s: seconds from the start of the process to ready.
        records: read from changelogs.
    """

    state: str
    assigned_s: float
    started_s: float
    records: int


def measure(bench: Scratch, patients: int, rounds: int, shown: Progress) -> list[Restart]:
    """Fill a worker's tables and restart it.

    Raises:
        BenchError: the tables were not what they had been.
    """
    total = rounds * patients
    worker = Watched(bench, "recovery", topic_prefix=f"{bench.folder.name}.")
    task = shown.add_task("filling the tables", total=total)
    asyncio.run(_fill(worker.settings, patients, rounds))
    with worker:

        def done() -> bool:
            read = worker.readings
            shown.update(task, completed=read)
            return read >= total

        worker.wait_for(done, _START_S + total * _SLOWEST_S)
        # or else the next start has readings left to do, and the tables change
        asyncio.run(_committed(worker.settings, total))
        worker.kill()
        restarts, before = [], None
        for state, title in _TITLES.items():
            shown.update(task, description=title)
            if state == "lost":
                worker.lose_tables()
            restarts.append(_restart(worker, state))
            worker.stop()
            held = digest(worker)
            if before not in (None, held):
                raise BenchError(f"after a restart ({title}) the tables are not the same")
            before = held
    return restarts


def _restart(worker: Watched, state: str) -> Restart:
    worker.start()
    worker.wait_for(lambda: worker.ready, _START_S, every=0.01)
    (message,) = worker.logged("ready")[-1:] or [""]
    return Restart(
        state=state,
        assigned_s=worker.metrics("vigil_recovery_seconds")[0],
        started_s=worker.since_start,
        records=int(message.rpartition(", ")[2].split()[0]),
    )


async def _fill(settings: Settings, patients: int, rounds: int) -> None:
    await ensure(settings)
    population = Population(settings, patients, rounds)
    async with producing(settings) as producer:
        await population.admit(producer)
        await population.measure(producer)


async def _committed(settings: Settings, total: int) -> None:
    topics = catalogue(settings)
    admin = AIOKafkaAdminClient(**settings.kafka_client())
    await admin.start()
    try:
        async with asyncio.timeout(_START_S):
            while True:
                offsets = await admin.list_consumer_group_offsets(f"{settings.topic_prefix}bedside")
                done = (o.offset for tp, o in offsets.items() if tp.topic == topics.vitals.name)
                if sum(done) >= total:
                    return
                await asyncio.sleep(0.1)
    finally:
        await admin.close()


def digest(worker: Watched) -> str:
    """Return a digest of all keys and values in the tables of a worker that has stopped."""
    found = hashlib.blake2b()
    folders = sorted(worker.tables.rglob("*.db"))
    if not folders:
        raise BenchError(f"the worker has no tables in {worker.tables}")
    for folder in folders:
        database = rocksdict.Rdict(str(folder), rocksdict.Options(raw_mode=True))
        for key, value in database.items():
            if key != Store.offset_key:
                found.update(b"%d %d " % (len(key), len(value)) + key + value)
        database.close()
    return found.hexdigest()


@click.command(epilog="Example: vigil bench recovery --patients 100000")
@click.option(
    "--patients", type=click.IntRange(1), default=100_000, show_default=True, help="How many."
)
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    help="Readings of each patient, thus versions of its state in the changelog.",
)
@broker_option
@json_option
def command(patients: int, rounds: int, broker: str | None, as_json: bool) -> None:
    """How soon a worker goes on after a restart, with its local state and without."""
    with progress() as shown, scratch(broker) as bench:
        restarts = measure(bench, patients, rounds, shown)
        note = bench.cores.note
    report(
        f"A restart with {patients:,} patients",
        ["after", "s after assignment", "s after start", "changelog records"],
        [
            [
                _TITLES[restart.state],
                f"{restart.assigned_s:.2f}",
                f"{restart.started_s:.2f}",
                f"{restart.records:,}",
            ]
            for restart in restarts
        ],
        note=note,
        result={
            "patients": patients,
            "recovery": [
                {
                    "state": restart.state,
                    "seconds_after_assignment": round(restart.assigned_s, 3),
                    "seconds_after_start": round(restart.started_s, 3),
                    "changelog_records": restart.records,
                }
                for restart in restarts
            ],
        }
        if as_json
        else None,
    )

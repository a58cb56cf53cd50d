"""``vigil bench scale``: what a reading costs, and a worker needs, as patients become many.

**What is measured.** The whole bedside path. All readings are on the broker before the worker
starts: each patient's admission, then rounds in which every patient is measured once, in another
order each. The first rounds make the states and are not counted. Of the others: CPU time of the
worker's process (all its threads, RocksDB's too) for a reading, readings a second, and the largest
resident memory that was seen. Fewer patients get more rounds, within the same hour of observed
time, so that states are alike.

Cost grows with the number of patients for two reasons: a patient is seldom in memory when its next
reading comes, so its state is read from RocksDB; and a batch holds a patient once, not several
times, so each reading has a state to be written.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click
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
from streams.topics import ensure

__all__ = ["Cost", "command", "measure"]

_PATIENTS = (1_000, 10_000, 100_000, 1_000_000)
_WARM_UP_ROUNDS = 2
#: A reading that takes longer than this on average: something is wrong.
_SLOWEST_S = 0.002
_START_S = 120
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """What was measured with one number of patients.

    Attributes:
        patients: how many.
        readings: that were counted.
        per_second: readings a second.
        cpu_us: CPU time of the worker for a reading, microseconds.
        peak_rss: bytes.
        state_bytes: local state on disk for a patient, bytes.
    """

    patients: int
    readings: int
    per_second: float
    cpu_us: float
    peak_rss: int
    state_bytes: float


def measure(bench: Scratch, patients: int, readings: int, shown: Progress) -> Cost:
    """Let a worker read rounds of so many patients.

    Args:
        bench: broker, folder, cores.
        patients: how many.
        readings: to be counted, at least; each patient is measured twice at least.
        shown: where progress is shown.

    Raises:
        BenchError: too few readings to measure, or the worker ended.
    """
    rounds = _WARM_UP_ROUNDS + max(2, -(-readings // patients))
    total = rounds * patients
    worker = Watched(bench, f"scale-{patients}", topic_prefix=f"{bench.folder.name}-{patients}.")
    task = shown.add_task(f"{patients:,} patients: sent", total=total + patients)
    asyncio.run(_fill(worker.settings, patients, rounds, lambda n: shown.advance(task, n)))
    shown.update(task, description=f"{patients:,} patients: scored", completed=0, total=total)

    counted_from = _WARM_UP_ROUNDS * patients
    with worker:
        worker.wait_for(lambda: worker.readings >= counted_from, _START_S + total * _SLOWEST_S)
        first, cpu, began = worker.readings, worker.cpu_s, time.monotonic()

        def done() -> bool:
            read = worker.readings
            shown.update(task, completed=read)
            return read >= total

        worker.wait_for(done, _START_S + total * _SLOWEST_S)
        seconds, cpu = time.monotonic() - began, worker.cpu_s - cpu
        worker.stop()
    counted = total - first
    if not counted or cpu <= 0:
        raise BenchError("over before it could be measured: count more readings with --readings")
    return Cost(
        patients=patients,
        readings=counted,
        per_second=counted / seconds,
        cpu_us=cpu / counted * 1e6,
        peak_rss=worker.peak_rss,
        state_bytes=worker.bytes_on_disk / patients,
    )


async def _fill(settings: Any, patients: int, rounds: int, sent: Any) -> None:
    await ensure(settings)
    population = Population(settings, patients, rounds)
    async with producing(settings) as producer:
        await population.admit(producer, sent)
        await population.measure(producer, sent=sent)


@click.command(epilog="Example: vigil bench scale --patients 1000 --patients 100000")
@click.option(
    "--patients",
    type=click.IntRange(1),
    multiple=True,
    default=_PATIENTS,
    show_default=True,
    help="How many; repeat it for several.",
)
@click.option(
    "--readings",
    type=click.IntRange(1),
    default=200_000,
    show_default=True,
    help="Counted with each number of patients, at least.",
)
@broker_option
@json_option
def command(patients: Sequence[int], readings: int, broker: str | None, as_json: bool) -> None:
    """Cost of a reading and memory of a worker, from a thousand patients to a million.

    A million patients take about five minutes and 15 GB in the temporary folder.
    """
    with progress() as shown, scratch(broker) as bench:
        costs = [measure(bench, number, readings, shown) for number in sorted(patients)]
        note = bench.cores.note
    base = costs[0].cpu_us
    ratio = costs[-1].cpu_us / base
    report(
        "Bedside path, by number of patients",
        [
            "patients",
            "readings",
            "readings/s",
            "CPU us/reading",
            "ratio",
            "peak RSS MiB",
            "B/patient",
        ],
        [
            [
                f"{cost.patients:,}",
                f"{cost.readings:,}",
                f"{cost.per_second:,.0f}",
                f"{cost.cpu_us:.1f}",
                f"{cost.cpu_us / base:.2f}",
                f"{cost.peak_rss / _MIB:,.0f}",
                f"{cost.state_bytes:,.0f}",
            ]
            for cost in costs
        ],
        note=note,
        result={
            "scale": [
                {
                    "patients": cost.patients,
                    "readings": cost.readings,
                    "readings_per_second": round(cost.per_second),
                    "cpu_us_per_reading": round(cost.cpu_us, 2),
                    "peak_rss_bytes": cost.peak_rss,
                    "disk_bytes_per_patient": round(cost.state_bytes),
                }
                for cost in costs
            ],
            "cost_ratio": round(ratio, 3),
        }
        if as_json
        else None,
    )

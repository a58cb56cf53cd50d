"""``vigil bench paging``: who has to be paged is, once, whatever fails meanwhile.

A hospital's recommendations, most of patients of whom nothing has to be said; some cross the line.
People answer, pass on, or do not; patients get better. Meanwhile the worker is killed at every step
that a page takes, and the provider and the broker have bad days. What the provider took is held
against what was due. With ``--latency`` the way of a reading to the provider is measured instead.
"""

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

import click

from bench.chaos import quick
from bench.common import evidence, json_option, progress, report, restart, scratch
from bench.hospital import Hospital, fates
from bench.page_ledger import PageVerdict
from bench.page_trial import POINTS, PageTrial
from streams.kafka import LocalKafka

__all__ = ["FAILED", "command"]

FAILED = 1

#: Without kills, recommendations are sent in so many parts, one every so many seconds.
_PARTS, _PAUSE_S = 200, 0.5
#: How often the provider has a bad day, beside a kill.
_BAD_DAY = 0.4
#: For what is still to come once all is repaired.
_LAST_S = 300
_EXAMPLES = 10


async def _run(
    kafka: LocalKafka, folder: Path, recommendations: int, episodes: int, kills: int, seed: int
) -> tuple[PageVerdict, Counter[str], list[int]]:
    chance = random.Random(seed)
    points = [point for point in POINTS for _ in range(kills)]
    chance.shuffle(points)
    parts = len(points) or _PARTS
    drawn = fates(episodes, seed)
    done: Counter[str] = Counter()
    settings = quick(kafka.bootstrap, "paging.")
    async with PageTrial(settings, folder, Hospital(), seed, faults=bool(points)) as trial:
        trial.join()
        with progress() as bar:
            task = bar.add_task("Kills" if points else "Parts", total=parts)
            for number in range(parts):
                begin, end = (episodes * n // parts for n in (number, number + 1))
                count = recommendations * (number + 1) // parts - recommendations * number // parts
                await trial.recommend(count, drawn[begin:end])
                if not points:
                    await asyncio.sleep(_PAUSE_S)
                    bar.advance(task)
                    continue
                if number == parts // 2:
                    await asyncio.to_thread(restart, kafka)
                    done["broker restart"] += 1
                if chance.random() < _BAD_DAY:
                    done[await trial.disturb()] += 1
                await trial.kill_at(points[number])
                done[f"kill: {points[number]}"] += 1
                bar.advance(task)
            bar.update(task, description="Settling")
            verdict = await trial.settled(_LAST_S)
        return verdict, done, trial.exits


@click.command(epilog="Example: vigil bench paging --recommendations 100000 --kills 2 --json")
@click.option(
    "--recommendations", type=click.IntRange(1_000), default=1_000_000, show_default=True,
    metavar="N", help="Of all patients together.",
)  # fmt: skip
@click.option(
    "--episodes", type=click.IntRange(10), default=2_000, show_default=True, metavar="N",
    help="Patients who cross the line.",
)  # fmt: skip
@click.option(
    "--kills", type=click.IntRange(1), default=20, show_default=True, metavar="N",
    help="At each step that a page takes.",
)  # fmt: skip
@click.option("--seed", type=int, default=7, show_default=True, help="Of what happens when.")
@click.option("--no-faults", is_flag=True, help="Nothing fails; then nothing may be repeated.")
@click.option("--latency", is_flag=True, help="Measure a reading's way to the provider instead.")
@click.option(
    "--seconds", type=click.FloatRange(1), default=20, show_default=True,
    help="With --latency: that are measured.",
)  # fmt: skip
@json_option
def command(
    recommendations: int,
    episodes: int,
    kills: int,
    seed: int,
    no_faults: bool,
    latency: bool,
    seconds: float,
    as_json: bool,
) -> int:
    """Kill the pager at every step of a page; check that nobody is missing or paged twice.

    Exit code 1 when a page that was due did not reach the provider, one went twice without saying
    so, more than 0.1 % are marked as possible repeats (without faults: any), somebody was paged who
    had not to be, or the audit chain does not hold. Then logs and state are kept.
    """
    if latency:
        # imported here: the bedside worker's side takes a second
        from bench.paging_latency import measure

        return measure(seconds, as_json)
    began = time.monotonic()
    with evidence("paging") as kept:
        with scratch() as place:
            assert place.kafka is not None
            each = 0 if no_faults else kills
            verdict, done, exits = asyncio.run(
                _run(place.kafka, kept.folder, recommendations, episodes, each, seed)
            )
            note = place.note
        kept.good = verdict.good and not (no_faults and verdict.repeats)
    found = {
        "recommendations": recommendations,
        "episodes": episodes,
        "alerts": verdict.alerts,
        "pages": verdict.pages,
        "missing": verdict.missing,
        "doubled": verdict.doubled,
        "possible repeats": verdict.repeats,
        "undue": verdict.undue,
        "under way": verdict.under_way,
        "audit breaks": verdict.audit_breaks,
    }
    rows = [[name, f"{count:,}"] for name, count in sorted(done.items())]
    rows += [["a worker ended by itself", f"{len(exits):,}"]]
    rows += [[name, f"{count:,}"] for name, count in found.items()]
    rows += [["seconds", f"{time.monotonic() - began:,.0f}"]]
    counts = {name.replace(" ", "_"): count for name, count in found.items()}
    report(
        f"Pages {'without faults' if no_faults else 'with faults'}, seed {seed}",
        ["what", "how often"],
        rows,
        note="\n".join([note, *verdict.examples[:_EXAMPLES]]),
        result={"faults": dict(done), "exits": exits} | counts if as_json else None,
    )
    return 0 if kept.good else FAILED

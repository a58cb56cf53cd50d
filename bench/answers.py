"""``vigil bench answers``: every question is answered once, whatever fails meanwhile.

People have conversations whose later questions lean on the first one, about documents of which one
is updated all the time. Two workers answer; they are killed at each step of an answer, and the
broker is restarted once.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from pathlib import Path

import click

from bench.answer_trial import POINTS, AnswerTrial, AnswerVerdict
from bench.chaos import quick
from bench.common import evidence, json_option, progress, report, restart, scratch
from streams.kafka import LocalKafka

__all__ = ["FAILED", "command"]

FAILED = 1

log = logging.getLogger(__name__)

_WORKERS, _PEOPLE = 2, 12
#: From one kill to the next, at random within; a worker starts in about ten seconds.
_PAUSE_S = (3.0, 20.0)
#: From one update of the document to the next.
_UPDATE_S = 2.0
_EXAMPLES = 10


async def _run(
    kafka: LocalKafka, folder: Path, minutes: float, seed: int
) -> tuple[AnswerVerdict, Counter[str], list[int]]:
    chance = random.Random(seed)
    done: Counter[str] = Counter()
    points: list[str] = []
    seconds = minutes * 60
    async with AnswerTrial(quick(kafka.bootstrap, "answers."), folder, seed) as trial:
        for _ in range(_WORKERS):
            trial.join()
        trial.keep_asking(_PEOPLE)
        updating = asyncio.create_task(_update(trial, done))
        began = time.monotonic()
        with progress(unit=False) as bar:
            task = bar.add_task("Kills", total=seconds)
            while (passed := time.monotonic() - began) < seconds:
                bar.update(task, completed=passed)
                await asyncio.sleep(chance.uniform(*_PAUSE_S))
                for ended in trial.revive():
                    log.warning("a worker ended by itself: %s", ended.said)
                if passed > seconds / 2 and not done["broker restart"]:
                    await asyncio.to_thread(restart, kafka)
                    done["broker restart"] += 1
                # all of them before any comes again
                points = points or chance.sample(POINTS, len(POINTS))
                point = points.pop()
                await trial.kill_at(point)
                done[f"kill: {point}"] += 1
            bar.update(task, description="Settling")
            updating.cancel()
            await asyncio.gather(updating, return_exceptions=True)
            verdict = await trial.settled()
        return verdict, done, trial.exits


async def _update(trial: AnswerTrial, done: Counter[str]) -> None:
    while True:
        await asyncio.sleep(_UPDATE_S)
        await trial.update()
        done["document updated"] += 1


@click.command(epilog="Example: vigil bench answers --minutes 2 --seed 7 --json")
@click.option("--minutes", type=click.FloatRange(min=0.1), default=10, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Of what fails when.")
@json_option
def command(minutes: float, seed: int, as_json: bool) -> int:
    """Kill workers while people ask; check that every question is answered once.

    Exit code 1 when a question has no answer, or several (repeats of an id left aside), a repeat
    says something else although no document has changed, a conversation was forgotten, or the
    audit has no entry of an answer or does not hold. Then logs and state are kept.
    """
    # what a client says while its broker is away is no news here
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    with evidence("answers") as kept:
        with scratch() as place:
            assert place.kafka is not None
            verdict, done, exits = asyncio.run(_run(place.kafka, kept.folder, minutes, seed))
            note = place.note
        kept.good = verdict.good
    counts = {name: value for name, value in vars(verdict).items() if name != "examples"}
    kills = sum(count for name, count in done.items() if name.startswith("kill"))
    rows = [[name, f"{count:,}"] for name, count in sorted(done.items())]
    rows += [["a worker ended by itself", f"{len(exits):,}"]]
    rows += [[name.replace("_", " "), f"{count:,}"] for name, count in counts.items()]
    report(
        f"Questions in {minutes:g} minutes, seed {seed}",
        ["what", "how often"],
        rows,
        note="\n".join([note, *verdict.examples[:_EXAMPLES]]),
        result={"kills": kills, "faults": dict(done), "exits": exits} | counts if as_json else None,
    )
    return 0 if kept.good else FAILED

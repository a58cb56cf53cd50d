"""A worker that answers is killed under load; every question has its answer, once after ids."""

import asyncio
import random
import uuid
from pathlib import Path

from bench.answer_trial import AnswerTrial
from bench.chaos import quick
from streams.kafka import LocalKafka

SESSIONS = 20


async def test_no_kill_loses_a_question_or_a_conversation(
    broker: LocalKafka, tmp_path: Path
) -> None:
    settings = quick(broker.bootstrap, f"t{uuid.uuid4().hex[:8]}.")
    async with AnswerTrial(settings, tmp_path / "workers", seed=3) as trial:
        trial.join()
        trial.talk(SESSIONS)
        chance = random.Random(3)
        for point in ("question", "answer", "start", "any time"):
            await asyncio.sleep(chance.uniform(0.5, 3))
            await trial.kill_at(point)
        verdict = await trial.settled()
        said = "\n".join(worker.said for worker in trial.workers)
    assert verdict.good, f"{verdict}\n{said}"
    assert verdict.conversations == SESSIONS
    assert not trial.exits, said

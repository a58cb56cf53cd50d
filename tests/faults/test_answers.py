"""A worker that answers is killed under load; every question has its answer, once after ids."""

import asyncio
import random
import uuid
from pathlib import Path

from bench.chaos import quick
from streams.asking import Asker
from streams.chat_events import ChatAnswer, ChatAuditEntry, Question
from streams.commands.audit import check
from streams.kafka import LocalKafka
from streams.topics import catalogue, ensure
from streams.whole_topic import read_whole
from tests.live import Worker, free_port

SESSIONS, KILLS = 20, 4
#: The second and the third can only be answered by whoever knows the first.
CONVERSATION = ("What is septic shock?", "How is it treated?", "Can it be prevented?")


async def test_no_kill_loses_a_question_or_a_conversation(
    broker: LocalKafka, tmp_path: Path
) -> None:
    settings = quick(broker.bootstrap, f"t{uuid.uuid4().hex[:8]}.")
    settings = settings.model_copy(update={"home": tmp_path / "home", "web_port": free_port()})
    await ensure(settings)
    worker = Worker(settings, tmp_path / "worker.log", "answers").start()
    try:
        async with Asker(settings) as asker:
            talks = [
                asyncio.create_task(_talk(asker, f"s{number}", number / 4))
                for number in range(SESSIONS)
            ]
            chance = random.Random(3)
            for _ in range(KILLS):
                await asyncio.sleep(chance.uniform(0.5, 3))
                worker.kill()
                worker.start()
            answers = [answer for talk in await asyncio.gather(*talks) for answer in talk]
            assert asker.different == 0
    finally:
        worker.kill()

    assert len(answers) == SESSIONS * len(CONVERSATION)
    assert len({answer.answer_id for answer in answers}) == len(answers)
    for answer in answers:
        assert answer.outcome == "answered", f"{answer}\n{worker.said}"
        assert any("shock" in f"{q.document_id} {q.title} {q.text}".lower() for q in answer.quotes)
    topics = catalogue(settings)
    entries = 0
    for partition in range(topics.chat_audit.partitions):
        records = await read_whole(settings, topics.chat_audit.name, partition=partition)
        count, breaks = check(((r.offset, r.value) for r in records), ChatAuditEntry)
        assert not breaks
        entries += count
    assert entries >= len(answers)


async def _talk(asker: Asker, session: str, after_s: float) -> list[ChatAnswer]:
    """Have a conversation: each question after the answer to the one before."""
    await asyncio.sleep(after_s)
    answers = []
    for number, text in enumerate(CONVERSATION):
        question = Question(session_id=session, text=text, question_id=f"{session}-{number}")
        answers.append(await asyncio.wait_for(await asker.send(question), 60))
    return answers

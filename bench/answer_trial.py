"""Conversations with workers of answers that are killed, and what has to come of them.

`AnswerTrial` has the workers and those who ask; a test does a few kills in it, `vigil bench
answers` as many as fit into minutes.
"""

import asyncio
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from bench.crew import Crew
from bench.processes import Worker
from config.settings import Settings
from streams.asking import Asker
from streams.audit import check
from streams.chat_events import ChatAnswer, ChatAuditEntry, DocumentEvent, Question
from streams.clients import opened
from streams.topics import catalogue, ensure
from streams.whole_topic import read_whole

__all__ = ["POINTS", "AnswerTrial", "AnswerVerdict"]

#: A worker is killed when a question is sent, when what comes of it is seen, when a document is
#: updated, once more while it starts, or at any time.
POINTS = ("question", "answer", "audit", "conversation", "document", "start", "any time")

#: The second and the third can only be answered by whoever knows the first.
_ABOUT_SHOCK = ("What is septic shock?", "How is it treated?", "Can it be prevented?")
#: Of a document that is updated all the time.
_ABOUT_QUILLFEVER = ("What is Quillfever?",)
_QUILLFEVER = "quillfever"
#: How often it is asked about.
_OF_THE_DOCUMENT = 0.25

_PAUSE_S = (0.1, 1.5)
_ANSWER_S = 180.0
#: How long a point is waited for before the worker is killed all the same.
_POINT_S = 10.0
_TRY_AGAIN_S = 1.0


@dataclass
class AnswerVerdict:
    """What became of the questions.

    Attributes:
        questions: that were asked.
        conversations: that were had.
        repeats: answers that came again.
        reworded: of these, in which a document is quoted that had changed meanwhile.
        lost: questions without an answer.
        doubled: questions with answers of several ids.
        different: repeats that say something else although no document of theirs had changed.
        forgotten: questions whose conversation was lost: they were not understood.
        audit_entries: on `chat.audit`.
        audit_missing: answers without an entry.
        audit_breaks: where a chain does not hold.
        examples: of what is wrong.
    """

    questions: int = 0
    conversations: int = 0
    repeats: int = 0
    reworded: int = 0
    lost: int = 0
    doubled: int = 0
    different: int = 0
    forgotten: int = 0
    audit_entries: int = 0
    audit_missing: int = 0
    audit_breaks: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether every question has its one answer."""
        wrong = self.lost + self.doubled + self.different + self.forgotten
        return not (wrong + self.audit_missing + self.audit_breaks) and self.questions > 0


class AnswerTrial(Crew):
    """Workers of answers, and people who ask; use it as an async context.

    Args:
        settings: of everybody, but for the workers' ``home`` and ``web_port``.
        folder: for the workers' homes and logs.
        seed: of all that happens by chance.
    """

    def __init__(self, settings: Settings, folder: Path, seed: int = 0) -> None:
        super().__init__(settings, folder, application="answers")
        self._topics = catalogue(settings)
        self._random = random.Random(seed)
        self._asked: dict[str, str] = {}
        self._talks: list[asyncio.Task[None]] = []
        self._sessions = self._documents = 0
        self._texts: list[str] = []
        self._stopping = False
        self._point = ""
        self._reached = asyncio.Event()

    async def __aenter__(self) -> Self:
        await ensure(self.settings)
        client = self.settings.kafka_client()
        changelog = f"{self.settings.topic_prefix}answers-conversations-changelog"
        self._seen_on = {
            self._topics.chat_answers.name: "answer",
            self._topics.chat_audit.name: "audit",
            changelog: "conversation",
        }
        async with AsyncExitStack() as stack:
            stack.callback(self._kill_all)
            self._asker = await stack.enter_async_context(Asker(self.settings))
            self._producer = await stack.enter_async_context(
                opened(AIOKafkaProducer(**client, enable_idempotence=True))
            )
            self._consumer = await stack.enter_async_context(
                opened(AIOKafkaConsumer(**client, metadata_max_age_ms=2_000))
            )
            # by their pattern: the changelog is made by the first worker
            self._consumer.subscribe(pattern="|".join(map(re.escape, self._seen_on)))
            self._following = asyncio.create_task(self._follow())
            stack.push_async_callback(self._cancel)
            await self.update()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _kill_all(self) -> None:
        for worker in self.workers:
            worker.kill()

    async def _cancel(self) -> None:
        tasks = [self._following, *self._talks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- people

    def keep_asking(self, people: int) -> None:
        """Let people have one conversation after the other, until `settled` is called."""

        async def ask() -> None:
            while not self._stopping:
                await self._talk()

        self._talks += [asyncio.create_task(ask()) for _ in range(people)]

    def talk(self, conversations: int) -> None:
        """Begin so many conversations, all at once."""
        self._talks += [asyncio.create_task(self._talk()) for _ in range(conversations)]

    async def _talk(self) -> None:
        """Have a conversation: each question after the answer to the one before."""
        changing = self._random.random() < _OF_THE_DOCUMENT
        self._sessions += 1
        session = f"s{self._sessions}"
        for number, text in enumerate(_ABOUT_QUILLFEVER if changing else _ABOUT_SHOCK):
            await asyncio.sleep(self._random.uniform(*_PAUSE_S))
            question = Question(session_id=session, text=text, question_id=f"{session}-{number}")
            self._asked[f"{session}-{number}"] = text
            waiting = await self._asker.send(question)
            self._saw("question")
            # without an answer the topic is looked at in the end
            with suppress(TimeoutError):
                await asyncio.wait_for(waiting, _ANSWER_S)

    # -- faults

    async def update(self) -> None:
        """Update the document."""
        self._documents += 1
        text = f"Quillfever is a made-up illness, described for the {self._documents}th time."
        self._texts.append(text)
        event = DocumentEvent(
            document_id=_QUILLFEVER, title="What is Quillfever?", text=text, focus="Quillfever"
        )
        value = event.model_dump_json().encode()
        name = self._topics.documents.name
        await self._producer.send_and_wait(name, value, _QUILLFEVER.encode(), partition=0)
        self._saw("document")

    async def kill_at(self, point: str) -> None:
        """Kill a worker, and start it again.

        Args:
            point: one of `POINTS`; where it does not come, the worker is killed all the same.
        """
        worker = self._random.choice(self.workers)
        if point == "start":
            self._again(worker)
            await asyncio.sleep(self._random.uniform(1, _POINT_S))
        elif point != "any time":
            self._point = point
            self._reached.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._reached.wait(), _POINT_S)
        self._again(worker)

    @staticmethod
    def _again(worker: Worker) -> None:
        worker.kill()
        worker.start()

    def _saw(self, point: str) -> None:
        if point == self._point:
            self._point = ""
            self._reached.set()

    async def _follow(self) -> None:
        while True:
            fetched = await self._consumer.getmany(timeout_ms=200)
            for tp in fetched:
                self._saw(self._seen_on[tp.topic])

    # -- the end

    async def settled(self) -> AnswerVerdict:
        """Wait until everything is answered, and look at what the topics hold."""
        self._stopping = True
        waiting = asyncio.gather(*self._talks)
        while not waiting.done():
            self.revive()
            await asyncio.wait([waiting], timeout=1)
        await waiting
        found = AnswerVerdict(len(self._asked), self._sessions)
        told: set[str] = set()
        for partition in range(self._topics.chat_audit.partitions):
            entries = await self._read(self._topics.chat_audit.name, partition)
            count, breaks = check(((e.offset, e.value) for e in entries), ChatAuditEntry)
            found.audit_entries += count
            found.audit_breaks += len(breaks)
            found.examples += [f"audit, partition {partition}: {each.what}" for each in breaks]
            told |= {ChatAuditEntry.model_validate_json(e.value).answer_id for e in entries}
        answers = [
            ChatAnswer.model_validate_json(record.value)
            for partition in range(self._topics.chat_answers.partitions)
            for record in await self._read(self._topics.chat_answers.name, partition)
        ]
        self._judge(answers, told, found)
        return found

    def _judge(self, answers: Iterable[ChatAnswer], told: set[str], found: AnswerVerdict) -> None:
        """Hold the answers against the questions."""
        of: dict[str, list[ChatAnswer]] = defaultdict(list)
        for answer in answers:
            of[answer.question_id].append(answer)
        for name, text in self._asked.items():
            given = of[name]
            wrong = Counter(
                lost=not given,
                doubled=len({each.answer_id for each in given}) > 1,
                forgotten=any(not self._understood(each, text) for each in given),
                audit_missing=any(each.answer_id not in told for each in given),
            )
            found.repeats += max(0, len(given) - 1)
            said_otherwise = len({each.text for each in given}) > 1
            if text in _ABOUT_QUILLFEVER:
                found.reworded += said_otherwise
            else:
                wrong["different"] += said_otherwise
            for what, times in wrong.items():
                setattr(found, what, getattr(found, what) + int(times))
                if times:
                    found.examples.append(f"{name} ({text}): {what}, {[a.text for a in given]}")

    def _understood(self, answer: ChatAnswer, text: str) -> bool:
        """Whether an answer is about what the conversation is about."""
        quotes = answer.quotes
        if text in _ABOUT_QUILLFEVER:
            return any(quote.text in self._texts for quote in quotes)
        return any("shock" in f"{q.document_id} {q.title} {q.text}".lower() for q in quotes)

    async def _read(self, topic: str, partition: int) -> list[Any]:
        while True:
            try:
                return await read_whole(self.settings, topic, partition=partition)
            except KafkaError:
                await asyncio.sleep(_TRY_AGAIN_S)

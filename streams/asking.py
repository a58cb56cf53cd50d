"""Asking through the broker: a question goes out, its answer is waited for."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pydantic import ValidationError

from config.settings import Settings
from streams.chat_events import ChatAnswer, Question
from streams.partitions import partition_of
from streams.topics import TopicError, catalogue

__all__ = ["Asker"]

_WAIT_MS = 200


class Asker:
    """Asks, and hears the answers to what it asked; use it as an async context.

    Args:
        settings: name the broker and the topics.

    Attributes:
        repeats: answers that came again; after a worker was killed they do, with the same id.
        different: answers that came again and said something else.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._topics = settings, catalogue(settings)
        self._waiting: dict[str, asyncio.Future[ChatAnswer]] = {}
        self._heard: dict[str, ChatAnswer] = {}
        self.repeats = self.different = 0

    async def __aenter__(self) -> Self:
        self._producer = AIOKafkaProducer(
            **self._settings.kafka_client(), enable_idempotence=True, linger_ms=0
        )
        self._consumer = AIOKafkaConsumer(
            **self._settings.kafka_client(), enable_auto_commit=False, auto_offset_reset="latest"
        )
        try:
            await self._producer.start()
            await self._consumer.start()
            name = self._topics.chat_questions.name
            for topic in (name, self._topics.chat_answers.name):
                if topic not in await self._consumer.topics():
                    raise TopicError(
                        f"There is no topic {topic!r}: create the topics with `vigil topics`."
                    )
            self._sizes = len(await self._producer.partitions_for(name))
            answers = self._topics.chat_answers.name
            places = [
                TopicPartition(answers, n) for n in await self._producer.partitions_for(answers)
            ]
            self._consumer.assign(places)
            # said now: what is answered before the first poll counts too
            ends = await self._consumer.end_offsets(places)
            for place, end in ends.items():
                self._consumer.seek(place, end)
        except BaseException:
            await self._close()
            raise
        self._hearing = asyncio.create_task(self._hear())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hearing.cancel()
        await asyncio.gather(self._hearing, return_exceptions=True)
        await self._close()

    async def send(
        self, question: Question, headers: Sequence[tuple[str, bytes]] = ()
    ) -> asyncio.Future[ChatAnswer]:
        """Send a question; return what waits for its answer.

        Args:
            question: with an id.
            headers: who asks, see `rag.tools.claims`.

        Raises:
            ValueError: it has no id.
            aiokafka.errors.KafkaError: the broker does not take it.
        """
        if question.question_id is None:
            raise ValueError("a question whose answer is waited for needs a question_id")
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[question.question_id] = waiting
        key = question.session_id.encode()
        await self._producer.send_and_wait(
            self._topics.chat_questions.name,
            question.model_dump_json().encode(),
            key,
            partition=partition_of(key, self._sizes),
            headers=list(headers),
        )
        return waiting

    async def _hear(self) -> None:
        try:
            while True:
                fetched = await self._consumer.getmany(timeout_ms=_WAIT_MS)
                for records in fetched.values():
                    for record in records:
                        with suppress(ValidationError):  # no answer, so none of ours
                            self._take(ChatAnswer.model_validate_json(record.value or b""))
        except Exception as error:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(error)
            raise

    def _take(self, answer: ChatAnswer) -> None:
        known = self._heard.get(answer.question_id)
        if known is not None:
            self.repeats += 1
            self.different += (known.answer_id, known.text) != (answer.answer_id, answer.text)
            return
        waiting = self._waiting.pop(answer.question_id, None)
        if waiting is None:
            return  # somebody else's
        self._heard[answer.question_id] = answer
        if not waiting.done():
            waiting.set_result(answer)

    async def _close(self) -> None:
        await self._consumer.stop()
        await self._producer.stop()

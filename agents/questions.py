"""Questions → answers: the path from a question to an answer that somebody can rely on.

    chat.questions → ask → chat.answers, chat.audit
                      ↕
                conversations

A batch's questions are answered together, those of one conversation one after the other; batches of
several partitions side by side, because an endpoint may take its time. A question that comes again
gets the answer that it had: the conversation remembers it. A batch is acknowledged when the broker
holds answers, audit and changelog.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from agents.work import Work, dead_letter, each_apart, reason, settle
from config.clock import from_ms, now_ms, to_ms
from config.guidance import guidance
from rag.answering import Answerer, Ask, Given
from rag.answers import Quote, RuleMatch
from rag.safety.rate import Bucket, RateLimit
from rag.tools.claims import Claims, Refusal, read_claims
from streams.application import VigilApp, report_lag
from streams.audit import Chain, newest, of_answer
from streams.audit_hashes import Hashes, audit_key, sha256_of
from streams.chat_events import ChatAnswer, ChatAuditEntry, Citation, Question, SafetyRule
from streams.header_names import require_names
from streams.ids import answer_id, question_id
from streams.intake import record_bytes
from streams.metrics import metrics
from streams.outbox import Outbox
from streams.partitions import partition_of
from streams.patience import patiently
from streams.topics import Catalogue
from streams.transport import Batch
from tables.conversation_rows import Turn
from tables.conversations import Conversations
from tables.store import BatchTable

__all__ = ["QuestionsAgent"]

log = logging.getLogger(__name__)

#: Bytes of a question with its headers; a text of 8,000 characters is less, however it is encoded.
_MOST_BYTES = 64 * 1024
#: Between an answer as it is remembered and the hash of whom a refusal was about: that is for the
#: audit alone. JSON has no line breaks where it is written without any.
_ABOUT = b"\n"
#: Seconds between two looks at what was assigned.
_LOOK_AGAIN_S = 0.25
#: 1971 and 2200, as of every event's times.
_FIRST_MS, _LAST_MS = 31_536_000_000, 7_258_118_400_000


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question as it was read."""

    record: Any
    question: Question
    question_id: str
    at_ms: int
    claims: Claims | Refusal

    @property
    def known_as(self) -> str:
        """What its answer is remembered under: another text or another person is not this one."""
        by = self.claims.sub if isinstance(self.claims, Claims) else ""
        told = f"{len(by)} {by} {self.question.patient_id} {self.question.text}"
        return f"{self.question_id}/{sha256_of(told.encode())[:16]}"


class QuestionsAgent:
    """Answers questions.

    Args:
        app: the application.
        topics: all of them.
        answerer: knows the evidence, the patients and the rules.
        conversations: in memory.
        limit: how many questions a session may ask.
        table: where conversations are kept, with as many partitions as the questions.
    """

    def __init__(
        self,
        app: VigilApp,
        topics: Catalogue,
        answerer: Answerer,
        conversations: Conversations,
        limit: RateLimit,
        table: BatchTable,
    ) -> None:
        self._app, self._topics, self._table = app, topics, table
        self._answerer, self._conversations, self._limit = answerer, conversations, limit
        # not stored: a worker that takes over grants a session its burst once more
        self._buckets: dict[str, Bucket] = {}
        key = app.settings.claims_key
        self._claims_key = None if key is None else key.get_secret_value().encode()
        self._audit_key = audit_key(app.settings)
        self._hashes = Hashes(self._audit_key)
        self._tolerance_ms = round(app.settings.future_tolerance_s * 1000)
        self._assignment = -1
        self._chains: dict[int, Chain] = {}
        # what is stored is read for all partitions that are new, by whichever comes first
        self._resuming = asyncio.Lock()

    async def run(self, stream: Any) -> None:
        """Take a batch, answer it."""
        await each_apart(self._app, stream, self._take)

    async def _take(self, event: Any) -> None:
        batch: Batch = event.value
        partition = batch.tp.partition
        outbox = Outbox(self._app.batch_producer)  # of this assignment: what is too late is refused
        await self._resume(batch)
        if batch.stale:
            return  # whoever has the partition now answers
        asked: list[_Asked] = []
        for record in batch.records:
            try:
                asked.append(self._read(record))
            except ValueError as error:
                dead_letter(self._app, self._topics, outbox, record, reason(error))
        newest_ms = max((one.at_ms for one in asked), default=0)
        writes: dict[bytes, bytes | None] = {}
        for session in self._conversations.prune(partition, newest_ms):
            writes[session.encode()] = None
            self._buckets.pop(session, None)
        for wave in _waves(asked):
            for one, why in await self._answer(batch, wave, outbox, writes):
                dead_letter(self._app, self._topics, outbox, one.record, why)
            if batch.stale:
                return
        self._table.store(partition, list(writes.items()), outbox)
        acks = await outbox.hand_over()
        self._app.add_future(settle(self._app, acks, Work(event), self._table))
        report_lag(self._app, batch.tp, batch.end)

    def _read(self, record: Any) -> _Asked:
        if (size := record_bytes(record)) > _MOST_BYTES:
            raise ValueError(f"too large: {size} bytes, at most {_MOST_BYTES}")
        require_names(record)
        question = Question.model_validate_json(record.value or b"")
        if record.key != question.session_id.encode():
            # conversations are kept beside their questions
            raise ValueError("the record's key is not its session_id: produce it under that key")
        produced_ms = record.timestamp
        at_ms = produced_ms
        if question.asked_at is not None:
            # a clock that is fast would end the conversations of everybody else
            at_ms = min(to_ms(question.asked_at), produced_ms + self._tolerance_ms)
        if not _FIRST_MS <= at_ms < _LAST_MS:
            raise ValueError("its time is not between 1971 and 2199")
        return _Asked(
            record,
            question,
            question.question_id
            or question_id(record.topic, record.partition, record.offset, produced_ms),
            at_ms,
            read_claims(
                record.headers,
                key=self._claims_key,
                now_s=now_ms() / 1000,
                audit_key=self._audit_key,
            ),
        )

    async def _answer(
        self,
        batch: Batch,
        wave: Sequence[_Asked],
        outbox: Outbox,
        writes: dict[bytes, bytes | None],
    ) -> list[tuple[_Asked, str]]:
        """Answer questions of different conversations; return those that cannot be, and why."""
        began, partition = monotonic(), batch.tp.partition
        new: list[_Asked] = []
        for one in wave:
            session = one.question.session_id
            known = self._conversations.recall(partition, session, one.known_as)
            if known is None:
                new.append(one)
            else:
                self._tell(partition, one, known, outbox)
        failed: list[tuple[_Asked, str]] = []
        given = await self._given(partition, new, failed)
        if batch.stale:
            return []  # conversations and chains may be those of the next assignment by now
        for one, found in given:
            session = one.question.session_id
            value = _wire(one, found).model_dump_json().encode()
            turn = Turn(
                one.at_ms,
                one.known_as,
                one.question.text,
                found.answer.outcome,
                found.focus,
                found.patient or "",
            )
            value += _ABOUT + found.about.encode() if found.about else b""
            writes[session.encode()] = self._conversations.take(partition, session, turn, value)
            self._tell(partition, one, value, outbox)
            metrics.answers.labels(found.answer.outcome).inc()
        if new:
            metrics.answering.observe((monotonic() - began) / len(new))
        return failed

    async def _given(
        self, partition: int, new: Sequence[_Asked], failed: list[tuple[_Asked, str]]
    ) -> list[tuple[_Asked, Given]]:
        """Answer; where that fails, one by one, so that one question does not cost the others."""
        asks = [self._ask(partition, one) for one in new]
        try:
            return list(zip(new, await self._answerer.answer(asks), strict=True))
        except Exception as error:
            log.error("a batch of questions failed (%s): one by one", type(error).__name__)
        given: list[tuple[_Asked, Given]] = []
        for one, ask in zip(new, asks, strict=True):
            try:
                given += [(one, found) for found in await self._answerer.answer([ask])]
            except Exception as error:
                failed.append((one, f"it cannot be answered: {type(error).__name__}"))
        return given

    def _ask(self, partition: int, one: _Asked) -> Ask:
        question, session = one.question, one.question.session_id
        allowed, bucket = self._limit.take(self._buckets.get(session), one.record.timestamp)
        self._buckets[session] = bucket
        return Ask(
            question.text,
            one.at_ms,
            self._conversations.what_was(partition, session, one.at_ms, one.known_as),
            one.claims,
            question.patient_id,
            question.unit_id,
            allowed,
        )

    def _tell(self, partition: int, one: _Asked, value: bytes, outbox: Outbox) -> None:
        key, name = one.question.session_id.encode(), self._topics.chat_answers.name
        value, _, about = value.partition(_ABOUT)
        outbox.add(name, partition_of(key, self._app.sizes[name]), key, value)
        told = ChatAnswer.model_validate_json(value)
        asked_by = one.claims.sub if isinstance(one.claims, Claims) else None
        text, to_whom = one.question.text, about.decode() or None
        entry = of_answer(told, value, text, asked_by, self._hashes, to_whom)
        outbox.add(
            self._topics.chat_audit.name, partition, None, self._chains[partition].bind(entry)
        )

    async def read_ahead(self) -> None:
        """Read what is stored as soon as partitions are ours; runs beside the agent.

        Whoever asks first would wait half a second for it, and everybody behind them.
        """
        while not self._app.should_stop:
            await asyncio.sleep(_LOOK_AGAIN_S)
            async with self._resuming:
                if self._app.ready:
                    try:
                        await self._resumed(set())
                    except Exception as error:
                        await self._app.fail(error)

    async def _resume(self, batch: Batch) -> None:
        """After an assignment, go on from what is stored."""
        async with self._resuming:
            while not batch.stale and not await self._resumed({batch.tp.partition}):
                pass

    async def _resumed(self, partitions: set[int]) -> bool:
        """Read what is stored of these and our partitions; False where a rebalance came first."""
        number = self._app.consumer.assignment_number
        if number != self._assignment:
            self._assignment = number
            for known in self._chains:
                self._conversations.drop(known)
            self._chains = {}
            self._buckets = {}
        name, audit = self._topics.chat_questions.name, self._topics.chat_audit.name
        ours = {tp.partition for tp in self._app.consumer.assignment() if tp.topic == name}
        fresh = sorted((partitions | ours) - self._chains.keys())
        if not fresh:
            return True
        settings = self._app.settings
        # all in one go: to ask the broker takes a third of a second
        lasts = await patiently(
            lambda: asyncio.gather(
                *(newest(settings, audit, ChatAuditEntry, found) for found in fresh)
            ),
            settings.bootstrap,
            settings.broker_wait_s,
        )
        # in a rebalance the number is still the one before, and tables are being put away
        if self._app.rebalancing or number != self._app.consumer.assignment_number:
            return False
        for found, last in zip(fresh, lasts, strict=True):
            stored = ((key.decode(), row) for key, row in self._table.scan(found))
            self._conversations.load(found, stored)
            self._chains[found] = Chain(last)
        return True


def _waves(asked: Sequence[_Asked]) -> Iterator[list[_Asked]]:
    """Questions that can be answered side by side: of each conversation one, in its order."""
    left = list(asked)
    while left:
        wave: list[_Asked] = []
        later: list[_Asked] = []
        sessions: set[str] = set()
        for one in left:
            session = one.question.session_id
            (later if session in sessions else wave).append(one)
            sessions.add(session)
        yield wave
        left = later


def _wire(one: _Asked, found: Given) -> ChatAnswer:
    answer = found.answer
    return ChatAnswer(
        answer_id=answer_id(one.question.session_id, one.known_as),
        question_id=one.question_id,
        session_id=one.question.session_id,
        outcome=answer.outcome,
        text=answer.text,
        quotes=[_citation(quote) for quote in answer.quotes],
        confidence=answer.confidence,
        tools=list(answer.tools),
        rules=[_rule(match) for match in answer.rules],
        set_aside=[_rule(match) for match in answer.set_aside],
        patient_id=found.patient,
        asked_at=from_ms(one.at_ms),
        answered_at=from_ms(now_ms()),
        corpus=found.corpus,
        disclaimer=guidance().disclaimer,
    )


def _citation(quote: Quote) -> Citation:
    return Citation(
        document_id=quote.document_id,
        start=quote.start,
        end=quote.end,
        text=quote.text,
        title=quote.title,
        source=quote.source,
        url=quote.url,
    )


def _rule(match: RuleMatch) -> SafetyRule:
    return SafetyRule(rule=match.rule, version=match.version, start=match.start, end=match.end)

"""The agent of questions on fake topics, with an answerer that says what it was asked."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import pytest
from faust.types import TP

from agents.questions import QuestionsAgent
from config.settings import Settings
from rag.answering import Ask, Given
from rag.answers import Answer, Outcome, RuleMatch
from rag.safety.rate import RateLimit
from rag.tools.claims import CLAIMS_HEADER, Claims, Refusal, subject_hash
from streams.audit import check
from streams.chat_events import ChatAnswer, ChatAuditEntry
from streams.transport import Batch
from tables.conversations import Conversations
from tests.topology.driver import NOW_MS, Bench, Event, Table, record

pytestmark = pytest.mark.topology


class Echo:
    """Answers with the question; remembers what it was asked with."""

    def __init__(self) -> None:
        self.asked: list[list[Ask]] = []
        self.patient: str | None = None
        self.outcome: Outcome = "answered"
        self.set_aside: tuple[RuleMatch, ...] = ()

    async def answer(self, asks: Sequence[Ask]) -> list[Given]:
        if asks:
            self.asked.append(list(asks))
        if any(ask.text == "fail" for ask in asks):
            raise ZeroDivisionError
        return [
            Given(
                Answer(self.outcome, f"You asked: {ask.text}", set_aside=self.set_aside),
                "Sepsis",
                self.patient,
            )
            if self.outcome == "answered"
            else Given(Answer(self.outcome, "No."), about="ab" * 32)
            for ask in asks
        ]


class Desk:
    """The agent, its topics and its table."""

    def __init__(self, per_minute: int = 100) -> None:
        self.bench = Bench()
        self.table = Table("conversations")
        self.echo = Echo()
        self.per_minute = per_minute
        self.begin()

    def begin(self) -> None:
        """A worker starts with what the table holds."""
        self.agent = QuestionsAgent(
            self.bench.app,
            self.bench.topics,
            self.echo,
            Conversations(),
            RateLimit(self.per_minute, self.per_minute),
            self.table,
        )

    def keyed(self, key: str) -> None:
        """A worker starts with a key of the audit."""
        self.bench.app.settings = Settings(**self.bench.settings.model_dump() | {"audit_key": key})
        self.begin()

    async def takes(self, *records: Any) -> Event:
        (event,) = await self.bench.feed(self.agent, list(records))
        return event

    def question(self, offset: int, text: str = "What is sepsis?", **given: Any) -> Any:
        headers = given.pop("headers", ())
        key = given.pop("key", None)
        more = {"timestamp": given.pop("at_ms")} if "at_ms" in given else {}
        fields = {"session_id": "s", "text": text} | given
        return record(
            self.bench.topics.chat_questions.name,
            offset,
            json.dumps(fields).encode(),
            key or fields["session_id"].encode(),
            headers=headers,
            **more,
        )

    @property
    def answers(self) -> list[ChatAnswer]:
        sent = self.bench.sent(self.bench.topics.chat_answers)
        return [ChatAnswer.model_validate_json(each["value"]) for each in sent]

    @property
    def audit(self) -> list[tuple[int, bytes]]:
        sent = self.bench.sent(self.bench.topics.chat_audit)
        return list(enumerate(each["value"] for each in sent))

    @property
    def dead(self) -> list[Any]:
        sent = self.bench.sent(self.bench.topics.dead_letters)
        return [json.loads(each["value"]) for each in sent]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    found = Desk()

    async def newest(settings: Any, topic: str, kind: Any, partition: int) -> Any:
        entries = found.audit
        return kind.model_validate_json(entries[-1][1]) if entries else None

    monkeypatch.setattr("agents.questions.newest", newest)
    return found


async def test_a_question_has_one_answer_with_an_id_that_follows_from_its_place(
    desk: Desk,
) -> None:
    event = await desk.takes(desk.question(7))
    (answer,) = desk.answers
    assert answer.question_id == f"chat.questions-0-7-{NOW_MS + 7}"
    assert answer.text == "You asked: What is sepsis?"
    assert event.acked
    assert len(answer.answer_id) == 32


async def test_a_question_that_is_read_again_has_the_same_answer_to_the_byte(desk: Desk) -> None:
    await desk.takes(desk.question(0, question_id="q"))
    desk.begin()  # killed before its offset was committed
    desk.echo = Echo()
    await desk.takes(desk.question(0, question_id="q"))
    first, second = (each["value"] for each in desk.bench.sent(desk.bench.topics.chat_answers))
    assert first == second
    assert not desk.echo.asked


async def test_questions_of_one_conversation_are_answered_in_order_and_know_those_before(
    desk: Desk,
) -> None:
    await desk.takes(
        desk.question(0, "one"),
        desk.question(1, "other", session_id="t"),
        desk.question(2, "two"),
    )
    assert [[ask.text for ask in wave] for wave in desk.echo.asked] == [["one", "other"], ["two"]]
    (second,) = desk.echo.asked[1]
    assert [turn.question for turn in second.past.turns] == ["one"]
    assert second.past.focus == "Sepsis"


async def test_a_conversation_goes_on_in_another_worker(desk: Desk) -> None:
    await desk.takes(desk.question(0, "one"))
    desk.begin()
    await desk.takes(desk.question(1, "two"))
    (again,) = desk.echo.asked[-1]
    assert again.past.focus == "Sepsis"


async def test_a_conversation_is_over_after_a_quarter_of_an_hour_of_event_time(desk: Desk) -> None:
    await desk.takes(desk.question(0, "one"))
    await desk.takes(desk.question(1, "two", at_ms=NOW_MS + 16 * 60_000))
    (again,) = desk.echo.asked[-1]
    assert again.past.turns == ()


async def test_what_is_no_question_is_a_dead_letter_whole_with_a_reason_without_its_values(
    desk: Desk,
) -> None:
    name = desk.bench.topics.chat_questions.name
    bad = [
        record(name, 0, b"{", b"s"),
        record(name, 1, None, b"s"),
        record(name, 2, b'{"session_id": "s", "text": ""}', b"s"),
        desk.question(3, key=b"another"),
        desk.question(4, "x" * 9_000),
    ]
    event = await desk.takes(*bad, desk.question(5))
    assert len(desk.dead) == 5
    assert all("xxx" not in each["reason"] for each in desk.dead)
    assert "produce it under that key" in desk.dead[3]["reason"]
    assert len(desk.answers) == 1
    assert event.acked


async def test_who_asks_is_read_from_the_headers(desk: Desk) -> None:
    claims = Claims(sub="nurse-1", role="nurse", units=("ICU-1",), exp=9e9)
    headers = [(CLAIMS_HEADER, claims.model_dump_json().encode())]
    await desk.takes(desk.question(0, headers=headers), desk.question(1, session_id="t"))
    known, nobody = desk.echo.asked[0]
    assert known.claims == claims
    assert isinstance(nobody.claims, Refusal)


async def test_the_audit_has_hashes_and_no_words_and_its_chain_outlives_the_worker(
    desk: Desk,
) -> None:
    await desk.takes(desk.question(0, "Is Mrs Quill septic?", patient_id="mrn-77"))
    desk.begin()
    await desk.takes(desk.question(1, "And now?"))
    count, breaks = check(desk.audit, ChatAuditEntry)
    assert (count, breaks) == (2, [])
    assert not [value for _, value in desk.audit if b"Quill" in value or b"mrn-77" in value]


async def test_a_rule_that_was_set_aside_is_in_the_answer_and_in_the_audit(desk: Desk) -> None:
    desk.echo.set_aside = (
        RuleMatch("emergency/stroke", "7", 2, 9),
        RuleMatch("net/harmless", "3", 0, 9),
    )
    await desk.takes(desk.question(0))
    (answer,) = desk.answers
    assert [(each.rule, each.start) for each in answer.set_aside] == [
        ("emergency/stroke", 2),
        ("net/harmless", 0),
    ]
    ((_, value),) = desk.audit
    entry = ChatAuditEntry.model_validate_json(value)
    assert (entry.rules, entry.set_aside) == ([], ["emergency/stroke@7", "net/harmless@3"])


async def test_with_a_key_no_id_is_found_in_the_audit_by_trying_ids(desk: Desk) -> None:
    desk.keyed("secret")
    claims = Claims(sub="nurse-1", role="nurse", units=("ICU-1",), exp=9e9)
    headers = [(CLAIMS_HEADER, claims.model_dump_json().encode())]
    desk.echo.patient = "mrn-77"
    asked = "What is the risk of mrn-77?"
    await desk.takes(desk.question(0, asked, headers=headers, question_id="q"))

    ((_, value),) = desk.audit
    (answer,) = desk.answers
    (sent,) = desk.bench.sent(desk.bench.topics.chat_answers)
    tried = ("mrn-77", "patient/mrn-77", "nurse-1", "asker/nurse-1", "s", asked)
    for told in (*(each.encode() for each in tried), sent["value"]):
        assert hashlib.sha256(told).hexdigest().encode() not in value
    assert answer.answer_id.encode() not in value
    entry = ChatAuditEntry.model_validate_json(value)
    assert entry.patient == subject_hash("patient", "mrn-77", b"secret")
    assert entry.asked_by == subject_hash("asker", "nurse-1", b"secret")
    assert check(desk.audit, ChatAuditEntry) == (1, [])


async def test_whom_a_refusal_was_about_is_in_the_audit_each_time_and_in_no_answer(
    desk: Desk,
) -> None:
    desk.echo.outcome = "refused"
    await desk.takes(desk.question(0, question_id="q"))
    desk.begin()  # killed before its offset was committed
    desk.echo = Echo()
    await desk.takes(desk.question(0, question_id="q"))

    entries = [ChatAuditEntry.model_validate_json(value) for _, value in desk.audit]
    assert [entry.about for entry in entries] == ["ab" * 32] * 2
    first, second = (each["value"] for each in desk.bench.sent(desk.bench.topics.chat_answers))
    assert first == second
    assert b"abab" not in first
    assert entries[0].content == hashlib.sha256(first).hexdigest()


async def test_a_session_that_asks_too_much_is_told_so_by_the_rule(desk: Desk) -> None:
    desk.per_minute = 2
    desk.begin()
    at = "2026-01-01T00:00:00Z"
    await desk.takes(*(desk.question(n, f"q{n}", asked_at=at) for n in range(5)))
    allowed = [ask.allowed for wave in desk.echo.asked for ask in wave]
    assert allowed == [True, True, False, False, False]


async def test_a_batch_is_acknowledged_only_when_the_broker_has_its_answers(desk: Desk) -> None:
    desk.bench.producer.waits = True
    event = await desk.takes(desk.question(0))
    assert not event.acked
    desk.bench.producer.deliver()
    await desk.bench.settle()
    assert event.acked


@pytest.mark.parametrize("at_ms", [-1, 2**62, 253_402_300_799_000])
async def test_a_time_that_no_clock_shows_is_a_dead_letter_and_stops_nothing(
    desk: Desk, at_ms: int
) -> None:
    event = await desk.takes(desk.question(0, at_ms=at_ms), desk.question(1))
    assert len(desk.dead) == len(desk.answers) == 1
    assert event.acked


async def test_a_question_that_cannot_be_answered_does_not_cost_the_others(desk: Desk) -> None:
    event = await desk.takes(
        desk.question(0, "one", session_id="a"),
        desk.question(1, "fail", session_id="b"),
        desk.question(2, "two", session_id="c"),
    )
    assert [answer.session_id for answer in desk.answers] == ["a", "c"]
    assert [each["reason"] for each in desk.dead] == ["it cannot be answered: ZeroDivisionError"]
    assert event.acked


async def test_an_answer_is_given_again_to_whoever_had_it_and_to_nobody_else(desk: Desk) -> None:
    claims = Claims(sub="nurse-1", role="nurse", units=("ICU-1",), exp=9e9)
    headers = [(CLAIMS_HEADER, claims.model_dump_json().encode())]
    await desk.takes(desk.question(0, question_id="q", headers=headers))
    await desk.takes(desk.question(1, question_id="q"))
    await desk.takes(desk.question(2, "Something else?", question_id="q", headers=headers))
    assert len({answer.answer_id for answer in desk.answers}) == 3
    assert len(desk.echo.asked) == 3


async def test_a_clock_that_is_fast_ends_nobody_elses_conversation(desk: Desk) -> None:
    await desk.takes(desk.question(0, "one"))
    await desk.takes(desk.question(1, "two", session_id="t", asked_at="2199-01-01T00:00:00Z"))
    await desk.takes(desk.question(2, "three"))
    (again,) = desk.echo.asked[-1]
    assert [turn.question for turn in again.past.turns] == ["one"]


async def test_what_was_revoked_meanwhile_is_left_to_whoever_has_it_now(desk: Desk) -> None:
    batch = Batch(TP(desk.bench.topics.chat_questions.name, 0), [desk.question(0)])

    async def lose(asks: Sequence[Ask]) -> list[Given]:
        batch.stale = True
        return [Given(Answer("answered", "too late")) for _ in asks]

    desk.echo.answer = lose  # type: ignore[method-assign]
    (event,) = await desk.bench.feed(desk.agent, batch)
    assert not event.acked
    assert not desk.answers
    assert not desk.table.rows

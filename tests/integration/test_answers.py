"""Questions through a real broker: documents that come and go, patients, and who may see them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from config.clock import iso, now_ms
from config.settings import Settings
from rag.tools.claims import CLAIMS_HEADER, SIGNATURE_HEADER, Claims, sign
from streams.asking import Asker
from streams.chat_events import ChatAnswer, DocumentEvent, Question
from streams.topics import catalogue, ensure
from tests.live import Worker, producing

pytestmark = pytest.mark.integration

Start = Callable[..., Worker]
KEY = b"integration"
NEWS2 = {"total": 9, "points": {"resp_rate": 3}, "missing": [], "rule": "news2/1"}


class Client:
    """Somebody who asks."""

    def __init__(self, asker: Asker) -> None:
        self._asker, self._asked = asker, 0

    async def ask(self, text: str, claims: Claims | None = None, **given: Any) -> ChatAnswer:
        self._asked += 1
        fields = {"session_id": f"s{self._asked}"} | given
        question = Question(text=text, question_id=f"q{self._asked}", **fields)
        headers = []
        if claims is not None:
            told = claims.model_dump_json().encode()
            headers = [(CLAIMS_HEADER, told), (SIGNATURE_HEADER, sign(told, KEY).encode())]
        return await asyncio.wait_for(await self._asker.send(question, headers), 60)


@pytest.fixture
async def client(live: Settings, start_worker: Start) -> AsyncIterator[Client]:
    chosen = live.model_copy(update={"claims_key": KEY.decode(), "region": "GB"})
    await ensure(chosen)
    start_worker(Settings(**chosen.model_dump(exclude_unset=True)), application="answers")
    async with Asker(chosen) as asker:
        yield Client(asker)


async def test_a_document_is_answered_from_within_two_seconds_replaced_and_removed(
    live: Settings, client: Client
) -> None:
    asked = "What is Quillfever?"
    assert (await client.ask(asked)).outcome == "abstained"
    topic = catalogue(live).documents.name

    async def answered(text: str | None) -> float:
        """Produce the document; return after how many seconds it is answered from."""
        event = text and DocumentEvent(
            document_id="q", title="What is Quillfever?", text=text, focus="Quillfever"
        )
        began = time.monotonic()
        await producer.send_and_wait(
            topic, event and event.model_dump_json().encode(), b"q", partition=0
        )
        while True:
            answer = await client.ask(asked)
            said = [quote.text for quote in answer.quotes]
            if (said == [text]) if text else answer.outcome == "abstained":
                return time.monotonic() - began

    async with producing(live) as producer:
        first = "Quillfever is a made-up illness of people who write too much."
        second = "Quillfever is a made-up illness of those who never write at all."
        for text in (first, second, None):
            assert await asyncio.wait_for(answered(text), 30) <= 2


async def test_live_data_is_told_to_whoever_may_see_it_and_to_nobody_else(
    live: Settings, client: Client
) -> None:
    await _recommend(live, "p-77", "ICU-1", risk=0.42)
    nurse = Claims(sub="nurse-1", role="nurse", units=("ICU-1",), exp=time.time() + 60)
    other = nurse.model_copy(update={"units": ("ICU-2",)})
    asked = "What is the risk of patient p-77?"

    async with asyncio.timeout(60):
        # each answer takes its time, so this asks no more often than a person would
        while "42" not in (told := await client.ask(asked, nurse)).text:
            pass
    assert told.outcome == "answered"
    assert "42" in told.text
    assert told.disclaimer in told.text

    refused = await client.ask(asked, other)
    unknown = await client.ask("What is the risk of patient p-00?", other)
    nobody = await client.ask(asked)
    assert [each.outcome for each in (refused, unknown, nobody)] == ["refused"] * 3
    assert refused.text == unknown.text, "it does not tell whether there is such a patient"

    sickest = await client.ask("Who is the sickest on ICU-1?", nurse)
    assert "p-77" in sickest.text


async def test_an_emergency_is_answered_with_the_numbers_of_the_region(client: Client) -> None:
    answer = await client.ask("my dad has crushing chest pain and is sweating, what do i do")
    assert answer.outcome == "emergency"
    assert "999" in answer.text
    assert answer.rules


async def test_a_follow_up_is_understood_from_what_was_asked_before(client: Client) -> None:
    first = await client.ask("What is septic shock?", session_id="talk")
    second = await client.ask("How is it treated?", session_id="talk")
    assert [first.outcome, second.outcome] == ["answered", "answered"]
    assert any("shock" in quote.title.lower() for quote in second.quotes)


async def _recommend(live: Settings, patient: str, unit: str, risk: float) -> None:
    at = iso(now_ms())
    value = {
        "recommendation_id": "r1",
        "correlation_id": "r1",
        "patient_id": patient,
        "unit_id": unit,
        "observed_at": at,
        "prediction_probabilities": [1 - risk, risk],
        "risk": risk,
        "tier": "urgent",
        "factors": [{"name": "resp_rate", "text": "respiratory rate 30", "contribution": 1.2}],
        "news2": NEWS2,
        "next_steps": ["See the patient now."],
        "features": {"HR": 120.0},
        "data_quality": {"flags": [], "measured": 5},
        "model_name": "m",
        "model_version": "1",
        "original_data": {"HR": 120},
        "processing": {"produced_at": at},
        "disclaimer": "Not a medical device.",
    }
    async with producing(live) as producer:
        name = catalogue(live).recommendations.name
        await producer.send_and_wait(name, json.dumps(value).encode(), patient.encode())

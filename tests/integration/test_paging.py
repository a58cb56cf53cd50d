"""From a recommendation to a person, through the real broker, worker and Twilio client."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bench.simulators.twilio import TwilioSimulator
from config.settings import Settings
from streams.audit import check
from streams.topics import catalogue, ensure
from streams.whole_topic import read_whole
from tests.live import ROOT, Worker, environment, producing, read
from tests.paged import DOCTOR, NURSE, OPERATOR, changes, policy_file, recommendation

pytestmark = pytest.mark.integration

Start = Callable[..., Worker]


@pytest.fixture
async def twilio() -> AsyncIterator[TwilioSimulator]:
    async with TwilioSimulator() as simulator:
        yield simulator


@pytest.fixture
async def ward(live: Settings, twilio: TwilioSimulator, tmp_path: Path) -> Settings:
    given = twilio.settings | {
        "policy": policy_file(tmp_path),
        "public_url": f"http://127.0.0.1:{live.web_port}",
        "provider_timeout_s": 2,
    }
    chosen = Settings(**live.model_dump(exclude_unset=True) | given)
    await ensure(chosen)
    return chosen


async def _recommend(ward: Settings, *patients: str, tier: str = "urgent") -> None:
    async with producing(ward) as producer:
        for patient in patients:
            topic = catalogue(ward).recommendations.name
            await producer.send_and_wait(topic, recommendation(patient, tier), patient.encode())


async def test_a_nurse_gets_one_text_accepts_it_by_reply_and_the_audit_holds(
    ward: Settings, twilio: TwilioSimulator, start_worker: Start
) -> None:
    worker = start_worker(ward, "paging")
    await _recommend(ward, "mrn-4711")
    told = await changes(ward, ["delivered"], worker)
    assert [change.state for change in told] == ["raised", "queued", "sending", "sent", "delivered"]
    (text,) = twilio.texts
    assert text.to == NURSE
    assert "ICU-1" in text.body
    assert "4711" not in text.body

    answer = await twilio.reply(
        NURSE, f"ack {told[0].reference}", f"{ward.public_url}/twilio/reply"
    )
    assert "you accept" in answer.answer
    told = await changes(ward, ["accepted"], worker)
    assert told[-1].contact == "nurse"
    entries = await read_whole(ward, catalogue(ward).audit.name)
    count, breaks = check((record.offset, record.value) for record in entries)
    assert (count, breaks) == (len(told), [])


async def test_a_forged_receipt_or_reply_is_refused(
    ward: Settings, twilio: TwilioSimulator, start_worker: Start
) -> None:
    worker = start_worker(ward, "paging")
    await _recommend(ward, "p1")
    (raised, *_) = await changes(ward, ["delivered"], worker)
    url = f"{ward.public_url}/twilio/reply"
    answer = await twilio.reply(NURSE, f"ack {raised.reference}", url, forged=True)
    assert answer.status == 403
    answer = await twilio.reply(NURSE, f"esc {raised.reference}", url)
    assert answer.status == 200
    told = await changes(ward, ["escalated"], worker)
    assert "accepted" not in [change.state for change in told]


async def test_who_opts_out_is_named_to_operators_by_contact_id_and_not_by_number(
    ward: Settings, twilio: TwilioSimulator, start_worker: Start
) -> None:
    worker = start_worker(ward, "paging")
    await _recommend(ward, "p1")
    await changes(ward, ["delivered"], worker)
    answer = await twilio.reply(NURSE, "Stop", f"{ward.public_url}/twilio/reply")
    assert "<Message>" not in answer.answer
    told = await changes(ward, ["delivered"] * 2, worker)
    (raised,) = [c for c in told if (c.kind, c.state) == ("operations", "raised")]
    assert raised.tier == "warning"
    assert raised.subject.startswith("contact nurse has opted out")
    (text,) = [text for text in twilio.texts if text.to == OPERATOR]
    assert "contact nurse" in text.body
    assert NURSE not in text.body


async def test_the_second_person_is_paged_within_a_second_of_the_configured_time(
    ward: Settings, twilio: TwilioSimulator, start_worker: Start, tmp_path: Path
) -> None:
    policy_file(tmp_path, second_s=4)
    worker = start_worker(ward, "paging")
    await _recommend(ward, "p0")  # what is done once is done
    await changes(ward, ["delivered", "delivered"], worker)
    begun = len(twilio.posts)
    await _recommend(ward, "p1")
    told = await changes(ward, ["delivered"] * 4, worker)
    assert [request.form["To"] for request in twilio.posts[begun:]] == [NURSE, DOCTOR]
    first, second = [change for change in told if change.state == "queued"][-2:]
    assert (second.at - first.at).total_seconds() == pytest.approx(4, abs=0.001)
    asked = twilio.posts[begun + 1].at - twilio.posts[begun].at
    assert asked.total_seconds() == pytest.approx(4, abs=1)


async def test_an_alert_that_cannot_be_read_is_a_dead_letter_of_which_operators_hear(
    ward: Settings, twilio: TwilioSimulator, start_worker: Start
) -> None:
    worker = start_worker(ward, "paging")
    async with producing(ward) as producer:
        topic = catalogue(ward).alerts_raised.name
        await producer.send_and_wait(topic, b'{"type": "raised", "patient_id": "mrn-4711"}', b"k")
    told = await changes(ward, ["delivered"], worker)
    assert {text.to for text in twilio.texts} == {OPERATOR}
    assert told[0].kind == "operations"
    (letter,) = await read(ward, [catalogue(ward).dead_letters.name], lambda found: bool(found))
    assert b"missing" in letter.value


async def test_a_pager_that_is_rebuilt_before_its_first_start_pages_nobody_for_the_past(
    ward: Settings, twilio: TwilioSimulator, start_worker: Start
) -> None:
    await _recommend(ward, "old-1", "old-2")
    rebuilt = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "streams.cli", "rebuild", "paging", "--yes"],
        env=environment(ward),
        cwd=ROOT,
    )
    assert await rebuilt.wait() == 0
    await _recommend(ward, "new")
    worker = start_worker(ward, "paging")
    told = await changes(ward, ["delivered"], worker)
    assert {change.patient_id for change in told} == {"new"}
    assert sum(twilio.pages().values()) == 1


async def test_what_came_while_nobody_paged_is_paged_when_a_worker_starts(
    ward: Settings, twilio: TwilioSimulator, start_worker: Start
) -> None:
    await _recommend(ward, "p1", "p2")
    worker = start_worker(ward, "paging")
    await changes(ward, ["delivered", "delivered"], worker)
    assert sum(twilio.pages().values()) == 2

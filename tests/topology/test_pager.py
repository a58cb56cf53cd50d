"""The pager: what is told, stored and sent while its lease blinks, and around a rebalance."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, TopicAuthorizationFailedError
from faust.types import TP
from pydantic import SecretStr

import agents.pager
from config.clock import from_ms
from streams.alert_events import Acknowledgement
from streams.audit_hashes import Hashes
from streams.metrics import REGISTRY
from streams.producer import RevokedError
from tables.pager import Pager
from tests.paged import DOCTOR, NURSE
from tests.topology.desk import STEP_S, Desk, some_looks, until
from tests.topology.driver import NOW_MS, Event

pytestmark = pytest.mark.topology

STATES = ("open", "queued", "sending", "in_doubt")


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    made = Desk()

    async def nothing(*_: object) -> None:
        """The audit topic is empty."""

    monkeypatch.setattr(agents.pager, "_LOOK_AGAIN_S", 0.001)
    monkeypatch.setattr(agents.pager, "newest", nothing)
    monkeypatch.setattr(agents.pager, "now_ms", lambda: made.now_ms)
    monkeypatch.setattr(agents.pager, "monotonic", lambda: made.now_ms / 1000)
    await made.begin()
    yield made
    await made.end()
    assert made.bench.failed is None


async def test_with_a_key_the_audit_has_no_id_that_was_made_of_the_patients(desk: Desk) -> None:
    desk.bench.app.settings = desk.bench.settings.model_copy(update={"audit_key": SecretStr("k")})
    await desk.begin()
    await desk.raises(desk.alert("0123456789abcdef"))

    entries = [sent["value"] for sent in desk.bench.sent(desk.topics.audit)]
    changes = desk.bench.sent(desk.topics.alerts)
    assert len(entries) == len(changes) > 0
    for entry, change in zip(entries, changes, strict=True):
        assert b"0123456789abcdef" not in entry
        assert hashlib.sha256(change["value"]).hexdigest().encode() not in entry
    told = {json.loads(entry)["alert_id"] for entry in entries}
    assert told == {Hashes(b"k").of_id("0123456789abcdef")}, "one alert's entries go together"


# -- a lease that ends and comes back within the same assignment


async def test_what_a_provider_answers_while_the_lease_is_away_is_stored_when_it_is_back(
    desk: Desk,
) -> None:
    desk.phone.answers.clear()
    await desk.raises()
    await until(lambda: desk.phone.sent)
    desk.lease(False)
    desk.phone.answers.set()
    await some_looks()
    assert desk.stored("nurse") == "sending", "nothing may be written now"

    desk.lease(True)
    await until(lambda: desk.stored("nurse") == "sent")
    assert desk.states("nurse") == ["queued", "sending", "sent"]
    desk.consumer.assignment_number += 1
    await some_looks()
    assert desk.phone.called == [NURSE]
    assert not desk.phone.asked, "it is known what became of it"


async def test_a_page_claimed_while_the_lease_is_away_is_sent_once_when_it_is_back(
    desk: Desk,
) -> None:
    await desk.while_away(desk.raises)
    await some_looks()
    assert desk.stored("nurse") == "sending"
    assert not desk.phone.sent

    desk.lease(True)
    await until(lambda: desk.stored("nurse") == "sent")
    assert desk.phone.called == [NURSE]


async def test_a_page_claimed_while_the_lease_is_away_is_in_doubt_after_a_new_assignment(
    desk: Desk,
) -> None:
    await desk.while_away(desk.raises)
    desk.consumer.assignment_number += 1
    desk.lease(True)
    await until(lambda: desk.phone.asked)
    await some_looks()
    assert not desk.phone.sent, "whoever has the alerts now asks for it first"
    assert desk.states("nurse") == ["queued", "sending", "in_doubt"]


async def test_what_a_provider_answers_after_the_alerts_are_anothers_is_noted_nowhere(
    desk: Desk,
) -> None:
    desk.phone.answers.clear()
    await desk.raises()
    await until(lambda: desk.phone.sent)
    desk.consumer.assigned = set()
    desk.phone.answers.set()
    await some_looks()
    desk.consumer.assigned = {TP(desk.topics.alerts_raised.name, 0)}
    await some_looks()
    assert desk.stored("nurse") == "sending"
    assert desk.states("nurse") == ["queued", "sending"]


# -- a rebalance


async def rebalanced(desk: Desk, error: Exception | None, *, told: bool = True) -> Event:
    """Raise an alert; when its rows, or its changes, are on their way, partitions move."""
    producer = desk.bench.producer
    producer.waits = True
    raising = asyncio.create_task(desk.raises())
    await until(lambda: producer._waiting)
    if told:
        producer.deliver()
        await until(lambda: producer._waiting)
    assert desk.states("nurse") == ["queued", "sending"]
    desk.consumer.assignment_number += 1
    if error is None:
        for sent in producer.sent[desk.table.changelog]:  # as a recovery does
            desk.table.rows[0, sent["key"]] = sent["value"]
    producer.error, producer.waits = error, False
    producer.deliver()
    producer.error = None
    return await raising


async def test_a_pager_that_told_and_could_not_store_tells_the_same_again_and_pages_once(
    desk: Desk,
) -> None:
    event = await rebalanced(desk, RevokedError())
    await some_looks()
    assert not event.acked, "the record comes again"
    assert not desk.table.rows
    assert not desk.phone.sent

    event = await desk.raises()
    await until(lambda: desk.stored("nurse") == "sent")
    assert event.acked
    assert desk.phone.called == [NURSE]
    ids = [change["change_id"] for change in desk.told]
    assert ids[:3] == ids[3:6], "raised, queued, sending: told again with the ids that they had"
    assert len(set(ids)) == 4


async def test_a_pager_that_could_not_tell_stores_nothing(desk: Desk) -> None:
    event = await rebalanced(desk, RevokedError(), told=False)
    await some_looks()
    assert not event.acked
    assert not desk.bench.producer.sent[desk.table.changelog]


async def test_rows_that_reached_the_broker_with_the_rebalance_are_what_is_gone_on_from(
    desk: Desk,
) -> None:
    event = await rebalanced(desk, None)
    assert not event.acked
    await until(lambda: desk.phone.asked)
    event = await desk.raises()
    assert event.acked
    assert not desk.phone.sent, "another worker may have begun to send it"


# -- a broker that is away for a moment just after an assignment


@pytest.mark.parametrize("question", ["audit", "ends"])
async def test_a_broker_that_blinks_at_an_assignment_is_asked_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    errors = [KafkaConnectionError("away"), KafkaTimeoutError("away")]
    answer = desk.consumer.end_offset

    async def blinks(*_: object) -> None:
        if errors:
            raise errors.pop()

    async def end_offset(tp: TP) -> int:
        await blinks()
        return await answer(tp)

    if question == "audit":
        monkeypatch.setattr(agents.pager, "newest", blinks)
    else:
        monkeypatch.setattr(desk.consumer, "end_offset", end_offset)
    desk.consumer.assignment_number += 1
    event = await desk.raises()
    assert event.acked
    assert not errors
    await until(lambda: desk.stored("nurse") == "sent")


async def test_an_audit_topic_that_may_not_be_read_stops_the_worker(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: object) -> None:
        raise TopicAuthorizationFailedError

    monkeypatch.setattr(agents.pager, "newest", refused)
    desk.consumer.assignment_number += 1
    await until(lambda: desk.bench.failed)
    assert isinstance(desk.bench.failed, TopicAuthorizationFailedError)
    desk.bench.failed = None


# -- what cannot be used


async def test_a_record_that_is_no_event_is_a_dead_letter_whose_reason_names_no_patient(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    broken = desk.alert("b").replace(b'"urgent"', b'"patient-b is purple"')
    unknown = Acknowledgement(
        alert="patient-c", answer="accepted", by="nurse", at=from_ms(NOW_MS)
    ).model_dump_json()
    event = await desk.raises(broken, b"patient-d", desk.alert())
    await desk.takes(desk.topics.alerts_acknowledged, unknown.encode())
    letters = [json.loads(sent["value"]) for sent in desk.bench.sent(desk.topics.dead_letters)]
    reasons = [letter["reason"] for letter in letters]
    assert [reason.split(": ")[0] for reason in reasons[:2]] == ["raised.tier", "the record"]
    assert "no such alert" in reasons[2]
    assert "patient-" not in " ".join(reasons) + caplog.text
    assert event.acked
    await until(lambda: desk.phone.called == [NURSE])  # the good one beside them


# -- what came before the assignment


async def after_a_downtime(desk: Desk) -> None:
    """The nurse was paged; the doctor is due, and there is an answer that nobody has read."""
    await desk.raises()
    await until(lambda: desk.stored("nurse") == "sent")
    await desk.end()
    desk.now_ms += 1_000 * (STEP_S + 60)
    desk.consumer.assignment_number += 1
    desk.consumer.ends[TP(desk.topics.alerts_raised.name, 0)] = 0
    desk.consumer.ends[TP(desk.topics.alerts_acknowledged.name, 0)] = 1
    await desk.begin()
    await some_looks()


async def test_nobody_is_called_before_the_answers_are_read_that_came_in_a_downtime(
    desk: Desk,
) -> None:
    await after_a_downtime(desk)
    desk.now_ms += 9_900
    await some_looks()
    answer = Acknowledgement(alert="a", answer="accepted", by="nurse", at=from_ms(desk.now_ms))
    await desk.takes(desk.topics.alerts_acknowledged, answer.model_dump_json().encode())
    await some_looks()
    desk.now_ms += 1_000 * STEP_S
    await some_looks()
    assert desk.phone.called == [NURSE]


async def test_when_all_that_came_in_a_downtime_is_read_what_is_due_is_done_at_once(
    desk: Desk,
) -> None:
    await after_a_downtime(desk)
    await desk.takes(desk.topics.alerts_acknowledged, b"no answer at all")
    await until(lambda: desk.phone.called == [NURSE, DOCTOR])


async def test_what_came_in_a_downtime_and_cannot_be_read_holds_up_nobody_for_more_than_ten_seconds(
    desk: Desk,
) -> None:
    await after_a_downtime(desk)
    desk.now_ms += 9_900
    await some_looks()
    assert desk.phone.called == [NURSE]
    desk.now_ms += 200
    await until(lambda: desk.phone.called == [NURSE, DOCTOR])


# -- what is measured


async def test_alerts_and_pages_are_counted_once_a_second_however_many_changes_there_are(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, times = Pager.counts, []

    def counted(pager: Pager) -> dict[str, int]:
        times.append(desk.now_ms)
        return counts(pager)

    monkeypatch.setattr(Pager, "counts", counted)
    desk.phone.answers.clear()
    await until(lambda: times)
    for name in "abc":
        await desk.raises(desk.alert(name))
    await some_looks()
    assert times == [NOW_MS]

    desk.now_ms += 1_000
    await until(lambda: len(times) > 1)
    found = {state: REGISTRY.get_sample_value("vigil_paging", {"state": state}) for state in STATES}
    assert found == {"open": 3, "queued": 2, "sending": 1, "in_doubt": 0}


async def test_a_worker_that_lost_the_alerts_counts_none_and_one_whose_lease_blinks_still_does(
    desk: Desk,
) -> None:
    def counted(state: str) -> float | None:
        return REGISTRY.get_sample_value("vigil_paging", {"state": state})

    place = TP(desk.topics.alerts_raised.name, 0)
    await desk.raises()
    desk.now_ms += 1_000
    await until(lambda: counted("open") == 1)
    desk.lease(False)
    await some_looks()
    assert counted("open") == 1
    desk.lease(True)

    desk.consumer.assigned = desk.consumer.assigned - {place}
    desk.consumer.assignment_number += 1
    await until(lambda: [counted(state) for state in STATES] == [0, 0, 0, 0])

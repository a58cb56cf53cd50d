"""The pager: who is paged, when, and what becomes of it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from config.clock import from_ms
from config.policy import Policy, parse_policy
from streams.delivery.message import Accepted, Busy, InDoubt, Refused
from tables.alert_book import AlertBook, Change
from tables.alert_rows import Alert, Page, Quiet
from tables.pager import Pager
from tables.pages import Sending, page_id

T0 = 1_760_000_000_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

POLICY = """
version: test
episodes:
  tiers:
    urgent: {recommended: urgent}
budget:
  per_patient_day: {urgent: 0.1}
  burst: 2
routes:
  - {kind: patient, tiers: [urgent], escalation: bedside}
  - {kind: patient, tiers: [warning, watch], escalation: nobody}
  - {kind: operations, tiers: [urgent, warning], escalation: operators}
escalations:
  bedside:
    steps:
      - {after_s: 0, notify: [nurse], channels: [sms, email]}
      - {after_s: 300, notify: [doctor], channels: [sms]}
      - {after_s: 600, notify: [head, nurse], channels: [sms]}
  operators:
    steps:
      - {after_s: 0, notify: [operator], channels: [email]}
schedules: {}
contacts:
  nurse: {name: N, sms: "+447700900101", email: n@example.org, time_zone: Europe/London}
  doctor: {name: D, sms: "+447700900102", time_zone: Europe/London}
  head: {name: H, sms: "+447700900103", time_zone: Europe/London}
  operator: {name: O, email: o@example.org, time_zone: Europe/London}
"""


@pytest.fixture(scope="module")
def policy() -> Policy:
    return parse_policy(POLICY)


class Ward:
    """A pager with a clock, a store and a provider that takes what it is given."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.wall = T0
        self.store: dict[bytes, bytes] = {}
        self.told: list[Change] = []
        self.sent: list[Sending] = []
        self.outcome: Callable[[Sending], Any] = lambda s: Accepted(f"SM{len(self.sent)}")
        self.pager = Pager(policy)

    def restart(self) -> None:
        self.pager = Pager(self.policy)
        self.pager.restore(self.store.items(), self.wall)

    def persist(self) -> None:
        changes, writes = self.pager.drain()
        self.told += changes
        for key, value in writes.items():
            if value is None:
                self.store.pop(key, None)
            else:
                self.store[key] = value

    def claim(self) -> list[Sending]:
        self.pager.advance(self.wall)
        found = self.pager.pages.claim(self.pager.now(self.wall), self.wall)
        self.persist()
        return found

    def go(self, ms: int = 0) -> None:
        """Let time pass and do all that is due."""
        self.wall += ms
        while sendings := self.claim():
            for sending in sendings:
                self.sent.append(sending)
                self.settle(sending, self.outcome(sending))

    def settle(self, sending: Sending, outcome: Any) -> None:
        now = self.pager.now(self.wall)
        self.pager.pages.settled(sending, outcome, now, self.wall)
        self.persist()

    def raise_alert(self, name: str = "a", **given: Any) -> None:
        fields: dict[str, Any] = {
            "kind": "patient", "tier": "urgent", "subject": "sepsis", "patient_id": f"p-{name}",
            "unit_id": "ICU-1", "episode_ms": self.wall, "raised_ms": self.wall,
        }  # fmt: skip
        how = {name: given.pop(name) for name in ("higher", "late_ms") if name in given}
        alert = Alert(name, "", **fields | given)
        self.pager.raised(alert, self.wall, **how)
        self.go()

    def census(self, hours: float) -> None:
        self.pager.census("ICU-1", 0, hours, self.pager.now(self.wall), self.wall)
        self.go()

    def answer(self, name: str, answer: Any = "accepted", by: str = "nurse") -> bool:
        known = self.pager.acknowledged(name, answer, by, self.pager.now(self.wall), self.wall)
        self.go()
        return known

    def states(self, contact: str | None = None) -> list[str]:
        return [c.state for c in self.told if (c.page.contact if c.page else None) == contact]

    def paged(self) -> list[str]:
        return [sending.contact for sending in self.sent]


@pytest.fixture
def ward(policy: Policy) -> Ward:
    return Ward(policy)


# -- escalation


def test_who_is_on_call_gets_one_page_and_an_acceptance_ends_it(ward: Ward) -> None:
    ward.raise_alert()
    assert ward.paged() == ["nurse"]
    assert ward.answer("a")
    ward.go(DAY)
    assert ward.paged() == ["nurse"]
    assert ward.states() == ["raised", "accepted"]
    assert ward.states("nurse") == ["queued", "sending", "sent"]


def test_the_next_person_is_paged_at_the_configured_time_and_not_before(ward: Ward) -> None:
    ward.raise_alert()
    ward.go(300_000 - 1)
    assert ward.paged() == ["nurse"]
    ward.go(1)
    assert ward.paged() == ["nurse", "doctor"]
    escalated = [c for c in ward.told if c.state == "escalated"]
    assert [c.at_ms for c in escalated] == [T0 + 300_000]


def test_an_escalation_that_is_looked_at_late_has_the_time_at_which_it_was_due(ward: Ward) -> None:
    ward.raise_alert()
    ward.go(DAY)
    assert [c.at_ms - T0 for c in ward.told if c.state == "escalated"] == [300_000, 600_000]


def test_a_person_who_stands_in_two_steps_gets_one_page(ward: Ward) -> None:
    ward.raise_alert()
    ward.go(HOUR)
    assert sorted(ward.paged()) == ["doctor", "head", "nurse", "operator"]


def test_when_nobody_has_answered_operators_hear_of_it_without_the_patient(ward: Ward) -> None:
    ward.raise_alert()
    ward.go(HOUR)
    assert "unanswered" in ward.states()
    mail = ward.sent[-1].message
    assert mail.channel == "email"
    assert "nobody has answered" in mail.body
    assert "p-a" not in mail.body + mail.subject


def test_event_time_alone_brings_the_escalation_on(ward: Ward) -> None:
    ward.raise_alert(raised_ms=T0 - HOUR)
    ward.pager.passes(T0 - HOUR + 300_000, ward.wall)
    ward.go()
    assert ward.paged() == ["nurse", "doctor"]


def test_a_device_whose_clock_is_fast_escalates_nobodys_alert(ward: Ward) -> None:
    ward.raise_alert("a")
    ward.wall += 1_000
    ward.raise_alert("b", raised_ms=ward.wall + 300_000)
    assert "doctor" not in ward.paged()


def test_after_a_downtime_nobody_is_called_before_the_answers_are_read(ward: Ward) -> None:
    ward.raise_alert()
    ward.wall += HOUR
    ward.restart()
    ward.pager.waits = True
    ward.pager.passes(ward.wall, ward.wall)
    ward.pager.acknowledged("a", "accepted", "nurse", ward.wall, ward.wall)
    ward.pager.waits = False
    ward.go(HOUR)
    assert ward.paged() == ["nurse"]


def test_a_full_mailbox_holds_up_nobody_elses_mail(ward: Ward) -> None:
    full = "nurse"
    ward.outcome = lambda s: Busy(None, "452") if s.contact == full else Accepted("x")
    ward.raise_alert("a")
    for _ in range(700):
        ward.go(1_000)
    assert {"doctor", "head"} <= set(ward.paged())
    assert ward.states("doctor")[-1] == "sent"


def test_however_long_a_provider_asks_to_be_left_alone_it_is_tried_within_ten_minutes(
    ward: Ward,
) -> None:
    ward.outcome = lambda s: Busy(1e300, "429")
    ward.raise_alert()
    ward.outcome = lambda s: Accepted("x")
    ward.go(601_000)
    assert ward.states("nurse")[-1] == "sent"


def test_an_answer_is_known_by_its_id_whenever_it_comes(ward: Ward) -> None:
    ward.raise_alert()
    for _ in range(2):
        ward.pager.acknowledged("a", "declined", "nurse", ward.wall, ward.wall, "SM1")
        ward.go(2 * MINUTE)
    assert ward.paged() == ["nurse", "doctor"]


def test_a_step_that_waits_for_somebody_of_an_earlier_one_is_not_cut_short(policy: Policy) -> None:
    again = parse_policy(
        POLICY.replace(
            "notify: [nurse], channels: [sms, email]", "notify: [nurse, doctor], channels: [sms]"
        )
    )
    ward = Ward(again)
    ward.raise_alert()
    ward.go(300_000)  # now the doctor's step, who has the page already
    nurses = next(s for s in ward.sent if s.contact == "nurse")
    sid = ward.pager._book.pages[nurses.pages[0]].provider_id or ""
    ward.pager.pages.receipt(sid, "undelivered", 30003, T0, ward.wall)
    ward.go(299_000)
    assert "head" not in ward.paged()
    ward.go(1_000)
    assert "head" in ward.paged()


def test_who_has_declined_is_not_waited_for(ward: Ward) -> None:
    again = Ward(
        parse_policy(
            POLICY.replace("{after_s: 300, notify: [doctor]", "{after_s: 300, notify: [nurse]")
        )
    )
    again.raise_alert()
    again.answer("a", "declined")
    assert again.paged() == ["nurse", "head"]


def test_a_feed_that_has_stopped_stops_no_escalation(ward: Ward) -> None:
    ward.pager.passes(T0 - 365 * DAY, ward.wall)  # a replay of last year
    ward.raise_alert(raised_ms=T0 - 365 * DAY + 1000, episode_ms=0)
    ward.go(301_000)
    assert ward.paged() == ["nurse", "doctor"]


def test_declining_calls_the_next_person_at_once(ward: Ward) -> None:
    ward.raise_alert()
    ward.answer("a", "declined")
    assert ward.paged() == ["nurse", "doctor"]


def test_an_answer_that_is_delivered_again_counts_once(ward: Ward) -> None:
    ward.raise_alert()
    for _ in range(2):
        ward.pager.acknowledged("a", "escalated", "nurse", T0, ward.wall)
        ward.go(2 * MINUTE)
    assert ward.paged() == ["nurse", "doctor"]


def test_an_answer_may_name_the_reference_in_any_case(ward: Ward) -> None:
    ward.raise_alert()
    reference = ward.sent[0].message.references[0]
    assert ward.answer(f" {reference.lower()} ")
    assert "accepted" in ward.states()


def test_an_answer_to_an_alert_that_is_not_there_is_told(ward: Ward) -> None:
    assert not ward.answer("ZZZZZZ")


def test_an_alert_that_comes_again_is_the_same_alert(ward: Ward) -> None:
    ward.raise_alert()
    ward.restart()
    ward.raise_alert()
    assert ward.paged() == ["nurse"]


def test_when_the_episode_ends_nobody_else_is_called(ward: Ward) -> None:
    ward.raise_alert()
    ward.pager.resolved("p-a", T0, T0 + MINUTE, ward.wall + MINUTE)
    ward.go(HOUR)
    assert ward.paged() == ["nurse"]
    assert ward.states() == ["raised", "resolved"]


def test_a_pager_that_starts_late_pages_for_what_is_within_a_lock_out_and_for_nothing_older(
    ward: Ward,
) -> None:
    ward.raise_alert("a", late_ms=12 * HOUR)
    ward.go(2 * MINUTE)
    ward.raise_alert("b", late_ms=12 * HOUR + 1)
    ward.go(2 * MINUTE)
    assert ward.paged() == ["nurse"]
    assert ward.told[-1].alert.alert_id == "b"
    assert ward.told[-1].state == "resolved"


def test_a_tier_without_an_escalation_is_on_the_boards_only(ward: Ward) -> None:
    ward.raise_alert(tier="warning")
    ward.go(DAY)
    assert ward.paged() == []
    assert ward.states() == ["raised"]


def test_escalation_goes_on_where_it_was_after_a_restart(ward: Ward) -> None:
    ward.raise_alert()
    ward.wall += 299_000
    ward.restart()
    ward.go()
    assert ward.paged() == ["nurse"]
    ward.go(1_000)
    assert ward.paged() == ["nurse", "doctor"]


# -- budget and silences


def test_over_budget_alerts_are_held_back_and_operators_are_told_once_a_day(ward: Ward) -> None:
    for name in "abcd":
        ward.raise_alert(name)
        ward.go(2 * MINUTE)
        ward.answer(name)
    assert ward.paged().count("nurse") == 2
    assert ward.states().count("over_budget") == 2
    assert ward.paged().count("operator") == 1


def test_a_unit_that_watches_more_patients_may_page_more(ward: Ward) -> None:
    ward.census(720.0)
    for name in "abcd":
        ward.raise_alert(name)
        ward.go(2 * MINUTE)
        ward.answer(name)
    assert ward.paged().count("nurse") == 3


def test_an_alert_that_was_held_back_is_paged_when_the_risk_goes_on_rising(ward: Ward) -> None:
    for name in "ab":
        ward.raise_alert(name)
        ward.go(2 * MINUTE)
        ward.answer(name)
    ward.raise_alert("c", episode_ms=7)
    ward.go(2 * MINUTE)
    assert ward.paged().count("nurse") == 2
    ward.raise_alert("c+", patient_id="p-c", episode_ms=7, higher=True)
    ward.go(2 * MINUTE)
    assert ward.paged().count("nurse") == 3


def test_an_alert_that_was_paged_is_not_paged_again_when_the_risk_goes_on_rising(
    ward: Ward,
) -> None:
    ward.raise_alert("a")
    ward.raise_alert("a+", patient_id="p-a", episode_ms=T0, higher=True)
    ward.go(2 * MINUTE)
    assert ward.paged() == ["nurse"]


@pytest.mark.parametrize("restarted", [False, True])
def test_an_alert_that_was_held_back_is_paged_as_soon_as_its_unit_may_page_again(
    ward: Ward, restarted: bool
) -> None:
    for name in "abc":
        ward.raise_alert(name)
        ward.go(2 * MINUTE)
        if name != "c":
            ward.answer(name)
    assert ward.paged().count("nurse") == 2
    if restarted:
        ward.restart()
    ward.census(100.0)
    assert ward.paged().count("nurse") == 2, "there is no room for one more"
    ward.census(2400.0)
    ward.go(2 * MINUTE)
    assert ward.paged().count("nurse") == 3


def test_an_alert_that_was_held_back_is_not_paged_when_its_episode_is_over(ward: Ward) -> None:
    for name in "abc":
        ward.raise_alert(name, episode_ms=7)
        ward.go(2 * MINUTE)
    ward.pager.resolved("p-c", 7, ward.wall, ward.wall)
    paged = ward.paged().count("nurse")
    ward.census(24_000.0)
    ward.go(2 * MINUTE)
    assert ward.paged().count("nurse") == paged


def _silence(ward: Ward, ms: int) -> Quiet:
    return Quiet("s", None, "ICU-1", ["urgent"], from_ms(ward.wall), from_ms(ward.wall + ms))


def test_a_silenced_alert_pages_when_the_silence_is_over_if_it_still_stands(ward: Ward) -> None:
    ward.pager.silence("s", _silence(ward, HOUR), ward.wall)
    ward.raise_alert()
    ward.go(HOUR - 1)
    assert ward.paged() == []
    ward.go(1)
    assert ward.paged() == ["nurse"]


def test_a_silence_holds_after_a_restart_and_ends_when_it_is_taken_back(ward: Ward) -> None:
    ward.pager.silence("s", _silence(ward, HOUR), ward.wall)
    ward.go()
    ward.restart()
    ward.raise_alert()
    assert ward.paged() == []
    ward.pager.silence("s", None, ward.wall)
    ward.go()
    assert ward.paged() == ["nurse"]


# -- delivery


def test_a_contact_who_can_never_be_reached_is_tried_by_the_next_channel_then_the_next_person(
    ward: Ward,
) -> None:
    ward.outcome = lambda s: (
        Refused("21211", "bad number") if s.contact == "nurse" else Accepted("x")
    )
    ward.raise_alert()
    assert [(s.contact, s.channel) for s in ward.sent] == [
        ("nurse", "sms"), ("nurse", "email"), ("doctor", "sms"),
    ]  # fmt: skip


def test_a_carrier_failure_that_comes_later_calls_the_next_channel_at_once(ward: Ward) -> None:
    ward.raise_alert()
    ward.pager.pages.receipt("SM1", "undelivered", 30003, T0, ward.wall)
    ward.go()
    assert [(s.contact, s.channel) for s in ward.sent] == [("nurse", "sms"), ("nurse", "email")]


def test_receipts_that_are_repeated_or_reordered_change_nothing(ward: Ward) -> None:
    ward.raise_alert()
    for status in ("delivered", "sent", "queued", "delivered", "failed"):
        ward.pager.pages.receipt("SM1", status, None, T0, ward.wall)
    ward.go(MINUTE)
    assert ward.states("nurse") == ["queued", "sending", "sent", "delivered"]
    assert ward.paged() == ["nurse"]


def test_a_receipt_that_is_quicker_than_the_answer_is_kept_through_a_restart(ward: Ward) -> None:
    ward.pager.pages.receipt("SM1", "delivered", None, T0, ward.wall)
    ward.go()
    ward.restart()
    ward.raise_alert()
    assert ward.states("nurse")[-1] == "delivered"


def test_a_busy_provider_is_tried_again_later_and_ever_more_seldom(ward: Ward) -> None:
    ward.outcome = lambda s: Busy(None, "429")
    ward.raise_alert()
    tries = []
    for _ in range(240):
        before = len(ward.sent)
        ward.go(1_000)
        tries.append(len(ward.sent) > before)
    assert 6 <= sum(tries) <= 14
    ward.outcome = lambda s: Accepted("SM")
    ward.answer("a")


def test_a_request_whose_answer_is_lost_is_never_sent_again_before_the_provider_was_asked(
    ward: Ward,
) -> None:
    ward.outcome = lambda s: InDoubt("time-out")
    ward.raise_alert()
    ward.go(14_000)
    assert ward.paged() == ["nurse"]
    ((known, message, since),) = ward.pager.pages.doubtful(ward.wall)
    assert (message.to, since) == ("+447700900101", T0)
    ward.pager.pages.answered(known, "SM9", T0, ward.wall)
    ward.go()
    assert ward.states("nurse")[-2:] == ["in_doubt", "sent"]
    assert ward.paged() == ["nurse"]


def test_a_page_that_the_provider_does_not_have_after_the_grace_is_sent_again_as_no_repeat(
    ward: Ward,
) -> None:
    ward.outcome = lambda s: InDoubt("time-out")
    ward.raise_alert()
    ward.outcome = lambda s: Accepted("SM2")
    ((known, _, _),) = ward.pager.pages.doubtful(ward.wall)
    ward.pager.pages.answered(known, None, T0, ward.wall)
    ward.go()
    assert ward.paged() == ["nurse"], "before the grace nothing is known"
    ward.wall += 70_000
    ((known, _, _),) = ward.pager.pages.doubtful(ward.wall)
    ward.pager.pages.answered(known, None, T0, ward.wall)
    ward.go()
    assert ward.paged() == ["nurse", "nurse"]
    assert not any(c.possible_repeat for c in ward.told)


def test_a_mail_whose_fate_is_unknown_goes_again_with_its_id_marked_as_possible_repeat(
    ward: Ward,
) -> None:
    ward.outcome = lambda s: InDoubt("lost after DATA")
    ward.raise_alert(kind="operations", patient_id=None, subject="consumer lag")
    ward.outcome = lambda s: Accepted("m")
    ward.wall += 20_000
    ((known, _, _),) = ward.pager.pages.doubtful(ward.wall)
    ward.pager.pages.untold(known, T0, ward.wall)
    ward.go(MINUTE)
    first, second = (s.message for s in ward.sent)
    assert first.message_id == second.message_id
    assert (first.possible_repeat, second.possible_repeat) == (False, True)


def test_a_text_whose_fate_is_unknown_waits_for_the_provider_and_the_next_person_is_called(
    ward: Ward,
) -> None:
    ward.outcome = lambda s: InDoubt("time-out") if s.contact == "nurse" else Accepted("x")
    ward.raise_alert()
    for _ in range(300):
        ward.go(1_000)
        for known, _, _ in ward.pager.pages.doubtful(ward.wall):
            ward.pager.pages.untold(known, T0, ward.wall)
    assert ward.paged() == ["nurse", "doctor"]


@pytest.mark.parametrize("accepted", [True, False])
def test_a_page_under_way_when_the_worker_dies_is_asked_for_and_sent_once(
    ward: Ward, accepted: bool
) -> None:
    ward.pager.raised(Alert("a", "", "patient", "urgent", "s", T0, "p", "ICU-1", T0), ward.wall)
    assert len(ward.claim()) == 1  # and dies
    ward.restart()
    ward.go(20_000)
    assert ward.paged() == []
    ((known, _, _),) = ward.pager.pages.doubtful(ward.wall)
    ward.pager.pages.answered(known, "SM1" if accepted else None, T0, ward.wall)
    ward.go(MINUTE)
    assert ward.paged() == ([] if accepted else ["nurse"])
    assert ward.states("nurse")[-1] == "sent"


def test_what_is_over_a_persons_limit_waits_and_goes_as_one_text(ward: Ward) -> None:
    ward.census(2400.0)
    for name in "abcde":
        ward.raise_alert(name)
    assert ward.paged() == ["nurse"]
    ward.go(MINUTE)
    assert ward.paged() == ["nurse", "nurse"]
    assert len(ward.sent[1].message.references) == 4
    assert all(ref in ward.sent[1].message.body for ref in ward.sent[1].message.references)


def test_an_outage_of_an_hour_loses_nothing_and_does_not_flood_on_return(ward: Ward) -> None:
    ward.census(24_000.0)
    ward.outcome = lambda s: Busy(None, "no connection")
    for number in range(20):
        ward.raise_alert(f"a{number}")
        ward.go(3 * MINUTE)
    tried = len(ward.sent)
    assert tried < 120
    ward.outcome = lambda s: Accepted(f"SM{len(ward.sent)}")
    for _ in range(40):
        ward.go(MINUTE)
    texts = [s for s in ward.sent[tried:] if s.channel == "sms"]
    told = [(s.contact, ref) for s in texts for ref in s.message.references]
    assert len(told) == len(set(told))
    assert {ref for who, ref in told if who == "nurse"} == {
        a.reference for a in ward.pager._book.alerts.values() if a.kind == "patient"
    }
    assert len([s for s in texts if s.contact == "nurse"]) <= 3


def test_no_text_names_a_patient(ward: Ward) -> None:
    ward.raise_alert(patient_id="mrn-4711")
    ward.go(HOUR)
    for sending in ward.sent:
        assert "mrn-4711" not in sending.message.subject + sending.message.body


def test_old_alerts_are_forgotten_with_their_pages_but_not_what_is_still_on_its_way(
    ward: Ward,
) -> None:
    ward.outcome = lambda s: InDoubt("?") if s.contact == "nurse" else Accepted("x")
    ward.raise_alert("a")
    ward.outcome = lambda s: Accepted("x")
    ward.raise_alert("b", kind="operations", patient_id=None)
    ward.go(int(timedelta(days=9).total_seconds() * 1000))
    kept = {key[1:] for key in ward.store if key[:1] == b"a"}
    assert b"a" in kept
    assert b"b" not in kept


def test_change_ids_are_the_same_when_a_change_is_told_again(ward: Ward) -> None:
    other = Ward(ward.policy)
    for each in (ward, other):
        each.raise_alert()
        each.answer("a")
    assert [c.change_id for c in ward.told] == [c.change_id for c in other.told]
    assert len({c.change_id for c in ward.told}) == len(ward.told)


def test_pages_that_are_told_of_in_another_order_after_a_crash_do_not_pass_for_each_other() -> None:
    def told(order: list[str]) -> set[str]:
        book = AlertBook()
        alert = Alert(
            "a", "C7Q2XM", "patient", "urgent", "risk of sepsis", T0, patient_id="p", unit_id="u"
        )
        for name in order:
            book.change(
                alert, "delivered", T0, page=Page(page_id("a", name), "a", name, 0, ["sms"])
            )
        return {change.change_id for change in book.drain()[0]}

    assert not told(["nurse", "doctor"]) & told(["doctor", "nurse"])


@pytest.mark.parametrize("restarts", [False, True])
def test_a_receipt_counts_for_every_page_of_a_bundle_whenever_it_comes(
    ward: Ward, restarts: bool
) -> None:
    ward.census(2400.0)
    for name in "abc":
        ward.raise_alert(name)
    ward.wall += MINUTE
    (bundle,) = ward.claim()
    assert len(bundle.pages) == 2
    if restarts:  # and each page is asked for by itself
        ward.restart()
        doubts = [known for known, _, _ in ward.pager.pages.doubtful(ward.wall)]
        ward.pager.pages.answered(doubts[0], "SM9", T0, ward.wall)
        ward.pager.pages.receipt("SM9", "delivered", None, T0, ward.wall)
        ward.pager.pages.answered(doubts[1], "SM9", T0, ward.wall)
    else:
        ward.pager.pages.receipt("SM9", "delivered", None, T0, ward.wall)
        ward.settle(bundle, Accepted("SM9"))
    ward.persist()
    arrived = [c.page.page_id for c in ward.told if c.page and c.state == "delivered"]
    assert sorted(arrived) == sorted(bundle.pages)


def test_each_escalation_is_told_with_its_own_step(ward: Ward) -> None:
    ward.raise_alert()
    ward.wall += HOUR
    ward.claim()
    steps = [c.step for c in ward.told if c.alert.kind == "patient" and c.state == "escalated"]
    assert steps == [1, 2]


def test_texts_that_did_not_arrive_in_an_outage_use_up_no_limit(ward: Ward) -> None:
    ward.census(24_000.0)
    ward.outcome = lambda s: InDoubt("status 503")
    for number in range(12):  # more than 11 an hour
        ward.raise_alert(f"a{number}")
        ward.go(4 * MINUTE)
    assert ward.paged().count("nurse") >= 11
    doubts = [known for known, _, _ in ward.pager.pages.doubtful(ward.wall + MINUTE)]
    for known in doubts:
        ward.pager.pages.answered(known, None, ward.pager.now(ward.wall), ward.wall)
    begun = len(ward.sent)
    ward.outcome = lambda s: Accepted(f"SM{len(ward.sent)}")
    ward.go()
    assert "nurse" in ward.paged()[begun:]


@pytest.mark.parametrize("busy", [False, True])
def test_after_a_restart_a_bundle_counts_as_one_text_and_a_refused_one_as_none(
    ward: Ward, busy: bool
) -> None:
    ward.census(2400.0)
    for name in "abcdefg":
        ward.raise_alert(name)
    if busy:
        ward.outcome = lambda s: Busy(None, "429")
    ward.go(MINUTE)
    assert len(ward.sent[1].pages) == 6
    ward.restart()
    ward.outcome = lambda s: Accepted(f"SM{len(ward.sent)}")
    ward.raise_alert("h")
    begun = len(ward.sent)
    ward.go(0 if busy else MINUTE)
    assert "nurse" in ward.paged()[begun - int(busy) :]

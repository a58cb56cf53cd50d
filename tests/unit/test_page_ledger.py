"""The ledger of pages finds what it is there to find."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from bench.hospital import Fate, Hospital
from bench.page_ledger import PageLedger, PageVerdict
from bench.simulators.twilio import SENDER, Text
from tables.operations import operations_id

HOSPITAL = Hospital(units=1)
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Told:
    """What a pager told and a provider took."""

    def __init__(self, fate: Fate) -> None:
        self.ledger = PageLedger(HOSPITAL)
        self.ledger.fates["p"] = fate
        self.texts: list[Text] = []
        self._number = 0

    def change(self, state: str, contact: str | None = None, **given: Any) -> None:
        self._number += 1
        fields = {
            "change_id": str(self._number), "alert_id": "a", "reference": "C7Q2XM",
            "kind": "patient", "state": state, "patient_id": "p", "unit_id": "ICU-0",
            "contact": contact, "channel": contact and "sms", "step": 0, "at": AT.isoformat(),
        }  # fmt: skip
        self.ledger.take(json.dumps(fields | given).encode())

    def text(self, contact: str, body: str = "Ref C7Q2XM") -> None:
        number = HOSPITAL.contacts[contact]
        self.texts.append(Text(str(len(self.texts)), number, SENDER, body, AT, None))

    def page(self, contact: str) -> None:
        for state in ("queued", "sending", "sent"):
            self.change(state, contact)
        self.text(contact)

    @property
    def verdict(self) -> PageVerdict:
        return self.ledger.verdict(self.texts)


@pytest.fixture
def told() -> Told:
    found = Told("accepts")
    found.change("raised")
    found.page("nurse-0")
    return found


def test_one_page_to_the_nurse_is_good(told: Told) -> None:
    assert told.verdict.good
    assert told.verdict.pages == 1


def test_an_alert_that_was_never_raised_is_missing() -> None:
    assert Told("accepts").verdict.missing == 1


def test_a_page_that_was_told_and_not_taken_is_missing() -> None:
    found = Told("accepts")
    found.change("raised")
    found.change("sent", "nurse-0")
    assert found.verdict.missing == 1


def test_a_step_that_has_begun_has_to_reach_its_person(told: Told) -> None:
    told.change("escalated", step=1)
    assert told.verdict.missing == 1
    told.page("doctor-0")
    assert told.verdict.good


def test_nobody_has_to_be_paged_who_was_needed_no_more(told: Told) -> None:
    told.change("escalated", step=1)
    told.change("accepted", "nurse-0", channel=None)
    told.change("resolved", "doctor-0")
    assert told.verdict.good


def test_whoever_takes_no_notice_makes_it_reach_everybody_whatever_the_pager_says() -> None:
    found = Told("ignored")
    found.change("raised")
    found.page("nurse-0")
    assert found.verdict.missing == 3  # doctor, head, and the operator who hears of it
    found.change("escalated", step=1)
    found.change("escalated", step=2)
    for who in ("doctor-0", "head-0"):
        found.page(who)
    told = {"alert_id": operations_id("unanswered/a"), "reference": "FGH234", "patient_id": None}
    found.change("raised", kind="operations", **told)
    found.text("operator", "Urgent: nobody has answered alert C7Q2XM. Ref FGH234")
    assert found.verdict.good


def test_a_second_text_is_doubled_unless_it_says_so(told: Told) -> None:
    told.text("nurse-0", "(Possible repeat.)\nRef C7Q2XM")
    assert (told.verdict.doubled, told.verdict.repeats) == (0, 1)
    told.text("nurse-0")
    assert told.verdict.doubled == 1


def test_who_had_not_to_be_called_is_found(told: Told) -> None:
    told.text("head-0")
    assert told.verdict.undue == 1
    told.text("nurse-0", "Ref FGH234")
    assert told.verdict.undue == 2


def test_a_page_whose_fate_is_open_is_not_good(told: Told) -> None:
    told.change("in_doubt", "nurse-0")
    assert told.verdict.under_way == 1
    assert not told.verdict.good

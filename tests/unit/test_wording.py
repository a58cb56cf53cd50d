"""What goes to a telephone or a mailbox: never who the patient is."""

import os
from itertools import cycle
from pathlib import Path

import pytest

from config.policy import Policy, parse_policy
from models.cohort import read_stays
from streams.delivery.message import Accepted, Busy, InDoubt, Message, Refused
from tables.alert_rows import Alert
from tables.pager import Pager
from tables.wording import MAX_BUNDLE, body, subject

pytestmark = pytest.mark.unit

PSV = Path(os.environ.get("VIGIL_DATA", "../shared/data")) / "sepsis2019" / "psv"
T0, MINUTE = 1_760_000_000_000, 60_000

POLICY = """
version: test
episodes:
  tiers:
    urgent: {recommended: urgent}
budget:
  per_patient_day: {urgent: 0.01}
routes:
  - {kind: patient, tiers: [urgent], units: [icu-a], escalation: bedside}
  - {kind: patient, tiers: [warning, urgent], escalation: bedside}
  - {kind: operations, tiers: [urgent, warning], escalation: operators}
escalations:
  bedside:
    steps:
      - {after_s: 0, notify: [nurse], channels: [sms, email]}
      - {after_s: 300, notify: [doctor], channels: [email, sms]}
  operators:
    steps:
      - {after_s: 0, notify: [operator], channels: [email]}
schedules: {}
contacts:
  nurse: {name: N, sms: "+447700900101", email: n@example.org, time_zone: Europe/London}
  doctor: {name: D, sms: "+447700900102", email: d@example.org, time_zone: Europe/London}
  operator: {name: O, email: o@example.org, time_zone: Europe/London}
"""


@pytest.fixture(scope="module")
def policy() -> Policy:
    return parse_policy(POLICY)


def _everything(policy: Policy, patients: list[str]) -> list[Message]:
    """All messages about these patients, through everything that a page can go through."""
    pager = Pager(policy, link="https://vigil.example/a/{reference}")
    outcomes = cycle([Accepted("SM"), InDoubt("?"), Busy(None, "429"), Refused("21211", "bad")])
    found, wall = [], T0
    for number, patient in enumerate(patients):
        kinds = {
            "tier": ("urgent", "warning")[number % 2],
            "unit_id": ("icu-a", "icu-b", None)[number % 3],
        }
        alert = Alert(
            f"{number:032x}", "", "patient", kinds["tier"] or "", "sepsis", wall, patient,
            kinds["unit_id"], wall,
        )  # fmt: skip
        pager.raised(alert, wall)
        for _ in range(4):
            wall += 2 * MINUTE
            pager.advance(wall)
            for sending in pager.pages.claim(pager.now(wall), wall):
                found.append(sending.message)
                pager.pages.settled(sending, next(outcomes), pager.now(wall), wall)
            for known, message, _ in pager.pages.doubtful(wall):
                found.append(message)
                pager.pages.untold(known, pager.now(wall), wall)
    return found


@pytest.mark.skipif(not PSV.is_dir(), reason=f"no patients at {PSV}; point VIGIL_DATA at the data")
def test_no_message_holds_an_identifier_of_the_cohort(policy: Policy) -> None:
    patients = [stay.patient_id for stay in read_stays(PSV)]
    assert len(patients) >= 400

    messages = _everything(policy, patients)

    assert len(messages) > 400
    assert {message.channel for message in messages} == {"sms", "email"}
    assert any(message.possible_repeat for message in messages)
    assert any(len(message.references) > 1 for message in messages)
    assert any("nobody has answered" in message.body for message in messages)
    assert any("over their budget" in message.body for message in messages)
    outgoing = "\n".join(
        f"{message.subject}\n{message.body}\n{message.message_id}\n{message.page_id}"
        for message in messages
    ).lower()
    assert [patient for patient in patients if patient.lower() in outgoing] == []


def test_a_text_of_the_most_alerts_with_the_longest_wards_fits_what_twilio_takes() -> None:
    alerts = [
        Alert(f"{i}", f"C7Q2X{i % 10}", "patient", "warning", "", T0, "p", "w" * 128)
        for i in range(MAX_BUNDLE)
    ]
    assert len(body(alerts, "https://vigil.example/{reference}", possible_repeat=True)) <= 1_600
    assert "12 alerts" in subject(alerts)


def test_a_ward_with_a_line_break_in_its_name_leaves_a_subject_of_one_line() -> None:
    alert = Alert("a", "C7Q2XM", "patient", "urgent", "", T0, "p", "icu\r\nBcc: x@example.org")
    assert subject([alert]) == "Vigil: URGENT: sepsis alert on icu Bcc: x@example.org, ref C7Q2XM"


def test_one_alert_has_its_link_and_several_have_none() -> None:
    one = Alert("a", "C7Q2XM", "patient", "urgent", "", T0, "p", "icu-a")
    link = "https://vigil.example/{reference}"
    assert "https://vigil.example/C7Q2XM" in body([one], link, possible_repeat=False)
    assert "https" not in body([one, one], link, possible_repeat=False)

"""Asking for the next person: what is the same request, and what is another."""

from typing import Literal

import pytest

from config.policy import Policy, parse_policy
from streams.delivery.message import Refused
from tests.unit.test_pager import MINUTE, POLICY, T0, Ward

pytestmark = pytest.mark.unit

ANSWERS = pytest.mark.parametrize("answer", ["escalated", "declined"])
Answer = Literal["escalated", "declined"]


@pytest.fixture(scope="module")
def policy() -> Policy:
    return parse_policy(POLICY)


@pytest.fixture
def ward(policy: Policy) -> Ward:
    """The nurse has been paged."""
    made = Ward(policy)
    made.raise_alert()
    return made


def of_two(policy: str) -> Ward:
    """The nurse and the doctor have been paged at once."""
    first = "notify: [nurse], channels: [sms, email]"
    made = Ward(parse_policy(policy.replace(first, "notify: [nurse, doctor], channels: [sms]")))
    made.raise_alert()
    return made


def steps(ward: Ward) -> list[int]:
    """Steps of the escalation that have begun, but for the first."""
    return [c.step for c in ward.told if c.state == "escalated" and c.by is None]


@ANSWERS
def test_what_is_said_again_within_a_minute_of_the_call_is_the_same_request(
    ward: Ward, answer: Answer
) -> None:
    ward.answer("a", answer)
    ward.go(MINUTE - 1)
    ward.answer("a", answer)
    assert ward.paged() == ["nurse", "doctor"]
    said = [(c.by, c.detail) for c in ward.told if c.state == answer and c.by is not None]
    assert said == [("nurse", ""), ("nurse", "the next person was called just before")]


@ANSWERS
def test_what_is_said_again_after_a_minute_calls_one_more(ward: Ward, answer: Answer) -> None:
    ward.answer("a", answer)
    ward.go(MINUTE)
    ward.answer("a", answer)
    assert ward.paged() == ["nurse", "doctor", "head"]


@ANSWERS
def test_who_was_called_last_may_pass_it_on_at_once(ward: Ward, answer: Answer) -> None:
    ward.answer("a", "escalated")
    ward.answer("a", answer, by="doctor")
    assert ward.paged() == ["nurse", "doctor", "head"]


def test_the_same_request_is_known_after_a_restart(ward: Ward) -> None:
    ward.answer("a", "escalated")
    ward.restart()
    ward.go(MINUTE // 2)
    ward.answer("a", "escalated")
    assert ward.paged() == ["nurse", "doctor"]


def test_who_passes_it_on_when_time_has_just_called_the_next_calls_nobody_after(ward: Ward) -> None:
    ward.go(300_000)
    ward.go(10_000)
    ward.answer("a", "escalated")
    assert ward.paged() == ["nurse", "doctor"]


def test_two_of_one_step_who_pass_it_on_call_one_step() -> None:
    ward = of_two(POLICY.replace("after_s: 300, notify: [doctor]", "after_s: 300, notify: [head]"))
    ward.answer("a", "escalated")
    ward.answer("a", "escalated", by="doctor")
    assert ward.paged() == ["nurse", "doctor", "head"]
    assert steps(ward) == [1]


def test_whose_step_called_nobody_new_is_not_waited_for_when_they_pass_it_on() -> None:
    ward = of_two(POLICY)
    ward.answer("a", "escalated")  # the step of the doctor, who has the page already
    ward.answer("a", "escalated", by="doctor")
    assert ward.paged() == ["nurse", "doctor", "head"]


def test_somebody_who_was_not_paged_may_ask_for_the_next_person_at_once(ward: Ward) -> None:
    assert ward.pager.now(ward.wall) == T0, "the nurse was called just now"
    ward.answer("a", "escalated", by="sister")
    assert ward.paged() == ["nurse", "doctor"]
    ward.answer("a", "escalated", by="another sister")
    assert ward.paged() == ["nurse", "doctor"]


def test_who_has_declined_before_they_were_called_is_not_waited_for(ward: Ward) -> None:
    ward.answer("a", "declined", by="doctor")
    assert ward.paged() == ["nurse", "doctor"]
    ward.answer("a", "escalated")
    assert ward.paged() == ["nurse", "doctor", "head"]


def test_whom_no_page_reaches_is_not_waited_for() -> None:
    again = POLICY.replace(
        "after_s: 300, notify: [doctor]", "after_s: 300, notify: [doctor, nurse]"
    )
    ward = Ward(parse_policy(again))
    ward.raise_alert()
    ward.outcome = lambda _: Refused("21211", "no number")
    ward.answer("a", "escalated")
    assert (ward.states("doctor")[-1], steps(ward)) == ("failed", [1])
    ward.go(1_000)
    ward.answer("a", "escalated")
    assert ward.paged() == ["nurse", "doctor", "head"]

"""The alerts of a ward: their states, pages and answers, and how long they are kept."""

import pytest

from tables.ward import ALERTS_KEPT_MS
from tests.helpers import HOUR
from tests.unit.made_ward import change, recommendation, ward


def test_alerts_about_operations_are_passed_over() -> None:
    table = ward(changes=(change(0, "raised", 1, kind="operations", patient=None),))

    assert table.alert("C7Q2XM") is None
    assert table.drain() == {}


def test_an_alert_is_found_by_its_id_and_by_its_reference_in_any_case() -> None:
    table = ward(changes=(change(0, "raised", 1),))

    assert table.alert("a1") is not None
    assert table.alert(" c7q2xm ") == table.alert("a1")
    assert table.alert("X") is None


@pytest.mark.parametrize(
    ("changes", "state", "is_open"),
    [
        ([(0, "raised")], "raised", True),
        ([(0, "raised"), (1, "queued"), (2, "sent")], "raised", True),
        ([(0, "raised"), (1, "escalated")], "raised", True),
        ([(0, "raised"), (1, "declined")], "raised", True),
        ([(0, "raised"), (1, "silenced")], "silenced", True),
        ([(0, "raised"), (1, "over_budget"), (2, "queued")], "raised", True),
        ([(0, "raised"), (1, "queued"), (2, "over_budget")], "over_budget", True),
        ([(0, "raised"), (1, "unanswered")], "unanswered", True),
        ([(0, "raised"), (1, "accepted")], "accepted", False),
        ([(0, "raised"), (1, "accepted"), (2, "resolved")], "resolved", False),
    ],
)
def test_an_alert_is_in_the_state_that_the_pager_gave_it(
    changes: list[tuple[int, str]], state: str, is_open: bool
) -> None:
    by_person = {"queued", "sent", "accepted", "declined"}
    table = ward(
        changes=tuple(
            change(n, what, 1, contact="nurse-day" if what in by_person else None)
            for n, what in changes
        )
    )
    story = table.alert("a1")

    assert story is not None
    assert (story.state, story.is_open) == (state, is_open)


def test_the_number_of_a_change_decides_and_not_the_clock_of_a_person() -> None:
    table = ward(
        changes=(
            change(0, "raised", 5),
            change(3, "resolved", 6),
            change(2, "accepted", 9, contact="dr-quill"),
        )
    )
    story = table.alert("a1")

    assert story is not None
    assert story.state == "resolved"
    assert [(one.contact, one.state) for one in story.answers] == [("dr-quill", "accepted")]


def test_the_page_of_each_person_has_its_newest_state() -> None:
    table = ward(
        changes=(
            change(0, "raised", 1),
            change(4, "delivered", 1, contact="nurse-day", channel="sms"),
            change(2, "sending", 1, contact="nurse-day", channel="sms"),
            change(5, "failed", 1, contact="dr-quill"),
            change(6, "resolved", 1, contact="dr-quill", channel="email"),
        )
    )
    story = table.alert("a1")

    assert story is not None
    assert {who: page.state for who, page in story.pages.items()} == {
        "nurse-day": "delivered",
        "dr-quill": "resolved",
    }
    assert story.state == "raised"
    assert table.paged("nurse-day") == [story]


def test_an_alert_is_dropped_when_it_is_old() -> None:
    table = ward(recommendation(0), changes=(change(0, "raised", 0),))
    table.drain()

    table.recommended(recommendation(ALERTS_KEPT_MS / HOUR + 1))

    assert table.alert("a1") is None
    assert table.drain()[b"aa1"] is None
    assert table.alerts_of("p000123") == []

"""The pages on a board: what is counted, and what is said of each."""

import json
from typing import Any

import pytest
from rich.console import Console

from streams.board import Board
from streams.pagelist import PageList

pytestmark = pytest.mark.unit


def change(state: str, contact: str | None = "nurse", **given: Any) -> bytes:
    channel = "sms" if contact else None
    row = {
        "change_id": state, "alert_id": "a", "reference": "C7Q2XM", "kind": "patient",
        "tier": "urgent", "state": state, "at": "2026-01-01T00:00:00Z", "subject": "risk",
        "patient_id": "mrn-4711", "unit_id": "ICU-1", "contact": contact, "channel": channel,
        "step": 0, "possible_repeat": False, "detail": "",
    }  # fmt: skip
    return json.dumps(row | given).encode()


def told(*changes: bytes) -> PageList:
    pages = PageList()
    assert all(pages.update_json(each) for each in changes)
    return pages


def test_an_alert_and_a_page_count_once_however_often_they_are_told() -> None:
    life = [change("raised", None), change("queued"), change("sending"), change("sent")]
    pages = told(*life, *life, change("delivered"))
    assert (pages.alerts, pages.pages, pages.under_way) == (1, 1, False)
    assert told(*life[:3]).under_way


def test_alerts_of_operations_are_paged_and_are_no_alerts_of_patients() -> None:
    pages = told(change("raised", None, kind="operations"), change("sent", kind="operations"))
    assert (pages.alerts, pages.pages) == (0, 1)


def test_a_line_says_tier_ward_reference_contact_and_state_and_no_patient() -> None:
    pages = told(
        change("raised", None),
        change("sent"),
        change("accepted", channel=None),
    )
    _, line = (text.plain for text in pages.lines(5))
    assert line == "urgent  ward ICU-1  ref C7Q2XM to nurse by sms: sent, alert accepted"
    assert "mrn" not in "".join(text.plain for text in pages.lines(5))


def test_the_newest_pages_are_on_top_in_as_many_lines_as_there_are() -> None:
    pages = told(*(change("sent", f"nurse-{i}", alert_id=f"a{i}") for i in range(9)))
    head, *lines = (text.plain for text in pages.lines(4))
    assert head.startswith("Pages  9 of 0 alerts")
    assert [line.split(" to ")[1].split()[0] for line in lines] == ["nurse-8", "nurse-7", "nurse-6"]
    assert pages.lines(1) == []


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"{}", change("sent", tier=7)])
def test_what_is_no_change_is_passed_over(value: bytes | None) -> None:
    assert not PageList().update_json(value)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 10), (132, 43)])
def test_a_board_with_pages_fits_the_terminal(width: int, height: int) -> None:
    board = Board()
    board.pages.hint = "vigil ack {reference}"
    for i in range(9):
        board.pages.update_json(change("sent", "n" * 90, alert_id=f"a{i}", unit_id="\x1b[2J" * 20))
    console = Console(width=width, height=height, no_color=True)
    with console.capture() as capture:
        console.print(board.render(width, height))
    lines = capture.get().splitlines()
    assert len(lines) <= height
    assert max(len(line) for line in lines) <= width
    assert any("vigil ack C7Q2XM" in line for line in lines) == (height >= 24)
    assert "\x1b[2J" not in capture.get()

"""The ward board: what is on it, in which order, and what it does with odd messages."""

import json
from typing import Any

import pytest
from rich.console import Console

from config.clock import iso
from models.vitals import VITALS
from streams.board import DISCLAIMER, SILENT_MS, TREND, Board
from streams.events import Recommendation

pytestmark = pytest.mark.unit

HOUR_MS = 3_600_000
START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
WIRE = {vital.name: vital.wire for vital in VITALS}


def recommendation(patient: str = "p1", hour: float = 0, risk: float = 0.2, **given: Any) -> Any:
    """A recommendation as the worker writes it; vital signs by their short names."""
    vitals = given.pop("vitals", {"heart_rate": 88.0})
    event = {
        "recommendation_id": f"{patient}-{hour}",
        "correlation_id": f"{patient}-{hour}",
        "patient_id": patient,
        "unit_id": None,
        "observed_at": iso(START_MS + round(hour * HOUR_MS)),
        "prediction_probabilities": [1 - risk, risk],
        "risk": risk,
        "tier": "watch",
        "factors": [{"name": "resp", "text": "respiratory rate 28/min", "contribution": 0.4}],
        "news2": {"total": 5, "points": {"resp_rate": 3}, "missing": [], "rule": "news2/1"},
        "next_steps": ["Repeat vital signs."],
        "features": {},
        "data_quality": {"flags": [], "measured": 1},
        "model_name": "sepsis-risk",
        "model_version": "7",
        "original_data": {"patient_id": patient, **{WIRE[name]: v for name, v in vitals.items()}},
        "processing": {
            "produced_at": iso(START_MS),
            "scored_at": iso(START_MS),
            "scoring_us": 10.0,
        },
        "disclaimer": "Not a medical device.",
    } | given
    if not given:
        Recommendation.model_validate_json(json.dumps(event))
    return event


def board_of(*recommendations: Any, **given: Any) -> Board:
    board = Board(**given)
    for each in recommendations:
        assert board.update(each)
    return board


def drawn(board: Board, width: int = 80, height: int = 24) -> list[str]:
    console = Console(width=width, height=height, no_color=True)
    with console.capture() as capture:
        console.print(board.render(width, height))
    return capture.get().splitlines()


def order(board: Board) -> list[str]:
    return [patient["patient_id"] for patient in board.snapshot()["patients"]]


def test_the_highest_risk_is_on_top() -> None:
    board = board_of(
        *(recommendation(f"p{i}", risk=risk) for i, risk in enumerate((0.1, 0.9, 0.4)))
    )
    assert order(board) == ["p1", "p2", "p0"]
    assert [line.split()[0] for line in drawn(board)[3:6]] == ["p1", "p2", "p0"]


def test_a_repeat_or_a_late_reading_does_not_replace_the_newest_one() -> None:
    newest = recommendation(hour=2, risk=0.9, vitals={"heart_rate": 120.0})
    board = board_of(newest, recommendation(hour=1, risk=0.1), newest)

    [patient] = board.snapshot()["patients"]
    assert (patient["risk"], patient["heart_rate"]) == (0.9, 120.0)
    assert patient["trend"] == [0.1, 0.9]


def test_the_trend_is_the_last_risks_in_the_order_of_their_observed_times() -> None:
    hours = [3, 1, 2, *range(4, 20)]
    board = board_of(*(recommendation(hour=hour, risk=hour / 100) for hour in hours))
    [patient] = board.snapshot()["patients"]
    assert patient["trend"] == [hour / 100 for hour in range(20 - TREND, 20)]


def test_a_value_that_the_newest_reading_lacks_is_shown_in_brackets_for_a_while() -> None:
    board = board_of(
        recommendation(hour=0, vitals={"temperature": 38.4, "heart_rate": 90.0}),
        recommendation(hour=1, vitals={"temperature": None, "heart_rate": 95.0}),
    )
    row = drawn(board)[3]
    assert "(38.4)" in row
    assert " 95 " in row
    assert board.snapshot()["patients"][0]["temperature"] is None

    board.update(recommendation(hour=12, vitals={"heart_rate": 96.0}))
    assert "38.4" not in drawn(board)[3]


def test_the_oximeters_pulse_stands_in_for_a_missing_ecg() -> None:
    board = board_of(recommendation(vitals={"pulse_rate": 77.0}))
    assert " 77 " in drawn(board)[3]


def test_ages_count_to_the_newest_observed_time_so_that_history_is_not_stale() -> None:
    board = board_of(recommendation("p1", hour=0), recommendation("p2", hour=3.5))
    ages = {p["patient_id"]: p["age_s"] for p in board.snapshot()["patients"]}
    assert ages == {"p1": 3.5 * 3600, "p2": 0}
    assert [line.split()[-1] for line in drawn(board)[3:5]] == ["3h", "0m"]


def test_a_silent_patient_goes_to_the_bottom_and_stays_on_the_board() -> None:
    later = SILENT_MS / HOUR_MS
    board = board_of(recommendation("gone", risk=0.99), recommendation("here", later, risk=0.01))
    assert order(board) == ["here", "gone"]
    assert "silent 1" in drawn(board)[1]


def test_the_patient_who_was_silent_for_longest_makes_room() -> None:
    board = board_of(
        recommendation("p1"),
        recommendation("p2"),
        recommendation("p1", hour=1),
        recommendation("p3"),
        patients=2,
    )
    assert sorted(order(board)) == ["p1", "p3"]


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff\xfe",
        b"null",
        b"[1, 2]",
        b'{"patient_id": "p1"}',
        b"[" * 100_000,
        json.dumps({**recommendation(), "risk": "high"}).encode(),
        json.dumps({**recommendation(), "tier": "purple"}).encode(),
        json.dumps({**recommendation(), "observed_at": "2026-01-01T00:00:00"}).encode(),
        json.dumps({**recommendation(), "original_data": None}).encode(),
    ],
)
def test_a_message_that_is_no_recommendation_is_counted_and_skipped(value: bytes | None) -> None:
    board = board_of(recommendation())
    assert not board.update_json(value)
    assert (board.skipped, len(board)) == (1, 1)
    assert "skipped 1" in drawn(board)[1]


def test_odd_vital_signs_and_no_factors_leave_their_places_empty() -> None:
    odd = recommendation(factors=[], vitals={"heart_rate": "fast", "spo2": [1], "sbp": 120.0})
    assert drawn(board_of(odd), 110)[3].split()[-6:] == ["-", "-", "-", "-", "5", "0m"]


def test_json_and_dict_give_the_same_board() -> None:
    board = Board()
    assert board.update_json(json.dumps(recommendation()).encode())
    assert board.snapshot() == board_of(recommendation()).snapshot()
    assert json.loads(json.dumps(board.snapshot())) == board.snapshot()


def test_a_unit_shows_its_own_patients_only() -> None:
    board = board_of(
        recommendation("p1", unit_id="ICU-1"), recommendation("p2", unit_id="ICU-2"), unit="ICU-2"
    )
    assert order(board) == ["p2"]
    assert "unit ICU-2" in drawn(board)[0]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 7), (132, 43), (200, 10)])
def test_the_board_fits_the_terminal(width: int, height: int) -> None:
    board = board_of(
        *(
            recommendation(
                f"a-rather-long-patient-id-{i}",
                risk=1.0,
                tier="urgent",
                unit_id="Cardiothoracic intensive care",
                vitals={vital.name: vital.plausible[1] for vital in VITALS},
            )
            for i in range(60)
        )
    )
    board.status.rate, board.status.lag, board.status.dead_letters = 123_456.0, 1_000_000, 99_999
    lines = drawn(board, width, height)
    assert len(lines) <= height
    assert max(len(line) for line in lines) <= width
    assert "more patients" in lines[-3] or "more patients" in lines[-2]
    assert DISCLAIMER in lines[-1]


def test_a_wider_terminal_adds_unit_factor_and_model() -> None:
    board = board_of(recommendation(unit_id="ICU-1"))
    heads = [drawn(board, width)[2] for width in (80, 104, 112, 150)]
    assert [
        [head for head in ("Unit", "Main factor", "Model") if head in line] for line in heads
    ] == [[], ["Main factor"], ["Unit", "Main factor"], ["Unit", "Main factor", "Model"]]
    assert "p1: respiratory rate 28/min" in drawn(board, 80)
    assert "sepsis-risk 7" in drawn(board, 80)[-1]


def test_the_header_counts_tiers_and_tells_what_the_feed_knows() -> None:
    board = board_of(recommendation("p1", tier="urgent"), recommendation("p2", tier="none"))
    board.status.dead_letters, board.status.lag, board.status.note = 3, 12, "simulated patients"
    board.measure(0.5)
    title, counts = drawn(board)[:2]
    assert "2 patients" in title
    assert "simulated patients" in title
    assert counts.split("  ") == [
        "urgent 1",
        "warning 0",
        "watch 0",
        "none 1",
        "4/s",
        "lag 12",
        "dead letters 3",
    ]


def test_an_escape_sequence_in_a_message_does_not_reach_the_terminal() -> None:
    evil = "p\x1b[2J\x1b]0;x\x07[bold]"
    text = "\n".join(
        drawn(board_of(recommendation(evil, factors=[{"name": "x", "text": evil}])), 200)
    )
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[bold]" in text


def test_an_empty_board_says_that_it_waits() -> None:
    lines = drawn(Board())
    assert any("Waiting" in line for line in lines)
    assert lines[-1] == DISCLAIMER
    assert Board().snapshot()["newest_observed_at"] is None

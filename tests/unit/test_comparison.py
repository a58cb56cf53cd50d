"""Two models on patients that neither has seen, and the clock beside them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.cohort import held_out
from models.comparison import Candidate, compare
from models.metrics import earned_by_stay, risk_report
from models.promotion import SeenError
from models.registry import SHIPPED, load_model
from models.utility import normalised_utility
from tests.unit.made_patients import made_patients

pytestmark = pytest.mark.unit

HELD_OUT: dict[str, Any] = {"held_out": {}}
PATIENTS = made_patients(60)
MODEL = load_model(SHIPPED["context"])
A = Candidate(MODEL, HELD_OUT)
#: Alarms always, which on patients of whom a third are septic earns something.
ALWAYS = Candidate(replace(MODEL, threshold=0.0, version="always"), HELD_OUT)
NEVER = Candidate(replace(MODEL, threshold=1.1, version="never"), HELD_OUT)


def test_only_patients_that_both_held_out_are_compared_on() -> None:
    found = compare(PATIENTS, A, ALWAYS, resamples=0)
    held = sum(held_out(stay.patient_id) for stay in PATIENTS)
    assert found.evidence.stays == found.rows[0].report.patients == held
    assert found.left_out == len(PATIENTS) - held


def test_both_models_and_the_clock_have_their_figures_with_intervals() -> None:
    found = compare(PATIENTS, NEVER, ALWAYS, resamples=20)
    names = [row.name for row in found.rows]
    assert names == ["A: never", "B: always", "ICU clock ≥ 53 h"]
    never, always, _ = (row.report for row in found.rows)
    assert (never.utility, never.utility_interval) == (0, (0, 0))
    assert always.utility_interval[0] <= always.utility <= always.utility_interval[1]
    assert found.evidence.gain == pytest.approx(always.utility - never.utility)
    assert found.evidence.better > 0.95


def test_a_model_is_no_better_than_itself() -> None:
    found = compare(PATIENTS, A, A, resamples=0)
    assert (found.evidence.gain, found.evidence.better) == (0, 0)
    assert found.rows[0].name != found.rows[1].name


def test_patients_that_a_model_may_have_seen_are_refused() -> None:
    with pytest.raises(SeenError, match="new to both"):
        compare(PATIENTS, A, Candidate(MODEL, {}), resamples=0)


def test_later_stays_are_compared_on_whoever_they_are() -> None:
    facts = {"data": {"last_event_ms": 1000}}
    began = {stay.patient_id: 1000 + i for i, stay in enumerate(PATIENTS)}
    before, after = Candidate(MODEL, facts), Candidate(MODEL, facts)
    assert compare(PATIENTS, before, after, resamples=0, began_ms=began).left_out == 1


def test_what_stays_earn_adds_up_to_the_utility() -> None:
    risk = [np.linspace(0, 0.1, len(stay.seconds)) for stay in PATIENTS]
    earned, attainable = earned_by_stay(PATIENTS, risk, 0.05)
    wanted = risk_report(PATIENTS, risk, 0.05).utility
    assert earned.sum() / attainable.sum() == pytest.approx(wanted)
    labels = [stay.labels for stay in PATIENTS if stay.labels is not None]
    assert wanted == pytest.approx(normalised_utility(labels, [r >= 0.05 for r in risk]))

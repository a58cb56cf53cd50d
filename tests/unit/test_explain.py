"""The sentences a clinician reads beside a risk."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from config.guidance import guidance
from models.explain import MOST, NOTHING, sentence, top_factors
from models.features import FEATURES, GROUPS
from tests.helpers import HOUR, T0, Observed, row, run, who

pytestmark = pytest.mark.unit

NAN = math.nan


def text(group: str, **features: float) -> str:
    values = np.full((1, len(FEATURES)), NAN)
    for name, value in features.items():
        values[0, FEATURES.index(name)] = value
    ((found, *facts),) = _top(moved(**{group: 1.0}), values)[0]
    assert GROUPS[found] == group
    return sentence(found, facts, guidance().groups)


def _top(
    contributions: NDArray[np.float64], features: NDArray[np.float64] | None = None
) -> tuple[list[list[int]], list[float]]:
    """Group and facts of each factor, and what it contributed."""
    facts, worth = np.empty((1, MOST, 4), np.int64), np.empty((1, MOST))
    if features is None:
        features = np.full((1, len(FEATURES)), NAN)
    top_factors(contributions[None], features, facts, worth)
    found = [row for row in facts[0].tolist() if row[0] >= 0]
    return found, worth[0, : len(found)].tolist()


def names(contributions: NDArray[np.float64]) -> list[str]:
    return [GROUPS[group] for group, *_ in _top(contributions)[0]]


def moved(**by: float) -> NDArray[np.float64]:
    contributions = np.zeros(len(GROUPS))
    for name, value in by.items():
        contributions[GROUPS.index(name)] = value
    return contributions


@pytest.mark.parametrize(
    ("group", "features", "sentence"),
    [
        (
            "heart_rate",
            {"heart_rate": 118.4, "heart_rate_hours_ago": 0, "heart_rate_change_24h": 22.3},
            "heart rate 118/min, 22 above its 24 h mean",
        ),
        (
            "temperature",
            {"temperature": 38.74, "temperature_hours_ago": 3.2, "temperature_change_24h": 1.26},
            "temperature 38.7 °C, 1.3 above its 24 h mean, measured 3 h ago",
        ),
        (
            "sbp",
            {"sbp": 88, "sbp_hours_ago": 1.99, "sbp_change_24h": -24.6},
            "systolic blood pressure 88 mmHg, 25 below its 24 h mean",
        ),
        (
            "spo2",
            {"spo2": 97, "spo2_hours_ago": 2, "spo2_change_24h": -1.99},
            "oxygen saturation 97 %, measured 2 h ago",
        ),
        (
            "resp_rate",
            {"resp_rate": 16, "resp_rate_hours_ago": 0, "resp_rate_change_24h": 3.99},
            "respiratory rate 16/min",
        ),
        (
            "map",
            {"map_hours_ago": 31, "map_count_24h": 0},
            "mean arterial pressure not measured in the last 24 h",
        ),
        (
            "circulation",
            {"shock_index": 1.234, "pulse_pressure": 31.6},
            "circulation: shock index 1.23, pulse pressure 32 mmHg",
        ),
        ("circulation", {"pulse_pressure": 40}, "circulation: pulse pressure 40 mmHg"),
        ("circulation", {}, "circulation: not known"),
        (
            "scores",
            {"news2": 7, "qsofa": 2, "sirs": 0},
            "bedside scores: NEWS2 at least 7, qSOFA at least 2, SIRS at least 0",
        ),
        (
            "monitoring",
            {"measured_6h": 35},
            "how closely the patient is monitored: 35 of 42 hourly values in the last 6 h",
        ),
        ("patient", {"age": 61.49, "sex": 1}, "age and sex: 61 years, male"),
        ("patient", {"sex": 0}, "age and sex: female"),
        ("patient", {}, "age and sex: not known"),
        (
            "stay",
            {"icu_hours": 30.4, "hours_before_icu": 5.6},
            "time in hospital: 30 h in intensive care, 6 h in hospital before",
        ),
        ("stay", {}, "time in hospital: not known"),
    ],
)
def test_a_factor_reads_as_a_clinician_would_say_it(
    group: str, features: dict[str, float], sentence: str
) -> None:
    assert text(group, **features) == sentence


def test_every_group_has_a_sentence_without_a_nan_in_it_for_a_full_and_an_empty_reading() -> None:
    vitals = {"heart_rate": 118, "resp_rate": 24, "temperature": 38.7, "spo2": 93,
              "sbp": 88, "dbp": 50, "map": 63}  # fmt: skip
    known = who(age=70, sex=0, icu_ms=T0 - HOUR, hospital_ms=T0 - 2 * HOUR)
    for readings, context in (
        ([Observed(T0, row(**vitals))], known),
        ([Observed(T0, row())], None),
    ):
        features = run(readings, context=context).features[:1]
        for group in GROUPS:
            (factor,), _ = _top(moved(**{group: -1.0}), features)
            said = sentence(factor[0], factor[1:], guidance().groups)
            assert said
            assert "nan" not in said
            assert str(NOTHING) not in said


def test_factors_come_with_the_strongest_first_whichever_way_it_pushes() -> None:
    contributions = moved(sbp=0.2, heart_rate=-1.5, stay=0.7, spo2=0.1)
    assert names(contributions) == ["heart_rate", "stay", "sbp"]
    assert _top(contributions)[1] == [-1.5, 0.7, 0.2]


def test_groups_that_moved_nothing_are_no_factors() -> None:
    assert names(moved(sbp=0.2, scores=0.1)) == ["sbp", "scores"]
    assert names(moved()) == []


def test_equal_factors_keep_the_order_of_the_groups() -> None:
    assert names(moved(stay=0.5, heart_rate=-0.5, sbp=0.5, map=0.5)) == ["heart_rate", "sbp", "map"]

"""The sentences a clinician reads beside a risk."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from config.guidance import guidance
from models.explain import factor_text, top_factors
from models.features import FEATURES, GROUPS
from tests.helpers import HOUR, T0, Observed, row, run, who

pytestmark = pytest.mark.unit

NAN = math.nan


def text(group: str, **features: float) -> str:
    values = np.full(len(FEATURES), NAN)
    for name, value in features.items():
        values[FEATURES.index(name)] = value
    return factor_text(GROUPS.index(group), values, guidance().groups)


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
        features = run(readings, context=context).features[0]
        for group in range(len(GROUPS)):
            sentence = factor_text(group, features, guidance().groups)
            assert sentence
            assert "nan" not in sentence


def test_factors_come_with_the_strongest_first_whichever_way_it_pushes() -> None:
    order = top_factors(moved(sbp=0.2, heart_rate=-1.5, stay=0.7, spo2=0.1))
    assert [GROUPS[group] for group in order] == ["heart_rate", "stay", "sbp"]


def test_groups_that_moved_nothing_are_no_factors() -> None:
    assert [GROUPS[g] for g in top_factors(moved(sbp=0.2, scores=0.1))] == ["sbp", "scores"]
    assert top_factors(moved()) == []


def test_equal_factors_keep_the_order_of_the_groups() -> None:
    order = top_factors(moved(stay=0.5, heart_rate=-0.5, sbp=0.5, map=0.5), most=2)
    assert [GROUPS[group] for group in order] == ["heart_rate", "sbp"]

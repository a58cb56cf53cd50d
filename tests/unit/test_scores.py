"""The bedside scores against their published charts, from both sides of every threshold."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.scores import NEWS2_ITEMS, news2, news2_item, news2_points, qsofa, sirs

pytestmark = pytest.mark.unit

# Royal College of Physicians, NEWS2 chart 1 (2017): the lowest and the highest value of each band.
RCP_2017: dict[str, list[tuple[float, float, float]]] = {
    "resp_rate": [(3, 1, 8), (1, 9, 11), (0, 12, 20), (2, 21, 24), (3, 25, 99)],
    "spo2": [(3, 20, 91), (2, 92, 93), (1, 94, 95), (0, 96, 100)],
    "sbp": [(3, 20, 90), (2, 91, 100), (1, 101, 110), (0, 111, 219), (3, 220, 300)],
    "heart_rate": [
        (3, 15, 40), (1, 41, 50), (0, 51, 90), (1, 91, 110), (2, 111, 130), (3, 131, 320),
    ],
    "temperature": [
        (3, 20.0, 35.0), (1, 35.1, 36.0), (0, 36.1, 38.0), (1, 38.1, 39.0), (2, 39.1, 46.0),
    ],
}  # fmt: skip
EDGES = [
    pytest.param(NEWS2_ITEMS.index(item), value, points, id=f"{item} {value}")
    for item, bands in RCP_2017.items()
    for points, *edges in bands
    for value in edges
]


@pytest.mark.parametrize(("item", "value", "points"), EDGES)
def test_news2_points_are_those_of_the_chart_at_both_ends_of_every_band(
    item: int, value: float, points: float
) -> None:
    assert news2_item(item, value) == points


@pytest.mark.parametrize(
    ("item", "value", "points"),
    [
        ("resp_rate", 20.49, 0), ("resp_rate", 20.5, 2), ("resp_rate", 24.5, 3),
        ("spo2", 95.49, 1), ("spo2", 95.5, 0), ("sbp", 100.49, 2), ("sbp", 100.5, 1),
        ("heart_rate", 90.49, 0), ("heart_rate", 90.5, 1), ("heart_rate", 130.5, 3),
        ("temperature", 35.04, 3), ("temperature", 35.05, 1), ("temperature", 38.04, 0),
        ("temperature", 38.05, 1), ("temperature", 39.04, 1), ("temperature", 39.05, 2),
    ],
)  # fmt: skip
def test_a_mean_is_rounded_as_it_is_charted_before_it_is_scored(
    item: str, value: float, points: int
) -> None:
    assert news2_item(NEWS2_ITEMS.index(item), value) == points


@given(st.integers(2000, 4600))
def test_a_temperature_in_hundredths_is_scored_as_its_half_up_tenth(hundredths: int) -> None:
    tenth = (hundredths + 5) // 10
    assert news2_item(4, hundredths / 100) == news2_item(4, tenth / 10)


def test_what_is_not_known_adds_nothing() -> None:
    for item in range(len(NEWS2_ITEMS)):
        assert news2_item(item, math.nan) == 0
    assert news2(*[math.nan] * 5) == 0
    assert qsofa(math.nan, math.nan) == 0
    assert sirs(math.nan, math.nan, math.nan) == 0


def test_news2_is_the_sum_of_its_items_and_at_most_fifteen() -> None:
    assert news2(25.0, 91.0, 90.0, 131.0, 35.0) == 15
    assert news2(16.0, 98.0, 120.0, 70.0, 37.0) == 0
    assert news2(22.0, 95.0, 100.0, 112.0, 38.5) == 2 + 1 + 2 + 2 + 1
    assert news2(22.0, math.nan, 100.0, math.nan, 38.5) == 2 + 2 + 1


@pytest.mark.parametrize(
    ("resp_rate", "sbp", "points"),
    [
        (21, 101, 0), (22, 101, 1), (21, 100, 1), (22, 100, 2),
        (21.49, 100.5, 0), (21.5, 100.49, 2), (math.nan, 90, 1), (30, math.nan, 1),
    ],
)  # fmt: skip
def test_qsofa_counts_fast_breathing_and_low_pressure_as_charted(
    resp_rate: float, sbp: float, points: int
) -> None:
    assert qsofa(resp_rate, sbp) == points


@pytest.mark.parametrize(
    ("temperature", "heart_rate", "resp_rate", "points"),
    [
        (37.0, 90, 20, 0), (38.0, 90, 20, 0), (36.0, 90, 20, 0),
        (38.1, 90, 20, 1), (35.9, 90, 20, 1), (37.0, 91, 20, 1), (37.0, 90, 21, 1),
        (38.04, 90.4, 20.4, 0), (38.05, 90.5, 20.5, 3), (35.94, 90, 20, 1), (35.95, 90, 20, 0),
        (39.0, math.nan, 30, 2), (math.nan, 120, math.nan, 1),
    ],
)  # fmt: skip
def test_sirs_counts_fever_or_chill_fast_heart_and_fast_breathing_as_charted(
    temperature: float, heart_rate: float, resp_rate: float, points: int
) -> None:
    assert sirs(temperature, heart_rate, resp_rate) == points


def test_points_of_many_readings_tell_an_item_that_is_normal_from_one_that_is_not_known() -> None:
    values = np.array([[16, 98, 120, 70, 37.0], [math.nan, 91, math.nan, 131, math.nan]])
    points = np.full((2, 5), 77, np.int8)
    news2_points(values, points)
    assert points.tolist() == [[0, 0, 0, 0, 0], [-1, 3, -1, 3, -1]]

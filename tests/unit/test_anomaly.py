"""The written rule for sensor anomalies, on both sides of every threshold."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.anomaly import (
    ANOMALY_NAMES,
    JUMPS,
    STATE_WIDTH,
    anomaly_names,
    empty_state,
    inspect,
    remember,
)
from models.quality import FLAG_NAMES, flag_names, screen
from models.vitals import MISSING, SCALE, VITALS, index_of

pytestmark = pytest.mark.unit

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
EVERY_VITAL = pytest.mark.parametrize("name", [vital.name for vital in VITALS])


def flagged(**vitals: float) -> list[str]:
    values = np.full((1, len(VITALS)), math.nan)
    for name, value in vitals.items():
        values[0, index_of(name)] = value
    hundredths, flags = np.empty(values.shape, np.int64), np.empty(1, np.int32)
    screen(values, hundredths, flags)
    inspect(values, hundredths, flags)
    return flag_names(int(flags[0]))


def found(name: str, readings: Sequence[tuple[int, float]]) -> list[list[str]]:
    """What is found at each (time, value) of one vital sign."""
    state = empty_state()
    names = []
    for at_ms, value in readings:
        hundredths = np.full(len(VITALS), MISSING)
        hundredths[index_of(name)] = round(value * SCALE)
        names.append(anomaly_names(remember(state, at_ms, hundredths)))
    return names


def monitored(name: str, value: float, count: int, last_ms: int) -> list[list[str]]:
    """The same value ``count`` times from 0 to ``last_ms``."""
    return found(name, [(round(i * last_ms / (count - 1)), value) for i in range(count)])


@pytest.mark.parametrize(
    ("vitals", "flags"),
    [
        ({"sbp": 80, "dbp": 80.01}, ["pressures_swapped"]),
        ({"sbp": 80, "dbp": 80}, []),
        ({"dbp": 80}, []),
        ({"sbp": 120, "dbp": 80, "map": 60}, []),
        ({"sbp": 120, "dbp": 80, "map": 59.99}, ["map_outside_pressures"]),
        ({"sbp": 120, "dbp": 80, "map": 140}, []),
        ({"sbp": 120, "dbp": 80, "map": 140.01}, ["map_outside_pressures"]),
        ({"sbp": 120, "map": 140.01}, ["map_outside_pressures"]),
        ({"dbp": 80, "map": 59.99}, ["map_outside_pressures"]),
        ({"map": 20}, []),
        ({"heart_rate": 20, "resp_rate": 20}, []),
        ({"heart_rate": 20, "resp_rate": 20.01}, ["heart_and_resp_swapped"]),
        ({"resp_rate": 90}, []),
        ({"heart_rate": 0, "resp_rate": 20}, ["heart_rate_implausible"]),
        (
            {"heart_rate": 14, "resp_rate": 110},
            ["heart_rate_implausible", "resp_rate_implausible", "heart_and_resp_swapped"],
        ),
        ({"heart_rate": 100, "pulse_rate": 70}, []),
        ({"heart_rate": 100, "pulse_rate": 69.99}, ["pulse_differs"]),
        ({"heart_rate": 160, "pulse_rate": 120}, []),  # a quarter
        ({"heart_rate": 160, "pulse_rate": 119.99}, ["pulse_differs"]),
        ({"heart_rate": 60, "pulse_rate": 120}, ["pulse_differs"]),  # twice counted
        ({"pulse_rate": 120}, []),
        ({"spo2": 0.97}, ["spo2_as_fraction"]),
        ({"spo2": 0.2}, ["spo2_as_fraction"]),
        ({"spo2": 0.19}, ["spo2_implausible"]),
        ({"spo2": 1}, ["spo2_as_fraction"]),
        ({"spo2": 1.01}, ["spo2_implausible"]),
        ({"sbp": 16, "dbp": 10.7}, ["sbp_implausible", "pressure_in_kpa"]),
        ({"sbp": 16, "map": 12.4}, ["sbp_implausible", "pressure_in_kpa"]),
        ({"dbp": 10.7, "map": 12.4}, ["pressure_in_kpa"]),
        ({"sbp": 21.3, "dbp": 12, "map": 15.1}, ["pressure_in_kpa"]),
        ({"sbp": 35, "dbp": 22, "map": 27}, ["pressure_in_kpa"]),
        ({"sbp": 35.01, "dbp": 22, "map": 27}, []),
        ({"sbp": 35, "dbp": 22.01, "map": 27}, []),
        ({"sbp": 35, "dbp": 22, "map": 27.01}, []),
        ({"sbp": 21.3}, []),  # a single value proves no unit
        ({"sbp": 21.3, "dbp": 12, "map": 11.9}, []),
        ({"sbp": 40, "dbp": 20, "map": 27}, []),  # shock
        ({}, []),
    ],
)
def test_values_that_contradict_each_other_are_flagged_at_their_threshold(
    vitals: dict[str, float], flags: list[str]
) -> None:
    assert flagged(**vitals) == flags


def test_an_implausible_value_is_compared_with_nothing() -> None:
    assert flagged(sbp=10, dbp=80, map=85) == ["sbp_implausible"]


@given(st.lists(st.floats(), min_size=len(VITALS), max_size=len(VITALS)))
def test_whatever_floats_come_the_flags_of_the_screen_stay(values: list[float]) -> None:
    row = np.array([values])
    hundredths, flags = np.empty(row.shape, np.int64), np.empty(1, np.int32)
    screen(row, hundredths, flags)
    kept, screened = hundredths.copy(), int(flags[0])
    inspect(row, hundredths, flags)
    assert int(flags[0]) & screened == screened
    assert int(flags[0]) < 1 << len(FLAG_NAMES)
    np.testing.assert_array_equal(hundredths, kept)


@pytest.mark.parametrize(
    ("name", "minutes"),
    [
        ("heart_rate", 30),
        ("pulse_rate", 30),
        ("resp_rate", 60),
        ("spo2", 60),
        ("sbp", 360),
        ("dbp", 360),
        ("map", 360),
        ("temperature", 720),
    ],
)
def test_a_feed_that_does_not_vary_is_a_flat_line_from_its_time_on(name: str, minutes: int) -> None:
    count = minutes * 6 + 1
    flat = [f"{name}_flat_line"]
    assert flat[0] not in monitored(name, 50, count, minutes * MINUTE - 1)[-1]
    assert flat[0] in monitored(name, 50, count, minutes * MINUTE)[-1]
    varied = [(i * 10 * SECOND, 50 + 0.1 * (i == count // 2)) for i in range(count)]
    assert flat[0] not in found(name, varied)[-1]


@EVERY_VITAL
def test_a_flat_line_takes_120_readings(name: str) -> None:
    assert f"{name}_flat_line" not in monitored(name, 50, 119, 12 * HOUR)[-1]
    assert f"{name}_flat_line" in monitored(name, 50, 120, 12 * HOUR)[-1]


@pytest.mark.parametrize(
    ("name", "times"), [("sbp", 6), ("map", 6), ("dbp", 8), ("spo2", 12), ("temperature", 24)]
)
def test_an_hourly_chart_is_stuck_at_its_count_and_not_before(name: str, times: int) -> None:
    charted = monitored(name, 40, times, (times - 1) * HOUR)
    assert charted == [[]] * (times - 1) + [[f"{name}_stuck"]]
    assert monitored(name, 40, times, (times - 1) * HOUR - 1)[-1] == []


@EVERY_VITAL
def test_the_same_value_three_hours_in_a_row_is_normal(name: str) -> None:
    assert monitored(name, 50, 3, 2 * HOUR) == [[]] * 3


@pytest.mark.parametrize("name", ["heart_rate", "pulse_rate", "resp_rate"])
def test_a_paced_heart_and_a_ventilator_are_not_stuck(name: str) -> None:
    assert monitored(name, 60, 72, 71 * HOUR) == [[]] * 72


def test_a_saturation_held_at_100_by_oxygen_is_neither_flat_nor_stuck() -> None:
    assert monitored("spo2", 100, 7_201, 2 * HOUR)[-1] == []
    assert monitored("spo2", 100, 24, 23 * HOUR)[-1] == []


@EVERY_VITAL
def test_a_jump_is_found_just_beyond_what_a_body_can_do(name: str) -> None:
    at_once, a_minute, at_most = JUMPS[name]
    low = VITALS[index_of(name)].plausible[0]
    for after_ms in (SECOND, MINUTE, HOUR):
        allowed = min(at_once + a_minute * after_ms / MINUTE, at_most)
        # down, too, and rounded down to what a value can be
        allowed = math.floor(allowed * SCALE) / SCALE
        for first, second in ((low, low + allowed), (low + allowed, low)):
            assert found(name, [(0, first), (after_ms, second)])[-1] == []
        for first, second in ((low, low + allowed + 0.01), (low + allowed + 0.01, low)):
            assert found(name, [(0, first), (after_ms, second)])[-1] == [f"{name}_jump"]


@EVERY_VITAL
def test_after_more_than_an_hour_anything_may_have_happened(name: str) -> None:
    assert found(name, [(0, 20), (HOUR + 1, 400)])[-1] == []


def test_a_jump_is_said_once_and_the_way_back_again() -> None:
    said = found("temperature", [(0, 37), (MINUTE, 31), (2 * MINUTE, 31), (3 * MINUTE, 37)])
    assert said == [[], ["temperature_jump"], [], ["temperature_jump"]]


def test_a_reading_that_is_not_the_newest_finds_and_changes_nothing() -> None:
    state = empty_state()
    hundredths = np.full(len(VITALS), MISSING)
    hundredths[index_of("temperature")] = 3700
    remember(state, HOUR, hundredths)
    before = state.copy()
    hundredths[index_of("temperature")] = 3000
    for at_ms in (HOUR, HOUR - 1):
        assert remember(state, at_ms, hundredths) == 0
    np.testing.assert_array_equal(state, before)


def test_nothing_measured_changes_nothing() -> None:
    state = empty_state()
    assert state.shape == (STATE_WIDTH,)
    assert remember(state, HOUR, np.full(len(VITALS), MISSING)) == 0
    np.testing.assert_array_equal(state, empty_state())


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), max_size=40))
def test_compiled_and_interpreted_code_find_the_same(steps: list[tuple[int, int]]) -> None:
    compiled, interpreted = empty_state(), empty_state()
    at_ms = 0
    for wait, step in steps:
        at_ms += wait * 20 * MINUTE
        hundredths = np.array([step * 8000 + 2000, MISSING, 1600, 3700, 9700, 9000, 5000, 7000])
        assert remember(compiled, at_ms, hundredths) == remember.py_func(
            interpreted, at_ms, hundredths
        )
        np.testing.assert_array_equal(compiled, interpreted)


def test_every_bit_names_its_vital_sign_and_what_is_wrong() -> None:
    assert len(set(ANOMALY_NAMES)) == 3 * len(VITALS)
    for bit, name in enumerate(ANOMALY_NAMES):
        assert anomaly_names(1 << bit) == [name]
        assert name.startswith(VITALS[bit % len(VITALS)].name)
    assert anomaly_names(0) == []

"""The written rule for values that do not count, at every edge of every range."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.quality import FAHRENHEIT, flag_names, impossible, screen
from models.vitals import MISSING, SCALE, VITALS, VitalSign, index_of

pytestmark = pytest.mark.unit

TEMPERATURE = index_of("temperature")
EVERY_VITAL = pytest.mark.parametrize("vital", VITALS, ids=lambda vital: vital.name)


def measured(**vitals: float) -> NDArray[np.float64]:
    values = np.full((1, len(VITALS)), math.nan)
    for name, value in vitals.items():
        values[0, index_of(name)] = value
    return values


def screened(**vitals: float) -> tuple[list[int], list[str]]:
    hundredths = np.empty((1, len(VITALS)), np.int64)
    flags = np.empty(1, np.int32)
    screen(measured(**vitals), hundredths, flags)
    return hundredths[0].tolist(), flag_names(int(flags[0]))


def first_impossible(**vitals: float) -> int:
    column = np.empty(1, np.int8)
    impossible(measured(**vitals), column)
    return int(column[0])


@EVERY_VITAL
def test_a_value_at_either_end_of_the_plausible_range_counts(vital: VitalSign) -> None:
    for value in vital.plausible:
        hundredths, flags = screened(**{vital.name: value})
        assert hundredths[index_of(vital.name)] == value * SCALE
        assert flags == []


@EVERY_VITAL
def test_a_value_just_outside_the_plausible_range_is_left_out_and_flagged(vital: VitalSign) -> None:
    low, high = vital.plausible
    for value in (np.nextafter(low, -1), low - 0.01, np.nextafter(high, 1e9), high + 0.01):
        hundredths, flags = screened(**{vital.name: value})
        assert hundredths == [MISSING] * len(VITALS)
        assert flags == [f"{vital.name}_implausible"]


@EVERY_VITAL
def test_a_value_is_impossible_just_outside_its_range_and_not_at_its_ends(vital: VitalSign) -> None:
    low, high = vital.possible
    column = index_of(vital.name)
    assert [first_impossible(**{vital.name: value}) for value in (low, high)] == [-1, -1]
    for value in (np.nextafter(low, -1), -1.0, np.nextafter(high, 1e9), math.inf, -math.inf, 1e300):
        assert first_impossible(**{vital.name: value}) == column


@EVERY_VITAL
def test_every_plausible_value_is_possible(vital: VitalSign) -> None:
    assert vital.possible[0] <= vital.plausible[0] < vital.plausible[1] <= vital.possible[1]


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        (85.99, "temperature_implausible"), (86, "temperature_in_fahrenheit"),
        (98.6, "temperature_in_fahrenheit"), (113, "temperature_in_fahrenheit"),
        (113.01, "temperature_implausible"), (46.01, "temperature_implausible"),
        (0, "temperature_implausible"), (120, "temperature_implausible"),
    ],
)  # fmt: skip
def test_a_temperature_in_fahrenheit_is_named_and_left_out(value: float, flag: str) -> None:
    hundredths, flags = screened(temperature=value)
    assert hundredths[TEMPERATURE] == MISSING
    assert flags == [flag]


def test_an_implausible_value_does_not_take_its_neighbours_with_it() -> None:
    hundredths, flags = screened(heart_rate=0, temperature=98.6, spo2=97.5, sbp=120)
    assert flags == ["heart_rate_implausible", "temperature_in_fahrenheit"]
    assert hundredths[index_of("spo2")] == 9750
    assert hundredths[index_of("sbp")] == 12000
    assert hundredths.count(MISSING) == len(VITALS) - 2


def test_nothing_measured_is_neither_implausible_nor_impossible() -> None:
    assert screened() == ([MISSING] * len(VITALS), [])
    assert first_impossible() == -1


def test_the_first_impossible_vital_sign_is_named() -> None:
    assert first_impossible(sbp=999, pulse_rate=-3) == index_of("pulse_rate")


@given(st.integers(2000, 4600))
def test_a_value_of_two_decimals_is_kept_exactly(hundredths: int) -> None:
    assert screened(temperature=hundredths / 100)[0][TEMPERATURE] == hundredths


@given(st.floats(20, 46))
def test_a_value_is_kept_to_its_nearest_hundredth(value: float) -> None:
    kept = screened(temperature=value)[0][TEMPERATURE]
    assert abs(kept - value * 100) <= 0.5000001


@given(st.lists(st.floats(), min_size=len(VITALS), max_size=len(VITALS)))
def test_whatever_floats_come_a_value_is_kept_or_flagged_or_was_not_there(
    values: list[float],
) -> None:
    known = dict(zip((vital.name for vital in VITALS), values, strict=True))
    hundredths, flags = screened(**known)
    for vital, kept in zip(VITALS, hundredths, strict=True):
        flagged = any(flag.startswith(vital.name) for flag in flags)
        assert (kept != MISSING) + flagged + math.isnan(known[vital.name]) == 1


def test_bits_name_their_vital_signs() -> None:
    for bit, vital in enumerate(VITALS):
        assert flag_names(1 << bit) == [f"{vital.name}_implausible"]
    assert flag_names(FAHRENHEIT) == ["temperature_in_fahrenheit"]
    assert flag_names(0) == []

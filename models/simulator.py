"""Simulated patients, for a demonstration without real data.

No one's record is reproduced: ``simulator_stats.json`` holds nothing but statistics over thousands
of patients of the PhysioNet / Computing in Cardiology Challenge 2019 (Reyna et al., Crit Care Med
2020;48:210-217, doi 10.13026/v64v-d857, CC BY 4.0), made by `models.simulator_calibration`. Every
simulated patient is called ``sim-…``. Good for showing and load-testing the stream; not for
training a model, nor for saying how good one is.

A patient is drawn in four steps, stable and septic patients from statistics of their own:

1. **who**: mean and sd of each vital sign, the share of hours in which it is measured, age and
   wait for the ICU: one draw from a Gaussian copula with the cohort's quantiles, in which a patient
   counts by the hours they stayed; sex and length of stay on their own;
2. **course**: per vital sign a hidden hourly series, a slow AR(1) part plus an unsteady part, both
   correlated between vital signs, centred and scaled to the patient's own mean and sd;
3. **sepsis**: the cohort's mean deviation from 24 hours before to 3 hours after onset is added;
4. **gaps**: each vital sign is a measured / not measured Markov chain; gaps tend to coincide.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.stay import FEMALE, MALE, Stay
from models.vitals import VITALS, index_of

__all__ = ["CHARTED", "STATS", "deviation", "simulate", "slow_part", "standardised"]

Array = NDArray[np.float64]

STATS = Path(__file__).with_name("simulator_stats.json")
#: The vital signs the cohort has, in the order of the statistics; there is no pulse rate in it.
CHARTED = tuple(vital.name for vital in VITALS if vital.column is not None)

_HOUR = 3600
#: No stay in the cohort is shorter; a shorter one is the start (septic: the end) of such a course.
_SHORTEST_HOURS = 8
#: Mean distance of the saturation from 100 % in a patient who always shows 100.
_LEAST_ROOM = 0.05
#: Labels turn 1 this long before onset (rule of the challenge).
_LABEL_LEAD_HOURS = 6

_COLUMNS = [index_of(name) for name in CHARTED]
_SATURATION = CHARTED.index("spo2")
_PULSE, _HEART, _SPO2 = index_of("pulse_rate"), index_of("heart_rate"), index_of("spo2")
_PRESSURES = [index_of("dbp"), index_of("map"), index_of("sbp")]  # never in another order of size
_LOW, _HIGH = np.array([vital.plausible for vital in VITALS], dtype=float).T
_DECIMALS = [1 if vital.name == "temperature" else 0 for vital in VITALS]

#: Seconds over which a monitor's numbers wobble, and the sd of it in the order of `VITALS`.
#: Chosen by eye for the look of a monitor: the cohort is hourly and has nothing to say on it.
_WOBBLE_S = 15
_WOBBLE = (1.0, 1.0, 1.0, 0.05, 0.4, 2.0, 1.5, 1.5)


def simulate(
    patients: int,
    *,
    septic_share: float = 0.07,
    hours: float | None = None,
    interval_s: int = 3600,
    seed: int = 0,
) -> Iterator[Stay]:
    """Simulate patients.

    A patient depends on the seed and on their own number, not on how many are asked for. Readings
    fall on whole multiples of ``interval_s`` after ICU admission, the last at or before the end of
    the stay. With an hour or more between them, each gives the value of the hour that it ends, as
    a chart does, and most patients' first hour is blank, as in the cohort. With less, they sample a
    monitor's continuous signal, the same at every interval, whose hourly means are those values;
    gaps are whole hours.

    Args:
        patients: how many.
        septic_share: share of patients who become septic; kept to within one patient in any run of
            consecutive patients.
        hours: length of every stay; None = as in the cohort (8 hours to two weeks, median 38).
            In a septic patient onset is 2 or 3 hours before the end, also of a short stay.
        interval_s: seconds between two readings.
        seed: same seed, same patients.

    Returns:
        One stay a patient, ``sim-0001`` first. Values are plausible and rounded to what a monitor
        shows: whole numbers, temperature to 0.1 °C.

    Raises:
        ValueError: an argument is out of its range.
    """
    if patients < 0:
        raise ValueError(f"patients is {patients}; give 0 or more")
    if not 0 <= septic_share <= 1:
        raise ValueError(f"septic_share is {septic_share}; give a share from 0 to 1")
    if interval_s < 1:
        raise ValueError(f"interval_s is {interval_s}; give whole seconds, at least 1")
    if hours is not None and not interval_s <= hours * _HOUR < math.inf:
        raise ValueError(f"hours is {hours}; give at least one interval ({interval_s} s)")
    # septic patients are spaced evenly; the seed says where the first one is
    phase = np.random.default_rng(seed).random()
    return (
        _stay(
            index,
            math.floor((index + 1) * septic_share + phase)
            > math.floor(index * septic_share + phase),
            hours,
            interval_s,
            seed,
        )
        for index in range(patients)
    )


def deviation(hours_from_onset: Array, trajectory: dict[str, Any]) -> Array:
    """Mean deviation of septic patients from their own earlier mean.

    Args:
        hours_from_onset: negative before onset, shape [n].
        trajectory: ``hours`` and, per name in `CHARTED`, the deviation at each of them.

    Returns:
        Deviation in the units of `models.vitals`, shape [n, 7]; 0 long before onset, and held at
        its last value after the last hour known.
    """
    return np.column_stack(
        [np.interp(hours_from_onset, trajectory["hours"], trajectory[name]) for name in CHARTED]
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """The statistics of stable or of septic patients; arrays of 7 are in the order of `CHARTED`."""

    variables: list[str]
    probabilities: Array  # [k], of the quantiles
    quantiles: Array  # [variables, k]
    copula: Array  # [variables, variables], Cholesky factor
    hours: Array  # [k], quantiles of the length of stay
    male_share: float
    persistence: Array  # [7], of the slow part from hour to hour
    slow_share: Array  # [7], of the variance
    within: Array  # [7, 7], Cholesky factor of the correlation in the course of a stay
    first_hour: float  # share of patients with anything measured in the first hour
    gap_persistence: Array  # [7]
    gaps: Array  # [7, 7], Cholesky factor
    trajectory: dict[str, Any] | None
    late_share: float  # of septic patients whose record ends 3 hours after onset, not 2


@lru_cache(maxsize=1)
def _groups() -> tuple[_Group, _Group]:
    stats = json.loads(STATS.read_text(encoding="utf-8"))

    def group(entry: dict[str, Any]) -> _Group:
        return _Group(
            variables=list(entry["quantiles"]),
            probabilities=np.array(stats["probabilities"]),
            quantiles=np.array(list(entry["quantiles"].values())),
            copula=np.linalg.cholesky(np.array(entry["copula"])),
            hours=np.array(entry["hours"]),
            male_share=entry["male_share"],
            persistence=np.array(entry["persistence"]),
            slow_share=np.array(entry["slow_share"]),
            within=np.linalg.cholesky(np.array(entry["within_correlation"])),
            first_hour=entry["first_hour_measured"],
            gap_persistence=np.array(entry["measured_persistence"]),
            gaps=np.linalg.cholesky(np.array(entry["measured_correlation"])),
            trajectory=entry.get("trajectory"),
            late_share=entry.get("ends_3h_after_onset", 0.0),
        )

    return group(stats["stable"]), group(stats["septic"])


def _stay(index: int, septic: bool, hours: float | None, interval_s: int, seed: int) -> Stay:
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))
    group = _groups()[septic]
    sex = MALE if rng.random() < group.male_share else FEMALE
    onset_to_end = 3 if rng.random() < group.late_share else 2
    known = _who(group, rng)
    usual = float(np.interp(rng.random(), group.probabilities, group.hours).round())
    length = usual if hours is None else hours
    rows = max(math.ceil(length), _SHORTEST_HOURS)
    onset = length - onset_to_end if septic else math.inf

    latent = _course(group, known, rows, rng)
    if group.trajectory is not None:
        latent += deviation(np.arange(1.0, rows + 1) - onset, group.trajectory)
    measured = _measured(group, known, rows, rng)
    if interval_s >= _HOUR and rng.random() >= group.first_hour:
        measured[0] = False

    seconds = np.arange(1, round(length * _HOUR) // interval_s + 1, dtype=np.int64) * interval_s
    # an oximeter gives the pulse together with the saturation
    at_hand = _with_pulse(measured, _SPO2)
    values = _readings(_with_pulse(latent, _HEART), seconds, interval_s, rng)
    values[~at_hand[(seconds - 1) // _HOUR]] = np.nan
    return Stay(
        patient_id=f"sim-{index + 1:04d}",
        seconds=seconds,
        values=values,
        age=float(round(known["age"])),
        sex=sex,
        hours_before_icu=round(known["hours_before_icu"], 2),
        labels=(seconds >= (onset - _LABEL_LEAD_HOURS) * _HOUR).astype(np.int8),
    )


def _who(group: _Group, rng: np.random.Generator) -> dict[str, float]:
    """The patient's own constants, by the names of the variables."""
    ranks = _normal_cdf(group.copula @ rng.standard_normal(len(group.variables)))
    return {
        name: float(np.interp(rank, group.probabilities, quantiles))
        for name, rank, quantiles in zip(group.variables, ranks, group.quantiles, strict=True)
    }


def slow_part(shocks: Array, persistence: Array | float) -> Array:
    """AR(1) series of variance 1.

    Args:
        shocks: independent from row to row, variance 1, shape [rows, series].
        persistence: correlation from one row to the next, of all or of each series.

    Returns:
        The series, shape [rows, series].
    """
    series = np.array(shocks)
    fresh = np.sqrt(1 - np.square(persistence))
    for row in range(1, len(series)):
        series[row] = persistence * series[row - 1] + fresh * shocks[row]
    return series


def standardised(series: Array) -> Array:
    """Each column with mean 0 and sd 1, shape [rows, series]."""
    centred: Array = series - series.mean(axis=0)
    return centred / series.std(axis=0, ddof=1)


def _course(group: _Group, known: dict[str, float], rows: int, rng: np.random.Generator) -> Array:
    """What each vital sign really is, hour by hour, without sepsis, shape [rows, 7]."""
    shocks, unsteady = rng.standard_normal((2, rows, len(CHARTED))) @ group.within.T
    slow = slow_part(shocks, group.persistence)
    # the mean and sd known of a patient are those of the whole stay, so the course must have them
    course = standardised(
        np.sqrt(group.slow_share) * slow + np.sqrt(1 - group.slow_share) * unsteady
    )
    means, sds = _of("mean", known), _of("sd", known)
    values = means + sds * course
    # saturation ends at 100 %, where a normal series would be cut off: what is missing of 100 has
    # a log-normal's shape instead
    room = max(100 - means[_SATURATION], _LEAST_ROOM)
    spread = math.sqrt(math.log1p((sds[_SATURATION] / room) ** 2))
    missing = standardised(np.exp(-spread * course[:, _SATURATION]))
    values[:, _SATURATION] = 100 - np.maximum(room + sds[_SATURATION] * missing, 0)
    return values


def _measured(
    group: _Group, known: dict[str, float], rows: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """In which hours each vital sign is measured, shape [rows, 7]."""
    chance = _normal_cdf(rng.standard_normal((rows, len(CHARTED))) @ group.gaps.T)
    share = _of("share", known)
    after_gap = share * (1 - group.gap_persistence)
    measured = chance < share
    for row in range(1, rows):
        measured[row] = chance[row] < after_gap + group.gap_persistence * measured[row - 1]
    return measured


def _readings(
    latent: Array, seconds: NDArray[np.int64], interval_s: int, rng: np.random.Generator
) -> Array:
    """What is read at ``seconds`` from the hourly course, shapes [rows, 8] and [n] to [n, 8]."""
    latent = _possible(latent)
    hour = (seconds - 1) // _HOUR
    values = latent[hour]
    if interval_s >= _HOUR:
        values[:, _PULSE] += _WOBBLE[_PULSE] * rng.standard_normal(len(values))
    else:
        part = seconds / _HOUR - hour
        knot, between = np.divmod(seconds / _WOBBLE_S, 1)
        at = knot.astype(np.int64)
        # column by column: two weeks of readings a second are 1.2 million rows
        for column in range(len(VITALS)):
            knots = rng.standard_normal(len(latent) * (_HOUR // _WOBBLE_S) + 2)
            wobble = (1 - between) * knots[at] + between * knots[at + 1]
            wobble *= _WOBBLE[column] / np.hypot(1 - between, between)
            values[:, column] = _smooth(latent[:, column], hour, part) + wobble
    values = _possible(values)
    for column, decimals in enumerate(_DECIMALS):
        values[:, column] = values[:, column].round(decimals)
    return values


def _smooth(hourly: Array, hour: NDArray[np.int64], part: Array) -> Array:
    """A parabola an hour: continuous from hour to hour, and its mean is the hour's value."""
    middles = (hourly[1:] + hourly[:-1]) / 2
    edges = np.concatenate((hourly[:1], middles, hourly[-1:]))
    start, end = edges[hour], edges[hour + 1]
    return (
        start * (1 - 4 * part + 3 * part**2)
        + end * (3 * part**2 - 2 * part)
        + 6 * hourly[hour] * (part - part**2)
    )


def _possible(values: Array) -> Array:
    values = np.clip(values, _LOW, _HIGH)
    values[:, _PRESSURES] = np.sort(values[:, _PRESSURES], axis=1)
    return values


def _with_pulse(charted: NDArray[Any], source: int) -> NDArray[Any]:
    """From the 7 charted columns to the 8 of `VITALS`, the pulse a copy of column ``source``."""
    full = np.empty((len(charted), len(VITALS)), dtype=charted.dtype)
    full[:, _COLUMNS] = charted
    full[:, _PULSE] = full[:, source]
    return full


def _of(kind: str, known: dict[str, float]) -> Array:
    return np.array([known[f"{name}.{kind}"] for name in CHARTED])


def _normal_cdf(scores: Array) -> Array:
    erf: Array = np.vectorize(math.erf)(scores / math.sqrt(2))
    return (1 + erf) / 2

"""How often the rule for sensor anomalies fires on patients, and on faults put into their readings.

A rule that fires on the sick is wrong; one that misses faults is useless. So every flag is counted
in the hours that the challenge labels septic and in all others, and faults of known kind are put
into recorded stays.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.anomaly import ANOMALY_NAMES, JUMP, STUCK, empty_state, inspect, remember
from models.progress import track
from models.quality import (
    FAHRENHEIT,
    FLAG_NAMES,
    FRACTION,
    HEART_AND_RESP_SWAPPED,
    PRESSURE_IN_KPA,
    PRESSURES_SWAPPED,
    screen,
)
from models.stay import Stay
from models.vitals import VITALS, index_of

__all__ = ["FaultRow", "FlagRow", "fault_rows", "flag_rows"]

_HEART, _RESP, _TEMP, _SPO2 = map(index_of, ("heart_rate", "resp_rate", "temperature", "spo2"))
_SBP, _DBP, _MAP = map(index_of, ("sbp", "dbp", "map"))
_KPA = 7.50062  # mm[Hg] in one kPa


@dataclass(frozen=True, slots=True)
class FlagRow:
    """How often a flag is set.

    Attributes:
        flag: its name.
        septic: readings flagged per 100,000 in hours labelled septic.
        other: the same in all other hours.
    """

    flag: str
    septic: float
    other: float


@dataclass(frozen=True, slots=True)
class FaultRow:
    """How often a fault is found.

    Attributes:
        fault: what was done to the readings.
        readings: how many.
        found: share that were flagged for it.
    """

    fault: str
    readings: int
    found: float


def flag_rows(stays: Sequence[Stay]) -> list[FlagRow]:
    """Count every flag of `models.quality` and `models.anomaly`.

    Args:
        stays: patients of known outcome.

    Returns:
        The flags that were set at all.

    Raises:
        ValueError: the outcome of a stay is not known.
    """
    names = (*FLAG_NAMES, *ANOMALY_NAMES)
    counts = np.zeros((2, len(names)))
    total = np.zeros(2)
    for stay in track(stays, "Looking for anomalies"):
        if stay.labels is None:
            raise ValueError(f"patient {stay.patient_id}: the outcome is not known")
        flags, past = _looked_at(stay.seconds, stay.values)
        bits = flags.astype(np.int64) | past << len(FLAG_NAMES)
        septic = stay.labels == 1
        for side, chosen in enumerate((septic, ~septic)):
            total[side] += np.count_nonzero(chosen)
            found = bits[chosen]
            for bit in np.flatnonzero([(found >> bit & 1).any() for bit in range(len(names))]):
                counts[side, bit] += np.count_nonzero(found >> bit & 1)
    rates = 1e5 * counts / np.maximum(total, 1)[:, None]
    return [FlagRow(names[bit], *rates[:, bit]) for bit in np.flatnonzero(counts.any(axis=0))]


def fault_rows(stays: Sequence[Stay], *, seed: int = 0) -> list[FaultRow]:
    """Put faults into stays and count what is found of them.

    Args:
        stays: patients.
        seed: of the places where the faults are put.

    Returns:
        One row a kind of fault.
    """
    random = np.random.default_rng(seed)
    found = {name: [0, 0] for name in (*_WITHIN, *_JUMPS, *_STUCK)}
    for stay in track(stays, "Looking for faults"):
        for name, (columns, change, bit) in _WITHIN.items():
            rows = np.flatnonzero(~np.isnan(stay.values[:, columns]).any(axis=1))
            values = stay.values[rows].copy()
            change(values)
            flags, _ = _looked_at(stay.seconds[rows], values)
            _count(found[name], (flags & bit) != 0)
        for name, (columns, low, high) in _JUMPS.items():
            there = np.isfinite(stay.values[:, columns]).sum(axis=1) == len(columns)
            # with a value in the hour before
            rows = np.flatnonzero(there[1:] & there[:-1]) + 1
            if len(rows):
                row = int(random.choice(rows))
                values = stay.values[: row + 1].copy()
                values[row, columns] = random.uniform(low, high)
                _, past = _looked_at(stay.seconds[: row + 1], values)
                bits = sum(JUMP << column for column in columns)
                _count(found[name], (past[-1:] & bits) != 0)
        for name, (column, hours) in _STUCK.items():
            measured = np.flatnonzero(~np.isnan(stay.values[:, column]))
            if len(measured) and len(stay.seconds) - measured[0] > hours:
                first = int(measured[0])
                values = stay.values.copy()
                values[first:, column] = values[first, column]
                _, past = _looked_at(stay.seconds, values)
                _count(found[name], (past[-1:] & (STUCK << column)) != 0)
    return [
        FaultRow(name, total, hits / total if total else float("nan"))
        for name, (hits, total) in found.items()
    ]


def _looked_at(
    seconds: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Flags of a patient's readings, and what `remember` finds at each."""
    hundredths, flags = np.empty(values.shape, np.int64), np.empty(len(values), np.int32)
    screen(values, hundredths, flags)
    inspect(values, hundredths, flags)
    state = empty_state()
    past = [remember(state, at, row) for at, row in zip(seconds * 1000, hundredths, strict=True)]
    return flags, np.array(past, np.int64)


def _count(found: list[int], hits: Any) -> None:
    found[0] += int(np.count_nonzero(hits))
    found[1] += len(hits)


def _swapped(first: int, second: int) -> Callable[[NDArray[np.float64]], None]:
    def swap(values: NDArray[np.float64]) -> None:
        values[:, [first, second]] = values[:, [second, first]]

    return swap


def _in_fahrenheit(values: NDArray[np.float64]) -> None:
    values[:, _TEMP] = values[:, _TEMP] * 1.8 + 32


def _as_fraction(values: NDArray[np.float64]) -> None:
    values[:, _SPO2] /= 100


def _in_kpa(values: NDArray[np.float64]) -> None:
    values[:, [_SBP, _DBP, _MAP]] /= _KPA


#: Columns that must be there, what is done to them, and the flag that should be set.
_WITHIN: dict[str, tuple[list[int], Callable[[NDArray[np.float64]], None], int]] = {
    "systolic and diastolic swapped": ([_SBP, _DBP], _swapped(_SBP, _DBP), PRESSURES_SWAPPED),
    "heart and breathing swapped": (
        [_HEART, _RESP],
        _swapped(_HEART, _RESP),
        HEART_AND_RESP_SWAPPED,
    ),
    "temperature in Fahrenheit": ([_TEMP], _in_fahrenheit, FAHRENHEIT),
    "saturation as a fraction": ([_SPO2], _as_fraction, FRACTION),
    "pressures in kPa": ([_SBP, _MAP], _in_kpa, PRESSURE_IN_KPA),
}
#: Columns that are set to a number between two, in one reading an hour after the last.
_JUMPS: dict[str, tuple[list[int], float, float]] = {
    "probe out of the patient, 21 to 26 Cel": ([_TEMP], 21, 26),
    "line flushed, systolic and mean 250 to 300": ([_SBP, _MAP], 250, 300),
    "breathing counted from noise, 70 to 100": ([_RESP], 70, 100),
}
#: A column that keeps its first value, in stays that go on for more than so many hours.
_STUCK: dict[str, tuple[int, int]] = {
    f"{VITALS[column].label} stuck": (column, hours)
    for column, hours in ((_SBP, 6), (_MAP, 6), (_DBP, 8), (_SPO2, 12), (_TEMP, 24))
}

"""What a snapshot says of the past: values of a vital sign, points of risk, what was last."""

from collections.abc import Iterable
from dataclasses import dataclass

from models.vitals import SCALE, index_of
from tables.ward_rows import NOT_MEASURED, SPAN_MS, Point, Snapshot

__all__ = ["Extremes", "Measured", "column_of", "extremes", "latest", "measured", "points", "then"]

_HEART, _PULSE = index_of("heart_rate"), index_of("pulse_rate")


@dataclass(frozen=True, slots=True, order=True)
class Measured:
    """One value.

    Attributes:
        at_ms: observed time.
        hundredths: of the vital sign's unit.
    """

    at_ms: int
    hundredths: int

    @property
    def value(self) -> float:
        """In its unit."""
        return self.hundredths / SCALE


@dataclass(frozen=True, slots=True)
class Extremes:
    """Lowest and highest, hundredths."""

    low: int
    high: int


def measured(patient: Snapshot, column: int, since_ms: int) -> list[Measured]:
    """Values of a vital sign that are kept, ascending; of the same time the highest.

    Args:
        patient: whose.
        column: of `models.vitals.VITALS`.
        since_ms: from when on.
    """
    found = [Measured(one.at_ms, one.values[column]) for one in _kept(patient)]
    found += [
        Measured(span.ranges[column].at_ms, span.ranges[column].last)
        for span in patient.spans
        if column in span.ranges
    ]
    by = {
        one.at_ms: one
        for one in sorted(found)
        if one.hundredths != NOT_MEASURED and one.at_ms >= since_ms
    }
    return list(by.values())


def extremes(patient: Snapshot, column: int, since_ms: int) -> Extremes | None:
    """Lowest and highest of everything that was measured since; None where nothing was.

    Of the hour that ``since_ms`` is in, only the values that are kept singly are looked at.
    """
    numbers = [one.hundredths for one in measured(patient, column, since_ms)]
    for span in patient.spans:
        if span.number * SPAN_MS >= since_ms and column in span.ranges:
            numbers += [span.ranges[column].low, span.ranges[column].high]
    return Extremes(min(numbers), max(numbers)) if numbers else None


def latest(patient: Snapshot, column: int) -> Measured | None:
    """The newest value within the last day; None where there is none."""
    found = measured(patient, column, patient.newest.observed_ms - 24 * SPAN_MS)
    return found[-1] if found else None


def column_of(patient: Snapshot, vital: str, since_ms: int) -> int:
    """Column of a vital sign; heart rate of the ECG and pulse stand in for each other.

    So does the pulse for a missing heart rate in the features of the model (`models.features`).
    """
    column = index_of(vital)
    other = {_HEART: _PULSE, _PULSE: _HEART}.get(column)
    if other is None or measured(patient, column, since_ms):
        return column
    return other if measured(patient, other, since_ms) else column


def points(patient: Snapshot, since_ms: int) -> list[Point]:
    """Where the patient stood, ascending, one point a time."""
    by = {one.at_ms: one for one in sorted(_kept(patient)) if one.at_ms >= since_ms}
    return list(by.values())


def then(patient: Snapshot, at_ms: int) -> Point | None:
    """The last point that is kept at or before a time; None where there is none."""
    found = [one for one in points(patient, 0) if one.at_ms <= at_ms]
    return found[-1] if found else None


def _kept(patient: Snapshot) -> Iterable[Point]:
    yield from patient.recent
    for span in patient.spans:
        yield span.last
        yield span.top

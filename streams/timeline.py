"""What a replay sends, and when: readings, admissions, laboratory results and outcomes of stays.

Every patient is admitted to intensive care at the same whole hour, the latest for which no reading
lies in the future.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from config.clock import iso
from models.labs import LAB_SCALE, LABS
from models.stay import FEMALE, MALE, Stay
from models.vitals import WIRE_NAMES

__all__ = ["Pace", "Rate", "Speed", "Timeline", "admission", "lab_result", "outcome", "reading"]

_HOUR_MS = 3_600_000
#: Labels turn 1 this long before onset (rule of the PhysioNet / CinC Challenge 2019).
_LABEL_LEAD_MS = 6 * _HOUR_MS
_SEX = {FEMALE: "female", MALE: "male"}

_encode = msgspec.json.Encoder().encode
#: A reading as it goes over the wire. Of a float that is NaN the encoder makes null.
_Row = msgspec.defstruct(
    "_Row",
    [
        ("patient_id", str),
        *((name, float) for name in WIRE_NAMES),
        ("observed_at", str),
        ("unit_id", str | None, None),
    ],
    omit_defaults=True,
    gc=False,
)


class Pace(Protocol):
    """When readings are due; times in seconds since the start of the replay."""

    def due(self, elapsed: float) -> int:
        """Count the readings that are due by now."""

    def at(self, position: int) -> float:
        """Return when the reading at a position is due."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many readings a second; infinity = all at once."""

    rate: float

    def due(self, elapsed: float) -> int:
        """See `Pace`."""
        return 2**62 if math.isinf(self.rate) else int(elapsed * self.rate) + 1

    def at(self, position: int) -> float:
        """See `Pace`."""
        return position / self.rate


@dataclass(frozen=True, slots=True)
class Speed:
    """So many times real time, from the first reading on."""

    speed: float
    seconds: NDArray[np.int64]

    def due(self, elapsed: float) -> int:
        """See `Pace`."""
        until = self.seconds[0] + elapsed * self.speed
        return int(np.searchsorted(self.seconds, until, side="right"))

    def at(self, position: int) -> float:
        """See `Pace`."""
        return float(self.seconds[position] - self.seconds[0]) / self.speed


class Timeline:
    """The readings of all stays in the order of their observed times.

    Readings of the same second are in the order of the stays, those of a patient in their own.

    Attributes:
        stays: the patients.
        of: index of each reading's stay, shape [n].
        seconds: observed time, seconds since ICU admission, ascending, shape [n].
    """

    def __init__(self, stays: Sequence[Stay]) -> None:
        self.stays = stays
        lengths = [len(stay.seconds) for stay in stays]
        of = np.repeat(np.arange(len(stays)), lengths)
        seconds = np.concatenate([np.empty(0, np.int64), *(stay.seconds for stay in stays)])
        self._order = np.argsort(seconds, kind="stable")
        self._values = np.concatenate(
            [np.empty((0, len(WIRE_NAMES))), *(stay.values for stay in stays)]
        )
        self.of: NDArray[np.int64] = of[self._order]
        self.seconds: NDArray[np.int64] = seconds[self._order]
        # position of the same patient's reading before each, and of each patient's last
        by_patient = np.argsort(self.of, kind="stable")
        same = np.diff(self.of[by_patient]) == 0
        self._previous = np.full(len(self), -1)
        self._previous[by_patient[1:][same]] = by_patient[:-1][same]
        self._last = np.full(len(stays), -1)
        np.maximum.at(self._last, self.of, np.arange(len(self)))
        # results in the order of their times, each before the first reading that may know it
        labs = [np.column_stack([np.full(len(s.labs), i), s.labs]) for i, s in enumerate(stays)]
        self._labs = np.concatenate([np.empty((0, 4), np.int64), *labs])
        self._labs = self._labs[np.argsort(self._labs[:, 2], kind="stable")]
        self._before = np.searchsorted(self.seconds, self._labs[:, 2])

    def __len__(self) -> int:
        return len(self.seconds)

    def base_ms(self, now: int) -> int:
        """Time of everybody's ICU admission, a whole hour UTC, in ms since 1970.

        Args:
            now: ms since 1970; no reading is later.
        """
        last = int(self.seconds[-1]) * 1000 if len(self) else 0
        return (now - last) // _HOUR_MS * _HOUR_MS

    def readings(self, start: int, end: int) -> Iterator[tuple[int, int, list[float]]]:
        """Yield (index of the stay, seconds, values in the order of `VITALS`) of a slice."""
        values = self._values[self._order[start:end]].tolist()
        return zip(
            self.of[start:end].tolist(), self.seconds[start:end].tolist(), values, strict=True
        )

    def labs(self, start: int, end: int) -> list[list[int]]:
        """Return [stay, test, seconds, thousandths] of the results that a slice may know first.

        Those that no reading follows are left out: nobody would know them.
        """
        first, last = np.searchsorted(self._before, [start, end])
        found: list[list[int]] = self._labs[first:last].tolist()
        return found

    def before_repeat(self, start: int, end: int) -> int:
        """Return the largest position up to ``end`` before which no patient occurs twice."""
        repeats = np.flatnonzero(self._previous[start:end] >= start)
        return start + int(repeats[0]) if len(repeats) else end

    def ended(self, start: int, end: int) -> list[int]:
        """Indices of the stays whose last reading is in a slice."""
        return self.of[start:end][self._last[self.of[start:end]] == np.arange(start, end)].tolist()


def reading(values: Sequence[float], patient_id: str, at_ms: int, unit: str | None = None) -> bytes:
    """Encode a reading, as `streams.events.Reading` describes it; a NaN is null.

    Args:
        values: in the order of `models.vitals.VITALS`.
        patient_id: id on the wire.
        at_ms: observed time, ms since 1970.
        unit: unit on the wire; None leaves it out.
    """
    return _encode(_Row(patient_id, *values, _iso(at_ms), unit))


def lab_result(patient_id: str, at_ms: int, lab: int, thousandths: int) -> dict[str, Any]:
    """Build a laboratory result, as `streams.events.LabResult` describes it.

    Args:
        patient_id: id on the wire.
        at_ms: observed time, ms since 1970.
        lab: column in `models.labs.LABS`.
        thousandths: of the test's unit.
    """
    test = LABS[lab]
    return {
        "patient_id": patient_id,
        "code": test.loinc[0],
        "value": thousandths / LAB_SCALE,
        "unit": test.unit,
        "observed_at": _iso(at_ms),
    }


def admission(stay: Stay, patient_id: str, base_ms: int, unit: str | None = None) -> dict[str, Any]:
    """Build the event that tells who a patient is, as `streams.events.Admission` describes it.

    Args:
        stay: the patient.
        patient_id: id on the wire.
        base_ms: ICU admission, ms since 1970.
        unit: unit on the wire.
    """
    hospital = None
    if not math.isnan(stay.hours_before_icu):
        hospital = iso(base_ms - round(stay.hours_before_icu * _HOUR_MS))
    return {
        "patient_id": patient_id,
        "icu_admitted_at": iso(base_ms),
        "hospital_admitted_at": hospital,
        "age_years": None if math.isnan(stay.age) else stay.age,
        "sex": None if stay.sex is None else _SEX[stay.sex],
        "unit_id": unit,
    }


def outcome(stay: Stay, patient_id: str, base_ms: int) -> dict[str, Any] | None:
    """Build the event that ends a stay, as `streams.events.Outcome` describes it.

    Args:
        stay: the patient.
        patient_id: id on the wire.
        base_ms: ICU admission, ms since 1970.

    Returns:
        The event; None where the outcome is not known or the stay has no readings.
    """
    if stay.labels is None or not len(stay.seconds):
        return None
    onset = None
    if stay.septic:
        labelled = int(stay.seconds[np.argmax(stay.labels != 0)])
        onset = iso(base_ms + labelled * 1000 + _LABEL_LEAD_MS)
    return {
        "patient_id": patient_id,
        "ended_at": iso(base_ms + int(stay.seconds[-1]) * 1000),
        "septic": bool(stay.septic),
        "onset_at": onset,
    }


@lru_cache(maxsize=1024)
def _iso(ms: int) -> str:
    """RFC 3339; patients share their times, so the last ones are kept."""
    return iso(ms)

"""A patient's stay: what every source of patients (files, simulator) yields and replay sends."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEMALE", "MALE", "NO_LABS", "Stay"]

FEMALE, MALE = 0, 1
#: No laboratory results.
NO_LABS = np.empty((0, 3), np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Stay:
    """One stay in intensive care.

    Attributes:
        patient_id: opaque; unique within its source.
        seconds: observed time of each reading, seconds since ICU admission, ascending, shape [n].
        values: one row a reading, one column a vital sign in the order of
            `models.vitals.VITALS`, in their units, NaN = not measured, shape [n, 8].
        age: years; NaN = unknown.
        sex: `FEMALE`, `MALE` or None.
        hours_before_icu: hours between admission to the hospital and to intensive care;
            NaN = unknown.
        labs: laboratory results in the order of their times: column in `models.labs.LABS`, seconds
            since ICU admission, thousandths of the test's unit, shape [m, 3].
        labels: per reading 1 from six hours before the onset of sepsis on, else 0, shape [n];
            None where the outcome is not known.
    """

    patient_id: str
    seconds: NDArray[np.int64]
    values: NDArray[np.float64]
    age: float = float("nan")
    sex: int | None = None
    hours_before_icu: float = float("nan")
    labs: NDArray[np.int64] = field(default_factory=lambda: NO_LABS)
    labels: NDArray[np.int8] | None = None

    @property
    def septic(self) -> bool | None:
        """Whether the patient developed sepsis in this stay; None where it is not known."""
        return None if self.labels is None else bool(self.labels.any())

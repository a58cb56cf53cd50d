"""Laboratory results of the patients: the last ones of each test, from `labs`.

The results of a patient are rows of `models.labs`, those of a test in the order of their observed
times. Each has the number of its arrival. A reading notes how many had arrived (`Labs.seen`), so
that one which Kafka delivers again after a crash finds those results that it found the first time.

The same result again (test, time and value) is the same result. A corrected one, of the same time
with another value, comes after it and so counts; both are in the count.

Pure: knows a store of bytes per partition, like `tables.windows`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.labs import AT_MS, LAB, RESULT_WIDTH, VALUE, lab_features
from models.vitals import MISSING
from tables.codec import StateError, get_rows, put_rows
from tables.remembered import Load, Remembered

__all__ = ["Labs", "Results"]

_VERSION = 1
#: Results kept of each test. A count and not an age: where readings lag behind, after a worker was
#: away for days or in a replay as fast as it goes, they still find the results of their own time.
_MOST = 512


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """The results of one patient.

    Attributes:
        rows: see `models.labs.lab_features`, shape [m, 4].
        arrived: how many have arrived, those forgotten included.
    """

    rows: NDArray[np.int64]
    arrived: int


_NONE = Results(np.empty((0, RESULT_WIDTH), np.int64), 0)


def _encode(results: Results) -> bytes:
    rows = np.concatenate([[[results.arrived, 0, 0, 0]], results.rows]).astype(np.int64)
    return bytes([_VERSION]) + put_rows(rows)


def _decode(state: bytes) -> Results:
    if not state or state[0] != _VERSION:
        raise StateError(
            f"A patient's laboratory results are of version {state[:1].hex() or 'none'}, this "
            f"worker reads {_VERSION:02x}: run the release that wrote them, or make the states "
            "anew with `vigil rebuild bedside`."
        )
    rows = get_rows(state[1:], RESULT_WIDTH)
    return Results(rows[1:], int(rows[0, 0]))


class Labs(Remembered[Results]):
    """Results in memory, in front of a store; see `Remembered`."""

    def __init__(self, load: Load, *, capacity: int) -> None:
        super().__init__(load, _decode, capacity=capacity)

    def add(
        self, partition: int, key: bytes, lab: int, at_ms: int, thousandths: int
    ) -> tuple[bytes, bool]:
        """Take in a result; return the state to be stored, and whether the result is new.

        One that is known is stored again: the first time it may not have got to the broker.

        Args:
            partition: of the patient.
            key: the patient.
            lab: column in `models.labs.LABS`.
            at_ms: observed time.
            thousandths: of the test's unit.
        """
        [found] = self.get(partition, [key])
        had = found or _NONE
        rows = had.rows
        same = (rows[:, LAB] == lab) & (rows[:, AT_MS] == at_ms) & (rows[:, VALUE] == thousandths)
        if same.any():
            return _encode(had), False
        place = int(np.searchsorted(_order(rows), _order(np.array([[lab, at_ms]])), "right")[0])
        rows = np.insert(rows, place, [lab, at_ms, thousandths, had.arrived], axis=0)
        results = Results(_pruned(rows), had.arrived + 1)
        self.put(partition, key, results)
        return _encode(results), True

    def discharge(self, partition: int, key: bytes) -> None:
        """Forget a patient; the stored state is to be deleted."""
        self.put(partition, key, None)

    def seen(self, results: Sequence[Results | None]) -> NDArray[np.int64]:
        """How many results have arrived of each patient, `MISSING` = none ever, shape [n]."""
        return np.array([MISSING if r is None else r.arrived for r in results], np.int64)

    def fill(
        self,
        results: Sequence[Results | None],
        seen: NDArray[np.int64],
        at_ms: NDArray[np.int64],
        features: NDArray[np.float64],
    ) -> None:
        """Compute the features of readings, see `models.labs.lab_features`.

        Args:
            results: of each reading's patient, n of them.
            seen: how many had arrived when the reading was first scored, shape [n].
            at_ms: observed times, shape [n].
            features: filled, shape [n, features].
        """
        # a patient's results once, however many readings the batch has of the patient
        patients = {id(r): r for r in results if r is not None}
        ends = np.cumsum([len(r.rows) for r in patients.values()], dtype=np.int64).tolist()
        end_of = dict(zip(patients, ends, strict=True))
        last = np.array([0 if r is None else end_of[id(r)] for r in results], np.int64)
        count = np.array([0 if r is None else len(r.rows) for r in results], np.int64)
        rows = np.concatenate([_NONE.rows, *(r.rows for r in patients.values())])
        lab_features(rows, last - count, last, seen, at_ms, features)


def _order(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number that sorts results by test and time; times are below 2^42 ms until 2109."""
    numbers: NDArray[np.int64] = (rows[:, LAB] << 42) + rows[:, AT_MS]
    return numbers


def _pruned(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The last `_MOST` results of each test."""
    ends = np.searchsorted(rows[:, LAB], rows[:, LAB], "right")
    kept: NDArray[np.int64] = rows[np.arange(len(rows)) >= ends - _MOST]
    return kept

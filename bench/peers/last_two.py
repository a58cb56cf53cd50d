"""The small job over a batch at once: the last two readings of every patient, in arrays.

What `bench.job.result` does reading by reading, for all readings of a batch together: the one
before a reading is in the batch, or it is the last one of the batches before. The same numbers come
out, to the last bit.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.job import SMALL_FIELDS, Result

__all__ = ["LastTwo"]

_WIDTH = 1 + len(SMALL_FIELDS)
_pack = Struct(f"{_WIDTH}d").pack
_PULSE, _TEMPERATURE, _HEART, _RESP = range(1, _WIDTH)
_ROOM = 1024


class LastTwo:
    """Patients of one partition: in memory what a batch has touched since the assignment.

    A reading is a row of float64: its number, exact to 2^53, and the four values. A state is one or
    two rows as bytes, the newest last.

    Args:
        load: reads the state of a patient, None where there is none.
    """

    def __init__(self, load: Callable[[bytes], bytes | None]) -> None:
        self._load = load
        self._slots: dict[bytes, int] = {}
        # the last reading of each patient; NaN: none yet
        self._last = np.full((_ROOM, _WIDTH), np.nan)

    def take(
        self, keys: Sequence[bytes], readings: Sequence[Any]
    ) -> tuple[list[Any], list[tuple[bytes, bytes]]]:
        """Take readings in, in their order.

        Returns:
            Their `Result`s, and key and state of every patient that was touched.
        """
        # read by name, one by one: faster than any way around a loop
        packed = [
            _pack(
                reading.sequence,
                reading.MDC_PULS_OXIM_PULS_RATE_Result,
                reading.MDC_TEMP_Result,
                reading.MDC_ECG_HEART_RATE_Result,
                reading.MDC_TTHOR_RESP_RATE_Result,
            )
            for reading in readings
        ]
        rows = np.frombuffer(b"".join(packed)).reshape(-1, _WIDTH)
        slots = self._slots_of(keys)
        # readings by patient, each patient's in their order; the last one of each
        order = np.argsort(slots, kind="stable")
        ordered = slots[order]
        new = np.empty(len(order), np.bool_)
        new[0] = True
        np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
        before = np.empty_like(rows)
        before[order[1:]] = rows[order[:-1]]
        before[order[new]] = self._last[ordered[new]]
        ends = order[np.append(np.flatnonzero(new)[1:] - 1, len(order) - 1)]

        self._last[slots[ends]] = rows[ends]
        kept = np.concatenate([before[ends], rows[ends]], axis=1).tobytes()
        size, half = 2 * _WIDTH * rows.itemsize, _WIDTH * rows.itemsize
        alone = np.isnan(before[ends, 0]).tolist()
        writes = [
            (keys[end], kept[i * size + half * first : (i + 1) * size])
            for i, (end, first) in enumerate(zip(ends.tolist(), alone, strict=True))
        ]
        return self._results(readings, rows, before), writes

    def _results(
        self, readings: Sequence[Any], rows: NDArray[np.float64], before: NDArray[np.float64]
    ) -> list[Any]:
        first = np.isnan(before[:, 0])
        before[first] = rows[first]  # a reading alone is its own minimum and mean
        pulse, temperature = rows[:, _PULSE], rows[:, _TEMPERATURE]
        columns = (
            np.minimum(pulse, before[:, _PULSE]),
            (temperature + before[:, _TEMPERATURE]) / 2,
            (pulse + before[:, _PULSE]) / 2,
            rows[:, _HEART] / rows[:, _RESP],
        )
        names = map(attrgetter("patient_id"), readings)
        numbers = map(attrgetter("sequence"), readings)
        return list(map(Result, names, numbers, *(column.tolist() for column in columns)))

    def _slots_of(self, keys: Sequence[bytes]) -> NDArray[np.int64]:
        known = self._slots
        try:
            return np.fromiter(map(known.__getitem__, keys), np.int64, len(keys))
        except KeyError:
            for key in dict.fromkeys(key for key in keys if key not in known):
                self._bring(key)
            return self._slots_of(keys)

    def _bring(self, key: bytes) -> None:
        slot = self._slots[key] = len(self._slots)
        if slot == len(self._last):
            self._last = np.concatenate([self._last, np.full_like(self._last, np.nan)])
        state = self._load(key)
        if state is not None:
            self._last[slot] = np.frombuffer(state)[-_WIDTH:]

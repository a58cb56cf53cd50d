"""The rolling windows of all patients of a worker, exact through any crash.

Kafka redelivers what was not committed, so after a crash a reading may come again that the stored
window has already taken in. Scored against that window it would get another risk than the first
time. Therefore the state of a patient is stored in two parts:

* the **base**, its window as of the committed offsets, and
* the **log**, the readings since.

When a state is loaded, the log is replayed only up to where the consumer resumed; the readings
after that come again from Kafka and find the window as it was. While a worker runs, the log is
folded into the base as commits advance, so it holds what one commit interval brings.

Readings that were routed may have been routed twice, when the router died in between. The router
keeps the order of each partition it reads from, so a routed reading whose original offset is not
beyond the newest one seen from there is a repeat, and is dropped.

Pure: knows neither Faust nor Kafka, only a store of bytes per partition.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.features import FEATURES, ORIGINAL_FEATURES
from models.vitals import MISSING
from models.window import NEWEST
from tables.codec import DAMAGED, StateError, check
from tables.pool import (
    REPEATED,
    UNUSED,
    WANTED,
    grown,
    load,
    make_pool,
    release,
    settle,
    take,
)

__all__ = ["REPEATED", "Applied", "Load", "Readings", "Windows"]

#: Reads the bytes of keys in a partition, None where there are none.
Load = Callable[[int, list[bytes]], Sequence[bytes | None]]

_NEVER = np.iinfo(np.int64).max
#: Log rows and bytes to begin with; both grow to what a commit interval and a batch need.
_ROWS, _BUFFER = 1024, 1 << 20


@dataclass(slots=True, eq=False)
class Readings:
    """Readings of one partition in the order of their offsets, at least one.

    Attributes:
        partition: of the source topic and of the state.
        source: which source topic, 0 to `SOURCES` - 1.
        keys: patient of each reading, n of them.
        offsets: ascending, shape [n].
        at_ms: observed times, shape [n].
        values: hundredths, shape [n, 8].
        devices: a number for each device, shape [n].
        context: what is known of each patient, shape [n, 5].
        origins: partition and offset each reading was routed from, (-1, 0) = not routed,
            shape [n, 2].
    """

    partition: int
    source: int
    keys: Sequence[bytes]
    offsets: NDArray[np.int64]
    at_ms: NDArray[np.int64]
    values: NDArray[np.int64]
    devices: NDArray[np.int64]
    context: NDArray[np.int64]
    origins: NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Applied:
    """What became of readings.

    Attributes:
        features: in the order of `FEATURES`, shape [n, features].
        original: in the order of `ORIGINAL_FEATURES`, shape [n, 4].
        outcomes: see `models.window`, or `REPEATED`, shape [n].
        first: whether a reading is its patient's first in an hour of event time, shape [n].
        sensors: what `models.anomaly.remember` found, shape [n].
        writes: key and bytes of every state that changed.
        longest_log: readings in the longest of these states' logs.
    """

    features: NDArray[np.float64]
    original: NDArray[np.float64]
    outcomes: NDArray[np.int8]
    first: NDArray[np.bool_]
    sensors: NDArray[np.int64]
    writes: list[tuple[bytes, bytes]]
    longest_log: int = 0


class Windows:
    """Windows of the patients in memory, in front of a store of states.

    Args:
        load: reads states.
        capacity: patients kept in memory; the least recently seen make room for others, and a batch
            of more patients than that for itself.
        grace_ms: how late a reading may come.
    """

    def __init__(self, load: Load, *, capacity: int, grace_ms: int) -> None:
        self._load = load
        self._grace_ms = grace_ms
        self._pool = make_pool(capacity, partitions=1, rows=_ROWS)
        self._slots: dict[int, dict[bytes, int]] = {}
        self._owner: list[tuple[int, bytes] | None] = [None] * capacity
        self._free = list(range(capacity - 1, -1, -1))
        # the number of the batch that last saw a slot's patient
        self._seen = np.full(capacity, _NEVER, np.int64)
        self._batch = 0
        self._out = np.empty(_BUFFER, np.uint8)
        # the keys that were brought in last, with their slots; None where one may be gone again
        self._brought: tuple[int, Sequence[bytes], NDArray[np.int64]] | None = None
        # per source topic and partition: the first offset that is not in the windows yet, and the
        # first that is not committed
        self._next: dict[int, NDArray[np.int64]] = {}
        self._committed: dict[int, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        """Count the patients in memory."""
        return sum(map(len, self._slots.values()))

    def resume(self, partition: int, offsets: Sequence[int]) -> None:
        """Say where the consumer resumes; must come before the first reading of a partition.

        Args:
            partition: was assigned.
            offsets: per source topic the first offset that will be delivered.
        """
        self.forget(partition)
        self._next[partition] = np.array(offsets, np.int64)
        self._committed[partition] = np.array(offsets, np.int64)

    def forget(self, partition: int) -> None:
        """Drop what is in memory of a partition that was revoked."""
        self._drop(np.array(list(self._slots.get(partition, {}).values()), np.int64))

    def committed(self, partition: int, source: int, offset: int) -> None:
        """Say up to which offset (exclusive) a source topic is committed."""
        self._committed[partition][source] = offset

    def unknown(self, partition: int, keys: Sequence[bytes]) -> list[bytes]:
        """Return the patients of whom nothing is known, neither in memory nor in the store."""
        slots = self._bring(partition, keys)
        pool = self._pool
        new = (pool.windows[slots, NEWEST] == MISSING) & (pool.ahead[slots] < 0)
        return list(dict.fromkeys(keys[i] for i in np.flatnonzero(new).tolist()))

    def apply(self, readings: Readings) -> Applied:
        """Take readings in, one by one in their order, whatever the batch they came in.

        Nothing is stored here: the states to be written are in the result, and must be where
        `load` finds them before the next call.

        Raises:
            tables.codec.StateError: a stored state cannot be read.
        """
        n, partition = len(readings.keys), readings.partition
        slots = self._bring(partition, readings.keys)
        self._grow(
            partitions=int(readings.origins[:, 0].max()) + 1 - self._pool.origins.shape[1],
            rows=n - int(self._pool.counts[UNUSED]),
        )
        applied = Applied(
            features=np.full((n, len(FEATURES)), np.nan),
            original=np.full((n, len(ORIGINAL_FEATURES)), np.nan),
            outcomes=np.empty(n, np.int8),
            first=np.empty(n, np.bool_),
            sensors=np.empty(n, np.int64),
            writes=[],
        )
        touched = np.empty(n, np.int64)
        all_again = np.empty(n, np.bool_)
        count = take(
            self._pool,
            slots,
            readings.source,
            readings.offsets,
            readings.at_ms,
            readings.values,
            readings.devices,
            readings.context,
            readings.origins,
            self._grace_ms,
            applied.features,
            applied.original,
            applied.outcomes,
            applied.first,
            applied.sensors,
            touched,
            all_again,
        )
        self._next[partition][readings.source] = readings.offsets[-1] + 1
        self._settle(readings, touched[:count], all_again[:count], applied)
        return applied

    def _settle(
        self,
        readings: Readings,
        touched: NDArray[np.int64],
        all_again: NDArray[np.bool_],
        applied: Applied,
    ) -> None:
        """Write the states of the patients that were touched."""
        ends = np.empty(len(touched), np.int64)
        partition = readings.partition
        done = 0
        while True:
            done = settle(
                self._pool,
                touched,
                all_again,
                done,
                readings.source,
                self._committed[partition],
                self._next[partition],
                self._grace_ms,
                self._out,
                ends,
            )
            if done == len(touched):
                break
            grown = np.empty(2 * len(self._out), np.uint8)
            grown[: len(self._out)] = self._out
            self._out = grown
        written = self._out[: ends[-1] if done else 0].tobytes()
        begin = 0
        for slot, end in zip(touched.tolist(), ends.tolist(), strict=True):
            owner = self._owner[slot]
            assert owner is not None, "a patient in a batch has a slot"
            applied.writes.append((owner[1], written[begin:end]))
            begin = end

    # -- slots

    def _bring(self, partition: int, keys: Sequence[bytes]) -> NDArray[np.int64]:
        """Return the slot of each key, with its patient in it."""
        if self._brought and self._brought[0] == partition and self._brought[1] is keys:
            return self._brought[2]
        self._batch += 1
        known = self._slots.setdefault(partition, {})
        slots = np.array([known.get(key, -1) for key in keys], np.int64)
        here = slots >= 0
        self._seen[slots[here]] = self._batch
        if not here.all():
            absent = np.flatnonzero(~here).tolist()
            self._fill(partition, list(dict.fromkeys(keys[i] for i in absent)))
            slots[absent] = [known[keys[i]] for i in absent]
        self._brought = partition, keys, slots
        return slots

    def _fill(self, partition: int, keys: list[bytes]) -> None:
        """Read patients in from the store."""
        stored = [state or b"" for state in self._load(partition, keys)]
        for state in stored:
            if state:
                check(state)
        self._make_room(len(keys))
        taken = self._free[: -len(keys) - 1 : -1]
        slots = np.array(taken, np.int64)
        data = np.frombuffer(b"".join(stored) or b"\0", np.uint8)
        ends = np.cumsum([len(state) for state in stored], dtype=np.int64)
        done, why = 0, 1
        while done < len(keys):
            done, why = load(
                self._pool, slots, data, ends, done, self._next[partition], self._grace_ms
            )
            if why == 2:
                release(self._pool, slots)
                raise StateError(DAMAGED)
            if why == 1:
                had = self._pool.origins.shape[1]
                self._grow(rows=1, partitions=int(self._pool.counts[WANTED]) - had)
        self._seen[slots] = self._batch
        del self._free[-len(keys) :]
        self._slots[partition].update(zip(keys, taken, strict=True))
        for key, slot in zip(keys, taken, strict=True):
            self._owner[slot] = partition, key

    def _make_room(self, wanted: int) -> None:
        """Have so many slots free: drop who was seen least recently, or grow."""
        short = wanted - len(self._free)
        if short <= 0:
            return
        # somewhat more than needed, because looking for them costs a pass over all
        most = max(short, len(self._owner) // 16)
        oldest = np.argpartition(self._seen, min(most, len(self._seen)) - 1)[:most]
        self._drop(oldest[self._seen[oldest] < self._batch])
        short = wanted - len(self._free)
        if short > 0:
            had = len(self._owner)
            self._grow(slots=short)
            self._seen = np.append(self._seen, np.full(short, _NEVER))
            self._owner += [None] * short
            self._free += range(had, had + short)

    def _drop(self, slots: NDArray[np.int64]) -> None:
        self._brought = None
        release(self._pool, slots)
        self._seen[slots] = _NEVER
        for slot in slots.tolist():
            owner = self._owner[slot]
            assert owner is not None, "only a slot with a patient is dropped"
            del self._slots[owner[0]][owner[1]]
            self._owner[slot] = None
            self._free.append(slot)

    def _grow(self, *, slots: int = 0, partitions: int = 0, rows: int = 0) -> None:
        """Make the pool larger, by nothing where a number is not above zero; rows at least double.

        A number of rows that a patient has once needed will be needed again.
        """
        if slots > 0 or partitions > 0 or rows > 0:
            more = max(rows, len(self._pool.rows)) if rows > 0 else 0
            self._pool = grown(self._pool, max(slots, 0), max(partitions, 0), more)

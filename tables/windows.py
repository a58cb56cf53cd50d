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

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.features import FEATURES, ORIGINAL_FEATURES, replay
from models.window import NEWEST, WIDTH, take_in
from tables.codec import (
    AT_MS,
    CONTEXT_AT,
    DEVICE,
    LOG_WIDTH,
    OFFSET,
    ORIGIN,
    ORIGIN_OFFSET,
    SOURCE,
    SOURCES,
    VALUES_AT,
    State,
    decode,
    encode,
)

__all__ = ["REPEATED", "Applied", "Load", "Readings", "Windows"]

#: Reads the bytes of a key in a partition, None where there are none.
Load = Callable[[int, bytes], bytes | None]

#: What became of a reading that was routed twice, beside the outcomes of `models.window`.
REPEATED = 9


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
        context: what is known of each patient, shape [n, 4].
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
        writes: key and bytes of every state that changed.
        longest_log: readings in the longest of these states' logs.
    """

    features: NDArray[np.float64]
    original: NDArray[np.float64]
    outcomes: NDArray[np.int8]
    writes: list[tuple[bytes, bytes]]
    longest_log: int = 0


@dataclass(slots=True, eq=False)
class _Patient:
    """A patient in memory: the stored state, and what goes with the window of now."""

    slot: int
    state: State
    origins: dict[int, int]
    #: Log rows of readings that will be delivered again, by source, offset and observed time: they
    #: were scored with the context in there.
    ahead: dict[tuple[int, int, int], NDArray[np.int64]]


class Windows:
    """Windows of the patients in memory, in front of a store of states.

    Args:
        load: reads a state.
        capacity: patients kept in memory; the least recently seen make room for others. Must hold
            the patients of one batch.
        grace_ms: how late a reading may come.
    """

    def __init__(self, load: Load, *, capacity: int, grace_ms: int) -> None:
        self._load = load
        self._grace_ms = grace_ms
        self._windows = np.empty((capacity, WIDTH), np.int64)
        self._free = list(range(capacity - 1, -1, -1))
        self._patients: OrderedDict[tuple[int, bytes], _Patient] = OrderedDict()
        # per source topic and partition: the first offset that is not in the windows yet, and the
        # first that is not committed
        self._next: dict[int, NDArray[np.int64]] = {}
        self._committed: dict[int, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        """Count the patients in memory."""
        return len(self._patients)

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
        for key in [key for key in self._patients if key[0] == partition]:
            self._free.append(self._patients.pop(key).slot)

    def committed(self, partition: int, source: int, offset: int) -> None:
        """Say up to which offset (exclusive) a source topic is committed."""
        self._committed[partition][source] = offset

    def knows(self, partition: int, key: bytes) -> bool:
        """Whether anything is known of a patient, in memory or in the store."""
        return (partition, key) in self._patients or self._load(partition, key) is not None

    def apply(self, readings: Readings) -> Applied:
        """Take readings in, one by one in their order, whatever the batch they came in.

        Nothing is stored here: the states to be written are in the result, and must be where
        `load` finds them before the next call.
        """
        n = len(readings.keys)
        patients = [self._patient(readings.partition, key) for key in readings.keys]
        applied = Applied(
            features=np.full((n, len(FEATURES)), np.nan),
            original=np.full((n, len(ORIGINAL_FEATURES)), np.nan),
            outcomes=np.full(n, REPEATED, np.int8),
            writes=[],
        )
        again = _with_their_context(readings, patients)
        slots = np.array([patient.slot for patient in patients], np.int64)
        # An offset before the base comes when an operator sets the offsets back: the window has
        # gone past such a reading, so it is answered from what is known and changes nothing. With
        # a newer observed time it is no repeat, but the first reading of a topic made anew.
        bounds = np.array([patient.state.bounds[readings.source] for patient in patients], np.int64)
        newest = np.array([patient.state.base[NEWEST] for patient in patients], np.int64)
        known = (readings.offsets < bounds) & (readings.at_ms <= newest)
        fresh = self._fresh(readings, patients) | known
        if fresh.all():
            self._replay(readings, slots, known, applied)
        elif fresh.any():
            part = Applied(
                applied.features[fresh], applied.original[fresh], applied.outcomes[fresh], []
            )
            self._replay(_select(readings, fresh), slots[fresh], known[fresh], part)
            applied.features[fresh] = part.features
            applied.original[fresh] = part.original
            applied.outcomes[fresh] = part.outcomes
        self._next[readings.partition][readings.source] = readings.offsets[-1] + 1

        rows = _log_rows(readings)
        touched: dict[bytes, list[int]] = {}
        for i, key in enumerate(readings.keys):
            if fresh[i] and not known[i]:
                touched.setdefault(key, []).append(i)
        for key, taken in touched.items():
            patient = patients[taken[0]]
            state = patient.state
            state.log = np.concatenate((state.log, rows[taken]))
            self._fold(readings.partition, state)
            if not again[taken].all():  # all of it has come, or it never will: a topic made anew
                source = readings.source
                patient.ahead = {at: row for at, row in patient.ahead.items() if at[0] != source}
            applied.writes.append((key, encode(self._to_store(readings.partition, patient))))
            applied.longest_log = max(applied.longest_log, len(state.log))
        return applied

    def _replay(
        self,
        readings: Readings,
        slots: NDArray[np.int64],
        known: NDArray[np.bool_],
        applied: Applied,
    ) -> None:
        replay(
            self._windows,
            slots,
            readings.at_ms,
            readings.values,
            readings.devices,
            readings.context,
            known,
            self._grace_ms,
            applied.features,
            applied.original,
            applied.outcomes,
        )

    def _fresh(self, readings: Readings, patients: list[_Patient]) -> NDArray[np.bool_]:
        """Which readings were not routed here before."""
        fresh = np.ones(len(patients), np.bool_)
        if readings.origins[:, 0].max() < 0:
            return fresh
        newest: dict[int, int] = {}
        for i, (patient, (origin, offset)) in enumerate(
            zip(patients, readings.origins.tolist(), strict=True)
        ):
            before = newest.get(patient.slot, int(self._windows[patient.slot, NEWEST]))
            at_ms = int(readings.at_ms[i])
            # a repeat is never newer; a reading of a topic made anew is
            if origin >= 0 and offset <= patient.origins.get(origin, -1) and at_ms <= before:
                fresh[i] = False
                continue
            if origin >= 0:
                patient.origins[origin] = offset
            newest[patient.slot] = max(before, at_ms)
        return fresh

    def _patient(self, partition: int, key: bytes) -> _Patient:
        patient = self._patients.get((partition, key))
        if patient is not None:
            self._patients.move_to_end((partition, key))
            return patient
        stored = self._load(partition, key)
        state = State() if stored is None else decode(stored)
        # What lies ahead of the consumer will be delivered again. An admission may have come since:
        # such a reading keeps the context that it had the first time.
        behind = state.log[:, OFFSET] < self._next[partition][state.log[:, SOURCE]]
        ahead = {
            (int(row[SOURCE]), int(row[OFFSET]), int(row[AT_MS])): row for row in state.log[~behind]
        }
        state.log = state.log[behind]
        slot = self._free.pop() if self._free else self._patients.popitem(last=False)[1].slot
        self._windows[slot] = state.base
        self._take_in(self._windows[slot], state.log)
        origins = dict(_newest_origins(state.origins, state.log).tolist())
        patient = self._patients[partition, key] = _Patient(slot, state, origins, ahead)
        return patient

    def _to_store(self, partition: int, patient: _Patient) -> State:
        """State with the rows that will still be delivered again: a crash may come before."""
        state, following = patient.state, self._next[partition]
        ahead = [row for row in patient.ahead.values() if row[OFFSET] >= following[row[SOURCE]]]
        return replace(state, log=np.concatenate((state.log, ahead))) if ahead else state

    def _fold(self, partition: int, state: State) -> None:
        """Move what has been committed from the log into the base."""
        settled = state.log[:, OFFSET] < self._committed[partition][state.log[:, SOURCE]]
        # a prefix only: the order of the readings is part of the window
        count = len(settled) if settled.all() else int(np.argmin(settled))
        if count == 0:
            return
        folded = state.log[:count]
        self._take_in(state.base, folded)
        state.origins = _newest_origins(state.origins, folded)
        for source in range(SOURCES):
            offsets = folded[folded[:, SOURCE] == source, OFFSET]
            if len(offsets):
                state.bounds[source] = offsets[-1] + 1
        state.log = state.log[count:]

    def _take_in(self, window: NDArray[np.int64], log: NDArray[np.int64]) -> None:
        if len(log):
            take_in(
                window,
                log[:, AT_MS],
                log[:, VALUES_AT:CONTEXT_AT],
                log[:, DEVICE],
                log[:, CONTEXT_AT:ORIGIN],
                self._grace_ms,
            )


def _with_their_context(readings: Readings, patients: list[_Patient]) -> NDArray[np.bool_]:
    """Give readings that are delivered again the context they had, and tell which they are."""
    again = np.zeros(len(patients), np.bool_)
    for i, patient in enumerate(patients):
        if patient.ahead:
            place = readings.source, int(readings.offsets[i]), int(readings.at_ms[i])
            row = patient.ahead.pop(place, None)
            if row is not None:
                again[i] = True
                readings.context[i] = row[CONTEXT_AT:ORIGIN]
    return again


def _newest_origins(origins: NDArray[np.int64], log: NDArray[np.int64]) -> NDArray[np.int64]:
    """Origins with those of the log, the last offset of each partition."""
    routed = log[log[:, ORIGIN] >= 0]
    if not len(routed):
        return origins
    newest = dict(origins.tolist()) | dict(routed[:, [ORIGIN, ORIGIN_OFFSET]].tolist())
    return np.array(sorted(newest.items()), np.int64)


def _log_rows(readings: Readings) -> NDArray[np.int64]:
    rows = np.empty((len(readings.keys), LOG_WIDTH), np.int64)
    rows[:, SOURCE] = readings.source
    rows[:, OFFSET] = readings.offsets
    rows[:, AT_MS] = readings.at_ms
    rows[:, DEVICE] = readings.devices
    rows[:, VALUES_AT:CONTEXT_AT] = readings.values
    rows[:, CONTEXT_AT:ORIGIN] = readings.context
    rows[:, ORIGIN : ORIGIN_OFFSET + 1] = readings.origins
    return rows


def _select(readings: Readings, which: NDArray[np.bool_]) -> Readings:
    return Readings(
        readings.partition,
        readings.source,
        [key for key, wanted in zip(readings.keys, which, strict=True) if wanted],
        readings.offsets[which],
        readings.at_ms[which],
        readings.values[which],
        readings.devices[which],
        readings.context[which],
        readings.origins[which],
    )

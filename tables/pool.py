"""Patients in memory, as rows of arrays: what `tables.windows` keeps, taken in by compiled loops.

A patient occupies a *slot*: a row of every array of `Pool`. Rows of the log, of which patients have
few or many, lie in one array for all and are chained: ``after`` holds the row that follows, -1
ends a chain, and the rows that nobody uses are a chain as well. A batch of readings costs two calls
of compiled code, whatever patients they are of.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.compiled import kernel
from models.features import answer
from models.vitals import MISSING
from models.window import (
    CONTEXT,
    CONTEXT_AT,
    NEWEST,
    OUT_OF_ORDER,
    SENSORS_FOUND,
    TAKEN,
    WIDTH,
    empty_window,
    hour_of,
    observe,
)
from tables.codec import (
    AT_MS,
    DEVICE,
    LOG_WIDTH,
    LONGEST,
    OFFSET,
    ORIGIN,
    ORIGIN_OFFSET,
    SOURCE,
    SOURCES,
    VALUES_AT,
    VERSION,
    get_number,
    get_row,
    put_number,
    put_row,
)
from tables.codec import CONTEXT_AT as LOG_CONTEXT_AT

__all__ = [
    "REPEATED",
    "UNUSED",
    "WANTED",
    "Pool",
    "grown",
    "load",
    "make_pool",
    "release",
    "settle",
    "take",
]

#: What became of a reading that was routed twice, beside the outcomes of `models.window`.
REPEATED = 9

# Entries of `Pool.counts`.
UNUSED = 0  # log rows that nobody uses
_FREE = 1  # the first of them
WANTED = 2  # columns of origins that a state asked for

_EMPTY = empty_window()
_NO_BOUNDS = np.zeros(SOURCES, np.int64)
_END = -1
#: A topic of more partitions is taken for damage.
_MOST_ORIGINS = 100_000
#: Bytes that a row of so many columns takes at most.
_MOST = LONGEST + 1


class Pool(NamedTuple):
    """The arrays.

    Attributes:
        windows: window of now, shape [slots, WIDTH].
        bases: window as of the committed offsets, shape [slots, WIDTH].
        bounds: per source topic the first offset after the base, shape [slots, SOURCES].
        origins: newest offset routed from each partition, -1 = none, shape [slots, partitions].
        base_origins: the same as of the base.
        first: first log row of a patient, shape [slots].
        last: last log row, shape [slots].
        ahead: first of the rows of readings that will be delivered again: they were scored with
            the context in there, shape [slots].
        place: where a slot stands among those a batch has touched, -1 = not touched, shape [slots].
        rows: of the log, see `tables.codec`, shape [rows, LOG_WIDTH].
        after: the row that follows in its chain, shape [rows].
        counts: `UNUSED` rows, the first of them, and `WANTED` origins.
    """

    windows: NDArray[np.int64]
    bases: NDArray[np.int64]
    bounds: NDArray[np.int64]
    origins: NDArray[np.int64]
    base_origins: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    ahead: NDArray[np.int64]
    place: NDArray[np.int64]
    rows: NDArray[np.int64]
    after: NDArray[np.int64]
    counts: NDArray[np.int64]


def make_pool(slots: int, partitions: int, rows: int) -> Pool:
    """Make a pool of empty slots; memory is taken up as slots are filled."""
    return Pool(
        windows=np.empty((slots, WIDTH), np.int64),
        bases=np.empty((slots, WIDTH), np.int64),
        bounds=np.empty((slots, SOURCES), np.int64),
        origins=np.full((slots, partitions), -1, np.int64),
        base_origins=np.full((slots, partitions), -1, np.int64),
        first=np.full(slots, _END, np.int64),
        last=np.full(slots, _END, np.int64),
        ahead=np.full(slots, _END, np.int64),
        place=np.full(slots, -1, np.int64),
        rows=np.empty((rows, LOG_WIDTH), np.int64),
        after=np.append(np.arange(1, rows, dtype=np.int64), _END),
        counts=np.array([rows, 0, partitions], np.int64),
    )


def grown(pool: Pool, slots: int = 0, partitions: int = 0, rows: int = 0) -> Pool:
    """Make a pool of the same content with so many more slots, origins and rows.

    Only what grows is copied: the windows of many patients are hundreds of megabytes.
    """
    had_slots, had_partitions = pool.origins.shape
    had_rows = len(pool.rows)
    larger = make_pool(had_slots + slots, had_partitions + partitions, had_rows + rows)
    by_slot = ("windows", "bases", "bounds", "first", "last", "ahead", "place") if slots else ()
    by_origin = ("origins", "base_origins") if slots or partitions else ()
    by_row = ("rows", "after") if rows else ()
    made = {name: getattr(larger, name) for name in (*by_slot, *by_origin, *by_row)}
    for name, new in made.items():
        old = getattr(pool, name)
        new[tuple(slice(0, size) for size in old.shape)] = old
    pool = pool._replace(**made)
    if rows > 0:  # they lie in a chain as they were made: put before the unused ones
        pool.after[-1] = pool.counts[_FREE]
        pool.counts[_FREE] = had_rows
        pool.counts[UNUSED] += rows
    return pool


@kernel
def _give(pool: Pool, row: int) -> None:
    """Give a row back."""
    pool.after[row] = pool.counts[_FREE]
    pool.counts[_FREE] = row
    pool.counts[UNUSED] += 1


@kernel
def _get(pool: Pool) -> int:
    """Take an unused row."""
    row = pool.counts[_FREE]
    pool.counts[_FREE] = pool.after[row]
    pool.counts[UNUSED] -= 1
    return row


@kernel
def _free_chain(pool: Pool, row: int) -> None:
    while row != _END:
        following = pool.after[row]
        _give(pool, row)
        row = following


@kernel
def release(pool: Pool, slots: NDArray[np.int64]) -> None:
    """Give back the log rows of slots."""
    for slot in slots:
        _free_chain(pool, pool.first[slot])
        _free_chain(pool, pool.ahead[slot])
        pool.first[slot] = pool.last[slot] = pool.ahead[slot] = _END


@kernel
def _append(pool: Pool, slot: int, row: int) -> None:
    pool.after[row] = _END
    if pool.first[slot] == _END:
        pool.first[slot] = row
    else:
        pool.after[pool.last[slot]] = row
    pool.last[slot] = row


@kernel
def _observe_row(window: NDArray[np.int64], row: NDArray[np.int64], grace_ms: int) -> None:
    window[CONTEXT_AT : CONTEXT_AT + CONTEXT] = row[LOG_CONTEXT_AT:ORIGIN]
    observe(window, row[AT_MS], row[VALUES_AT:LOG_CONTEXT_AT], row[DEVICE], grace_ms)


@kernel
def _load_one(
    pool: Pool, slot: int, data: NDArray[np.uint8], following: NDArray[np.int64], grace_ms: int
) -> int:
    """Fill a slot; 0 = done, 1 = the pool is too small, 2 = the bytes are not a state."""
    pool.bounds[slot] = 0
    pool.origins[slot] = -1
    pool.base_origins[slot] = -1
    if len(data) == 0:  # a new patient
        pool.bases[slot] = _EMPTY
        pool.windows[slot] = _EMPTY
        return 0
    at = get_row(data, 1, _EMPTY, pool.bases[slot])
    if at >= 0:
        at = get_row(data, at, _NO_BOUNDS, pool.bounds[slot])
    count = np.uint64(0)
    if at >= 0:
        count, at = get_number(data, at)
    if at < 0 or count > np.uint64(len(data)):
        return 2
    before = np.zeros(2, np.int64)
    pair = np.zeros(2, np.int64)
    for _ in range(count):
        at = get_row(data, at, before, pair)
        if at < 0 or pair[0] < 0 or pair[0] > _MOST_ORIGINS:
            return 2
        if pair[0] >= pool.origins.shape[1]:
            pool.counts[WANTED] = max(pool.counts[WANTED], pair[0] + 1)
            return 1
        pool.base_origins[slot, pair[0]] = pair[1]
        before[:] = pair
    pool.origins[slot] = pool.base_origins[slot]
    pool.windows[slot] = pool.bases[slot]

    count, at = get_number(data, at)
    if at < 0 or count > np.uint64(len(data)):
        return 2
    template = np.zeros(LOG_WIDTH, np.int64)
    last_ahead = _END
    for _ in range(count):
        if pool.counts[UNUSED] == 0:
            return 1
        row = _get(pool)
        at = get_row(data, at, template, pool.rows[row])
        values = template = pool.rows[row]
        if at < 0 or not 0 <= values[SOURCE] < SOURCES or values[ORIGIN] > _MOST_ORIGINS:
            _give(pool, row)
            return 2
        if values[OFFSET] < following[values[SOURCE]]:
            _append(pool, slot, row)
            _observe_row(pool.windows[slot], values, grace_ms)
            if values[ORIGIN] >= 0:
                if values[ORIGIN] >= pool.origins.shape[1]:
                    pool.counts[WANTED] = max(pool.counts[WANTED], values[ORIGIN] + 1)
                    return 1
                pool.origins[slot, values[ORIGIN]] = values[ORIGIN_OFFSET]
            continue
        # What lies ahead of the consumer will be delivered again. An admission may have come
        # since: such a reading keeps the context that it had the first time.
        pool.after[row] = _END
        if last_ahead == _END:
            pool.ahead[slot] = row
        else:
            pool.after[last_ahead] = row
        last_ahead = row
    return 0 if at == len(data) else 2


@kernel
def load(
    pool: Pool,
    slots: NDArray[np.int64],
    data: NDArray[np.uint8],
    ends: NDArray[np.int64],
    start: int,
    following: NDArray[np.int64],
    grace_ms: int,
) -> tuple[int, int]:
    """Fill slots from stored states.

    Args:
        pool: its slots are changed.
        slots: empty ones, shape [n].
        data: the states one after the other; none for a new patient.
        ends: where each state ends in ``data``, shape [n].
        start: which slot to begin with.
        following: per source topic the first offset that is not in the windows yet.
        grace_ms: see `models.window.observe`.

    Returns:
        How many slots are filled, and why it ended there: 0 = all are, 1 = the pool must grow, by
        rows or to `WANTED` origins, 2 = the bytes of the next slot are not a state.
    """
    for i in range(start, len(slots)):
        begin = ends[i - 1] if i > 0 else 0
        said = _load_one(pool, slots[i], data[begin : ends[i]], following, grace_ms)
        if said != 0:
            release(pool, slots[i : i + 1])
            return i, said
    return len(slots), 0


@kernel
def _again(pool: Pool, slot: int, source: int, offset: int, at_ms: int) -> int:
    """Take the row of a reading out of those that will be delivered again; -1 = it is none."""
    before = _END
    row = pool.ahead[slot]
    while row != _END:
        values = pool.rows[row]
        if values[SOURCE] == source and values[OFFSET] == offset and values[AT_MS] == at_ms:
            if before == _END:
                pool.ahead[slot] = pool.after[row]
            else:
                pool.after[before] = pool.after[row]
            return row
        before = row
        row = pool.after[row]
    return _END


@kernel
def take(
    pool: Pool,
    slots: NDArray[np.int64],
    source: int,
    offsets: NDArray[np.int64],
    at_ms: NDArray[np.int64],
    values: NDArray[np.int64],
    devices: NDArray[np.int64],
    context: NDArray[np.int64],
    origins: NDArray[np.int64],
    grace_ms: int,
    features: NDArray[np.float64],
    original: NDArray[np.float64],
    outcomes: NDArray[np.int8],
    first: NDArray[np.bool_],
    sensors: NDArray[np.int64],
    touched: NDArray[np.int64],
    all_again: NDArray[np.bool_],
) -> int:
    """Take readings in, one by one in their order.

    Args:
        pool: has as many free rows as there are readings.
        slots: of each reading's patient, shape [n].
        source: topic the readings come from.
        offsets: shape [n].
        at_ms: see `models.features.answer`, like the rest, shape [n].
        values: shape [n, 8].
        devices: shape [n].
        context: shape [n, 5]; that of a reading that was delivered before is put in.
        origins: partition and offset each was routed from, (-1, 0) = not routed, shape [n, 2].
        grace_ms: see `models.window.observe`.
        features: filled, shape [n, features].
        original: filled, shape [n, 4].
        outcomes: filled, `REPEATED` where a reading was routed twice, shape [n].
        first: filled with whether a reading is the patient's first in an hour, and newer than all
            before it; the same when it is delivered again, shape [n].
        sensors: filled with what `models.anomaly.remember` found of each reading, shape [n].
        touched: filled with the slots that changed, in their order, shape [n].
        all_again: filled: whether all that a slot took in had been delivered before, shape [n].

    Returns:
        How many slots changed.
    """
    count = 0
    for i in range(len(slots)):
        slot = slots[i]
        first[i] = False
        sensors[i] = 0
        again = _again(pool, slot, source, offsets[i], at_ms[i])
        if again != _END:
            context[i] = pool.rows[again, LOG_CONTEXT_AT:ORIGIN]
            _give(pool, again)
        # An offset before the base comes when an operator sets the offsets back: the window has
        # gone past such a reading, so it is answered from what is known and changes nothing. With
        # a newer observed time it is no repeat, but the first reading of a topic made anew.
        known = offsets[i] < pool.bounds[slot, source] and at_ms[i] <= pool.bases[slot, NEWEST]
        origin = origins[i, 0]
        if origin >= 0:
            # a repeat is never newer; a reading of a topic made anew is
            repeated = origins[i, 1] <= pool.origins[slot, origin]
            if repeated and at_ms[i] <= pool.windows[slot, NEWEST]:
                if not known:
                    outcomes[i] = REPEATED
                    continue
            else:
                pool.origins[slot, origin] = origins[i, 1]
        newest = pool.windows[slot, NEWEST]
        first[i] = newest == MISSING or hour_of(at_ms[i]) > hour_of(newest)
        outcomes[i] = answer(
            pool.windows[slot], at_ms[i], values[i], devices[i], context[i], known, grace_ms,
            features[i], original[i],
        )  # fmt: skip
        if known:
            continue
        if outcomes[i] == TAKEN or outcomes[i] == OUT_OF_ORDER:
            sensors[i] = pool.windows[slot, SENSORS_FOUND]
        if pool.place[slot] < 0:
            pool.place[slot] = count
            touched[count] = slot
            all_again[count] = True
            count += 1
        if again == _END:
            all_again[pool.place[slot]] = False
        number = _get(pool)
        row = pool.rows[number]
        row[SOURCE] = source
        row[OFFSET] = offsets[i]
        row[AT_MS] = at_ms[i]
        row[DEVICE] = devices[i]
        row[VALUES_AT:LOG_CONTEXT_AT] = values[i]
        row[LOG_CONTEXT_AT:ORIGIN] = context[i]
        row[ORIGIN] = origin
        row[ORIGIN_OFFSET] = origins[i, 1]
        _append(pool, slot, number)
    for i in range(count):
        pool.place[touched[i]] = -1
    return count


@kernel
def _fold(pool: Pool, slot: int, committed: NDArray[np.int64], grace_ms: int) -> None:
    """Move what has been committed from the log into the base."""
    # a prefix only: the order of the readings is part of the window
    row = pool.first[slot]
    while row != _END:
        values = pool.rows[row]
        if values[OFFSET] >= committed[values[SOURCE]]:
            break
        _observe_row(pool.bases[slot], values, grace_ms)
        if values[ORIGIN] >= 0:
            pool.base_origins[slot, values[ORIGIN]] = values[ORIGIN_OFFSET]
        pool.bounds[slot, values[SOURCE]] = values[OFFSET] + 1
        following = pool.after[row]
        _give(pool, row)
        row = following
    pool.first[slot] = row
    if row == _END:
        pool.last[slot] = _END


@kernel
def _forget_ahead(pool: Pool, slot: int, source: int) -> None:
    """Drop the rows of a source topic that were to be delivered again."""
    before = _END
    row = pool.ahead[slot]
    while row != _END:
        following = pool.after[row]
        if pool.rows[row, SOURCE] == source:
            if before == _END:
                pool.ahead[slot] = following
            else:
                pool.after[before] = following
            _give(pool, row)
        else:
            before = row
        row = following


@kernel
def _rows_to_store(pool: Pool, slot: int, following: NDArray[np.int64]) -> int:
    count = 0
    row = pool.first[slot]
    while row != _END:
        count += 1
        row = pool.after[row]
    row = pool.ahead[slot]
    while row != _END:  # will still be delivered again: a crash may come before
        values = pool.rows[row]
        if values[OFFSET] >= following[values[SOURCE]]:
            count += 1
        row = pool.after[row]
    return count


@kernel
def _put_state(
    pool: Pool, slot: int, rows: int, following: NDArray[np.int64], out: NDArray[np.uint8], at: int
) -> int:
    out[at] = np.uint8(VERSION)
    at = put_row(out, at + 1, pool.bases[slot], _EMPTY)
    at = put_row(out, at, pool.bounds[slot], _NO_BOUNDS)
    origins = pool.base_origins[slot]
    known = 0
    for partition in range(len(origins)):
        known += origins[partition] >= 0
    at = put_number(out, at, np.uint64(known))
    if known > 0:
        before = np.zeros(2, np.int64)
        pair = np.zeros(2, np.int64)
        for partition in range(len(origins)):
            if origins[partition] >= 0:
                pair[0] = partition
                pair[1] = origins[partition]
                at = put_row(out, at, pair, before)
                before[:] = pair
    at = put_number(out, at, np.uint64(rows))
    template = np.zeros(LOG_WIDTH, np.int64)
    row = pool.first[slot]
    while row != _END:
        at = put_row(out, at, pool.rows[row], template)
        template = pool.rows[row]
        row = pool.after[row]
    row = pool.ahead[slot]
    while row != _END:
        values = pool.rows[row]
        if values[OFFSET] >= following[values[SOURCE]]:
            at = put_row(out, at, values, template)
            template = values
        row = pool.after[row]
    return at


@kernel
def settle(
    pool: Pool,
    touched: NDArray[np.int64],
    all_again: NDArray[np.bool_],
    start: int,
    source: int,
    committed: NDArray[np.int64],
    following: NDArray[np.int64],
    grace_ms: int,
    out: NDArray[np.uint8],
    ends: NDArray[np.int64],
) -> int:
    """Fold what is committed into the bases of touched slots, and write their states.

    Args:
        pool: its slots are changed.
        touched: slots that `take` has changed, shape [n].
        all_again: as `take` said, shape [n].
        start: which slot to begin with.
        source: topic the readings came from.
        committed: per source topic the first offset that is not committed.
        following: per source topic the first offset that will be delivered next.
        grace_ms: see `models.window.observe`.
        out: filled with the states, one after the other.
        ends: filled with where each state ends in ``out``, shape [n].

    Returns:
        How many slots are written: where it is not all, ``out`` may not hold the next one.
    """
    at = ends[start - 1] if start > 0 else 0
    for i in range(start, len(touched)):
        slot = touched[i]
        _fold(pool, slot, committed, grace_ms)
        if not all_again[i]:  # all of it has come, or it never will: a topic made anew
            _forget_ahead(pool, slot, source)
        rows = _rows_to_store(pool, slot, following)
        columns = WIDTH + SOURCES + 2 * pool.origins.shape[1] + rows * LOG_WIDTH
        if len(out) - at < 64 + _MOST * columns + pool.origins.shape[1] + rows:
            return i
        at = _put_state(pool, slot, rows, following, out, at)
        ends[i] = at
    return len(touched)

"""The bytes of a patient's state: compact, exact, versioned.

A state is rows of 64-bit integers. Each row is written as its differences from a template that both
sides know (for a window the empty window, for a log row the row before it): runs of equal columns
cost one byte, every other value a variable-length integer. A patient with an hour's reading each
hour takes about 1 KB, one with a reading a second for a day about 4 KB.

Layout::

    version  u8
    base     the committed window, against the empty window
    bounds   two integers: the first offset after the base, of each source topic
    origins  how many, then each against the one before it
    log      how many rows, then each against the one before it
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.compiled import kernel
from models.window import CONTEXT, WIDTH, empty_window

__all__ = [
    "DAMAGED",
    "LOG_WIDTH",
    "LONGEST",
    "SOURCES",
    "VERSION",
    "State",
    "StateError",
    "check",
    "decode",
    "encode",
    "get_number",
    "get_row",
    "get_rows",
    "put_number",
    "put_row",
    "put_rows",
]

VERSION = 2
#: Topics that readings of one patient can come from: as sent, and routed.
SOURCES = 2

# Columns of a log row: where the reading stood, the reading, and what was known of the patient.
SOURCE, OFFSET, AT_MS, DEVICE = 0, 1, 2, 3
VALUES_AT = 4
CONTEXT_AT = VALUES_AT + 8
#: Where a routed reading came from: partition (or -1: it was not routed) and offset there.
ORIGIN, ORIGIN_OFFSET = CONTEXT_AT + CONTEXT, CONTEXT_AT + CONTEXT + 1
LOG_WIDTH = ORIGIN_OFFSET + 1

_EMPTY = empty_window()
_NO_BOUNDS = np.zeros(SOURCES, np.int64)
#: Bytes of the longest variable-length integer.
LONGEST = 10


class StateError(ValueError):
    """Bytes that are not a state of a version this code reads."""


@dataclass(slots=True, eq=False)
class State:
    """A patient's state.

    Attributes:
        base: window as of the committed offsets, shape [WIDTH].
        bounds: per source topic the first offset after the base, shape [SOURCES].
        origins: per partition that readings were routed from, as of the base: the partition and
            the newest offset, shape [m, 2].
        log: readings since the base, in the order they were taken in, shape [n, LOG_WIDTH].
    """

    base: NDArray[np.int64] = field(default_factory=empty_window)
    bounds: NDArray[np.int64] = field(default_factory=lambda: np.zeros(SOURCES, np.int64))
    origins: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), np.int64))
    log: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, LOG_WIDTH), np.int64))


@kernel
def put_number(out: NDArray[np.uint8], at: int, number: np.uint64) -> int:
    """LEB128: seven bits a byte, the lowest first."""
    while number >= np.uint64(128):
        out[at] = np.uint8(number & np.uint64(127)) | np.uint8(128)
        number >>= np.uint64(7)
        at += 1
    out[at] = np.uint8(number)
    return at + 1


@kernel
def get_number(data: NDArray[np.uint8], at: int) -> tuple[np.uint64, int]:
    """Inverse of `put_number`: the number and where it ends, -1 where the bytes end before it."""
    number = np.uint64(0)
    shift = np.uint64(0)
    while at < len(data):
        byte = data[at]
        at += 1
        number |= np.uint64(byte & np.uint8(127)) << shift
        if byte < 128:
            return number, at
        shift += np.uint64(7)
    return number, -1


@kernel
def put_row(
    out: NDArray[np.uint8], at: int, row: NDArray[np.int64], template: NDArray[np.int64]
) -> int:
    """Write pairs (equal columns to skip, difference) and end with a skip to the last column."""
    skip = 0
    for column in range(len(row)):
        difference = row[column] - template[column]  # wraps around: lossless for MISSING too
        if difference == 0:
            skip += 1
            continue
        at = put_number(out, at, np.uint64(skip))
        # zigzag: small differences of either sign become small numbers
        at = put_number(out, at, np.uint64((difference << 1) ^ (difference >> 63)))
        skip = 0
    return put_number(out, at, np.uint64(skip + len(row)))


@kernel
def get_row(
    data: NDArray[np.uint8], at: int, template: NDArray[np.int64], row: NDArray[np.int64]
) -> int:
    """Inverse of `_put_row`; -1 where the bytes are not a row."""
    row[:] = template
    column = np.int64(0)
    while True:
        skip, at = get_number(data, at)
        if at < 0:
            return -1
        if skip >= np.uint64(len(row)):
            return at
        column += np.int64(skip)
        number, at = get_number(data, at)
        if at < 0 or column >= len(row):
            return -1
        difference = np.int64(number >> np.uint64(1)) ^ -np.int64(number & np.uint64(1))
        row[column] += difference
        column += 1


@kernel
def _put_rows(out: NDArray[np.uint8], at: int, rows: NDArray[np.int64]) -> int:
    at = put_number(out, at, np.uint64(len(rows)))
    before = np.zeros(rows.shape[1], np.int64)
    for i in range(len(rows)):
        at = put_row(out, at, rows[i], before)
        before = rows[i]
    return at


@kernel
def _get_rows(data: NDArray[np.uint8], at: int, width: int) -> tuple[NDArray[np.int64], int]:
    count, at = get_number(data, at)
    if at < 0 or count > np.uint64(len(data)):
        return np.empty((0, width), np.int64), -1
    rows = np.empty((np.int64(count), width), np.int64)
    before = np.zeros(width, np.int64)
    for i in range(len(rows)):
        at = get_row(data, at, before, rows[i])
        if at < 0:
            break
        before = rows[i]
    return rows, at


@kernel
def _encode(
    out: NDArray[np.uint8],
    base: NDArray[np.int64],
    bounds: NDArray[np.int64],
    origins: NDArray[np.int64],
    log: NDArray[np.int64],
    empty: NDArray[np.int64],
    no_bounds: NDArray[np.int64],
) -> int:
    out[0] = np.uint8(VERSION)
    at = put_row(out, 1, base, empty)
    at = put_row(out, at, bounds, no_bounds)
    at = _put_rows(out, at, origins)
    return _put_rows(out, at, log)


def encode(state: State) -> bytes:
    """Write a state."""
    columns = WIDTH + SOURCES + state.origins.size + state.log.size
    rows = len(state.origins) + len(state.log)  # a row may end in a byte of its own
    out = np.empty(64 + (LONGEST + 1) * columns + rows, np.uint8)
    end = _encode(out, state.base, state.bounds, state.origins, state.log, _EMPTY, _NO_BOUNDS)
    return out[:end].tobytes()


def put_rows(rows: NDArray[np.int64]) -> bytes:
    """Write rows, each as its differences from the one before; the first from zeros."""
    out = np.empty(LONGEST + (LONGEST + 1) * rows.size + len(rows), np.uint8)
    return out[: _put_rows(out, 0, rows)].tobytes()


def get_rows(data: bytes, width: int) -> NDArray[np.int64]:
    """Inverse of `put_rows`: shape [n, width].

    Raises:
        StateError: the bytes are not what it wrote.
    """
    rows, at = _get_rows(np.frombuffer(data, np.uint8), 0, width)
    if at != len(data):
        raise StateError(DAMAGED)
    return rows


#: Says of bytes that they are not a whole state.
DAMAGED = "A patient's state is damaged: its bytes end early or say too much."


def check(data: bytes) -> None:
    """Look at the version.

    Raises:
        StateError: the state is of another version than this code reads.
    """
    if not data or data[0] != VERSION:
        found = f"version {data[0]}" if data else "empty"
        raise StateError(
            f"A patient's state is {found}, this worker reads version {VERSION}: run the release "
            "that wrote it, or make the states anew with `vigil rebuild bedside`."
        )


def decode(data: bytes) -> State:
    """Read what `encode` wrote.

    Raises:
        StateError: another version, or bytes that are not a whole state.
    """
    check(data)
    raw = np.frombuffer(data, np.uint8)
    state = State()
    at = get_row(raw, 1, _EMPTY, state.base)
    if at >= 0:
        at = get_row(raw, at, _NO_BOUNDS, state.bounds)
    if at >= 0:
        state.origins, at = _get_rows(raw, at, 2)
    if at >= 0:
        state.log, at = _get_rows(raw, at, LOG_WIDTH)
    if at != len(raw):
        raise StateError(DAMAGED)
    return state

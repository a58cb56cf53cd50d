"""The rolling window of one patient: what is remembered of the readings so far.

A window is one row of 64-bit integers, so that thousands lie in one array and a compiled loop runs
over them. Everything in it is exact: values are whole hundredths of their unit, times whole
milliseconds. It holds

* per hour of event time (the last `HOURS`) and vital sign the count and the sum of the values;
* per vital sign the five-minute slot of its newest value, with count and sum;
* the last few readings' pulse and temperature, for the features of the original feed;
* the fingerprints of the last readings, to know a duplicate;
* per vital sign how long its value has not varied, to know a sensor that fails;
* who the patient is to the model: age, sex, admission times, and how many laboratory results had
  arrived.

**Why hours.** Feeds range from a nurse's reading an hour to a monitor's reading a second. Means,
extremes and spread are therefore taken over *hourly means*, and counts count *hours with a
measurement*: a monitor's feed and its own hourly digest then mean the same to the model, and 24
hours of a patient cost the same memory at any rate. **Why five minutes.** A current value that was
the mean of the running hour would hide a patient who crashes at ten to; a single second would be
noise.

**Which hour.** An hour includes its end and not its beginning: a chart gives the value of 9 to 10
o'clock the time 10:00, and a monitor's readings after 9:00 up to 10:00 are the same hour.

Event time alone decides: the window knows no clock and no order of arrival but its own readings'.
Only what is known of the sensors passes over readings out of order.
"""

import numpy as np
from numpy.typing import NDArray

from config.clock import HOUR_MS
from models.anomaly import STATE_WIDTH, empty_state, remember
from models.compiled import kernel
from models.vitals import MISSING, VITALS, index_of

__all__ = [
    "CONTEXT",
    "CONTEXT_AT",
    "HOURS",
    "HOUR_MS",
    "MAX_GRACE_MS",
    "MISSING",
    "SLOT_MS",
    "WIDTH",
    "empty_window",
    "hour_of",
    "observe",
    "slot_of",
    "take_in",
]

SLOT_MS = 300_000
#: Hours kept: 24 for the longest window, the rest for late readings that look back from the past.
HOURS = 32
#: The longest grace for late readings for which every window is still whole.
MAX_GRACE_MS = (HOURS - 24) * HOUR_MS

VITAL_COUNT = len(VITALS)
RECENT = 4  # readings kept one by one; two are needed, two more let a late one find its place
RECENT_FIELDS = 3  # time, pulse, temperature
FINGERPRINTS = 16

# Columns of a window.
NEWEST = 0  # observed time of the newest reading, ms
READINGS = 1  # readings taken in
AGE, SEX, ICU_ADMITTED, HOSPITAL_ADMITTED = 2, 3, 4, 5  # hundredths of a year, 0/1, ms, ms
LABS_SEEN = 6  # laboratory results that had arrived; which, `tables.labs` knows
CONTEXT_AT, CONTEXT = AGE, 5
RECENT_AT = CONTEXT_AT + CONTEXT
FINGERPRINT_AT = RECENT_AT + RECENT * RECENT_FIELDS
MEASURED_AT = FINGERPRINT_AT + FINGERPRINTS  # per vital sign: time of its newest value, ms
SLOT_COUNT_AT = MEASURED_AT + VITAL_COUNT
SLOT_SUM_AT = SLOT_COUNT_AT + VITAL_COUNT
HOUR_AT = SLOT_SUM_AT + VITAL_COUNT  # which hour (since 1970) each bucket holds
COUNT_AT = HOUR_AT + HOURS
SUM_AT = COUNT_AT + HOURS * VITAL_COUNT
SENSORS_AT = SUM_AT + HOURS * VITAL_COUNT  # see `models.anomaly.remember`
SENSORS_FOUND = SENSORS_AT + STATE_WIDTH  # what it found of the reading that was taken in last
WIDTH = SENSORS_FOUND + 1

# A fingerprint is a polynomial hash; both numbers keep every step within 63 bits, so that compiled
# and interpreted code agree. 43 bits among 16 readings: one false duplicate in 500 billion.
_HASH_BASE = 1_000_003
_HASH_SIZE = 2**43 - 57

# What became of a reading.
TAKEN = 0
OUT_OF_ORDER = 1  # older than the newest one, within the grace: put in its place
DUPLICATE = 2  # the same reading again: the window is as it was
LATE = 3  # older than the grace allows: the window is as it was, there is no result

_PULSE = index_of("pulse_rate")
_TEMPERATURE = index_of("temperature")


def empty_window() -> NDArray[np.int64]:
    """Return the window of a patient of whom nothing is known, shape [WIDTH]."""
    window = np.zeros(WIDTH, np.int64)
    window[NEWEST] = MISSING
    window[CONTEXT_AT:RECENT_AT] = MISSING
    window[RECENT_AT:FINGERPRINT_AT] = MISSING
    window[MEASURED_AT:SLOT_COUNT_AT] = MISSING
    window[HOUR_AT:COUNT_AT] = MISSING
    window[SENSORS_AT:SENSORS_FOUND] = empty_state()
    return window


@kernel
def hour_of(at_ms: int) -> int:
    """Hour of a time, counted from 1970; a whole hour ends the hour before it."""
    return (at_ms - 1) // HOUR_MS


@kernel
def slot_of(at_ms: int) -> int:
    """Five-minute slot of a time, counted as `hour_of` counts."""
    return (at_ms - 1) // SLOT_MS


@kernel
def _remember_recent(window: NDArray[np.int64], at_ms: int, pulse: int, temperature: int) -> None:
    """Insert a reading into the last few, kept newest first by observed time."""
    place = 0
    while place < RECENT and window[RECENT_AT + place * RECENT_FIELDS] > at_ms:
        place += 1
    if place == RECENT:
        return
    for entry in range(RECENT - 1, place, -1):
        for field in range(RECENT_FIELDS):
            window[RECENT_AT + entry * RECENT_FIELDS + field] = window[
                RECENT_AT + (entry - 1) * RECENT_FIELDS + field
            ]
    start = RECENT_AT + place * RECENT_FIELDS
    window[start] = at_ms
    window[start + 1] = pulse
    window[start + 2] = temperature


@kernel
def _fingerprint(at_ms: int, values: NDArray[np.int64], device: int) -> int:
    """A number from 1 on that is the same for the same reading sent again."""
    mixed = device % _HASH_SIZE
    mixed = (mixed * _HASH_BASE + at_ms) % _HASH_SIZE
    for v in range(VITAL_COUNT):
        mixed = (mixed * _HASH_BASE + values[v] % _HASH_SIZE) % _HASH_SIZE
    return mixed + 1


@kernel
def observe(
    window: NDArray[np.int64],
    at_ms: int,
    values: NDArray[np.int64],
    device: int,
    grace_ms: int,
) -> int:
    """Take one reading into a window.

    Args:
        window: changed in place, shape [WIDTH].
        at_ms: observed time.
        values: hundredths in the order of `VITALS`, `MISSING` = not measured, shape [8].
        device: a number for the device; the same values of two devices are two readings.
        grace_ms: how much older than the newest reading one may be, at most `MAX_GRACE_MS`.

    Returns:
        `TAKEN`, `OUT_OF_ORDER`, `DUPLICATE` or `LATE`.
    """
    newest = window[NEWEST]
    if newest != MISSING and at_ms < newest - grace_ms:
        return LATE
    fingerprint = _fingerprint(at_ms, values, device)
    for i in range(FINGERPRINTS):
        if window[FINGERPRINT_AT + i] == fingerprint:
            return DUPLICATE
    window[FINGERPRINT_AT + window[READINGS] % FINGERPRINTS] = fingerprint
    window[READINGS] += 1

    _remember_recent(window, at_ms, values[_PULSE], values[_TEMPERATURE])

    hour = hour_of(at_ms)
    bucket = hour % HOURS
    held = window[HOUR_AT + bucket]
    if held < hour:  # the ring has come round: what it held is out of every window
        window[HOUR_AT + bucket] = hour
        for v in range(VITAL_COUNT):
            window[COUNT_AT + bucket * VITAL_COUNT + v] = 0
            window[SUM_AT + bucket * VITAL_COUNT + v] = 0
    if held <= hour:
        for v in range(VITAL_COUNT):
            if values[v] != MISSING:
                window[COUNT_AT + bucket * VITAL_COUNT + v] += 1
                window[SUM_AT + bucket * VITAL_COUNT + v] += values[v]

    window[SENSORS_FOUND] = remember(window[SENSORS_AT:SENSORS_FOUND], at_ms, values)

    slot = slot_of(at_ms)
    for v in range(VITAL_COUNT):
        if values[v] == MISSING:
            continue
        measured = window[MEASURED_AT + v]
        if measured == MISSING or slot > slot_of(measured):
            window[SLOT_COUNT_AT + v] = 0
            window[SLOT_SUM_AT + v] = 0
        elif slot < slot_of(measured):
            continue
        window[SLOT_COUNT_AT + v] += 1
        window[SLOT_SUM_AT + v] += values[v]
        if measured == MISSING or at_ms > measured:
            window[MEASURED_AT + v] = at_ms

    if newest == MISSING or at_ms >= newest:
        window[NEWEST] = at_ms
        return TAKEN
    return OUT_OF_ORDER


@kernel
def take_in(
    window: NDArray[np.int64],
    at_ms: NDArray[np.int64],
    values: NDArray[np.int64],
    devices: NDArray[np.int64],
    context: NDArray[np.int64],
    grace_ms: int,
) -> None:
    """Take readings of one patient into a window, in the order given; see `observe`."""
    for i in range(len(at_ms)):
        window[CONTEXT_AT : CONTEXT_AT + CONTEXT] = context[i]
        observe(window, at_ms[i], values[i], devices[i], grace_ms)

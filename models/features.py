"""Features of a reading from its patient's window: one function for training and the stream.

`FEATURES` names the columns, in the order in which a model sees them; each feature belongs to a
`GROUPS` entry, the unit in which a clinician is told what drove a risk. `replay` runs readings
through windows one by one, in the order given, so a reading's features do not depend on how many
readings came with it.

For each of seven vital signs (heart rate is the ECG's, or the oximeter's pulse where there is no
ECG), with windows that end with the reading's own hour:

==================  ====================================================================
``<v>``             current value: mean of the five minutes up to its newest measurement
``<v>_hours_ago``   hours since it was last measured
``<v>_step``        current value less the previous measured hour's mean
``<v>_mean_6h`` …   mean, sd, min, max over hourly means, and count of hours measured
``<v>_mean_24h`` …  the same over 24 hours
``<v>_change_24h``  current value less the 24-hour mean
==================  ====================================================================

Then shock index (heart rate / systolic pressure; Allgöwer & Burri 1967), pulse pressure, the
scores of `models.scores`, how much was measured at all, and the context of the admission. The
laboratory's (`models.labs`) come last; they are computed apart, because few feeds have them.
"""

import math

import numpy as np
from numpy.typing import NDArray

from models.compiled import kernel
from models.labs import LAB_FEATURES, LAB_GROUPS, LABS
from models.scores import news2, qsofa, sirs
from models.vitals import SCALE, VITALS, index_of
from models.window import (
    AGE,
    CONTEXT,
    CONTEXT_AT,
    COUNT_AT,
    DUPLICATE,
    FINGERPRINT_AT,
    HOSPITAL_ADMITTED,
    HOUR_AT,
    HOUR_MS,
    HOURS,
    ICU_ADMITTED,
    LATE,
    MEASURED_AT,
    MISSING,
    RECENT_AT,
    RECENT_FIELDS,
    SEX,
    SLOT_COUNT_AT,
    SLOT_SUM_AT,
    SUM_AT,
    VITAL_COUNT,
    hour_of,
    observe,
    slot_of,
)

__all__ = [
    "BEDSIDE_FEATURES",
    "CLOCK_FEATURES",
    "CONTEXT_FEATURES",
    "CURRENT",
    "FEATURES",
    "FEATURE_SETS",
    "GROUPS",
    "GROUP_OF",
    "ORIGINAL_FEATURES",
    "VITAL_FEATURES",
    "answer",
    "replay",
]

#: The vital signs a clinician thinks in: the pulse stands in for a missing ECG heart rate.
CURRENT = ("heart_rate", "resp_rate", "temperature", "spo2", "sbp", "dbp", "map")
_SOURCE = np.array([index_of(name) for name in CURRENT])
_HEART, _RESP, _TEMP, _SPO2, _SBP, _DBP, _MAP = range(len(CURRENT))
_ECG, _PULSE = index_of("heart_rate"), index_of("pulse_rate")

_PER_VITAL = (
    "{}", "{}_hours_ago", "{}_step",
    "{}_mean_6h", "{}_sd_6h", "{}_min_6h", "{}_max_6h", "{}_count_6h",
    "{}_mean_24h", "{}_sd_24h", "{}_min_24h", "{}_max_24h", "{}_count_24h",
    "{}_change_24h",
)  # fmt: skip
_DERIVED = (
    "shock_index",
    "pulse_pressure",
    "news2",
    "qsofa",
    "sirs",
    "measured_6h",
    "measured_24h",
)
_DERIVED_GROUPS = ("circulation",) * 2 + ("scores",) * 3 + ("monitoring",) * 2

VITAL_FEATURES: tuple[str, ...] = (
    tuple(name.format(vital) for vital in CURRENT for name in _PER_VITAL) + _DERIVED
)
CLOCK_FEATURES = ("icu_hours",)
CONTEXT_FEATURES = ("age", "sex", "hours_before_icu", *CLOCK_FEATURES)
#: What the windows give; the laboratory's features follow.
BEDSIDE_FEATURES = VITAL_FEATURES + CONTEXT_FEATURES
FEATURES = BEDSIDE_FEATURES + LAB_FEATURES
#: What a model may look at, by what a site sends.
FEATURE_SETS: dict[str, tuple[str, ...]] = {
    "vitals": VITAL_FEATURES,
    "context": BEDSIDE_FEATURES,
    "labs": FEATURES,
}

GROUPS: tuple[str, ...] = (
    *CURRENT, "circulation", "scores", "monitoring", "patient", "stay", *LAB_GROUPS,
)  # fmt: skip
GROUP_OF: tuple[str, ...] = (
    tuple(vital for vital in CURRENT for _ in _PER_VITAL)
    + _DERIVED_GROUPS
    + ("patient", "patient", "stay", "stay")
    + tuple(lab.group for lab in LABS for _ in range(len(LAB_FEATURES) // len(LABS)))
)

#: The features of the original feed, under their own names.
ORIGINAL_FEATURES = (
    "MDC_PULS_OXIM_PULS_RATE_Result_min",
    "MDC_TEMP_Result_mean",
    "MDC_PULS_OXIM_PULS_RATE_Result_mean",
    "HR_to_RR_Ratio",
)

_WIDTH = len(FEATURES)
_EACH = len(_PER_VITAL)
_DERIVED_AT = _EACH * len(CURRENT)
_CONTEXT_AT = _DERIVED_AT + len(_DERIVED)
_LABS_AT = _CONTEXT_AT + len(CONTEXT_FEATURES)
assert len(GROUP_OF) == _WIDTH, "every feature belongs to a group"
assert {vital.name for vital in VITALS} >= set(CURRENT), "a clinical vital sign is not on the wire"


@kernel
def _column(window: NDArray[np.int64], vital: int) -> int:
    """Column of the state that feeds a clinical vital sign.

    For the heart the ECG comes before the oximeter, until the ECG has been silent for an hour.
    """
    column = _SOURCE[vital]
    if column == _ECG and window[MEASURED_AT + _PULSE] != MISSING:
        ecg = window[MEASURED_AT + _ECG]
        if ecg == MISSING or window[MEASURED_AT + _PULSE] - ecg > HOUR_MS:
            return _PULSE
    return column


@kernel
def _windowed(
    window: NDArray[np.int64], column: int, hour: int, hours: int, out: NDArray[np.float64]
) -> None:
    """Mean, sd, min, max and count of the hourly means of the last ``hours`` hours into ``out``."""
    count = 0
    total = 0.0
    low = math.inf
    high = -math.inf
    for back in range(hours - 1, -1, -1):  # oldest first: one order of addition, always
        bucket = (hour - back) % HOURS
        if window[HOUR_AT + bucket] != hour - back:
            continue
        n = window[COUNT_AT + bucket * VITAL_COUNT + column]
        if n == 0:
            continue
        mean = window[SUM_AT + bucket * VITAL_COUNT + column] / (n * SCALE)
        count += 1
        total += mean
        low = min(low, mean)
        high = max(high, mean)
    out[4] = count
    if count == 0:
        out[:4] = math.nan
        return
    average = total / count
    squares = 0.0
    for back in range(hours - 1, -1, -1):
        bucket = (hour - back) % HOURS
        if window[HOUR_AT + bucket] != hour - back:
            continue
        n = window[COUNT_AT + bucket * VITAL_COUNT + column]
        if n > 0:
            off = window[SUM_AT + bucket * VITAL_COUNT + column] / (n * SCALE) - average
            squares += off * off
    out[0] = average
    out[1] = math.sqrt(squares / count)
    out[2] = low
    out[3] = high


@kernel
def _measured_hour(window: NDArray[np.int64], column: int, hour: int) -> int:
    """Newest of the 24 hours up to ``hour`` with a measurement, or MISSING."""
    for back in range(24):
        bucket = (hour - back) % HOURS
        if (
            window[HOUR_AT + bucket] == hour - back
            and window[COUNT_AT + bucket * VITAL_COUNT + column] > 0
        ):
            return hour - back
    return MISSING


@kernel
def _hourly_mean(window: NDArray[np.int64], column: int, hour: int) -> float:
    cell = (hour % HOURS) * VITAL_COUNT + column
    return window[SUM_AT + cell] / (window[COUNT_AT + cell] * SCALE)


@kernel
def _current(window: NDArray[np.int64], column: int, at_ms: int) -> float:
    """Value now: of the newest five minutes; for a late reading, of the hours up to its own."""
    measured = window[MEASURED_AT + column]
    if measured == MISSING:
        return math.nan
    hour = _measured_hour(window, column, hour_of(at_ms))
    if hour == MISSING:
        return math.nan
    if slot_of(measured) <= slot_of(at_ms):
        return window[SLOT_SUM_AT + column] / (window[SLOT_COUNT_AT + column] * SCALE)
    return _hourly_mean(window, column, hour)


@kernel
def _context(window: NDArray[np.int64], at_ms: int, out: NDArray[np.float64]) -> None:
    out[:] = math.nan
    if window[AGE] != MISSING:
        out[0] = window[AGE] / SCALE
    if window[SEX] != MISSING:
        out[1] = window[SEX]
    icu = window[ICU_ADMITTED]
    if icu != MISSING:
        if window[HOSPITAL_ADMITTED] != MISSING:
            out[2] = (icu - window[HOSPITAL_ADMITTED]) / HOUR_MS
        out[3] = (at_ms - icu) / HOUR_MS


@kernel
def _original(
    window: NDArray[np.int64], at_ms: int, values: NDArray[np.int64], out: NDArray[np.float64]
) -> None:
    """The four features of the original feed: over the last two readings at or before this one."""
    out[:] = math.nan
    first = RECENT_AT
    while first < FINGERPRINT_AT and window[first] > at_ms:
        first += RECENT_FIELDS
    pulses = 0
    temperatures = 0
    pulse_sum = 0
    temperature_sum = 0
    for entry in range(first, min(first + 2 * RECENT_FIELDS, FINGERPRINT_AT), RECENT_FIELDS):
        if window[entry] == MISSING:
            continue
        pulse = window[entry + 1]
        if pulse != MISSING:
            out[0] = pulse / SCALE if pulses == 0 else min(out[0], pulse / SCALE)
            pulses += 1
            pulse_sum += pulse
        if window[entry + 2] != MISSING:
            temperatures += 1
            temperature_sum += window[entry + 2]
    if temperatures > 0:
        out[1] = temperature_sum / (temperatures * SCALE)
    if pulses > 0:
        out[2] = pulse_sum / (pulses * SCALE)
    heart, resp = values[_ECG], values[_SOURCE[_RESP]]
    if heart != MISSING and resp != MISSING and resp > 0:
        out[3] = heart / resp


@kernel
def _features(window: NDArray[np.int64], at_ms: int, out: NDArray[np.float64]) -> None:
    """All of `BEDSIDE_FEATURES` for a reading that the window has taken in."""
    hour = hour_of(at_ms)
    measured_6h = 0.0
    measured_24h = 0.0
    for vital in range(len(CURRENT)):
        column = _column(window, vital)
        row = out[vital * _EACH : (vital + 1) * _EACH]
        now = _current(window, column, at_ms)
        row[0] = now
        measured = window[MEASURED_AT + column]
        row[1] = math.nan
        if measured != MISSING:
            row[1] = max(at_ms - measured, 0) / HOUR_MS
        row[2] = math.nan
        newest = _measured_hour(window, column, hour)
        if newest != MISSING:
            before = _measured_hour(window, column, newest - 1)
            if before != MISSING and before > hour - 24:
                row[2] = now - _hourly_mean(window, column, before)
        _windowed(window, column, hour, 6, row[3:8])
        _windowed(window, column, hour, 24, row[8:13])
        row[13] = now - row[8]
        measured_6h += row[7]
        measured_24h += row[12]

    heart, resp, sbp = out[_HEART * _EACH], out[_RESP * _EACH], out[_SBP * _EACH]
    temperature, spo2 = out[_TEMP * _EACH], out[_SPO2 * _EACH]
    derived = out[_DERIVED_AT:_CONTEXT_AT]
    derived[0] = heart / sbp
    derived[1] = sbp - out[_DBP * _EACH]
    derived[2] = news2(resp, spo2, sbp, heart, temperature)
    derived[3] = qsofa(resp, sbp)
    derived[4] = sirs(temperature, heart, resp)
    derived[5] = measured_6h
    derived[6] = measured_24h
    _context(window, at_ms, out[_CONTEXT_AT:_LABS_AT])


@kernel
def answer(
    window: NDArray[np.int64],
    at_ms: int,
    values: NDArray[np.int64],
    device: int,
    context: NDArray[np.int64],
    known: bool,
    grace_ms: int,
    features: NDArray[np.float64],
    original: NDArray[np.float64],
) -> int:
    """Take one reading into its patient's window and compute its features; see `replay`."""
    outcome = DUPLICATE
    if not known:
        window[CONTEXT_AT : CONTEXT_AT + CONTEXT] = context
        outcome = observe(window, at_ms, values, device, grace_ms)
    if outcome != LATE:
        _features(window, at_ms, features)
        _original(window, at_ms, values, original)
    return outcome


@kernel
def replay(
    windows: NDArray[np.int64],
    rows: NDArray[np.int64],
    at_ms: NDArray[np.int64],
    values: NDArray[np.int64],
    devices: NDArray[np.int64],
    context: NDArray[np.int64],
    known: NDArray[np.bool_],
    grace_ms: int,
    features: NDArray[np.float64],
    original: NDArray[np.float64],
    outcomes: NDArray[np.int8],
) -> None:
    """Run readings through their patients' windows, one by one in the order given.

    Args:
        windows: one row a patient, changed in place, shape [patients, WIDTH].
        rows: which window each reading belongs to, shape [n].
        at_ms: observed times, shape [n].
        values: hundredths, `MISSING` = not measured, shape [n, 8].
        devices: see `models.window.observe`, shape [n].
        context: who the patient is as far as is known with this reading; the window's columns
            from `models.window.CONTEXT_AT` on, shape [n, 5].
        known: True for a reading that the window has taken in before, shape [n].
        grace_ms: see `models.window.observe`.
        features: filled, in the order of `BEDSIDE_FEATURES`, NaN = not known; further columns and
            the row of a late reading are left as they are, shape [n, features].
        original: filled, in the order of `ORIGINAL_FEATURES`, shape [n, 4].
        outcomes: filled with what became of each reading, shape [n].
    """
    for i in range(len(rows)):
        outcomes[i] = answer(
            windows[rows[i]], at_ms[i], values[i], devices[i], context[i], known[i], grace_ms,
            features[i], original[i],
        )  # fmt: skip

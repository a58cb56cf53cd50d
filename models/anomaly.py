"""Sensor anomalies, told apart from sick patients: the written rule ``sensor-anomaly/1``.

A sick patient's values are extreme; a failing sensor's contradict each other, or time. So no rule
here asks whether a value is high or low. None changes a value, a feature or a risk either: a flag
tells the reader of a recommendation what to check at the bedside.

**Within a reading** (`inspect`; flags of `models.quality`):

===========================  =====================================================================
``pressures_swapped``        systolic below diastolic pressure
``map_outside_pressures``    mean pressure over 20 mm[Hg] below the diastolic or above the systolic.
                             Line and cuff may disagree: a device may be 5 mm[Hg] off on average
                             with an SD of 8 (ISO 81060-2), so two standard deviations are 21
``heart_and_resp_swapped``   more breaths than heart beats, as sent
``pulse_differs``            ECG and oximeter more than 30 /min and more than a quarter apart:
                             double counting, a lost signal, another patient's finger. The pulse
                             deficit of atrial fibrillation is mostly smaller
``pressure_in_kpa``          two or three pressures, none of which can be mm[Hg] of a living adult
                             and all of which are usual in kPa
===========================  =====================================================================

**Over time** (`remember`; bits of its own, see `anomaly_names`), for each vital sign:

* ``…_flat_line``: a monitor's feed, 120 readings or more, that did not vary at all for half an hour
  (heart and pulse), an hour (breathing, saturation below 100 %), six hours (pressures: monitors
  repeat the last cuff value, and cuffs pump every four hours at least), twelve hours (temperature).
* ``…_stuck``: a chart with the same value again and again: six (systolic, mean), eight (diastolic),
  twelve (saturation below 100 %), 24 (temperature) times, over as many hours less one. Not for
  heart, pulse and breathing: a pacemaker and a ventilator hold a rate for days. The same value
  three times in a row is normal.
* ``…_jump``: a change since the last value of the past hour that no body makes, see `JUMPS`.

What the rule does on recorded patients, septic and not, stands in docs/model.md; ``vigil evaluate
sensors`` measures it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from models.compiled import kernel
from models.quality import (
    HEART_AND_RESP_SWAPPED,
    MAP_OUTSIDE,
    PRESSURE_IN_KPA,
    PRESSURES_SWAPPED,
    PULSE_DIFFERS,
)
from models.vitals import MISSING, SCALE, VITALS, index_of

__all__ = [
    "ANOMALY_NAMES",
    "FLAT",
    "JUMP",
    "JUMPS",
    "SENSOR_RULE",
    "STATE_WIDTH",
    "STUCK",
    "anomaly_names",
    "empty_state",
    "inspect",
    "remember",
]

SENSOR_RULE = "sensor-anomaly/1"

_HEART, _PULSE, _RESP = index_of("heart_rate"), index_of("pulse_rate"), index_of("resp_rate")
_TEMPERATURE, _SPO2 = index_of("temperature"), index_of("spo2")
_SBP, _DBP, _MAP = index_of("sbp"), index_of("dbp"), index_of("map")
_COUNT = len(VITALS)
_MINUTE = 60_000
_HOUR = 60 * _MINUTE

#: How far the mean pressure may lie outside the other two, hundredths of mm[Hg].
_MAP_TOLERANCE = 20 * SCALE
#: What ECG and oximeter may differ by, hundredths of /min, and as a share of the higher.
_PULSE_TOLERANCE, _PULSE_SHARE = 30 * SCALE, 0.25
#: Usual pressures in kPa, lowest and highest, of sbp, dbp and map: 45 to 260, 15 to 165 and 22 to
#: 200 mm[Hg].
_KPA = ((6.0, 35.0), (2.0, 22.0), (3.0, 27.0))

#: Readings and time without any variation that make a flat line, in the order of `VITALS`.
_FLAT_READINGS = 120
_FLAT_MS = np.array([30, 30, 60, 720, 60, 360, 360, 360], np.int64) * _MINUTE
#: The same for charts. Never = more than there are.
_NEVER = 2**62
_STUCK_READINGS = np.array([_NEVER, _NEVER, _NEVER, 24, 12, 6, 8, 6], np.int64)
_STUCK_MS = np.where(_STUCK_READINGS == _NEVER, 0, (_STUCK_READINGS - 1) * _HOUR)
_FULL = 100 * SCALE

#: What a vital sign may change by at once, by more a minute, and at most within an hour, by name.
#:
#: * heart, pulse: from 50 /min in sleep to a paroxysmal tachycardia of 200 in one beat: never more.
#: * breathing: from 8 to 58 in one breath.
#: * temperature: two probe sites differ by up to 2 degrees; cold-water immersion, the fastest
#:   treatment, takes 0.22 (SD 0.11) Cel a minute (DeMartini et al., Med Sci Sports Exerc 2015;
#:   47:240-245), extracorporeal rewarming up to 10 an hour.
#: * saturation: 4 % a second, the limit of sleep laboratories (Taha et al., Sleep 1997;
#:   20:991-1001).
#: * pressures: no body has a known limit within minutes; set where fewer than one in 3,000 changes
#:   from hour to hour lie beyond, in septic patients too.
JUMPS: dict[str, tuple[float, float, float]] = {
    "heart_rate": (150, 0, 150),
    "pulse_rate": (150, 0, 150),
    "resp_rate": (50, 0, 50),
    "temperature": (2, 0.35, 10),
    "spo2": (4, 240, 100),
    "sbp": (150, 0, 150),
    "dbp": (120, 0, 120),
    "map": (150, 0, 150),
}
_JUMPS = np.array([JUMPS[vital.name] for vital in VITALS]) * SCALE

#: Bits of what `remember` finds: of the first vital sign; that of the next is the next bit.
FLAT, STUCK, JUMP = 1, 1 << _COUNT, 1 << 2 * _COUNT

ANOMALY_NAMES: tuple[str, ...] = tuple(
    f"{vital.name}_{what}" for what in ("flat_line", "stuck", "jump") for vital in VITALS
)

# A state: of each vital sign the last value, when it was first and last seen, how often in a row.
_VALUE, _SINCE, _LAST, _TIMES = 0, _COUNT, 2 * _COUNT, 3 * _COUNT
STATE_WIDTH = 4 * _COUNT


@kernel
def inspect(
    values: NDArray[np.float64], hundredths: NDArray[np.int64], flags: NDArray[np.int32]
) -> None:
    """Add the flags of values that contradict each other within a reading.

    Args:
        values: as sent, NaN = not measured, shape [n, 8].
        hundredths: as `models.quality.screen` left them, shape [n, 8].
        flags: of `models.quality.screen`; added to, shape [n].
    """
    for i in range(len(values)):
        heart, pulse = hundredths[i, _HEART], hundredths[i, _PULSE]
        sbp, dbp, mean = hundredths[i, _SBP], hundredths[i, _DBP], hundredths[i, _MAP]
        # MISSING is lower than any value, so only what should be the lower one is asked for it
        if sbp != MISSING and sbp < dbp:
            flags[i] |= PRESSURES_SWAPPED
        if mean != MISSING and (
            (dbp != MISSING and mean < dbp - _MAP_TOLERANCE)
            or (sbp != MISSING and mean > sbp + _MAP_TOLERANCE)
        ):
            flags[i] |= MAP_OUTSIDE
        # as sent: swapped, they are often implausible; a heart rate of 0 is a lead that is off
        if values[i, _RESP] > values[i, _HEART] > 0:
            flags[i] |= HEART_AND_RESP_SWAPPED
        if heart != MISSING and pulse != MISSING:
            apart = abs(heart - pulse)
            if apart > _PULSE_TOLERANCE and apart > _PULSE_SHARE * max(heart, pulse):
                flags[i] |= PULSE_DIFFERS
        if _in_kpa(values[i, _SBP], values[i, _DBP], values[i, _MAP]):
            flags[i] |= PRESSURE_IN_KPA


@kernel
def _in_kpa(sbp: float, dbp: float, mean: float) -> bool:
    """Whether all pressures that were sent, two at least, are usual in kPa and in order."""
    sent = 0
    if not math.isnan(sbp):
        if not _KPA[0][0] <= sbp <= _KPA[0][1]:
            return False
        sent += 1
    if not math.isnan(dbp):
        if not _KPA[1][0] <= dbp <= _KPA[1][1]:
            return False
        sent += 1
    if not math.isnan(mean):
        if not _KPA[2][0] <= mean <= _KPA[2][1]:
            return False
        sent += 1
    return sent >= 2 and not (sbp < dbp or sbp < mean or mean < dbp)


def empty_state() -> NDArray[np.int64]:
    """Return the state of a patient of whom nothing was measured yet, shape [STATE_WIDTH]."""
    state = np.zeros(STATE_WIDTH, np.int64)
    state[:_TIMES] = MISSING
    return state


@kernel
def remember(state: NDArray[np.int64], at_ms: int, hundredths: NDArray[np.int64]) -> int:
    """Take one reading in, and say what is wrong with it in view of the patient's past.

    A value that is not newer than the vital sign's newest one is passed over: a reading out of
    order, or one that was there before, neither finds nor changes anything.

    Args:
        state: of the patient; changed in place, shape [STATE_WIDTH].
        at_ms: observed time.
        hundredths: `MISSING` = not measured, shape [8].

    Returns:
        A sum of bits: `FLAT`, `STUCK` and `JUMP`, each shifted by the vital sign's column; see
        `anomaly_names`.
    """
    found = 0
    for v in range(_COUNT):
        value, last = hundredths[v], state[_LAST + v]
        if value == MISSING or (last != MISSING and at_ms <= last):
            continue
        before = state[_VALUE + v]
        if last != MISSING and at_ms - last <= _HOUR:
            allowed = _JUMPS[v, 0] + _JUMPS[v, 1] * (at_ms - last) / _MINUTE
            if abs(value - before) > min(allowed, _JUMPS[v, 2]):
                found |= JUMP << v
        state[_LAST + v] = at_ms
        if value != before:
            state[_VALUE + v] = value
            state[_SINCE + v] = at_ms
            state[_TIMES + v] = 1
            continue
        state[_TIMES + v] += 1
        if v == _SPO2 and value >= _FULL:
            continue  # breathing oxygen holds it there
        times, lasted = state[_TIMES + v], at_ms - state[_SINCE + v]
        if times >= _FLAT_READINGS and lasted >= _FLAT_MS[v]:
            found |= FLAT << v
        if times >= _STUCK_READINGS[v] and lasted >= _STUCK_MS[v]:
            found |= STUCK << v
    return found


def anomaly_names(bits: int) -> list[str]:
    """Names of the anomalies in ``bits``.

    >>> anomaly_names(FLAT << 4 | JUMP)
    ['spo2_flat_line', 'heart_rate_jump']
    """
    return [name for bit, name in enumerate(ANOMALY_NAMES) if bits & (1 << bit)]

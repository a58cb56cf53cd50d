"""Which values count: the written rule for implausible vital signs (``vitals-ranges/1``).

See `models.vitals` for the two ranges. Training and the stream screen with the same kernel. A
temperature that is implausible in Celsius and plausible in Fahrenheit is named as what it probably
is, and so is a saturation given as a share of one; they are left out all the same, because a guess
at a unit is not a measurement. `models.anomaly` adds what is wrong between the values of a reading.
"""

import math

import numpy as np
from numpy.typing import NDArray

from models.compiled import kernel
from models.vitals import MISSING, SCALE, VITALS, index_of

__all__ = [
    "FAHRENHEIT",
    "FLAG_NAMES",
    "FRACTION",
    "HEART_AND_RESP_SWAPPED",
    "MAP_OUTSIDE",
    "PRESSURES_SWAPPED",
    "PRESSURE_IN_KPA",
    "PULSE_DIFFERS",
    "flag_names",
    "impossible",
    "screen",
]

_PLAUSIBLE = np.array([vital.plausible for vital in VITALS], np.float64)
_POSSIBLE = np.array([vital.possible for vital in VITALS], np.float64)
_TEMPERATURE = index_of("temperature")
#: 30 to 45 Cel in Fahrenheit.
_FAHRENHEIT = (86.0, 113.0)
_SPO2 = index_of("spo2")
#: 20 to 100 % as a share of one.
_FRACTION = (0.2, 1.0)

#: Bit of the flags that says: this temperature looks like Fahrenheit. Bits 0 to 7: the vital sign
#: of that column was implausible and left out.
FAHRENHEIT = 1 << len(VITALS)
#: The saturation looks like a share of one.
FRACTION = FAHRENHEIT << 1
#: Of the rule in `models.anomaly`.
PRESSURE_IN_KPA, PRESSURES_SWAPPED, MAP_OUTSIDE = FRACTION << 1, FRACTION << 2, FRACTION << 3
HEART_AND_RESP_SWAPPED, PULSE_DIFFERS = FRACTION << 4, FRACTION << 5

FLAG_NAMES: tuple[str, ...] = (
    *(f"{vital.name}_implausible" for vital in VITALS),
    "temperature_in_fahrenheit",
    "spo2_as_fraction",
    "pressure_in_kpa",
    "pressures_swapped",
    "map_outside_pressures",
    "heart_and_resp_swapped",
    "pulse_differs",
)


@kernel
def screen(
    values: NDArray[np.float64], hundredths: NDArray[np.int64], flags: NDArray[np.int32]
) -> None:
    """Turn values into whole hundredths, leave out implausible ones and say which.

    Args:
        values: in their units, NaN = not measured, shape [n, 8].
        hundredths: filled, `MISSING` where not measured or left out, shape [n, 8].
        flags: filled with a sum of bits, shape [n]; see `flag_names`.
    """
    for i in range(len(values)):
        flags[i] = 0
        for v in range(values.shape[1]):
            value = values[i, v]
            hundredths[i, v] = MISSING
            if math.isnan(value):
                continue
            if _PLAUSIBLE[v, 0] <= value <= _PLAUSIBLE[v, 1]:
                hundredths[i, v] = round(value * SCALE)
            elif v == _TEMPERATURE and _FAHRENHEIT[0] <= value <= _FAHRENHEIT[1]:
                flags[i] |= FAHRENHEIT
            elif v == _SPO2 and _FRACTION[0] <= value <= _FRACTION[1]:
                flags[i] |= FRACTION
            else:
                flags[i] |= 1 << v


@kernel
def impossible(values: NDArray[np.float64], column: NDArray[np.int8]) -> None:
    """Find records that no sensor can have sent.

    Args:
        values: in their units, NaN = not measured, shape [n, 8].
        column: filled with the first vital sign out of its possible range, or -1, shape [n].
    """
    for i in range(len(values)):
        column[i] = -1
        for v in range(values.shape[1]):
            value = values[i, v]
            # written so that an infinity, like any value outside, fails it
            if not math.isnan(value) and not (_POSSIBLE[v, 0] <= value <= _POSSIBLE[v, 1]):
                column[i] = v
                break


def flag_names(flags: int) -> list[str]:
    """Names of the bits set in ``flags``.

    >>> flag_names(0b100000001)
    ['heart_rate_implausible', 'temperature_in_fahrenheit']
    """
    return [name for bit, name in enumerate(FLAG_NAMES) if flags & (1 << bit)]

"""Bedside scores over vital signs alone: NEWS2, qSOFA and SIRS, each without what no sensor sends.

All three are deterministic rules with a version. A vital sign that is not known adds nothing, so
each is a lower bound of the score a nurse would chart. Values are rounded as they are charted
(whole numbers; temperature to a tenth) before a threshold is applied.

Sources:
    NEWS2: Royal College of Physicians, *National Early Warning Score (NEWS) 2*, 2017, SpO2 scale 1;
    without supplemental oxygen and consciousness.
    qSOFA: Singer et al., JAMA 2016;315:801-810; without altered mentation (GCS), so at most 2.
    SIRS: Bone et al., Chest 1992;101:1644-1655; without white-cell count and PaCO2, so at most 3.
"""

import math

import numpy as np
from numpy.typing import NDArray

from models.compiled import kernel

__all__ = ["NEWS2_ITEMS", "NEWS2_RULE", "news2", "news2_item", "news2_points", "qsofa", "sirs"]

NEWS2_RULE = "news2-partial/1"

#: The vital signs NEWS2 looks at, in the order of the arguments of `news2`.
NEWS2_ITEMS = ("resp_rate", "spo2", "sbp", "heart_rate", "temperature")


@kernel
def news2_item(item: int, value: float) -> int:
    """Points (0 to 3) of one NEWS2 item; ``item`` counts in the order of `NEWS2_ITEMS`."""
    if math.isnan(value):
        return 0
    if item == 4:
        tenths = math.floor(value * 10 + 0.5)
        if tenths <= 350:
            return 3
        if tenths <= 360 or 381 <= tenths <= 390:
            return 1
        return 0 if tenths <= 380 else 2
    whole = math.floor(value + 0.5)
    if item == 0:
        if whole <= 8 or whole >= 25:
            return 3
        if whole <= 11:
            return 1
        return 0 if whole <= 20 else 2
    if item == 1:
        if whole <= 91:
            return 3
        if whole <= 93:
            return 2
        return 1 if whole <= 95 else 0
    if item == 2:
        if whole <= 90 or whole >= 220:
            return 3
        if whole <= 100:
            return 2
        return 1 if whole <= 110 else 0
    if whole <= 40 or whole >= 131:
        return 3
    if whole <= 50:
        return 1
    if whole <= 90:
        return 0
    return 1 if whole <= 110 else 2


@kernel
def news2(resp_rate: float, spo2: float, sbp: float, heart_rate: float, temperature: float) -> int:
    """NEWS2 without oxygen and consciousness, 0 to 15; NaN counts as not known.

    >>> news2(22.0, 95.0, 100.0, 112.0, 38.5)
    8
    """
    return (
        news2_item(0, resp_rate)
        + news2_item(1, spo2)
        + news2_item(2, sbp)
        + news2_item(3, heart_rate)
        + news2_item(4, temperature)
    )


@kernel
def _charted(value: float, parts: int) -> float:
    """Value as it is charted, in ``parts`` of its unit; NaN stays NaN."""
    return np.floor(value * parts + 0.5)


@kernel
def qsofa(resp_rate: float, sbp: float) -> int:
    """QSOFA without mentation, 0 to 2: >= 22 breaths/min, systolic pressure <= 100 mm[Hg]."""
    points = 0
    if _charted(resp_rate, 1) >= 22:
        points += 1
    if _charted(sbp, 1) <= 100:
        points += 1
    return points


@kernel
def sirs(temperature: float, heart_rate: float, resp_rate: float) -> int:
    """SIRS without white cells, 0 to 3: > 38 or < 36 Cel, > 90/min, > 20/min."""
    points = 0
    tenths = _charted(temperature, 10)
    if tenths > 380 or tenths < 360:
        points += 1
    if _charted(heart_rate, 1) > 90:
        points += 1
    if _charted(resp_rate, 1) > 20:
        points += 1
    return points


@kernel
def news2_points(values: NDArray[np.float64], points: NDArray[np.int8]) -> None:
    """Points of each item for many readings.

    Args:
        values: one column an item in the order of `NEWS2_ITEMS`, NaN = not known, shape [n, 5].
        points: filled, -1 = not known, shape [n, 5].
    """
    for i in range(len(values)):
        for item in range(values.shape[1]):
            points[i, item] = -1
            if not math.isnan(values[i, item]):
                points[i, item] = news2_item(item, values[i, item])

"""Thresholds that follow a hospital: re-tuned from labelled stays, in a state of fixed size.

On a grid of log-odds it is counted what an alarm from each threshold on would have earned
(`models.utility`: the utility of a threshold is a sum over hours) and how many alerts it would have
raised (`models.alarms`: with a lock-out). A stay is counted with the risk that was given before its
labels were learned. Old stays fade: the model that gave their risk has changed since.

Where little has been seen the champion's own thresholds hold. For the alarm threshold, the log-odds
further from them must have earned more by `Prior.pull` times half the squared distance. For the
tiers, `Prior.days` patient-days are taken to have been seen in which the champion's tiers spent
just their budgets, alerts falling exponentially with the log-odds between and beyond them.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.alarms import LOCKOUT_HOURS, URGENT_BUDGET, WARNING_BUDGET
from models.compiled import kernel
from models.risk import RiskModel, Tiers
from models.utility import utility_gains
from models.window import HOUR_MS

__all__ = ["GRID", "Prior", "Tally", "hourly_gains"]

#: Log-odds that may become a threshold: from a risk of 0.01 % to 95 %, odds 5 % apart.
GRID: NDArray[np.float64] = np.linspace(-9.0, 3.0, 241)
_STEP = float(GRID[1] - GRID[0])
#: Standard deviation, in log-odds, of the kernel that smooths the earnings.
_SMOOTH = 0.4
#: Logarithm of how many times the urgent budget a prior may expect: no more than two alerts a day.
_MOST = math.log(2 / URGENT_BUDGET)


@dataclass(frozen=True, slots=True)
class Prior:
    """How much must be seen before the champion's own thresholds are left.

    Attributes:
        pull: utility that a threshold one unit of log-odds away must have earned more, times two.
        days: patient-days that the champion's tiers count for.
    """

    pull: float = 400.0
    days: float = 500.0


@kernel
def _count_alerts(
    at_ms: NDArray[np.int64],
    logits: NDArray[np.float64],
    grid: NDArray[np.float64],
    lockout_ms: int,
    alerts: NDArray[np.float64],
) -> None:
    """Add the alerts of one stay at each threshold."""
    for threshold in range(len(grid)):
        free = at_ms[0]
        for i in range(len(at_ms)):
            if at_ms[i] >= free and logits[i] >= grid[threshold]:
                alerts[threshold] += 1
                free = at_ms[i] + lockout_ms


def hourly_gains(at_ms: NDArray[np.int64], labels: NDArray[np.int8]) -> NDArray[np.float64]:
    """What an alarm earns more than silence at readings of one patient, at most one an hour.

    Args:
        at_ms: observed times, ascending, shape [n].
        labels: 1 from six hours before onset on, else 0, shape [n].

    Returns:
        Gains as `models.utility.utility_gains` gives them, hours without a reading left out,
        shape [n].

    >>> hours = np.array([0, 1, 2, 12, 13]) * 3_600_000
    >>> hourly_gains(hours, np.array([0, 0, 0, 1, 1])).round(2).tolist()
    [-0.05, -0.05, -0.05, 1.0, 1.11]
    """
    hour = (at_ms - at_ms[0]) // HOUR_MS
    dense = np.zeros(hour[-1] + 1, np.int8)
    if labels.any():
        dense[hour[np.argmax(labels)] :] = 1
    return utility_gains([dense])[hour]


@dataclass(slots=True, eq=False)
class Tally:
    """What labelled stays say about thresholds.

    Attributes:
        gains: utility earned by alarms whose log-odds reach a threshold but not the next one, or
            not the first one, shape [thresholds + 1].
        alerts: alerts from each threshold on, shape [thresholds].
        days: patient-days.
        stays: stays, faded ones for less than one.
    """

    gains: NDArray[np.float64]
    alerts: NDArray[np.float64]
    days: float
    stays: float

    @classmethod
    def empty(cls) -> Self:
        """Nothing seen."""
        return cls(np.zeros(len(GRID) + 1), np.zeros(len(GRID)), 0.0, 0.0)

    def add(
        self,
        at_ms: NDArray[np.int64],
        logits: NDArray[np.float64],
        labels: NDArray[np.int8],
        *,
        keep: float = 1.0,
    ) -> None:
        """Count one stay.

        Args:
            at_ms: observed times, ascending, at most one an hour, shape [n].
            logits: log-odds that were given before the labels were learned, shape [n].
            labels: 1 from six hours before onset on, else 0, shape [n].
            keep: what is kept of the stays before it.
        """
        self.gains *= keep
        self.alerts *= keep
        self.days *= keep
        self.stays = self.stays * keep + 1
        bins = np.searchsorted(GRID, logits, side="right")
        self.gains += np.bincount(bins, hourly_gains(at_ms, labels), len(self.gains))
        _count_alerts(at_ms, logits, GRID, round(LOCKOUT_HOURS * HOUR_MS), self.alerts)
        # as `models.alarms.patient_days`: an hourly reading stands for an hour
        self.days += float(at_ms[-1] - at_ms[0] + HOUR_MS) / (24 * HOUR_MS)

    def merged(self, other: "Tally") -> "Tally":
        """Both together, as if one had counted all the stays without fading any of them further."""
        return Tally(
            self.gains + other.gains,
            self.alerts + other.alerts,
            self.days + other.days,
            self.stays + other.stays,
        )

    def tuned(self, champion: RiskModel, prior: Prior) -> tuple[float, Tiers]:
        """Threshold of the highest utility and tiers that spend their budgets.

        Args:
            champion: whose thresholds hold until there is better evidence.
            prior: how much of it there must be.

        Returns:
            Threshold and tiers, as probabilities; both are on the grid, or the champion's own
            threshold where nothing was seen.
        """
        if self.stays == 0:
            return champion.threshold, champion.tiers
        threshold = self._best(_logit(champion.threshold), prior.pull)
        warning, urgent = self._affordable(champion.tiers, prior.days)
        warning = min(warning, urgent)
        at = Tiers(min(threshold, warning), warning, urgent)
        return _probability(threshold), Tiers(*map(_probability, at))

    def _best(self, start: float, pull: float) -> float:
        # earned[j]: by alarms from the j-th threshold on
        earned = np.cumsum(self.gains[::-1])[::-1][1:]
        return float(GRID[np.argmax(_smoothed(earned) - pull / 2 * (GRID - start) ** 2)])

    def _affordable(self, tiers: Tiers, days: float) -> tuple[float, float]:
        low, high = _logit(tiers.warning), _logit(tiers.urgent)
        slope = math.log(WARNING_BUDGET / URGENT_BUDGET) / max(high - low, _STEP)
        expected = URGENT_BUDGET * np.exp(np.minimum(-slope * (GRID - high), _MOST))
        per_day = (self.alerts + days * expected) / (self.days + days)
        return _lowest(per_day, WARNING_BUDGET), _lowest(per_day, URGENT_BUDGET)


def _lowest(per_day: NDArray[np.float64], budget: float) -> float:
    """The lowest threshold above all that break the budget."""
    broken = np.flatnonzero(per_day > budget)
    if not len(broken):
        return float(GRID[0])
    return float(GRID[broken[-1]] + _STEP)


def _smoothed(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    reach = math.ceil(3 * _SMOOTH / _STEP)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) * _STEP / _SMOOTH) ** 2)
    padded = np.pad(curve, reach, mode="edge")
    return np.convolve(padded, weights / weights.sum(), mode="valid")


def _logit(probability: float) -> float:
    """Log-odds, kept within the grid."""
    low, high = _probability(GRID[0]), _probability(GRID[-1])
    within = min(max(probability, low), high)
    return math.log(within / (1 - within))


def _probability(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))

"""What a threshold means at the bedside: alerts with a lock-out, and what they are worth.

An alert is true if it comes within 12 hours before to 3 hours after the onset of sepsis, the span
in which the challenge's utility rewards one (see `models.utility`). Onset is six hours after the
first labelled reading. For a patient labelled from the first reading on, that is the latest moment
at which onset can have been.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.stay import Stay
from models.utility import DT_EARLY, DT_LATE, LABEL_LEAD

__all__ = [
    "LOCKOUT_HOURS",
    "URGENT_BUDGET",
    "WARNING_BUDGET",
    "AlertFigures",
    "alert_figures",
    "alert_rows",
    "clock_alarm",
    "onset_seconds",
    "patient_days",
    "threshold_for_budget",
]

#: Hours of silence after an alert, before the same patient may raise another.
LOCKOUT_HOURS = 12.0
#: Alerts per patient and day: with 20 patients seven a day, and two.
WARNING_BUDGET, URGENT_BUDGET = 0.35, 0.10
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class AlertFigures:
    """What the alerts of one threshold were worth. A share of nothing is NaN.

    Attributes:
        alerts: number of alerts.
        per_patient_day: alerts per patient and day.
        ppv: share of alerts that were true (positive predictive value).
        sensitivity: share of septic patients with a true alert.
        patient_ppv: share of patients with an alert, at any time, who were septic.
        lead_hours: median over septic patients with a true alert of the hours from the first such
            alert to onset; negative = after onset.
    """

    alerts: int
    per_patient_day: float
    ppv: float
    sensitivity: float
    patient_ppv: float
    lead_hours: float


def clock_alarm(stays: Sequence[Stay], hour: float = 53) -> list[NDArray[np.bool_]]:
    """Alarm on everyone from an hour in intensive care on, with no look at the patient.

    The yardstick beside every utility: long stays are septic more often, so that this alone earns
    about a quarter of the attainable utility of the challenge.

    Args:
        stays: the patients.
        hour: hours since ICU admission, as ICULOS counts them.

    Returns:
        True from ``hour`` on, one array a stay.
    """
    return [stay.seconds >= hour * _HOUR for stay in stays]


def onset_seconds(stay: Stay) -> float:
    """Onset of sepsis, in seconds since ICU admission.

    Args:
        stay: a patient whose outcome is known.

    Returns:
        Six hours after the first labelled reading; infinity for a patient who was not septic.

    Raises:
        ValueError: the stay has no labels.
    """
    if stay.labels is None:
        raise ValueError(f"stay {stay.patient_id} has no labels; score patients of known outcome")
    if not stay.labels.any():
        return float("inf")
    return float(stay.seconds[np.argmax(stay.labels)] + LABEL_LEAD * _HOUR)


def patient_days(stays: Sequence[Stay]) -> float:
    """Time under observation, in days.

    Args:
        stays: the patients.

    Returns:
        Sum over the stays of the time from the first to the last reading and one hour more: an
        hourly reading stands for an hour.
    """
    spans = [stay.seconds[-1] - stay.seconds[0] + _HOUR for stay in stays if len(stay.seconds)]
    return float(sum(spans)) / (24 * _HOUR)


def alert_rows(
    stays: Sequence[Stay],
    probabilities: Sequence[NDArray[np.floating]],
    threshold: float,
    lockout_hours: float = LOCKOUT_HOURS,
) -> list[NDArray[np.int64]]:
    """The readings at which an alert is raised.

    A reading raises one where its probability is at least ``threshold`` and the patient's last
    alert is at least ``lockout_hours`` old.

    Args:
        stays: the patients.
        probabilities: the risk at each reading, one array a stay.
        threshold: lowest probability that alerts.
        lockout_hours: hours of silence after an alert.

    Returns:
        Indices into the readings, ascending, one array a stay.

    Raises:
        ValueError: shapes differ, or a probability is NaN.
    """
    timeline = _Timeline(stays, probabilities, lockout_hours)
    rows = timeline.alerts(threshold)
    ends = np.append(timeline.starts[1:], len(timeline.scores))
    return [
        rows[np.searchsorted(rows, start) : np.searchsorted(rows, end)] - start
        for start, end in zip(timeline.starts, ends, strict=True)
    ]


def threshold_for_budget(
    stays: Sequence[Stay],
    probabilities: Sequence[NDArray[np.floating]],
    alerts_per_day: float,
    lockout_hours: float = LOCKOUT_HOURS,
) -> float:
    """The threshold that spends a budget of alerts.

    Args:
        stays: the patients.
        probabilities: the risk at each reading, one array a stay.
        alerts_per_day: how many alerts per patient and day can be borne.
        lockout_hours: hours of silence after an alert.

    Returns:
        A probability that occurs, at which the budget is kept and just below which it is not; the
        lowest one where the budget is kept even so; the next number above the highest one where
        any alert at all would break the budget.

    Raises:
        ValueError: there is no reading, shapes differ, or a probability is NaN.
    """
    timeline = _Timeline(stays, probabilities, lockout_hours)
    candidates = np.unique(timeline.scores)
    if not len(candidates):
        raise ValueError("no reading to set a threshold on; add patients")
    affordable = alerts_per_day * patient_days(stays)
    broken, kept = -1, len(candidates)
    while kept - broken > 1:
        middle = (kept + broken) // 2
        if len(timeline.alerts(candidates[middle])) <= affordable:
            kept = middle
        else:
            broken = middle
    if kept == len(candidates):
        return float(np.nextafter(candidates[-1], np.inf))
    return float(candidates[kept])


def alert_figures(
    stays: Sequence[Stay],
    probabilities: Sequence[NDArray[np.floating]],
    threshold: float,
    lockout_hours: float = LOCKOUT_HOURS,
) -> AlertFigures:
    """Count the alerts of a threshold and what they were worth.

    Args:
        stays: the patients, outcomes known.
        probabilities: the risk at each reading, one array a stay.
        threshold: lowest probability that alerts.
        lockout_hours: hours of silence after an alert.

    Returns:
        The figures.

    Raises:
        ValueError: a stay has no labels, shapes differ, or a probability is NaN.
    """
    onsets = np.array([onset_seconds(stay) for stay in stays])
    timeline = _Timeline(stays, probabilities, lockout_hours)
    rows = timeline.alerts(threshold)
    patient = timeline.patient[rows]
    since_onset = (timeline.seconds[rows] - onsets[patient]) / _HOUR
    true = (since_onset >= DT_EARLY) & (since_onset <= DT_LATE)
    septic = np.isfinite(onsets)
    alerted = np.unique(patient)
    # rows ascend, so the first entry of a patient is the patient's first true alert
    warned, first = np.unique(patient[true], return_index=True)
    days = patient_days(stays)
    return AlertFigures(
        alerts=len(rows),
        per_patient_day=len(rows) / days if days else float("nan"),
        ppv=_share(true),
        sensitivity=len(warned) / int(septic.sum()) if septic.any() else float("nan"),
        patient_ppv=_share(septic[alerted]),
        lead_hours=float(np.median(-since_onset[true][first])) if len(first) else float("nan"),
    )


def _share(flags: NDArray[np.bool_]) -> float:
    return float(flags.mean()) if len(flags) else float("nan")


class _Timeline:
    """All readings of all patients on one time axis, so that alerts are found in one pass.

    The patients are laid one after another, further apart than any lock-out reaches: the search
    for the next reading after a lock-out then ends, where this patient has none left, at the next
    patient's first one.
    """

    def __init__(
        self,
        stays: Sequence[Stay],
        probabilities: Sequence[NDArray[np.floating]],
        lockout_hours: float,
    ) -> None:
        if len(stays) != len(probabilities):
            raise ValueError(f"{len(stays)} stays but probabilities of {len(probabilities)}")
        lengths = np.array([len(stay.seconds) for stay in stays], dtype=np.int64)
        for stay, scores in zip(stays, probabilities, strict=True):
            if len(stay.seconds) != len(scores):
                raise ValueError(
                    f"stay {stay.patient_id} has {len(stay.seconds)} readings but {len(scores)} "
                    "probabilities"
                )
        self.starts = np.cumsum(lengths) - lengths
        self.patient = np.repeat(np.arange(len(stays)), lengths)
        self.seconds = np.concatenate([np.empty(0, np.int64), *(stay.seconds for stay in stays)])
        self.scores = np.concatenate([np.empty(0), *probabilities])
        if np.isnan(self.scores).any():
            raise ValueError("a probability is NaN; score every reading first")
        self.lockout = round(lockout_hours * _HOUR)
        if len(self.seconds):
            span = int(np.ptp(self.seconds)) + self.lockout + 1
            self.axis = self.seconds - self.seconds.min() + self.patient * span
        else:
            self.axis = self.seconds

    def alerts(self, threshold: float) -> NDArray[np.int64]:
        """Rows of the alerts at a threshold, ascending."""
        positive = np.flatnonzero(self.scores >= threshold)
        times = self.axis[positive]
        following = np.searchsorted(times, times + max(self.lockout, 1)).tolist()
        chosen: list[int] = []
        at = 0
        while at < len(following):
            chosen.append(at)
            at = following[at]
        return positive[chosen]

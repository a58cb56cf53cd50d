"""How good a risk is: discrimination, calibration, utility and what it costs at the bedside.

Utility alone can be gamed (`models.alarms.clock_alarm` earns a quarter of it without a look at the
patient), so that `RiskReport` always holds everything.

Discrimination, calibration and utility are taken over hours. Where a patient has several readings
in an hour, the hour has the highest probability and the highest label among them. Alerts are taken
over readings, because a pager does not wait for the hour.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from models.alarms import LOCKOUT_HOURS, alert_figures, patient_days
from models.bootstrap import auroc_statistic, patient_intervals, ratio_statistic
from models.stay import Stay
from models.utility import utility_gains

__all__ = [
    "RiskReport",
    "auprc",
    "auroc",
    "auroc_same_hour",
    "brier",
    "calibration_error",
    "earned_by_stay",
    "risk_report",
]

_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class RiskReport:
    """What a risk was worth on a set of patients. A figure that is not defined is NaN.

    Attributes:
        patients: number of patients.
        septic_patients: how many of them were septic.
        patient_hours: hours that were scored.
        patient_days: days under observation.
        auroc: area under the receiver operating characteristic, over hours.
        auroc_interval: its 95 % interval over patients.
        auroc_same_hour: the same among readings of the same hour of the stay; see
            `auroc_same_hour`.
        auprc: area under the precision-recall curve (average precision), over hours.
        calibration_error: expected calibration error, over hours.
        brier: mean squared error of the probability, over hours.
        threshold: probability from which an hour counts as an alarm for the utility.
        utility: normalised utility of the challenge.
        utility_interval: its 95 % interval over patients.
        alert_threshold: probability from which an alert is sent.
        lockout_hours: hours of silence after an alert.
        alerts: number of alerts.
        alerts_per_patient_day: alerts per patient and day.
        alert_ppv: share of alerts within -12 to +3 hours of onset.
        sensitivity: share of septic patients with such an alert.
        patient_ppv: share of alerted patients who were septic.
        lead_hours: median hours from the first such alert to onset.
    """

    patients: int
    septic_patients: int
    patient_hours: int
    patient_days: float
    auroc: float
    auroc_interval: tuple[float, float]
    auroc_same_hour: float
    auprc: float
    calibration_error: float
    brier: float
    threshold: float
    utility: float
    utility_interval: tuple[float, float]
    alert_threshold: float
    lockout_hours: float
    alerts: int
    alerts_per_patient_day: float
    alert_ppv: float
    sensitivity: float
    patient_ppv: float
    lead_hours: float

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON can hold them: None for NaN, a list for an interval."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def auroc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the receiver operating characteristic.

    Args:
        labels: 0 or 1, shape [n].
        scores: any score that rises with the risk, shape [n].

    Returns:
        0.5 = chance, 1 = perfect; NaN where all labels are the same.
    """
    y = np.asarray(labels)
    return float(roc_auc_score(y, scores)) if 0 < y.sum() < len(y) else _NAN


def auroc_same_hour(labels: ArrayLike, scores: ArrayLike, hours: ArrayLike) -> float:
    """AUROC among readings of the same hour since admission, weighted by their positive readings.

    What a score knows of the patient: it cannot be raised by knowing how long the stay has lasted,
    which alone orders readings to .63 AUROC (`models.evaluation.CLOCK_HOUR`).

    Args:
        labels: 0 or 1, shape [n].
        scores: rise with the risk, shape [n].
        hours: since admission, shape [n].

    Returns:
        NaN where no hour has both labels.

    >>> auroc_same_hour([0, 1, 0, 1], [1, 2, 3, 4], [1, 1, 2, 2])
    1.0
    """
    y, s, at = np.asarray(labels), np.asarray(scores), np.asarray(hours)
    order = np.lexsort((s, at))
    y, s, at = y[order] == 1, s[order], at[order]
    starts = np.flatnonzero(np.diff(at, prepend=at[:1] - 1)) if len(at) else np.empty(0, np.int64)
    total = weight = 0.0
    for start, end in zip(starts, [*starts[1:], len(at)], strict=True):
        positives = int(y[start:end].sum())
        negatives = end - start - positives
        if not positives or not negatives:
            continue
        total += positives * auroc(y[start:end], s[start:end])
        weight += positives
    return total / weight if weight else _NAN


def auprc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the precision-recall curve: average precision, without interpolation.

    Args:
        labels: 0 or 1, shape [n].
        scores: any score that rises with the risk, shape [n].

    Returns:
        The share of positives = chance, 1 = perfect; NaN where no label is 1.
    """
    y = np.asarray(labels)
    return float(average_precision_score(y, scores)) if y.sum() > 0 else _NAN


def brier(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean squared error of a probability (Brier 1950).

    Args:
        labels: 0 or 1, shape [n].
        probabilities: from 0 to 1, shape [n].

    Returns:
        0 = perfect; NaN for no rows.
    """
    y, p = np.asarray(labels, np.float64), np.asarray(probabilities, np.float64)
    return float(np.mean((p - y) ** 2)) if len(y) else _NAN


def calibration_error(labels: ArrayLike, probabilities: ArrayLike, bins: int = 20) -> float:
    """Expected calibration error over bins of equal size.

    The mean distance between the probability that a bin was given and the share of positives in
    it, weighted by the bin's rows. Quantile bins, because at 2 % prevalence nearly every row falls
    into the first bins of equal width. Equal probabilities share a bin, so that bins may differ in
    size, and the order of the rows does not count.

    Args:
        labels: 0 or 1, shape [n].
        probabilities: from 0 to 1, shape [n].
        bins: number of bins.

    Returns:
        0 = calibrated; NaN for no rows.
    """
    y, p = np.asarray(labels, np.float64), np.asarray(probabilities, np.float64)
    if not len(y):
        return _NAN
    inner = np.quantile(p, np.arange(1, bins) / bins)
    index = np.searchsorted(inner, p, side="right")
    gap = np.bincount(index, weights=p - y, minlength=bins)
    return float(np.abs(gap).sum() / len(y))


def risk_report(
    stays: Sequence[Stay],
    probabilities: Sequence[NDArray[np.floating]],
    threshold: float,
    *,
    alarms: Sequence[NDArray[np.bool_]] | None = None,
    alert_threshold: float | None = None,
    lockout_hours: float = LOCKOUT_HOURS,
    resamples: int = 0,
    seed: int = 0,
) -> RiskReport:
    """Score a risk on patients of known outcome.

    Args:
        stays: the patients.
        probabilities: the risk at each reading, one array a stay.
        threshold: probability from which an hour counts as an alarm for the utility; tune it on
            other patients (`models.utility.best_threshold`). NaN where ``alarms`` says it.
        alarms: whether each reading was an alarm, and sent an alert, one array a stay; for a
            threshold that changed in between.
        alert_threshold: probability from which an alert is sent (for a budget of alerts see
            `models.alarms.threshold_for_budget`); None = ``threshold``.
        lockout_hours: hours of silence after an alert.
        resamples: bootstrap resamples for the intervals; with 0 they are NaN.
        seed: seed of the resampling.

    Returns:
        The report.

    Raises:
        ValueError: there is no reading, a stay has no labels, shapes differ, or a probability is
            NaN.
    """
    if not any(len(stay.seconds) for stay in stays):
        raise ValueError("no reading to score; add patients")
    sent_from = threshold if alert_threshold is None else alert_threshold
    raised, raised_from, paged_from = probabilities, threshold, sent_from
    if alarms is not None:
        raised, raised_from, paged_from = [alarm.astype(np.float64) for alarm in alarms], 1.0, 1.0
    figures = alert_figures(stays, raised, paged_from, lockout_hours)
    labels, scores, patient, hours = _hours(stays, probabilities)
    alarming = scores if alarms is None else _hours(stays, raised)[1]
    earned, attainable = _earned(labels, alarming, patient, len(stays), raised_from)
    utility = ratio_statistic(earned, attainable)
    auroc_interval, utility_interval = patient_intervals(
        [auroc_statistic(labels, scores, patient), utility], len(stays), resamples, seed
    )
    return RiskReport(
        patients=len(stays),
        septic_patients=sum(stay.septic is True for stay in stays),
        patient_hours=len(labels),
        patient_days=patient_days(stays),
        auroc=auroc(labels, scores),
        auroc_interval=auroc_interval,
        auroc_same_hour=auroc_same_hour(labels, scores, hours),
        auprc=auprc(labels, scores),
        calibration_error=calibration_error(labels, scores),
        brier=brier(labels, scores),
        threshold=threshold,
        utility=utility(np.ones(len(stays), dtype=np.int64)),
        utility_interval=utility_interval,
        alert_threshold=sent_from,
        lockout_hours=lockout_hours,
        alerts=figures.alerts,
        alerts_per_patient_day=figures.per_patient_day,
        alert_ppv=figures.ppv,
        sensitivity=figures.sensitivity,
        patient_ppv=figures.patient_ppv,
        lead_hours=figures.lead_hours,
    )


def earned_by_stay(
    stays: Sequence[Stay], probabilities: Sequence[NDArray[np.floating]], threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the alarms of each stay earned, and what could have been earned.

    The normalised utility is the sum of the one over the sum of the other.

    Args:
        stays: the patients, outcomes known.
        probabilities: the risk at each reading, one array a stay.
        threshold: probability from which an hour counts as an alarm.

    Returns:
        Earned and attainable utility, each of shape [stays].
    """
    labels, scores, patient, _ = _hours(stays, probabilities)
    return _earned(labels, scores, patient, len(stays), threshold)


def _earned(
    labels: NDArray[np.int8],
    scores: NDArray[np.float64],
    patient: NDArray[np.int64],
    stays: int,
    threshold: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    lengths = np.bincount(patient, minlength=stays)
    gains = utility_gains(np.split(labels, np.cumsum(lengths)[:-1]))
    earned = np.zeros(stays)
    attainable = np.zeros(stays)
    np.add.at(earned, patient, np.where(scores >= threshold, gains, 0))
    np.add.at(attainable, patient, np.maximum(gains, 0))
    return earned, attainable


def _hours(
    stays: Sequence[Stay], probabilities: Sequence[NDArray[np.floating]]
) -> tuple[NDArray[np.int8], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Label, probability, patient and hour since admission of every hour that has a reading."""
    labels = np.concatenate([np.empty(0, np.int8), *(stay.labels for stay in stays)])
    scores = np.concatenate([np.empty(0), *probabilities])
    hour = np.concatenate([np.empty(0, np.int64), *(stay.seconds // 3600 for stay in stays)])
    patient = np.repeat(np.arange(len(stays)), [len(stay.seconds) for stay in stays])
    new = np.append(True, (hour[1:] != hour[:-1]) | (patient[1:] != patient[:-1]))
    first = np.flatnonzero(new[: len(hour)])
    if len(first) == len(hour):
        return labels, scores, patient, hour
    return (
        np.maximum.reduceat(labels, first),
        np.maximum.reduceat(scores, first),
        patient[first],
        hour[first],
    )


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and isnan(value) else value

"""The normalised utility of the PhysioNet/CinC Challenge 2019.

Reyna et al., Crit Care Med 2020;48:210-217, doi 10.1097/CCM.0000000000004145. One row is one hour.
Onset is six hours after the first labelled row; t is the hours since onset:

==================  ==============================  ==========================
hour of             an alarm earns                  silence earns
==================  ==============================  ==========================
septic, t <= -6     max((t + 12) / 6, -0.05)        0
septic, t <= 3      (3 - t) / 9                     -2 (t + 6) / 9
septic, t > 3       0                               0
nobody septic       -0.05                           0
==================  ==============================  ==========================

Summed over patients and scaled so that never alarming is 0 and the best possible is 1.

An alarm's worth does not depend on the other alarms, so an hour has one *gain*: what an alarm earns
more than silence. The normalised utility is the gain of the alarmed hours over the sum of all
positive gains, which makes a sweep over every threshold one sort and one cumulative sum.

A patient labelled from the first row on counts as septic from row 6 on, as in the organisers'
scorer: the row, not the hour since admission, is the clock.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "DT_EARLY",
    "DT_LATE",
    "DT_OPTIMAL",
    "FALSE_ALARM",
    "LABEL_LEAD",
    "MAX_GAIN",
    "MAX_MISS",
    "best_threshold",
    "normalised_utility",
    "row_utilities",
    "utility_curve",
    "utility_gains",
]

#: Hours from onset: the first hour in which an alarm is of use, the best one, and the last one.
DT_EARLY, DT_OPTIMAL, DT_LATE = -12, -6, 3
#: Utility of an alarm at the best hour, of silence at the last one, and of a false alarm.
MAX_GAIN, MAX_MISS, FALSE_ALARM = 1.0, -2.0, -0.05
#: Hours by which the first label precedes onset.
LABEL_LEAD = 6


def row_utilities(labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Utility of an alarm and of silence in every hour of one patient.

    Args:
        labels: 1 from six hours before onset on, else 0; one row an hour, shape [n].

    Returns:
        Utility of alarming and utility of staying quiet, each of shape [n].

    Raises:
        ValueError: a label is neither 0 nor 1.

    >>> alarm, quiet = row_utilities([0, 0, 0, 0, 1, 1])
    >>> alarm.round(2).tolist()
    [0.33, 0.5, 0.67, 0.83, 1.0, 0.89]
    >>> quiet.round(2).tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, -0.22]
    """
    flat = np.asarray(labels)
    return _utilities(flat, np.array([len(flat)]))


def utility_gains(labels: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """What an alarm earns more than silence, for every hour of every patient.

    Args:
        labels: the labels of each patient, one row an hour.

    Returns:
        Gains in the order of the rows, patient after patient, shape [all rows].

    Raises:
        ValueError: a label is neither 0 nor 1.
    """
    alarm, quiet = _utilities(_flat(labels), _lengths(labels))
    return alarm - quiet


def normalised_utility(labels: Sequence[ArrayLike], predictions: Sequence[ArrayLike]) -> float:
    """Normalised utility of a set of hourly alarms.

    Args:
        labels: the labels of each patient, one row an hour.
        predictions: 1 or True where an alarm is given, of the same shapes.

    Returns:
        1 = best possible, 0 = never alarming; NaN where no hour of any patient could earn
        anything, as in a cohort without a septic patient.

    Raises:
        ValueError: shapes differ, or a label or prediction is neither 0 nor 1.

    >>> normalised_utility([[0, 0, 1, 1], [0, 0]], [[0, 0, 1, 1], [0, 0]]).__round__(3)
    0.585
    """
    _same_shapes(labels, predictions, "predictions")
    gains = utility_gains(labels)
    alarms = _binary(_flat(predictions), "prediction")
    return _ratio(gains[alarms].sum(), _attainable(gains))


def utility_curve(
    labels: Sequence[ArrayLike],
    probabilities: Sequence[ArrayLike],
    thresholds: ArrayLike | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Normalised utility at every threshold; an hour alarms where probability >= threshold.

    Args:
        labels: the labels of each patient, one row an hour.
        probabilities: the risk in each hour, of the same shapes; any score that rises with the
            risk will do.
        thresholds: where to evaluate, shape [k]; None = every distinct probability.

    Returns:
        Thresholds (ascending where none were given) and the utility at each, both of shape [k].

    Raises:
        ValueError: shapes differ, a label is neither 0 nor 1, or a probability is NaN.
    """
    _same_shapes(labels, probabilities, "probabilities")
    gains = utility_gains(labels)
    scores = _flat(probabilities).astype(np.float64)
    if np.isnan(scores).any():
        raise ValueError("a probability is NaN; score every hour before the utility is taken")
    order = np.argsort(scores, kind="stable")
    ascending = scores[order]
    at = np.unique(ascending) if thresholds is None else np.asarray(thresholds, dtype=np.float64)
    # above[i]: gain of alarming in every hour from the i-th lowest probability up
    above = np.append(np.cumsum(gains[order][::-1])[::-1], 0.0)
    earned = above[np.searchsorted(ascending, at, side="left")]
    attainable = _attainable(gains)
    return at, earned / attainable if attainable > 0 else np.full(len(at), np.nan)


def best_threshold(
    labels: Sequence[ArrayLike], probabilities: Sequence[ArrayLike]
) -> tuple[float, float]:
    """The threshold of the highest normalised utility, and that utility.

    Tune it on patients that the report does not see. Of equally good thresholds the highest is
    taken: it disturbs least. Where no alarm is worth its cost, the threshold is the next number
    above the highest probability and the utility 0.

    Args:
        labels: the labels of each patient, one row an hour.
        probabilities: the risk in each hour, of the same shapes.

    Returns:
        Threshold and normalised utility.

    Raises:
        ValueError: as `utility_curve`; or no patient is septic, so that no threshold is better
            than another.
    """
    thresholds, utilities = utility_curve(labels, probabilities)
    if not len(thresholds) or np.isnan(utilities[0]):
        raise ValueError("no septic patient to tune a threshold on; add patients who became septic")
    best = len(utilities) - 1 - int(np.argmax(utilities[::-1]))
    if utilities[best] <= 0:
        return float(np.nextafter(thresholds[-1], np.inf)), 0.0
    return float(thresholds[best]), float(utilities[best])


def _utilities(
    labels: NDArray[np.generic], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    positive = _binary(labels, "label")
    patient = np.repeat(np.arange(len(lengths)), lengths)
    row = np.arange(len(labels)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    onset = np.full(len(lengths), np.inf)
    np.minimum.at(onset, patient[positive], (row + LABEL_LEAD)[positive])
    # without onset t is -inf: an alarm costs FALSE_ALARM and silence nothing, as it should
    t = row - onset[patient]
    early, late = t <= DT_OPTIMAL, t > DT_LATE
    rise = MAX_GAIN * (t - DT_EARLY) / (DT_OPTIMAL - DT_EARLY)
    fall = MAX_GAIN * (DT_LATE - t) / (DT_LATE - DT_OPTIMAL)
    miss = MAX_MISS * (t - DT_OPTIMAL) / (DT_LATE - DT_OPTIMAL)
    alarm = np.where(early, np.maximum(rise, FALSE_ALARM), np.where(late, 0.0, fall))
    quiet = np.where(early | late, 0.0, miss)
    return alarm, quiet


def _attainable(gains: NDArray[np.float64]) -> float:
    return float(gains[gains > 0].sum())


def _ratio(earned: float, attainable: float) -> float:
    return float(earned / attainable) if attainable > 0 else float("nan")


def _binary(values: NDArray[np.generic], what: str) -> NDArray[np.bool_]:
    ones = values == 1
    if not (ones | (values == 0)).all():
        raise ValueError(f"a {what} is neither 0 nor 1; threshold or clean them first")
    return ones


def _flat(rows: Sequence[ArrayLike]) -> NDArray[np.generic]:
    return np.concatenate([np.asarray(r) for r in rows]) if len(rows) else np.empty(0)


def _lengths(rows: Sequence[ArrayLike]) -> NDArray[np.int64]:
    return np.array([len(np.asarray(r)) for r in rows], dtype=np.int64)


def _same_shapes(labels: Sequence[ArrayLike], other: Sequence[ArrayLike], what: str) -> None:
    if len(labels) != len(other):
        raise ValueError(f"labels of {len(labels)} patients but {what} of {len(other)}")
    for index, (a, b) in enumerate(zip(_lengths(labels), _lengths(other), strict=True)):
        if a != b:
            raise ValueError(f"patient {index} has {a} labels but {b} {what}")

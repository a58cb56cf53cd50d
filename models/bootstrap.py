"""Intervals by resampling whole patients.

The hours of a patient are anything but independent; resampling hours would make every interval far
too narrow. A resample is a vector of counts: how often each patient was drawn. Statistics that can
be computed from the counts need no copy of the data, so that a thousand resamples take seconds.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from models.progress import track

__all__ = ["Statistic", "auroc_statistic", "patient_intervals", "ratio_statistic"]

#: From how often each patient was drawn, shape [patients], to the figure of that resample.
Statistic = Callable[[NDArray[np.int64]], float]


def patient_intervals(
    statistics: Sequence[Statistic], patients: int, resamples: int, seed: int = 0
) -> list[tuple[float, float]]:
    """95 % percentile intervals over patients (Efron & Tibshirani 1993, chapter 13).

    Args:
        statistics: the figures to resample, all on the same patients.
        patients: number of patients.
        resamples: number of resamples.
        seed: seed of the drawing.

    Returns:
        Lower and upper end for each statistic. Resamples in which a figure is not defined are left
        out; with none left, or without resamples, both ends are NaN.
    """
    rng = np.random.default_rng(seed)
    drawn = np.full((len(statistics), resamples), np.nan)
    for sample in track(range(resamples), "Resampling patients"):
        counts = np.bincount(rng.integers(0, patients, patients), minlength=patients)
        for row, statistic in enumerate(statistics):
            drawn[row, sample] = statistic(counts)
    return [_middle(row[~np.isnan(row)]) for row in drawn]


def auroc_statistic(
    labels: NDArray[np.integer], scores: NDArray[np.floating], patient: NDArray[np.integer]
) -> Statistic:
    """AUROC over the rows of the drawn patients; sorts once, whatever the number of resamples.

    Args:
        labels: 0 or 1, shape [n].
        scores: any score that rises with the risk, shape [n].
        patient: index of each row's patient, shape [n].

    Returns:
        The statistic; NaN for a resample with one class only.
    """
    order = np.argsort(scores, kind="stable")
    ascending = scores[order]
    steps = np.flatnonzero(np.append(True, ascending[1:] != ascending[:-1]))
    positive, owner = labels[order] == 1, patient[order]

    def statistic(counts: NDArray[np.int64]) -> float:
        drawn = counts[owner]
        ones = np.add.reduceat(np.where(positive, drawn, 0), steps)
        zeros = np.add.reduceat(drawn, steps) - ones
        pairs = float(ones.sum()) * float(zeros.sum())
        # Mann-Whitney: a pair counts whole where the negative scores lower, half where they tie
        below = np.cumsum(zeros) - 0.5 * zeros
        return float(ones @ below) / pairs if pairs else float("nan")

    return statistic


def ratio_statistic(numerator: NDArray[np.number], denominator: NDArray[np.number]) -> Statistic:
    """Sum over the drawn patients of one figure, divided by the sum of another.

    Args:
        numerator: a figure of each patient, such as the utility earned, shape [patients].
        denominator: another one, such as the utility attainable, shape [patients].

    Returns:
        The statistic; NaN for a resample whose denominator is 0.
    """

    def statistic(counts: NDArray[np.int64]) -> float:
        below = float(counts @ denominator)
        return float(counts @ numerator) / below if below else float("nan")

    return statistic


def _middle(values: NDArray[np.float64]) -> tuple[float, float]:
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)

"""Plots of a risk, as matplotlib figures that need no display."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from models.utility import utility_curve

__all__ = ["plots"]

_BINS = 20
#: Points of a curve that are drawn; a million would make no difference to the eye.
_POINTS = 1_000


def plots(
    labels: Sequence[NDArray[np.int8]],
    probabilities: Sequence[NDArray[np.float64]],
    threshold: float | None = None,
) -> dict[str, Figure]:
    """Draw what a risk is worth.

    Args:
        labels: of each patient, one row an hour.
        probabilities: the risk in each hour, of the same shapes.
        threshold: marked where it is given.

    Returns:
        Figures by name: ``roc``, ``precision_recall``, ``calibration`` and ``utility``.
    """
    y, p = np.concatenate(labels), np.concatenate(probabilities)
    false_alarms, hits, _ = roc_curve(y, p)
    precision, recall, _ = precision_recall_curve(y, p)
    thresholds, utility = utility_curve(labels, probabilities)
    roc, roc_axes = _figure("ROC", "1 - specificity", "sensitivity", 0, 1)
    _line(roc_axes, false_alarms, hits)
    roc_axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    curve, curve_axes = _figure("Precision and recall", "recall", "precision", 0, 1)
    _line(curve_axes, recall, precision)
    curve_axes.axhline(float(y.mean()), color="grey", linewidth=0.8)
    worth, worth_axes = _figure("Utility", "threshold", "normalised utility", -1, 1)
    _line(worth_axes, thresholds, utility)
    worth_axes.set_xscale("log")
    if threshold is not None:
        worth_axes.axvline(threshold, color="grey", linewidth=0.8)
    return {
        "roc": roc,
        "precision_recall": curve,
        "calibration": _calibration(y, p),
        "utility": worth,
    }


def _calibration(labels: NDArray[np.int8], probabilities: NDArray[np.float64]) -> Figure:
    """Share of positives against mean probability, in bins of equal size."""
    order = np.argsort(probabilities, kind="stable")
    bins = [part for part in np.array_split(order, _BINS) if len(part)]
    said = [float(probabilities[part].mean()) for part in bins]
    came = [float(labels[part].mean()) for part in bins]
    figure, axes = _figure("Calibration", "probability", "share of positive hours", None, None)
    axes.plot(said, came, marker=".")
    axes.plot([0, max(said)], [0, max(said)], color="grey", linewidth=0.8)
    return figure


def _figure(
    title: str, x: str, y: str, low: float | None, high: float | None
) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=x, ylabel=y, ylim=(low, high))
    return figure, axes


def _line(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    drawn = np.unique(np.linspace(0, len(x) - 1, _POINTS).round().astype(int))
    axes.plot(x[drawn], y[drawn])

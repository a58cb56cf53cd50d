"""Plots of what was measured, for the documentation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

__all__ = ["draw_latencies", "draw_rates"]


def draw_rates(engines: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the rates as bars, with the spread of the rounds, into an SVG or PNG file."""
    figure = Figure(figsize=(7, 0.5 * len(engines) + 1.2), layout="constrained")
    axes = figure.subplots()
    rows = list(reversed(engines))
    names = [row["engine"] for row in rows]
    rates = np.array([row["readings_per_second"] for row in rows])
    spread = [rates - [row["lowest"] for row in rows], [row["highest"] for row in rows] - rates]
    colours = ["C0" if name.startswith("vigil") else "0.7" for name in names]
    bars = axes.barh(names, rates, xerr=spread, color=colours, ecolor="0.3")
    axes.bar_label(bars, [f"{rate:,}" for rate in rates.tolist()], padding=6)
    axes.set(xlabel="readings a second, from cold, one core", title="Throughput")
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def draw_latencies(engines: Sequence[tuple[str, dict[str, Any]]], path: Path) -> None:
    """Draw p50 and p99 on a logarithmic scale.

    Args:
        engines: name and result of each.
        path: of an SVG or PNG file.
    """
    names, rows = zip(*reversed(engines), strict=True)
    figure = Figure(figsize=(7, 0.4 * len(rows) + 1.2), layout="constrained")
    axes = figure.subplots()
    p50, p99 = ([row[f"{what}_ms"] for row in rows] for what in ("p50", "p99"))
    axes.hlines(names, p50, p99, color="0.7")
    axes.plot(p50, names, "o", color="C0", label="p50")
    axes.plot(p99, names, "|", color="C3", markersize=12, label="p99")
    axes.set(xscale="log", xlabel="ms from the device's time stamp", title="Latency")
    axes.legend()
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # the same figures give the same file
    with rc_context({"svg.hashsalt": "vigil"}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)

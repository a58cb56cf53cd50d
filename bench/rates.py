"""What the runs of throughput come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.engines import BEDSIDE

__all__ = ["Run", "ratios", "summary"]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one engine.

    Attributes:
        readings: how many.
        seconds: from the first reading to the last result.
        warm: readings a second over the last results; None where they came in one piece.
        cpu_s: CPU time, seconds.
        peak_rss: largest resident memory, bytes.
        repeats: results that came more than once.
    """

    readings: int
    seconds: float
    warm: float | None
    cpu_s: float
    peak_rss: int
    repeats: int

    @property
    def rate(self) -> float:
        """Readings a second."""
        return self.readings / self.seconds


def summary(name: str, runs: Sequence[Run]) -> dict[str, Any]:
    """Sum up the runs of an engine: medians, and the smallest and largest rate."""
    rates = sorted(run.rate for run in runs)
    warm = [run.warm for run in runs if run.warm is not None]
    return {
        "engine": name,
        "readings": runs[0].readings,
        "readings_per_second": round(median(rates)),
        "lowest": round(rates[0]),
        "highest": round(rates[-1]),
        "warm_readings_per_second": round(median(warm)) if warm else None,
        "cpu_seconds_per_million": round(
            median(run.cpu_s / run.readings for run in runs) * 1_000_000, 2
        ),
        "readings_per_cpu_second": round(
            median(run.readings / max(run.cpu_s, 0.01) for run in runs)
        ),
        "peak_rss_mib": round(max(run.peak_rss for run in runs) / 1024**2),
        "repeats": sum(run.repeats for run in runs),
    }


def ratios(engines: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Put our rates in relation to the others', as far as both were measured."""
    cold = {each["engine"]: each["readings_per_second"] for each in engines}
    warm = {each["engine"]: each["warm_readings_per_second"] for each in engines}
    python = max((cold[name] for name in ("quixstreams", "bytewax") if name in cold), default=None)
    pairs = {
        "vigil / better of quixstreams and bytewax": (cold.get("vigil"), python),
        "vigil / faust": (cold.get("vigil"), cold.get("faust")),
        "vigil / kafka-streams": (cold.get("vigil"), cold.get("kafka-streams")),
        "vigil / kafka-streams, warm": (warm.get("vigil"), warm.get("kafka-streams")),
        "vigil-bedside / quixstreams": (cold.get(BEDSIDE.name), cold.get("quixstreams")),
    }
    return {name: round(ours / other, 2) for name, (ours, other) in pairs.items() if ours and other}

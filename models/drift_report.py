"""How soon drift is found, and how often it is found where there is none.

Recorded stays of one hospital are put on a ward and streamed; then those of another. Every bed
gives a reading an hour, in an order that is new every hour; a bed whose patient leaves takes the
next one. Both hospitals begin in full swing, each bed at a random hour of its first patient's stay,
so that it is the hospital that changes and not the time since admission.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models.dataset import BASE_MS, featurise
from models.drift import EXAMPLE_SIGNALS, DriftEvent, DriftMonitor, example_signals
from models.progress import track
from models.risk import RiskModel
from models.stay import Stay
from models.window import HOUR_MS

__all__ = ["Hospital", "Run", "SignalRow", "draw", "hospital", "run", "runs", "signal_rows", "ward"]

_CHUNK = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class Hospital:
    """What the monitor sees of recorded stays, one after the other.

    Attributes:
        signals: of `models.drift.EXAMPLE_SIGNALS`, shape [n, signals].
        patients: id of each stay.
        starts: first row of each stay, and the number of rows, shape [stays + 1].
    """

    signals: NDArray[np.float32]
    patients: Sequence[str]
    starts: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Run:
    """One order of the stays.

    Attributes:
        seed: of the order.
        before: readings before the switch.
        after: readings after it.
        events: found; `DriftEvent.found_example` counts all readings.
    """

    seed: int
    before: int
    after: int
    events: Sequence[DriftEvent]

    @property
    def false(self) -> list[DriftEvent]:
        """Events before the switch."""
        return [event for event in self.events if event.found_example < self.before]

    def delay(self, signal: str | None = None) -> int | None:
        """Readings from the switch to the first event, of a signal or of any; None = never."""
        found = (
            event.found_example - self.before + 1
            for event in self.events
            if event.found_example >= self.before and signal in (None, event.signal)
        )
        return min(found, default=None)


@dataclass(frozen=True, slots=True)
class SignalRow:
    """What a signal was worth, over all runs; the first row is that of any signal.

    Attributes:
        signal: its name, or ``any``.
        found: share of the runs in which the switch was found.
        median: readings until then, of those runs; NaN for none.
        longest: the longest of them.
        false: events before the switch per 100,000 readings.
    """

    signal: str
    found: float
    median: float
    longest: float
    false: float


def hospital(stays: Sequence[Stay], model: RiskModel) -> Hospital:
    """Compute the signals of some stays, as the stream would.

    Args:
        stays: the patients, one at least.
        model: gives the logit.

    Returns:
        What a monitor sees.
    """
    parts = [np.empty((0, len(EXAMPLE_SIGNALS)), np.float32)]
    for first in range(0, len(stays), _CHUNK):
        rows = featurise(stays[first : first + _CHUNK]).X
        parts.append(example_signals(rows, model.score(rows).logit))
    lengths = [len(stay.seconds) for stay in stays]
    return Hospital(
        np.concatenate(parts),
        [stay.patient_id for stay in stays],
        np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
    )


def ward(
    starts: NDArray[np.int64], beds: int, readings: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """Rows of the stays in the order in which a ward gives them.

    Args:
        starts: see `Hospital`.
        beds: patients at a time.
        readings: rows wanted.
        random: for the order of the stays, of the beds in an hour, and where each bed begins.

    Returns:
        Row numbers, shape [readings], or fewer where the stays run out.
    """
    queue = random.permutation(len(starts) - 1).tolist()[::-1]
    at = np.zeros(beds, np.int64)
    end = np.zeros(beds, np.int64)
    hours: list[NDArray[np.int64]] = []
    given, first = 0, True
    while given < readings:
        for bed in np.flatnonzero(at == end).tolist():
            if not queue:
                break
            stay = queue.pop()
            at[bed], end[bed] = starts[stay], starts[stay + 1]
            if first:
                at[bed] = random.integers(at[bed], end[bed])
        first = False
        busy = np.flatnonzero(at < end)
        if not len(busy):
            break
        order = random.permutation(busy)
        hours.append(at[order])
        at[order] += 1
        given += len(order)
    return np.concatenate([np.empty(0, np.int64), *hours])[:readings]


def run(
    before: Hospital, after: Hospital, *, seed: int, beds: int, readings: tuple[int, int]
) -> Run:
    """Stream one hospital and then the other past a monitor.

    Args:
        before: the first hospital.
        after: the second one.
        seed: of the order of the stays.
        beds: patients at a time.
        readings: how many of each hospital.
    """
    random = np.random.default_rng(seed)
    monitor = DriftMonitor()
    events: list[DriftEvent] = []
    counts = []
    given = 0
    for place, wanted in zip((before, after), readings, strict=True):
        rows = ward(place.starts, beds, wanted, random)
        stays = np.searchsorted(place.starts, rows, "right") - 1
        counts.append(len(rows))
        for row, stay in zip(rows.tolist(), stays.tolist(), strict=True):
            at_ms = BASE_MS + given * HOUR_MS // beds
            events += monitor.observe_signals(place.signals[row], place.patients[stay], at_ms)
            given += 1
    return Run(seed, counts[0], counts[1], events)


def runs(
    before: Hospital,
    after: Hospital,
    *,
    seeds: Sequence[int],
    beds: int,
    readings: tuple[int, int],
) -> list[Run]:
    """Stream a ward for each seed; see `run`."""
    return [
        run(before, after, seed=seed, beds=beds, readings=readings)
        for seed in track(seeds, "Streaming wards")
    ]


def signal_rows(found: Sequence[Run]) -> list[SignalRow]:
    """Sum runs up.

    Args:
        found: one run at least.

    Returns:
        Any signal first, then each in the order of `models.drift.EXAMPLE_SIGNALS`.
    """
    total = sum(run.before for run in found)
    rows = []
    for name in (None, *EXAMPLE_SIGNALS):
        delays = [delay for run in found if (delay := run.delay(name)) is not None]
        false = sum(name in (None, event.signal) for run in found for event in run.false)
        rows.append(
            SignalRow(
                name or "any",
                len(delays) / len(found),
                float(np.median(delays)) if delays else float("nan"),
                float(max(delays, default=float("nan"))),
                false / total * 100_000 if total else float("nan"),
            )
        )
    return rows


def draw(found: Sequence[Run], path: Path) -> None:
    """Draw when each signal found the switch, a dot a run, into an SVG or PNG file.

    Args:
        found: one run at least.
        path: of the file; its folder is created where it is missing.
    """
    shown = [row for row in signal_rows(found) if row.found > 0 or row.false > 0]
    figure = Figure(figsize=(7, 0.35 * len(shown) + 1.6), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(reversed(shown)):
        name = None if row.signal == "any" else row.signal
        delays = [delay for run in found if (delay := run.delay(name)) is not None]
        axes.plot(delays, [place] * len(delays), "o", color="C0", alpha=0.6)
        axes.plot([row.median], [place], "|", color="C3", markersize=14)
    axes.set_yticks(
        range(len(shown)),
        [f"{row.signal} ({row.found:.0%})" for row in reversed(shown)],
    )
    axes.axvline(200, color="0.7", linewidth=0.8)
    total = sum(run.before for run in found)
    false = sum(len(run.false) for run in found)
    axes.set(
        xscale="log",
        xlabel="readings after the switch of hospitals (dots: runs, bar: median, line: goal)",
        title=f"Drift found; {false} false alarms in {total:,} readings before",
    )
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    # the same runs give the same file
    with rc_context({"svg.hashsalt": "vigil"}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)

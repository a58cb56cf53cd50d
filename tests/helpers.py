"""Builders for unit tests: readings, windows, records, and a model without training."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.features import FEATURES, GROUPS, ORIGINAL_FEATURES, replay
from models.risk import Scores, Tiers
from models.vitals import MISSING, SCALE, VITALS, index_of
from models.window import CONTEXT, empty_window

__all__ = [
    "DAY",
    "GRACE",
    "HOUR",
    "MINUTE",
    "NOBODY",
    "SECOND",
    "T0",
    "TIERS",
    "Observed",
    "Record",
    "Replayed",
    "StubModel",
    "bits",
    "reading",
    "row",
    "run",
    "same_features",
    "who",
]

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
#: A whole hour: 2026-01-01T00:00:00Z.
T0 = 1_767_225_600_000
GRACE = 6 * HOUR
#: Context of a patient of whom nothing is known.
NOBODY = np.full(CONTEXT, MISSING, np.int64)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def row(**vitals: float) -> Ints:
    """Return hundredths of the vital signs given by name, `MISSING` for the others, shape [8]."""
    values = np.full(len(VITALS), MISSING, np.int64)
    for name, value in vitals.items():
        values[index_of(name)] = round(value * SCALE)
    return values


def who(
    age: float | None = None,
    sex: int | None = None,
    icu_ms: int | None = None,
    hospital_ms: int | None = None,
    labs_seen: int | None = None,
) -> Ints:
    """Return the context of a patient, shape [5]."""
    facts = (None if age is None else round(age * SCALE), sex, icu_ms, hospital_ms, labs_seen)
    return np.array([MISSING if fact is None else fact for fact in facts], np.int64)


class Observed(NamedTuple):
    """A reading as the window sees it."""

    at_ms: int
    values: Ints
    patient: int = 0
    device: int = 0


@dataclass(frozen=True, eq=False)
class Replayed:
    """What `run` returns; ``features`` has one row a reading."""

    features: Floats
    original: Floats
    outcomes: list[int]
    windows: Ints

    def last(self, name: str) -> float:
        """Feature of the last reading."""
        return self.of(-1, name)

    def of(self, reading: int, name: str) -> float:
        """Feature of a reading."""
        return float(self.features[reading, FEATURES.index(name)])

    def first_four(self, reading: int = -1) -> dict[str, float]:
        """The original feed's features of a reading."""
        return dict(zip(ORIGINAL_FEATURES, self.original[reading].tolist(), strict=True))


def run(
    readings: Sequence[Observed],
    *,
    context: Ints | None = None,
    grace_ms: int = GRACE,
    batches: Sequence[int] = (),
    windows: Ints | None = None,
) -> Replayed:
    """Run readings through the windows of their patients.

    Args:
        readings: in the order of arrival.
        context: of every reading.
        grace_ms: how late a reading may come.
        batches: where a new batch starts.
        windows: to go on with; without it they are empty.
    """
    n = len(readings)
    patients = max((reading.patient for reading in readings), default=0) + 1
    if windows is None:
        windows = np.tile(empty_window(), (patients, 1))
    result = Replayed(
        np.full((n, len(FEATURES)), np.nan),
        np.full((n, len(ORIGINAL_FEATURES)), np.nan),
        [],
        windows,
    )
    outcomes = np.full(n, -1, np.int8)
    rows = np.array([reading.patient for reading in readings], np.int64)
    at_ms = np.array([reading.at_ms for reading in readings], np.int64)
    values = np.array([reading.values for reading in readings], np.int64).reshape(n, len(VITALS))
    devices = np.array([reading.device for reading in readings], np.int64)
    contexts = np.tile(NOBODY if context is None else context, (n, 1))
    edges = [0, *sorted(batches), n]
    for start, end in pairwise(edges):
        part = slice(start, end)
        replay(
            windows, rows[part], at_ms[part], values[part], devices[part], contexts[part],
            np.zeros(end - start, np.bool_), grace_ms,
            result.features[part], result.original[part], outcomes[part],
        )  # fmt: skip
    result.outcomes.extend(outcomes.tolist())
    return result


def bits(values: Floats) -> NDArray[np.uint64]:
    """Return the bits of floats, so that a comparison sees the sign of zero and NaN as they are."""
    return np.ascontiguousarray(values).view(np.uint64)


def same_features(ours: Replayed, theirs: Replayed) -> bool:
    """Whether two runs agree to the last bit."""
    return (
        ours.outcomes == theirs.outcomes
        and np.array_equal(bits(ours.features), bits(theirs.features))
        and np.array_equal(bits(ours.original), bits(theirs.original))
    )


@dataclass
class Record:
    """A raw record, as aiokafka gives it."""

    value: bytes | None
    timestamp: int = T0
    offset: int = 0
    key: bytes | None = None
    topic: str = "vitals"
    partition: int = 0
    headers: Sequence[tuple[str, bytes | None]] = ()


def reading(patient_id: Any = "p1", **fields: Any) -> bytes:
    """Return a reading as JSON; vital signs by their short name, other fields as they are."""
    wire = {vital.name: vital.wire for vital in VITALS}
    return json.dumps(
        {"patient_id": patient_id, **{wire.get(name, name): v for name, v in fields.items()}}
    ).encode()


TIERS = Tiers(watch=0.02, warning=0.05, urgent=0.10)


@dataclass(eq=False)
class StubModel:
    """Gives the probabilities it was made with, or one that follows the heart rate."""

    probability: Sequence[float] | None = None
    contributions: Mapping[str, float] = field(default_factory=lambda: {"heart_rate": 1.0})
    name: str = "stub"
    version: str = "1"
    tiers: Tiers = TIERS

    def score(self, features: Floats) -> Scores:
        """Score rows of `FEATURES`."""
        if self.probability is None:
            probability = np.nan_to_num(features[:, 0], nan=50) / 1000
        else:
            probability = np.array(self.probability, np.float64)
        contributions = np.zeros((len(features), len(GROUPS)))
        for name, value in self.contributions.items():
            contributions[:, GROUPS.index(name)] = value
        return Scores(probability, contributions, np.zeros(len(features)))

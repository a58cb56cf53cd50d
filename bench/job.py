"""The small job that every engine does, in plain Python: what comes in, what must come out.

A reading is the original feed's five fields and a number of its own. An engine decodes it, keeps
the last two readings of each patient in a persistent store, computes the original feed's four
features over them and writes them as JSON, under the patient's key:

    {"patient_id": "p0001", "sequence": 7, "MDC_PULS_OXIM_PULS_RATE_Result": 81.0, …}
      → {"patient_id": "p0001", "sequence": 7, "MDC_PULS_OXIM_PULS_RATE_Result_min": 79.0, …}

`Feed` makes the readings from a seed, `features` is the reference, `Feed.expected` its results.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from config.clock import iso
from models.features import ORIGINAL_FEATURES
from models.vitals import WIRE_NAMES, index_of

__all__ = [
    "SMALL_FIELDS",
    "Features",
    "Feed",
    "Reading",
    "Result",
    "encode",
    "features",
    "result",
]

Features = tuple[float, float, float, float]

#: Fields of the original feed beside the patient's id, all of them numbers.
SMALL_FIELDS = (
    "MDC_PULS_OXIM_PULS_RATE_Result",
    "MDC_TEMP_Result",
    "MDC_ECG_HEART_RATE_Result",
    "MDC_TTHOR_RESP_RATE_Result",
)
_COLUMNS = [WIRE_NAMES.index(field) for field in SMALL_FIELDS]

#: What comes in.
Reading: Any = msgspec.defstruct(
    "Reading",
    [("patient_id", str), ("sequence", int), *((field, float) for field in SMALL_FIELDS)],
    gc=False,
)
#: What goes out.
Result: Any = msgspec.defstruct(
    "Result",
    [("patient_id", str), ("sequence", int), *((name, float) for name in ORIGINAL_FEATURES)],
    gc=False,
)
#: What the bedside application gets: all vital signs and the device's time, too.
_FullReading: Any = msgspec.defstruct(
    "_FullReading",
    [
        ("patient_id", str),
        ("sequence", int),
        *((field, float) for field in WIRE_NAMES),
        ("observed_at", str),
    ],
    gc=False,
)
encode = msgspec.json.Encoder().encode


class _Vitals(Protocol):
    """The fields of `Reading` that features are made of."""

    MDC_PULS_OXIM_PULS_RATE_Result: float
    MDC_TEMP_Result: float
    MDC_ECG_HEART_RATE_Result: float
    MDC_TTHOR_RESP_RATE_Result: float


def features(kept: Sequence[_Vitals]) -> Features:
    """Compute the four features of the original feed.

    Args:
        kept: the patient's last readings, one or two, the newest last.

    Returns:
        In the order of `ORIGINAL_FEATURES`: smallest pulse, mean temperature, mean pulse, and the
        newest reading's heart rate by its respiratory rate.

    >>> one = Reading("p", 0, 80.0, 37.0, 90.0, 18.0)
    >>> features([one])
    (80.0, 37.0, 80.0, 5.0)
    """
    new = kept[-1]
    ratio = new.MDC_ECG_HEART_RATE_Result / new.MDC_TTHOR_RESP_RATE_Result
    pulse, temperature = new.MDC_PULS_OXIM_PULS_RATE_Result, new.MDC_TEMP_Result
    if len(kept) == 1:
        return pulse, temperature, pulse, ratio
    before = kept[-2]
    other = before.MDC_PULS_OXIM_PULS_RATE_Result
    return (
        min(pulse, other),
        (temperature + before.MDC_TEMP_Result) / 2,
        (pulse + other) / 2,
        ratio,
    )


def result(kept: Sequence[Any]) -> Any:
    """Return the `Result` of the newest of the kept readings."""
    return Result(kept[-1].patient_id, kept[-1].sequence, *features(kept))


class Feed:
    """Readings of many patients: one of each patient a second, every second in another order.

    Values are what a monitor shows: whole numbers, temperature to 0.1 °C, all plausible.

    Args:
        count: readings.
        patients: how many patients they are spread over.
        seed: same seed, same readings.
        start_ms: observed time of the first second, ms since 1970; only full readings tell it.

    Attributes:
        keys: patients' ids as bytes.
        of: index of each reading's patient, shape [count].
        values: in the order of `models.vitals.VITALS`, shape [count, 8].
    """

    def __init__(self, count: int, patients: int, seed: int = 0, start_ms: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.count, self.patients, self.start_ms = count, patients, start_ms
        self.keys = [f"p{number:07d}".encode() for number in range(patients)]
        rounds = -(-count // patients)
        order = [random.permutation(patients).astype(np.int32) for _ in range(rounds)]
        self.of: NDArray[np.int32] = np.concatenate([*order, np.empty(0, np.int32)])[:count]
        self.values = _values(random, count)

    def __len__(self) -> int:
        return self.count

    def small(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Yield patient and JSON of some readings, as the small job gets them."""
        values = self.values[start:end, _COLUMNS].tolist()
        for at, (patient, row) in enumerate(zip(self.of[start:end].tolist(), values, strict=True)):
            yield patient, encode(Reading(self.keys[patient].decode(), start + at, *row))

    def full(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Yield patient and JSON of some readings, as the bedside application gets them."""
        values = self.values[start:end].tolist()
        second, observed = -1, ""
        for at, (patient, row) in enumerate(zip(self.of[start:end].tolist(), values, strict=True)):
            if (now := (start + at) // self.patients) != second:
                second, observed = now, iso(self.start_ms + now * 1000)
            name = self.keys[patient].decode()
            yield patient, encode(_FullReading(name, start + at, *row, observed))

    @cached_property
    def expected(self) -> NDArray[np.float64]:
        """Features of each reading, by its number, shape [count, 4]."""
        out = np.empty((self.count, len(ORIGINAL_FEATURES)))
        before: list[Any] = [()] * self.patients
        rows = zip(self.of.tolist(), self.values[:, _COLUMNS].tolist(), strict=True)
        for number, (patient, row) in enumerate(rows):
            kept = (*before[patient][-1:], Reading("", number, *row))
            before[patient] = kept
            out[number] = features(kept)
        return out


def _values(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    values = np.empty((count, len(WIRE_NAMES)))

    def whole(name: str, low: int, high: int) -> NDArray[np.int64]:
        drawn = random.integers(low, high, count, endpoint=True)
        values[:, index_of(name)] = drawn
        return drawn

    heart = whole("heart_rate", 55, 130)
    values[:, index_of("pulse_rate")] = heart + random.integers(-2, 3, count)
    whole("resp_rate", 10, 30)
    whole("spo2", 90, 100)
    diastolic = whole("dbp", 50, 80)
    systolic = diastolic + random.integers(30, 60, count)
    values[:, index_of("sbp")] = systolic
    values[:, index_of("map")] = diastolic + (systolic - diastolic) // 3
    values[:, index_of("temperature")] = random.integers(360, 395, count) / 10
    return values

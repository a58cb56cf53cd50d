"""What is in the topic ``lessons``: examples, and how stays ended.

One topic, one order: what comes later in it was known later. An *example* is the features of the
first reading of a patient in an hour of event time, as they were scored. An *outcome* is the record
of the topic ``outcomes``, byte for byte, once it was found to be one.

An example is a MessagePack map; MessagePack, because features are floats that must come back to
the last bit:

    v                 1
    kind              "example"
    patient_id        text
    observed_at_ms    ms since 1970
    recommendation_id text, of the recommendation that was made of it
    unit_id           text or nil
    features_version  `FEATURES_VERSION` of who wrote it
    x                 little-endian float64, NaN = not known
    logit             float64, of the model that scored
    model_version     text
    flags             of `models.quality`, a sum of bits; absent = none
    device_id         text or nil; absent = nil

An outcome is JSON. The first byte tells which: no JSON begins with that of a MessagePack map.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from config.clock import to_ms
from models.features import FEATURES
from streams.events import Outcome, patient_key, struct_of

__all__ = [
    "FEATURES_VERSION",
    "Example",
    "Lesson",
    "StayEnd",
    "decode",
    "encode_example",
    "encode_outcome",
    "features_version",
    "require_past",
]

_VERSION = 1
#: First bytes of a MessagePack map: fixmap, map 16, map 32.
_MAP = frozenset((*range(0x80, 0x90), 0xDE, 0xDF))


def features_version(names: Sequence[str]) -> str:
    """Fingerprint of names and order of features: 12 hexadecimal digits.

    >>> features_version(["age", "sex"]) == features_version(["sex", "age"])
    False
    """
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]


#: Of the features that this version of Vigil computes.
FEATURES_VERSION = features_version(FEATURES)


class Example(msgspec.Struct, frozen=True, gc=False):
    """A reading as it was scored; see the module for the fields."""

    patient_id: str
    observed_at_ms: int
    recommendation_id: str
    unit_id: str | None
    x: bytes
    logit: float
    model_version: str
    features_version: str = FEATURES_VERSION
    flags: int = 0
    device_id: str | None = None
    v: Literal[1] = 1
    kind: Literal["example"] = "example"

    @property
    def features(self) -> NDArray[np.float64]:
        """The features, NaN = not known, shape [features]; not to be written to."""
        return np.frombuffer(self.x, "<f8")


class StayEnd(msgspec.Struct, frozen=True, gc=False):
    """How a stay ended.

    Attributes:
        patient_id: as text.
        ended_at_ms: ms since 1970.
        septic: whether the patient became septic.
        onset_at_ms: clinical onset, ms since 1970; None where not septic.
    """

    patient_id: str
    ended_at_ms: int
    septic: bool
    onset_at_ms: int | None


Lesson = Example | StayEnd


def require_past(lesson: Lesson, sent_ms: int, tolerance_s: float) -> None:
    """See that a lesson does not lie in the future: it would make the labels of all patients due.

    Args:
        lesson: from `decode`.
        sent_ms: Kafka time of its record.
        tolerance_s: how far its time may lie after that.

    Raises:
        ValueError: it lies further.
    """
    at_ms = lesson.ended_at_ms if isinstance(lesson, StayEnd) else lesson.observed_at_ms
    if at_ms > sent_ms + tolerance_s * 1000:
        raise ValueError("its time lies in the future")


_encode = msgspec.msgpack.Encoder().encode
_decode_example = msgspec.msgpack.Decoder(Example).decode
_decode_outcome = msgspec.json.Decoder(struct_of(Outcome)).decode


def encode_example(
    patient_id: str,
    observed_at_ms: int,
    recommendation_id: str,
    unit_id: str | None,
    features: NDArray[np.float64],
    logit: float,
    model_version: str,
    flags: int = 0,
    device_id: str | None = None,
) -> bytes:
    """Encode an example.

    Args:
        patient_id: as text.
        observed_at_ms: observed time of the reading, ms since 1970.
        recommendation_id: of the recommendation.
        unit_id: of the stay or the reading.
        features: in the order of `models.features.FEATURES`, NaN = not known, shape [features].
        logit: what the model said.
        model_version: which model.
        flags: of `models.quality`.
        device_id: what sent the reading.
    """
    x = np.ascontiguousarray(features, "<f8").tobytes()
    return _encode(
        Example(
            patient_id,
            observed_at_ms,
            recommendation_id,
            unit_id,
            x,
            logit,
            model_version,
            flags=flags,
            device_id=device_id,
        )
    )


def encode_outcome(value: bytes) -> bytes:
    """Return an outcome as it is sent on: as it came, once it was found to be one.

    Args:
        value: of a record of the topic ``outcomes``.

    Raises:
        ValueError: it is no outcome; the message says why, without saying whose.
    """
    _stay_end(value)
    return value


def decode(value: bytes | None) -> Lesson:
    """Read a record's value.

    Args:
        value: of a record of the topic ``lessons``.

    Raises:
        ValueError: it is neither an example nor an outcome; the message says what is wrong.
    """
    if not value:
        raise ValueError("no value")
    return _example(value) if value[0] in _MAP else _stay_end(value)


def _example(value: bytes) -> Example:
    try:
        found = _decode_example(value)
    except msgspec.ValidationError as error:
        raise ValueError(f"not an example: {error}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"not MessagePack: {error}") from None
    if len(found.x) % 8:
        raise ValueError(f"not an example: x is {len(found.x)} bytes, not a multiple of 8")
    if found.features_version == FEATURES_VERSION and len(found.x) != 8 * len(FEATURES):
        raise ValueError(f"not an example: x is {len(found.x) // 8} features, not {len(FEATURES)}")
    if not math.isfinite(found.logit):
        raise ValueError("not an example: logit is not finite")
    if np.isinf(found.features).any():
        raise ValueError("not an example: a feature is infinite")
    if not found.patient_id:
        raise ValueError("not an example: patient_id is empty")
    return found


def _stay_end(value: bytes) -> StayEnd:
    try:
        row: Any = _decode_outcome(value)
    except msgspec.ValidationError as error:
        raise ValueError(f"not an outcome: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if row.septic and row.onset_at is None:
        raise ValueError("not an outcome: septic without onset_at")
    if not row.septic and row.onset_at is not None:
        raise ValueError("not an outcome: onset_at of a patient who was not septic")
    return StayEnd(
        patient_key(row.patient_id),
        to_ms(row.ended_at),
        row.septic,
        None if row.onset_at is None else to_ms(row.onset_at),
    )

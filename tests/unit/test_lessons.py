"""Lessons: what is written comes back to the last bit, and what is no lesson says why."""

import contextlib
import json

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.features import FEATURES
from streams.lessons import (
    FEATURES_VERSION,
    Example,
    StayEnd,
    decode,
    encode_example,
    encode_outcome,
    features_version,
)
from tests.helpers import HOUR, T0, bits

pytestmark = pytest.mark.unit

OUTCOME = {
    "patient_id": "p1",
    "ended_at": "2026-01-01T05:00:00Z",
    "septic": True,
    "onset_at": "2026-01-01T02:00:00+00:00",
}


def example(**changed: object) -> bytes:
    x = np.full(len(FEATURES), np.nan)
    raw = msgspec.msgpack.decode(encode_example("p1", T0, "r1", None, x, -3.5, "m1"))
    return msgspec.msgpack.encode({k: v for k, v in (raw | changed).items() if v is not ...})


def outcome(**changed: object) -> bytes:
    return json.dumps({k: v for k, v in (OUTCOME | changed).items() if v is not ...}).encode()


@given(
    st.text(min_size=1, max_size=20),
    st.integers(-(2**53), 2**53),
    st.none() | st.text(max_size=9),
    st.lists(st.floats(allow_infinity=False), min_size=len(FEATURES), max_size=len(FEATURES)),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_an_example_comes_back_to_the_last_bit(
    patient: str, at_ms: int, unit: str | None, features: list[float], logit: float
) -> None:
    x = np.array(features)
    found = decode(encode_example(patient, at_ms, "r1", unit, x, logit, "m1"))
    assert isinstance(found, Example)
    assert (bits(found.features) == bits(x)).all()
    assert (found.patient_id, found.observed_at_ms, found.unit_id) == (patient, at_ms, unit)
    assert (found.logit, found.model_version, found.recommendation_id) == (logit, "m1", "r1")
    assert found.features_version == FEATURES_VERSION


def test_an_example_is_small() -> None:
    assert len(example()) < 8 * len(FEATURES) + 200


@pytest.mark.parametrize("before", [b"", b" ", b"\n\t"])
def test_an_outcome_is_sent_on_as_it_came(before: bytes) -> None:
    value = before + outcome()
    assert encode_outcome(value) is value
    assert decode(value) == StayEnd("p1", T0 + 5 * HOUR, True, T0 + 2 * HOUR)


def test_a_number_is_a_patient_as_it_is_among_the_readings() -> None:
    found = decode(outcome(patient_id=3.0, septic=False, onset_at=...))
    assert found == StayEnd("3", T0 + 5 * HOUR, False, None)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "no value"),
        (b"", "no value"),
        (b"\x93\x01\x02\x03", "not JSON"),
        (b"\x81\xa1", "not MessagePack"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "not an outcome"),
        (example(v=2), "not an example.*v"),
        (example(kind="outcome"), "not an example.*kind"),
        (example(x=...), "not an example.*x"),
        (example(x=b"1234567"), "7 bytes"),
        (example(x=b"12345678"), "1 features"),
        (example(x=np.full(len(FEATURES), np.inf).tobytes()), "infinite"),
        (example(logit=float("nan")), "logit"),
        (example(patient_id=""), "patient_id"),
        (example(patient_id=7), "patient_id"),
        (example() + b"\x00", "not MessagePack"),
        (outcome(patient_id=...), "patient_id"),
        (outcome(patient_id=""), "patient_id"),
        (outcome(ended_at="2026-01-01T05:00:00"), "ended_at"),
        (outcome(septic=1), "septic"),
        (outcome(onset_at=None), "septic without onset_at"),
        (outcome(septic=False), "who was not septic"),
    ],
)
def test_what_is_no_lesson_is_refused_with_what_is_wrong(value: bytes | None, says: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){says}"):
        decode(value)


def test_what_is_no_outcome_is_not_sent_on() -> None:
    with pytest.raises(ValueError, match="ended_at"):
        encode_outcome(outcome(ended_at=...))
    with pytest.raises(ValueError, match="not JSON"):
        encode_outcome(example())


def test_an_example_of_other_features_says_so_and_keeps_its_length() -> None:
    other = features_version(["heart_rate"])
    found = decode(example(features_version=other, x=b"12345678"))
    assert isinstance(found, Example)
    assert found.features_version == other != FEATURES_VERSION


@given(st.binary(max_size=40))
def test_any_bytes_are_a_lesson_or_refused(value: bytes) -> None:
    with contextlib.suppress(ValueError):  # nothing else comes out of it
        decode(value)

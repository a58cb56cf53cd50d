"""The contract of every topic: pydantic models and the structs of the hot path say the same."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from models.vitals import VITALS, WIRE_NAMES
from streams.events import (
    Admission,
    DeadLetter,
    Outcome,
    Reading,
    Recommendation,
    patient_key,
    struct_of,
)

pytestmark = pytest.mark.unit

MODELS = [Reading, Admission, Outcome]


# -- who a patient is


@pytest.mark.parametrize(
    ("given_id", "text"),
    [
        ("p1", "p1"), ("3", "3"), (3, "3"), (3.0, "3"), (0, "0"), (-0.0, "0"), (-7, "-7"),
        (2**63, "9223372036854775808"), (1e15, "1000000000000000"), (" ", " "), ("3.0", "3.0"),
        ("Ä" * 128, "Ä" * 128),
    ],
)  # fmt: skip
def test_a_patient_is_text_and_a_whole_number_is_the_text_of_it(
    given_id: object, text: str
) -> None:
    assert patient_key(given_id) == text


@pytest.mark.parametrize(
    "given_id",
    [3.5, math.nan, math.inf, -math.inf, True, False, None, [], {}, b"p1", "", "p" * 129,
     1e300, 10**128, -(10**127)],
)  # fmt: skip
def test_what_is_neither_text_nor_a_whole_number_nor_short_enough_is_nobody(
    given_id: object,
) -> None:
    with pytest.raises(ValueError, match="patient_id"):
        patient_key(given_id)


def test_a_refused_id_is_not_in_the_message() -> None:
    for given_id in ("s" * 129, 12.5, 1e300):
        with pytest.raises(ValueError, match="patient_id") as refused:
            patient_key(given_id)
        assert str(given_id) not in str(refused.value)


# -- two readers of one contract


def row_of(model: type[BaseModel], text: bytes) -> Any:
    """Decode as the hot path does."""
    return msgspec.json.decode(text, type=struct_of(model))


ids: st.SearchStrategy[Any] = st.one_of(
    st.text(max_size=6),
    st.integers(),
    st.floats(),
    st.sampled_from(["p" * 128, "p" * 129, None, True, [], {}, 1e300, "3", 3.0]),
)
numbers = st.one_of(
    st.none(), st.integers(), st.floats(), st.sampled_from(["37", True, [], 10**400, -1, 131, 130])
)
moments = st.one_of(
    st.none(),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
    st.datetimes(timezones=st.just(UTC)).map(lambda m: m.isoformat().replace("+00:00", "Z")),
    st.sampled_from(["2026-01-01", "yesterday", "", 0, 1.5, True, "2026-02-30T00:00:00Z"]),
)
texts = st.one_of(st.none(), st.text(max_size=5), st.sampled_from([3, True, [], "female", "male"]))
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "patient_id": ids,
    **dict.fromkeys(WIRE_NAMES, numbers),
    "age_years": numbers,
    **dict.fromkeys(
        ["observed_at", "icu_admitted_at", "hospital_admitted_at", "ended_at", "onset_at"], moments
    ),
    **dict.fromkeys(["device_id", "unit_id", "sex"], texts),
    "septic": st.sampled_from([True, False, None, 0, 1, "true"]),
}


def events_of(model: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    known = {name: KINDS[name] for name in model.model_fields}
    good = {"patient_id": st.sampled_from(["p1", 3, 3.0]), "septic": st.booleans()}
    good["ended_at"] = st.just("2026-01-01T00:00:00Z")
    base = st.fixed_dictionaries({name: good[name] for name in good if name in known})
    changes = st.fixed_dictionaries({}, optional={**known, "unknown": numbers})
    return st.builds(lambda event, change: {**event, **change}, base, changes)


@pytest.mark.parametrize("model", MODELS)
@given(data=st.data())
def test_pydantic_and_the_hot_path_accept_and_refuse_the_same_events(
    model: type[BaseModel], data: st.DataObject
) -> None:
    event = data.draw(events_of(model))
    # not JSON, and so not text for either; in fields of no concern pydantic lets it pass
    assume(not any(isinstance(v, float) and not math.isfinite(v) for v in event.values()))
    try:
        text = json.dumps(event).encode()
    except ValueError:  # a lone surrogate
        assume(False)

    try:
        expected = model.model_validate_json(text)
    except ValidationError:
        expected = None
    try:
        row = row_of(model, text)
        found = {name: getattr(row, name) for name in model.model_fields}
        found["patient_id"] = patient_key(found["patient_id"])
    except (msgspec.MsgspecError, ValueError):
        found = None

    assert (found is None) == (expected is None)
    if expected is not None:
        assert found == expected.model_dump()


@pytest.mark.parametrize(
    "spelling", ["2026-01-01T12:00Z", "2026-01-01T12:00:00,5Z", "1767268800", "1767268800.5"]
)
def test_times_that_are_not_rfc_3339_are_refused_by_the_hot_path_though_pydantic_is_laxer(
    spelling: str,
) -> None:
    text = json.dumps({"patient_id": "p1", "observed_at": spelling}).encode()
    with pytest.raises(msgspec.ValidationError, match="RFC3339"):
        row_of(Reading, text)
    Reading.model_validate_json(text)


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_nan_and_infinity_are_refused_in_a_vital_sign(literal: str) -> None:
    text = f'{{"patient_id": "p1", "MDC_TEMP_Result": {literal}}}'.encode()
    with pytest.raises(msgspec.DecodeError):
        row_of(Reading, text)
    with pytest.raises(ValidationError):
        Reading.model_validate_json(text)


# -- the models and the one table of vital signs


def test_a_reading_has_a_field_for_every_vital_sign_in_its_unit_and_no_other_number() -> None:
    numbers_of = {name for name, field in Reading.model_fields.items() if "float" in str(field)}
    assert numbers_of == set(WIRE_NAMES)
    units = {"/min": "/min", "Cel": "Cel", "%": "%", "mm[Hg]": "mm[Hg]"}
    for vital in VITALS:
        description = Reading.model_fields[vital.wire].description
        assert description is not None
        assert description.endswith(units[vital.unit])


def test_the_original_five_fields_are_a_reading() -> None:
    fields = list(Reading.model_fields)[:5]
    assert fields == [
        "patient_id",
        "MDC_PULS_OXIM_PULS_RATE_Result",
        "MDC_TEMP_Result",
        "MDC_ECG_HEART_RATE_Result",
        "MDC_TTHOR_RESP_RATE_Result",
    ]
    event = dict(zip(fields, ["p1", 80, 37.0, 82, 16], strict=True))
    assert Reading.model_validate_json(json.dumps(event)).observed_at is None


def test_unknown_fields_are_ignored_so_that_a_producer_may_send_more() -> None:
    text = b'{"patient_id": "p1", "MDC_TEMP_Result": 37, "waveform": [1, 2, {"a": null}]}'
    assert "waveform" not in Reading.model_validate_json(text).model_dump()
    assert row_of(Reading, text).MDC_TEMP_Result == 37


def test_of_a_field_given_twice_the_last_counts_for_both_readers() -> None:
    text = b'{"patient_id": "a", "patient_id": "b", "MDC_TEMP_Result": 1, "MDC_TEMP_Result": 37}'
    row = row_of(Reading, text)
    event = Reading.model_validate_json(text)
    assert (row.patient_id, row.MDC_TEMP_Result) == ("b", 37)
    assert (event.patient_id, event.MDC_TEMP_Result) == ("b", 37)


@pytest.mark.parametrize("model", [*MODELS, DeadLetter, Recommendation])
def test_every_model_exports_a_json_schema_that_is_one(model: type[BaseModel]) -> None:
    schema = model.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for name in model.model_fields:
        assert name in schema["properties"]


def test_rows_are_frozen_like_the_models_they_are_made_of() -> None:
    row = row_of(Admission, b'{"patient_id": "p1"}')
    with pytest.raises(AttributeError):
        row.age_years = 3
    outcome: Any = Outcome(patient_id="a", ended_at=datetime.now(UTC), septic=True)
    with pytest.raises(ValidationError):
        outcome.septic = False

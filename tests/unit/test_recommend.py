"""What goes out for a reading: valid, complete, and the original bytes as they came."""

import json
import math
from collections.abc import Sequence
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.guidance import guidance
from models.features import FEATURES, GROUPS, ORIGINAL_FEATURES
from models.quality import FAHRENHEIT
from models.vitals import MISSING
from models.window import DUPLICATE, OUT_OF_ORDER, TAKEN
from streams.events import Recommendation
from streams.intake import IntakeRules, take
from streams.recommend import Recommender, Scored
from tests.helpers import (
    HOUR,
    T0,
    TIERS,
    Floats,
    Ints,
    Observed,
    Record,
    StubModel,
    reading,
    row,
    run,
)

pytestmark = pytest.mark.unit

VITALS_OF_ONE = {
    "heart_rate": 118, "resp_rate": 24, "temperature": 38.7, "spo2": 93, "sbp": 88,
    "dbp": 50, "map": 63, "pulse_rate": 117,
}  # fmt: skip


def scored(raw: Sequence[bytes], **changes: Any) -> Scored:
    """Readings as they come from the windows, all of the same values unless ``changes`` says so."""
    n = len(raw)
    rows = take([Record(value) for value in raw], IntakeRules(max_bytes=10**6)).rows
    assert len(rows) == n, "the test's own records are readings"
    features = np.full((n, len(FEATURES)), np.nan)
    for name, value in VITALS_OF_ONE.items():
        if name in FEATURES:
            features[:, FEATURES.index(name)] = value
    made: dict[str, Any] = {
        "ids": [b"vitals-0-%d-%d" % (i, T0) for i in range(n)],
        "correlation_ids": [None] * n,
        "patient_ids": ["p1"] * n,
        "rows": rows,
        "raw": raw,
        "unit_ids": [None] * n,
        "at_ms": [T0 + 123] * n,
        "produced_ms": [T0 + 456] * n,
        "values": np.tile(row(**VITALS_OF_ONE), (n, 1)),
        "flags": np.zeros(n, np.int32),
        "outcomes": np.full(n, TAKEN, np.int8),
        "sensors": np.zeros(n, np.int64),
        "features": features,
        "original": np.full((n, 4), np.nan),
        "without_context": [False] * n,
    }
    return Scored(**{**made, **changes})


def written(
    raw: Sequence[bytes] = (reading(heart_rate=80),),
    model: StubModel | None = None,
    **changes: Any,
) -> list[bytes]:
    model = model or StubModel([0.07] * len(raw))
    ready = scored(raw, **changes)
    return Recommender(model, guidance()).write(ready, model.score(ready.features), T0 + HOUR, 12.5)


def one(**given_: Any) -> dict[str, Any]:
    (value,) = written(**given_)
    return dict(json.loads(value))


def strict(value: bytes) -> Any:
    """Parse as JSON without the literals that are not JSON."""
    return json.loads(value, parse_constant=lambda literal: pytest.fail(f"{literal} in the output"))


# -- the contract


def assert_valid(value: bytes) -> None:
    Recommendation.model_validate_json(value)
    jsonschema.validate(strict(value), Recommendation.model_json_schema(mode="serialization"))


def test_a_recommendation_keeps_its_contract_and_its_json_schema() -> None:
    for value in written([reading(heart_rate=80), reading(3, spo2=None, unit_id="ICU 2")]):
        assert_valid(value)


def test_it_keeps_them_when_nothing_at_all_is_known() -> None:
    (value,) = written(
        [reading(heart_rate=None)],
        features=np.full((1, len(FEATURES)), np.nan),
        values=row()[None],
        without_context=[True],
    )
    assert_valid(value)
    assert b"NaN" not in value


def test_every_field_of_the_contract_is_written() -> None:
    assert one().keys() == Recommendation.model_fields.keys()


def test_times_are_utc_and_of_one_width_so_that_their_texts_sort_as_they_passed() -> None:
    found = one()
    assert found["observed_at"] == "2026-01-01T00:00:00.123000Z"
    assert found["processing"] == {
        "produced_at": "2026-01-01T00:00:00.456000Z",
        "scored_at": "2026-01-01T01:00:00.000000Z",
        "scoring_us": 12.5,
    }


# -- the original record


@pytest.mark.parametrize(
    "raw",
    [
        b'{"patient_id":"p1","MDC_TEMP_Result":37.0}',
        b' {\n "MDC_TEMP_Result" : 37.10e0,\t"patient_id":3 } \n',
        '{"patient_id":"Łukasz","MDC_TEMP_Result":37,"note":"\\u00e4 ä 🫀"}'.encode(),
        b'{"patient_id":"a","patient_id":"b","MDC_TEMP_Result":1,"MDC_TEMP_Result":37}',
        b'{"patient_id":"p1","MDC_TEMP_Result":37,"big":12345678901234567890123,"deep":[[[{}]]]}',
    ],
)
def test_the_original_record_is_embedded_byte_for_byte(raw: bytes) -> None:
    (value,) = written([raw])
    assert b'"original_data":' + raw + b',"processing"' in value
    assert_valid(value)
    assert strict(value)["original_data"] == json.loads(raw)


# -- the risk


@given(st.floats(0, 1))
def test_probabilities_sum_to_one_and_come_back_exactly(risk: float) -> None:
    (value,) = written(model=StubModel([risk]))
    found = Recommendation.model_validate_json(value)
    assert found.risk == risk
    assert found.prediction_probabilities[1] == risk
    assert sum(found.prediction_probabilities) == 1
    assert strict(value)["risk"] == risk


@pytest.mark.parametrize(
    ("cut", "below", "from_"),
    [
        (TIERS.watch, "none", "watch"),
        (TIERS.warning, "watch", "warning"),
        (TIERS.urgent, "warning", "urgent"),
    ],
)
def test_a_tier_starts_at_its_probability(cut: float, below: str, from_: str) -> None:
    risks = [math.nextafter(cut, 0), cut, math.nextafter(cut, 1)]
    found = [json.loads(v) for v in written([reading(heart_rate=80)] * 3, StubModel(risks))]
    assert [each["tier"] for each in found] == [below, from_, from_]
    for each in found:
        assert each["next_steps"] == guidance().next_steps[each["tier"]]


def test_no_risk_is_no_tier_and_certainty_is_urgent() -> None:
    found = [json.loads(v) for v in written([reading(heart_rate=80)] * 2, StubModel([0.0, 1.0]))]
    assert [each["tier"] for each in found] == ["none", "urgent"]


def test_the_strongest_factors_are_named_with_their_text_and_sign() -> None:
    model = StubModel([0.1], {"sbp": 0.9, "stay": -0.4, "spo2": 0.3, "patient": 0.2})
    assert one(model=model)["factors"] == [
        {"name": "sbp", "text": "systolic blood pressure 88 mmHg", "contribution": 0.9},
        {"name": "stay", "text": "time in hospital: not known", "contribution": -0.4},
        {"name": "spo2", "text": "oxygen saturation 93 %", "contribution": 0.3},
    ]
    assert one(model=StubModel([0.1], {}))["factors"] == []


def test_each_reading_of_a_batch_has_its_own_recommendation() -> None:
    raw = [reading(n, heart_rate=80) for n in range(3)]
    found = [
        json.loads(v)
        for v in written(raw, StubModel([0.01, 0.03, 0.2]), patient_ids=["0", "1", "2"])
    ]
    assert [each["patient_id"] for each in found] == ["0", "1", "2"]
    assert [each["risk"] for each in found] == [0.01, 0.03, 0.2]
    assert [each["original_data"]["patient_id"] for each in found] == [0, 1, 2]
    assert len({each["recommendation_id"] for each in found}) == 3


# -- what stands beside it


def test_news2_is_given_item_by_item_with_what_is_missing() -> None:
    assert one()["news2"] == {
        "total": 2 + 2 + 3 + 2 + 1,
        "points": {"resp_rate": 2, "spo2": 2, "sbp": 3, "heart_rate": 2, "temperature": 1},
        "missing": ["supplemental_oxygen", "consciousness"],
        "rule": "news2-partial/1",
    }


def test_an_item_of_news2_that_is_not_known_is_missing_and_not_nought() -> None:
    features = scored([reading(heart_rate=80)]).features
    features[0, [FEATURES.index("spo2"), FEATURES.index("temperature")]] = np.nan
    found = one(features=features)["news2"]
    assert found["total"] == 2 + 3 + 2
    assert list(found["points"]) == ["resp_rate", "sbp", "heart_rate"]
    assert found["missing"][:2] == ["spo2", "temperature"]


def test_the_total_of_news2_is_the_feature_that_the_model_sees() -> None:
    without_ecg = {name: v for name, v in VITALS_OF_ONE.items() if name != "heart_rate"}
    for vitals in (VITALS_OF_ONE, without_ecg, {"sbp": 85}, {}):
        result = run([Observed(T0, row(**vitals))])
        assert one(features=result.features)["news2"]["total"] == result.last("news2")


def test_the_original_features_are_numbers_or_null() -> None:
    original = np.array([[70.0, np.nan, 75.5, np.nan]])
    assert one(original=original)["features"] == dict(
        zip(ORIGINAL_FEATURES, [70.0, None, 75.5, None], strict=True)
    )


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({}, []),
        ({"flags": np.array([0b10], np.int32)}, ["pulse_rate_implausible"]),
        ({"flags": np.array([FAHRENHEIT], np.int32)}, ["temperature_in_fahrenheit"]),
        ({"outcomes": np.array([OUT_OF_ORDER], np.int8)}, ["out_of_order"]),
        ({"outcomes": np.array([DUPLICATE], np.int8)}, ["duplicate"]),
        ({"without_context": [True]}, ["admission_unknown"]),
        ({"values": row()[None]}, ["nothing_measured"]),
        (
            {
                "flags": np.array([FAHRENHEIT], np.int32),
                "outcomes": np.array([DUPLICATE], np.int8),
                "without_context": [True],
                "values": row()[None],
            },
            ["temperature_in_fahrenheit", "duplicate", "admission_unknown", "nothing_measured"],
        ),
    ],
)
def test_flags_tell_what_is_to_be_known_before_a_risk_is_believed(
    changes: dict[str, Any], flags: list[str]
) -> None:
    assert one(**changes)["data_quality"]["flags"] == flags


def test_vital_signs_on_the_reading_are_counted() -> None:
    values: Ints = np.array([row(), row(spo2=97), row(**VITALS_OF_ONE)])
    found = written([reading(heart_rate=80)] * 3, values=values)
    assert [json.loads(v)["data_quality"]["measured"] for v in found] == [0, 1, 8]
    assert (values != MISSING).sum() == 9


def test_the_unit_of_the_reading_comes_before_that_of_the_stay() -> None:
    raw = [reading(heart_rate=80, unit_id="here"), reading(heart_rate=80), reading(heart_rate=80)]
    found = written(raw, unit_ids=["stay", "stay", None])
    assert [json.loads(v)["unit_id"] for v in found] == ["here", "stay", None]


def test_a_correlation_id_comes_back_and_without_one_it_is_the_recommendations_own() -> None:
    raw = [reading(heart_rate=80)] * 2
    first, second = (json.loads(v) for v in written(raw, correlation_ids=["order-7", None]))
    assert first["correlation_id"] == "order-7"
    assert second["correlation_id"] == second["recommendation_id"]


def test_the_model_that_scored_is_named() -> None:
    found = one(model=StubModel([0.1], name="vigil-sepsis", version="7-abc"))
    assert (found["model_name"], found["model_version"]) == ("vigil-sepsis", "7-abc")
    assert found["disclaimer"] == guidance().disclaimer


finite_or_nan = st.one_of(st.just(math.nan), st.floats(-1e6, 1e6))


@given(
    st.lists(finite_or_nan, min_size=len(FEATURES), max_size=len(FEATURES)),
    st.lists(st.floats(-9, 9), min_size=len(GROUPS), max_size=len(GROUPS)),
    st.lists(finite_or_nan, min_size=4, max_size=4),
)
def test_no_nan_ever_goes_out(
    features: list[float], contributions: list[float], original: list[float]
) -> None:
    model = StubModel([0.2], dict(zip(GROUPS, contributions, strict=True)))
    matrix: Floats = np.array([features])
    (value,) = written(model=model, features=matrix, original=np.array([original]))
    assert_valid(value)
    assert "nan" not in str(strict(value)).lower()

"""How tools are called: their arguments, their schemas, and what is wrong told clearly."""

import json
from typing import Any, get_args

import jsonschema
import pytest

from models.vitals import VITALS
from rag.tools import Refusal, ToolArgumentError, call, catalogue
from rag.tools.arguments import VitalName
from rag.tools.registry import openai_tools
from tables.ward import WardTable
from tests.unit.made_ward import NOW_S, claims, recommendation, site, ward


@pytest.fixture
def busy() -> WardTable:
    return ward(recommendation(1, spo2=95), recommendation(1, patient="p000900", unit="ICU-9"))


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("curent_risk", {}, "did you mean 'current_risk'"),
        ("x", {}, "there are current_risk"),
        ("current_risk", {}, "patient_id: field required. It takes: patient_id"),
        ("current_risk", {"patient_id": ""}, "patient_id: string should have at least 1"),
        ("current_risk", {"patient_id": "p1", "x": 1}, "x: extra inputs are not permitted"),
        ("vital_trend", {"patient_id": "p1", "vital": "mood"}, "vital: input should be 'heart_"),
        ("vital_trend", {"patient_id": "p1", "vital": "map", "hours": 0}, "greater than 0"),
        ("current_risk", "{", "are not JSON"),
        ("current_risk", "[]", "are no object"),
    ],
)
def test_wrong_arguments_are_told_with_what_to_change(name: str, arguments: Any, says: str) -> None:
    with pytest.raises(ToolArgumentError, match=None) as raised:
        call(name, arguments, WardTable(), claims(), now_s=NOW_S)

    assert says in str(raised.value)


def test_a_wrong_value_is_not_repeated_in_the_error() -> None:
    with pytest.raises(ToolArgumentError) as raised:
        call("vital_trend", {"patient_id": "p-secret", "vital": "secret"}, WardTable(), claims())

    assert "secret" not in str(raised.value)


def test_arguments_may_come_as_text(busy: WardTable) -> None:
    found = call("current_risk", '{"patient_id": "p000123"}', busy, claims(), now_s=NOW_S)

    assert found.tool == "current_risk"


def test_somebody_of_several_units_is_asked_which(busy: WardTable) -> None:
    with pytest.raises(ToolArgumentError, match="name the one you mean"):
        call("unit_summary", {}, busy, claims(units=("ICU-1", "ICU-2")), now_s=NOW_S)


def test_tools_are_json_schema_in_the_format_of_the_endpoint() -> None:
    for tool in openai_tools():
        assert set(tool) == {"type", "function"}
        assert tool["type"] == "function"
        function = tool["function"]
        assert set(function) == {"name", "description", "parameters"}
        jsonschema.Draft202012Validator.check_schema(function["parameters"])
        assert function["parameters"]["type"] == "object"
        assert function["parameters"]["additionalProperties"] is False
        json.dumps(tool)


@pytest.mark.parametrize(
    ("arguments", "valid"),
    [
        ({"patient_id": "p1", "vital": "spo2", "hours": 6}, True),
        ({"patient_id": "p1", "vital": "spo2"}, True),
        ({"patient_id": "p1", "vital": "mood"}, False),
        ({"patient_id": "p1"}, False),
        ({"patient_id": "p1", "vital": "spo2", "hours": 25}, False),
        ({"patient_id": "p1", "vital": "spo2", "more": 1}, False),
    ],
)
def test_the_schema_takes_what_the_tool_takes(
    busy: WardTable, arguments: dict[str, Any], valid: bool
) -> None:
    schema = catalogue()["vital_trend"].schema()["function"]["parameters"]

    assert jsonschema.Draft202012Validator(schema).is_valid(arguments) is valid
    if valid:
        call("vital_trend", arguments, busy, site(), now_s=NOW_S)
    else:
        with pytest.raises(ToolArgumentError):
            call("vital_trend", arguments, busy, site(), now_s=NOW_S)


def test_vital_signs_are_those_of_the_project() -> None:
    assert get_args(VitalName) == tuple(vital.name for vital in VITALS)


def test_a_refusal_is_a_value(busy: WardTable) -> None:
    assert isinstance(
        call("current_risk", {"patient_id": "p000900"}, busy, claims(), now_s=NOW_S), Refusal
    )

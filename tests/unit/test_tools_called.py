"""How tools are called: their arguments, their schemas, and what is wrong told clearly."""

import json
from typing import Any, get_args

import jsonschema
import pytest

from models.vitals import VITALS
from rag.tools import Refusal, ToolArgumentError, call, catalogue
from rag.tools.argument_texts import UNCLEAR, what_to_write
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


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("curent_risk", {}, "name the patient or the ward"),
        ("current_risk", "{", "name the patient or the ward"),
        ("current_risk", {"patient_id": "p1", "x": 1}, "name the patient or the ward"),
        ("current_risk", {}, 'such as "patient p-77"'),
        ("current_risk", {"patient_id": "1" * 200}, "the patient's id as it stands on the board"),
        ("unit_summary", {"unit_id": ""}, 'such as "ICU-1"'),
        ("why_paged", {"reference": ""}, "reference as the page has it"),
        ("vital_trend", {"patient_id": "p", "vital": "mood"}, "Please write heart rate, pulse"),
        ("vital_trend", {"patient_id": "p", "vital": "map", "hours": 25}, "at most 24 hours"),
        ("alert_history", {"patient_id": "p", "hours": 200}, "at most 168 hours"),
        ("risk_trend", {"patient_id": "p", "hours": 0}, "in the last 6 hours"),
        ("sickest_on_unit", {"count": 51}, "at most 50 patients"),
        ("sickest_on_unit", {"count": 0}, "the 5 sickest"),
    ],
)
def test_people_are_told_in_a_sentence_what_to_write_instead(
    name: str, arguments: Any, says: str
) -> None:
    with pytest.raises(ToolArgumentError) as raised:
        call(name, arguments, WardTable(), site(), now_s=NOW_S)

    said = raised.value.said
    assert says in said
    assert said.endswith((".", '".'))
    words = ("_id", "_rate", "argument", "field", "input", "tool", "permitted", "string", name)
    assert not [word for word in words if word in said.lower()], "words of programs"


def test_every_argument_of_every_tool_has_its_sentence() -> None:
    fields = {field for tool in catalogue().values() for field in tool.arguments.model_fields}
    told = {field: what_to_write([{"loc": (field,), "ctx": {}}]) for field in fields}
    assert not [field for field, said in told.items() if said == UNCLEAR]


def test_a_wrong_value_is_not_repeated_in_the_error() -> None:
    with pytest.raises(ToolArgumentError) as raised:
        call("vital_trend", {"patient_id": "p-secret", "vital": "secret"}, WardTable(), claims())

    assert "secret" not in str(raised.value) + raised.value.said


def test_arguments_may_come_as_text(busy: WardTable) -> None:
    found = call("current_risk", '{"patient_id": "p000123"}', busy, claims(), now_s=NOW_S)

    assert found.tool == "current_risk"


def test_somebody_of_several_units_is_asked_which(busy: WardTable) -> None:
    with pytest.raises(ToolArgumentError, match="name the one you mean") as raised:
        call("unit_summary", {}, busy, claims(units=("ICU-1", "ICU-2")), now_s=NOW_S)
    assert raised.value.said == "Please write which ward you mean: ICU-1 or ICU-2."

    many = tuple(f"ICU-{n}" for n in range(1, 20))
    with pytest.raises(ToolArgumentError) as raised:
        call("unit_summary", {}, busy, claims(units=many), now_s=NOW_S)
    assert raised.value.said.endswith("such as ICU-1.")


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

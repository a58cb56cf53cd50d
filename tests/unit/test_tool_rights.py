"""Tools and rights: what is refused, and that a refusal tells nothing."""

from typing import Any

import pytest

from rag.tools import NothingKnown, Refusal, Result, call, catalogue
from rag.tools.claims import Claims, subject_hash
from tables.ward import WardTable
from tests.unit.made_ward import NOW_S, change, claims, recommendation, site, ward


@pytest.fixture
def table() -> WardTable:
    return ward(
        recommendation(1, heart_rate=90),
        recommendation(1, patient="p000900", unit="ICU-9", heart_rate=90),
        recommendation(1, patient="nowhere", unit=None, heart_rate=90),
        changes=(
            change(0, "raised", 1, contact=None),
            change(0, "raised", 1, alert="a9", reference="XXXX99", patient="p000900", unit="ICU-9"),
            change(1, "queued", 1, alert="a9", reference="XXXX99", patient="p000900", unit="ICU-9",
                   contact="nurse-day", channel="sms"),
        ),
    )  # fmt: skip


def _call(table: WardTable, name: str, who: Claims, **arguments: Any) -> Result | Refusal:
    return call(name, arguments, table, who, now_s=NOW_S)


def _arguments(name: str, patient: str, unit: str, reference: str) -> dict[str, Any]:
    tool = catalogue()[name]
    arguments: dict[str, Any] = {}
    if tool.needs == "patient":
        arguments["patient_id"] = patient
    if tool.needs == "unit":
        arguments["unit_id"] = unit
    if tool.needs == "alert":
        arguments["reference"] = reference
    if "vital" in tool.arguments.model_fields:
        arguments["vital"] = "heart_rate"
    return arguments


_ABOUT_SOMEBODY = [name for name, tool in catalogue().items() if tool.needs != "nothing"]


@pytest.mark.parametrize("name", _ABOUT_SOMEBODY)
def test_with_the_right_there_is_a_result(table: WardTable, name: str) -> None:
    arguments = _arguments(name, "p000123", "ICU-2", "C7Q2XM")

    assert isinstance(_call(table, name, claims(), **arguments), Result)


@pytest.mark.parametrize("name", _ABOUT_SOMEBODY)
def test_what_is_not_there_is_refused_to_the_letter_as_what_may_not_be_seen(
    table: WardTable, name: str
) -> None:
    there = _call(table, name, claims(), **_arguments(name, "p000900", "ICU-9", "XXXX99"))
    absent = _call(table, name, claims(), **_arguments(name, "p999999", "ICU-99", "YYYY99"))

    assert isinstance(there, Refusal)
    assert isinstance(absent, Refusal)
    assert there.text == absent.text
    assert (there.reason, there.subject) == (absent.reason, absent.subject)
    assert there.subject_hash != absent.subject_hash


@pytest.mark.parametrize("name", list(catalogue()))
def test_expired_claims_get_nothing(table: WardTable, name: str) -> None:
    found = _call(table, name, claims(exp=NOW_S), **_arguments(name, "p000123", "ICU-2", "C7Q2XM"))

    assert isinstance(found, Refusal)
    assert found.reason == "expired"


@pytest.mark.parametrize("name", _ABOUT_SOMEBODY)
def test_a_patient_sees_themself_and_nobody_who_works_here(table: WardTable, name: str) -> None:
    me = claims(sub="account", role="patient", patients=("p000123",), units=("ICU-2", "ICU-9"))
    mine = _call(table, name, me, **_arguments(name, "p000123", "ICU-2", "C7Q2XM"))
    other = _call(table, name, me, **_arguments(name, "p000900", "ICU-9", "XXXX99"))

    assert isinstance(other, Refusal)
    assert isinstance(mine, Refusal) is catalogue()[name].staff


def test_a_listed_patient_is_seen_wherever_they_are(table: WardTable) -> None:
    who = claims(units=(), patients=("nowhere", "p000900"))

    assert isinstance(_call(table, "current_risk", who, patient_id="nowhere"), Result)
    assert isinstance(_call(table, "current_risk", who, patient_id="p000900"), Result)
    assert isinstance(_call(table, "current_risk", who, patient_id="p000123"), Refusal)
    # but not everybody who is there with them
    assert isinstance(_call(table, "sickest_on_unit", who, unit_id="ICU-9"), Refusal)
    assert isinstance(_call(table, "unit_summary", who), Refusal)


def test_a_patient_without_a_unit_is_not_on_everybodys(table: WardTable) -> None:
    assert isinstance(_call(table, "current_risk", claims(), patient_id="nowhere"), Refusal)
    assert isinstance(_call(table, "current_risk", site(), patient_id="nowhere"), Result)


def test_a_patient_who_has_moved_away_is_not_seen_any_more(table: WardTable) -> None:
    assert isinstance(_call(table, "why_paged", claims(), reference="C7Q2XM"), Result)

    table.recommended(recommendation(2, unit="ICU-9"))

    assert isinstance(_call(table, "current_risk", claims(), patient_id="p000123"), Refusal)
    assert isinstance(_call(table, "why_paged", claims(), reference="C7Q2XM"), Refusal)


def test_a_page_to_me_about_somebody_i_may_not_see_is_not_told(table: WardTable) -> None:
    found = _call(table, "why_paged", claims(sub="nurse-day"))

    assert isinstance(found, NothingKnown)
    assert "p000900" not in found.model_dump_json()
    assert "XXXX99" not in found.model_dump_json()


def test_whoever_may_see_a_patient_is_told_that_there_is_nothing(table: WardTable) -> None:
    for who in (site(), claims(patients=("p777",))):
        found = _call(table, "current_risk", who, patient_id="p777")
        assert isinstance(found, NothingKnown)
        assert "p777" in found.text


def test_a_refusal_can_be_audited_by_hash_and_names_nobody(table: WardTable) -> None:
    found = _call(table, "current_risk", claims(), patient_id="p000900")

    assert isinstance(found, Refusal)
    assert found.subject_hash == subject_hash("patient", "p000900")
    assert "p000900" not in found.model_dump_json()
    assert "ICU-9" not in found.model_dump_json()


def test_nothing_is_logged(table: WardTable, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(0):
        _call(table, "current_risk", claims(), patient_id="p000123")
        _call(table, "current_risk", claims(), patient_id="p000900")

    assert not caplog.records

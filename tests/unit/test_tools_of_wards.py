"""Tools of alerts and units: what each says of a ward that is known."""

from typing import Any

import pytest

from config.policy import load_policy
from models.risk import Tiers
from rag.tools import NothingKnown, Setting, call
from rag.tools.claims import Claims
from tables.ward import WardTable
from tests.unit.made_ward import NOW_S, busy_ward, change, claims, recommendation, ward

_SETTING = Setting(rules=load_policy().episodes, tiers=Tiers(0.02, 0.05, 0.2))


@pytest.fixture
def busy() -> WardTable:
    return busy_ward()


def _call(table: WardTable, name: str, who: Claims | None = None, **arguments: Any) -> Any:
    return call(name, arguments, table, who or claims(), setting=_SETTING, now_s=NOW_S)


def _of(table: WardTable, name: str, **more: Any) -> Any:
    return _call(table, name, patient_id="p000123", **more)


def test_open_alerts_have_their_pages(busy: WardTable) -> None:
    (alert,) = _of(busy, "open_alerts").alerts

    assert (alert.reference, alert.tier, alert.is_open) == ("C7Q2XM", "urgent", True)
    assert {page.contact: page.state for page in alert.pages} == {
        "nurse-day": "delivered",
        "dr-quill": "queued",
    }


def test_the_history_has_closed_alerts_too(busy: WardTable) -> None:
    assert [one.reference for one in _of(busy, "alert_history").alerts] == ["C7Q2XM", "F9J8M7"]
    assert [one.reference for one in _of(busy, "alert_history", hours=3).alerts] == ["C7Q2XM"]


def test_why_paged_goes_from_the_alert_to_the_reading_and_the_rule(busy: WardTable) -> None:
    found = _call(busy, "why_paged", reference="c7q2xm")

    assert found.exact
    assert (found.risk, found.tier) == (0.3, "urgent")
    assert found.rules[0] == "the model's own tier is urgent, at least urgent"
    assert {one.vital: one.value for one in found.vitals}["heart_rate"] == 118
    assert "The reading behind it, 08:00 UTC (1 h ago)" in found.text


def test_why_paged_says_what_the_pager_said_and_where_the_reading_is_gone() -> None:
    table = ward(
        recommendation(30),
        changes=(change(0, "raised", 1, detail="NEWS2 9, at least 7"),),
    )
    found = _call(table, "why_paged", reference="C7Q2XM")

    assert found.basis_at is None
    assert "The pager said: NEWS2 9, at least 7." in found.text
    assert "not kept any more" in found.text


def test_i_am_told_of_the_newest_page_to_me(busy: WardTable) -> None:
    assert _call(busy, "why_paged").alert.reference == "C7Q2XM"
    assert _call(busy, "why_paged", claims(sub="dr-quill")).alert.reference == "C7Q2XM"
    assert isinstance(_call(busy, "why_paged", claims(sub="head")), NothingKnown)


def test_who_answered_names_who_accepted(busy: WardTable) -> None:
    found = _call(busy, "who_answered", reference="F9J8M7")

    assert [(one.by, one.answer) for one in found.alert.answers] == [("dr-quill", "accepted")]
    assert "accepted by dr-quill" in found.text
    assert "accepted by nobody yet" in _of(busy, "who_answered").text


def test_the_sickest_of_a_unit_come_first(busy: WardTable) -> None:
    found = _call(busy, "sickest_on_unit", unit_id="ICU-2", count=2)

    assert [one.patient_id for one in found.patients] == ["p000123", "p000300"]
    assert found.of == 3
    assert "patient p000123, 35.0%, tier urgent" in found.text


def test_a_unit_is_listed_and_counted(busy: WardTable) -> None:
    listed = _call(busy, "unit_patients")
    counted = _call(busy, "unit_summary")

    assert [one.patient_id for one in listed.patients] == ["p000123", "p000200", "p000300"]
    assert counted.tiers == {"urgent": 1, "warning": 0, "watch": 1, "none": 1}
    assert (counted.patients, counted.open_alerts, counted.silent) == (3, 1, 1)


def test_who_got_worse_is_found_with_then_and_now(busy: WardTable) -> None:
    found = _call(busy, "worsened_on_unit", hours=5)

    assert [one.patient_id for one in found.patients] == ["p000123"]
    assert (found.patients[0].tier_before, found.patients[0].tier) == ("watch", "urgent")
    assert found.not_comparable == 1


def test_silent_patients_are_those_without_a_reading(busy: WardTable) -> None:
    found = _call(busy, "silent_patients", hours=3)

    assert [one.patient_id for one in found.patients] == ["p000300"]


def test_one_vital_sign_of_everybody(busy: WardTable) -> None:
    lowest = _call(busy, "unit_vital", vital="heart_rate", first="lowest")
    fever = _call(busy, "unit_vital", vital="temperature")

    assert [one.value for one in lowest.patients] == [60, 72, 118]
    assert [one.patient_id for one in fever.patients] == ["p000123", "p000200"]
    assert fever.not_measured == 1


def test_open_alerts_of_a_unit_name_their_patients(busy: WardTable) -> None:
    found = _call(busy, "unit_open_alerts")

    assert found.patients == ["p000123"]


def test_a_unit_is_found_as_people_write_it(busy: WardTable) -> None:
    for name in ("ICU-2", "icu 2", "icu2", "Ward ICU-2", "unit icu_2"):
        assert _call(busy, "unit_summary", unit_id=name).unit_id == "ICU-2"

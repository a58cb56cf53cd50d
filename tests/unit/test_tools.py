"""Each tool: what it says of a ward that is known, and how it is called."""

from typing import Any

import pytest

from config.guidance import guidance
from config.policy import load_policy
from models.risk import Tiers
from models.scores import NEWS2_ITEMS, news2_item
from rag.tools import NothingKnown, Setting, call, catalogue
from rag.tools.claims import Claims
from rag.tools.patient_scores import bands
from tables.ward import WardTable
from tests.helpers import HOUR, T0
from tests.unit.made_ward import NOW_S, change, claims, recommendation, ward

_SETTING = Setting(rules=load_policy().episodes, tiers=Tiers(0.02, 0.05, 0.2))


@pytest.fixture
def busy() -> WardTable:
    """A ward of three patients, one of whom gets worse and is paged for."""
    normal = {"resp_rate": 16, "spo2": 97, "sbp": 120, "temperature": 37.0}
    sick = {"resp_rate": 24, "spo2": 93, "sbp": 98, "temperature": 38.6}
    return ward(
        recommendation(0, heart_rate=80, risk=0.02, tier="none", **normal),
        recommendation(4, heart_rate=96, risk=0.04, tier="watch", **normal),
        recommendation(8, heart_rate=118, risk=0.3, tier="urgent", **sick),
        recommendation(9, pulse_rate=121, risk=0.35, tier="urgent", data_quality={
            "flags": ["pulse_differs"], "measured": 1}),
        recommendation(1, patient="p000200", heart_rate=70, risk=0.01, tier="none"),
        recommendation(9, patient="p000200", heart_rate=72, risk=0.01, tier="none", **normal),
        recommendation(5, patient="p000300", heart_rate=60, risk=0.03, tier="watch"),
        recommendation(9, patient="p000900", unit="ICU-9", risk=0.9, tier="urgent"),
        changes=(
            change(0, "raised", 8),
            change(1, "queued", 8, contact="nurse-day", channel="sms", step=0),
            change(2, "delivered", 8.01, contact="nurse-day", channel="sms", step=0),
            change(3, "declined", 8.05, contact="nurse-day"),
            change(4, "escalated", 8.05, step=1, detail="step 2"),
            change(5, "queued", 8.05, contact="dr-quill", channel="sms", step=1),
            change(0, "raised", 2, alert="a0", reference="F9J8M7", tier="warning"),
            change(1, "accepted", 2.5, alert="a0", reference="F9J8M7", tier="warning",
                   contact="dr-quill"),
            change(0, "raised", 9, alert="a9", reference="XXXX99", patient="p000900", unit="ICU-9"),
        ),
    )  # fmt: skip


def _call(table: WardTable, name: str, who: Claims | None = None, **arguments: Any) -> Any:
    return call(name, arguments, table, who or claims(), setting=_SETTING, now_s=NOW_S)


def _of(table: WardTable, name: str, **more: Any) -> Any:
    return _call(table, name, patient_id="p000123", **more)


def test_there_are_the_tools_that_a_ward_asks_for() -> None:
    assert len(catalogue()) >= 20
    assert all(tool.description.endswith(".") for tool in catalogue().values())


def test_every_tool_gives_a_text_with_its_basis_and_the_disclaimer(busy: WardTable) -> None:
    for tool in catalogue().values():
        arguments: dict[str, Any] = {}
        if tool.needs == "patient":
            arguments["patient_id"] = "p000123"
        if "vital" in tool.arguments.model_fields:
            arguments["vital"] = "heart_rate"
        found = _call(busy, tool.name, **arguments)

        assert type(found) is tool.result
        assert found.tool == tool.name
        assert found.text.endswith(guidance().disclaimer)
        assert "Basis: " in found.text
        # who is not on this unit is in no result
        assert "p000900" not in found.model_dump_json()


def test_current_risk_names_its_factors_and_model(busy: WardTable) -> None:
    found = _of(busy, "current_risk")

    assert (found.risk, found.tier) == (0.35, "urgent")
    assert "35.0%, tier urgent" in found.text
    assert "+0.81 log-odds: heart rate 112 /min" in found.text
    assert "09:00 UTC (just now), model vigil 1.2.3" in found.text


def test_an_old_reading_is_said_to_be_old(busy: WardTable) -> None:
    found = call(
        "current_risk", {"patient_id": "p000123"}, busy, claims(), now_s=NOW_S,
        now_ms=T0 + 13 * HOUR,
    )  # fmt: skip

    assert "09:00 UTC (4 h ago)" in found.text
    assert "This is old" in found.text


def test_risk_trend_has_each_point_and_the_change(busy: WardTable) -> None:
    found = _of(busy, "risk_trend", hours=6)

    assert [point.risk for point in found.points] == [0.04, 0.3, 0.35]
    assert (found.low, found.high) == (0.04, 0.35)
    assert "from 4.0% to 35.0%" in found.text


def test_vital_trend_has_values_units_and_extremes(busy: WardTable) -> None:
    found = _of(busy, "vital_trend", vital="heart_rate")

    assert [one.value for one in found.values] == [80, 96, 118]
    assert (found.low, found.high, found.change, found.unit) == (80, 118, 38, "/min")
    assert "from 80 /min at 00:00 UTC to 118 /min" in found.text


def test_the_pulse_stands_in_for_a_heart_rate_that_is_not_there() -> None:
    table = ward(recommendation(1, pulse_rate=90), recommendation(2, pulse_rate=95))
    found = _of(table, "vital_trend", vital="heart_rate")

    assert found.vital == "pulse_rate"
    assert [one.value for one in found.values] == [90, 95]


def test_a_trend_without_values_says_so(busy: WardTable) -> None:
    found = _of(busy, "vital_trend", vital="map")

    assert found.values == []
    assert found.low is None
    assert "No mean arterial pressure" in found.text


def test_latest_vitals_each_have_an_age(busy: WardTable) -> None:
    found = {one.vital: one for one in _of(busy, "latest_vitals").vitals}

    assert (found["pulse_rate"].value, found["pulse_rate"].age_s) == (121, 0)
    assert (found["temperature"].value, found["temperature"].age_s) == (38.6, 3600)
    assert found["map"].value is None


def test_one_vital_sign_alone(busy: WardTable) -> None:
    found = _of(busy, "latest_vitals", vital="spo2")

    assert [(one.vital, one.value) for one in found.vitals] == [("spo2", 93)]
    assert "oxygen saturation  93 %   08:00 UTC (1 h ago)" in found.text


def test_news2_is_explained_component_by_component() -> None:
    table = ward(
        recommendation(1, resp_rate=22, spo2=95, sbp=100, heart_rate=112, temperature=38.5)
    )
    found = _of(table, "news2_explained")

    assert found.total == 8
    assert [(one.vital, one.points, one.band) for one in found.items] == [
        ("resp_rate", 2, "21 to 24"),
        ("spo2", 1, "94 to 95"),
        ("sbp", 2, "91 to 100"),
        ("heart_rate", 2, "111 to 130"),
        ("temperature", 1, "38.1 to 39.0"),
    ]
    assert "consciousness" in found.text
    assert "mean of the five minutes" not in found.text


def test_news2_says_where_points_are_not_those_of_the_last_value() -> None:
    news2 = {"total": 2, "points": {"heart_rate": 2}, "missing": [], "rule": "news2-partial/1"}
    table = ward(recommendation(1, heart_rate=110, news2=news2))
    found = _of(table, "news2_explained")

    assert found.items[3].band == "111 to 130"
    assert "mean of the five minutes" in found.text


@pytest.mark.parametrize("item", range(len(NEWS2_ITEMS)))
def test_bands_are_those_of_the_score(item: int) -> None:
    found = bands(item)
    steps = 10 if NEWS2_ITEMS[item] == "temperature" else 1

    assert [one.low for one in found[1:]] == [one.high + 1 for one in found[:-1]]
    for band in found:
        assert news2_item(item, band.low / steps) == band.points
        assert news2_item(item, band.high / steps) == band.points


def test_screening_names_criteria_and_no_diagnosis(busy: WardTable) -> None:
    found = _of(busy, "sepsis_screen")

    assert (found.qsofa, found.sirs) == (2, 3)
    assert all(one.met for one in found.criteria)
    assert "not a diagnosis" in found.text
    assert "altered mentation" in found.text


def test_a_criterion_without_a_value_is_neither_met_nor_not() -> None:
    found = _of(ward(recommendation(1, resp_rate=30)), "sepsis_screen")

    assert [one.met for one in found.criteria] == [True, None, None, None, True]
    assert (found.qsofa, found.sirs) == (1, 1)


def test_data_quality_names_what_is_missing_old_and_doubtful(busy: WardTable) -> None:
    found = _of(busy, "data_quality")

    assert found.flags == ["pulse_differs"]
    assert "mean arterial pressure" in found.missing
    assert found.old == []
    assert "1 of 8 vital signs" in found.text
    assert "pulse differs" in found.text


def test_next_steps_are_those_of_the_recommendation(busy: WardTable) -> None:
    assert _of(busy, "next_steps").steps == guidance().next_steps["urgent"]
    calm = _call(busy, "next_steps", patient_id="p000200")
    assert calm.steps == []
    assert "nothing is suggested" in calm.text


def test_the_model_behind_a_score_is_named_with_its_rules(busy: WardTable) -> None:
    found = _of(busy, "model_behind")

    assert (found.model_name, found.model_version) == ("vigil", "1.2.3")
    assert "news2-partial/1" in found.rules


def test_compare_has_then_and_now(busy: WardTable) -> None:
    found = _of(busy, "compare", hours=5)
    changes = {one.name: (one.before, one.now) for one in found.changes}

    assert (found.tier_before, found.tier) == ("watch", "urgent")
    assert changes["risk"] == (0.04, 0.35)
    assert changes["heart_rate"] == (96, 118)


def test_nothing_is_compared_where_nothing_is_kept_from_then(busy: WardTable) -> None:
    found = _of(busy, "compare", hours=24)

    assert found.then_at is None
    assert found.changes == []
    assert "nothing is kept from then" in found.text


def test_the_last_reading_has_its_age_and_what_was_on_it(busy: WardTable) -> None:
    found = _call(busy, "last_reading", patient_id="p000300")

    assert found.age_s == 4 * 3600
    assert found.measured == ["heart rate 60 /min"]


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


def test_a_tier_is_explained_by_the_model_the_policy_and_the_guidance(busy: WardTable) -> None:
    (found,) = _call(busy, "tier_explained", tier="urgent").tiers

    assert found.from_risk == 0.2
    assert "NEWS2 is 7 or more and the model's own tier is at least warning" in found.raised_when
    assert found.next_steps == guidance().next_steps["urgent"]


def test_a_unit_is_found_as_people_write_it(busy: WardTable) -> None:
    for name in ("ICU-2", "icu 2", "icu2", "Ward ICU-2", "unit icu_2"):
        assert _call(busy, "unit_summary", unit_id=name).unit_id == "ICU-2"


def test_names_of_a_feed_are_safe_on_a_terminal() -> None:
    table = ward(recommendation(1, patient="p\x1b[31m1", unit="ICU-2"))
    found = _call(table, "sickest_on_unit")

    assert "\x1b" not in found.text

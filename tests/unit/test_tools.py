"""Each tool: what it says of a ward that is known, and how it is called."""

from typing import Any

import pytest

from config.guidance import guidance
from config.policy import load_policy
from models.risk import Tiers
from models.scores import NEWS2_ITEMS, news2_item
from rag.tools import Setting, call, catalogue
from rag.tools.claims import Claims
from rag.tools.patient_scores import bands
from tables.ward import WardTable
from tests.helpers import HOUR, T0
from tests.unit.made_ward import NOW_S, busy_ward, claims, recommendation, ward

_SETTING = Setting(rules=load_policy().episodes, tiers=Tiers(0.02, 0.05, 0.2))


@pytest.fixture
def busy() -> WardTable:
    return busy_ward()


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


def test_a_tier_is_explained_by_the_model_the_policy_and_the_guidance(busy: WardTable) -> None:
    (found,) = _call(busy, "tier_explained", tier="urgent").tiers

    assert found.from_risk == 0.2
    assert "NEWS2 is 7 or more and the model's own tier is at least warning" in found.raised_when
    assert found.next_steps == guidance().next_steps["urgent"]


def test_names_of_a_feed_are_safe_on_a_terminal() -> None:
    table = ward(recommendation(1, patient="p\x1b[31m1", unit="ICU-2"))
    found = _call(table, "sickest_on_unit")

    assert "\x1b" not in found.text

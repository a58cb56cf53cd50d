"""Silences: what they keep from paging, and what never."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.silences import silenced
from streams.alert_events import Silence

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def silence(**more: Any) -> Silence:
    given: dict[str, Any] = {
        "silence_id": "s1", "starts_at": NOW, "ends_at": NOW + timedelta(hours=2), "by": "ann",
        "reason": "a drill",
    }  # fmt: skip
    return Silence(**(given | more))


def test_a_silence_holds_from_its_begin_to_before_its_end() -> None:
    def at(hours: float) -> str | None:
        return silenced([silence()], "patient", None, "warning", NOW + timedelta(hours=hours))

    assert [at(-0.1), at(0), at(1.9), at(2)] == [None, "s1", "s1", None]


@pytest.mark.parametrize("kind", ["patient", "operations"])
def test_an_urgent_alert_is_silenced_only_where_the_tier_is_named(kind: Any) -> None:
    assert silenced([silence()], kind, "icu", "urgent", NOW) is None
    assert silenced([silence(tiers=["warning"])], kind, "icu", "urgent", NOW) is None
    assert silenced([silence(tiers=["urgent"])], kind, "icu", "urgent", NOW) == "s1"
    assert silenced([silence(tiers=["urgent"])], kind, "icu", "warning", NOW) is None
    assert silenced([silence()], kind, "icu", "watch", NOW) == "s1"


def test_a_silence_of_a_unit_is_about_that_unit_only() -> None:
    own = [silence(unit_id="icu-a")]
    assert silenced(own, "patient", "icu-a", "warning", NOW) == "s1"
    assert silenced(own, "patient", "icu-b", "warning", NOW) is None
    assert silenced(own, "operations", None, "warning", NOW) is None


def test_a_silence_of_a_kind_is_about_that_kind_only() -> None:
    own = [silence(kind="operations")]
    assert silenced(own, "operations", None, "warning", NOW) == "s1"
    assert silenced(own, "patient", "icu-a", "warning", NOW) is None


def test_the_first_that_fits_is_named_and_without_one_nothing_is_silenced() -> None:
    several = [silence(silence_id="s0", unit_id="x"), silence(), silence(silence_id="s2")]
    assert silenced(several, "patient", "icu", "warning", NOW) == "s1"
    assert silenced([], "patient", "icu", "warning", NOW) is None

"""The alert budget: what a unit may have, and what is kept of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.policy import Budget as Rules
from tables.budget import WINDOW_DAYS, Budget

pytestmark = pytest.mark.unit

DAY_MS = 86_400_000


def budget(**rules: Any) -> Budget:
    return Budget(Rules.model_validate({"per_patient_day": {"urgent": 0.1}, "burst": 2} | rules))


def spend(found: Budget, unit: str | None = "icu", at_ms: int = 0) -> int:
    """Spend while it is admitted; return how often."""
    spent = 0
    while found.admits(unit, "urgent") and spent < 100:
        found.spend(unit, "urgent", at_ms)
        spent += 1
    return spent


def test_a_burst_is_admitted_before_anybody_was_watched_and_no_more() -> None:
    assert spend(budget()) == 2


def test_a_unit_without_a_burst_has_to_be_watched_first() -> None:
    found = budget(burst=0)
    assert spend(found) == 0
    found.census("icu", 0, 10 * 24, 0)
    assert spend(found) == 1


def test_the_budget_grows_with_the_time_watched_and_the_burst_is_not_on_top() -> None:
    found = budget()
    found.census("icu", 0, 29 * 24, 0)
    assert spend(found) == 2
    found.census("icu", 0, 30 * 24, 0)
    assert spend(found) == 1


def test_the_time_watched_is_the_sum_over_the_partitions() -> None:
    found = budget()
    for partition in range(5):
        found.census("icu", partition, 10 * 24, 0)
    assert spend(found) == 5


def test_a_census_that_comes_late_or_again_changes_nothing() -> None:
    found = budget()
    for hours in (50 * 24, 45 * 24, 50 * 24):
        found.census("icu", 0, hours, 0)
    assert found.patient_days("icu") == 50


def test_what_pages_over_the_budget_is_spent_all_the_same() -> None:
    found = budget()
    found.census("icu", 0, 40 * 24, 0)
    for _ in range(4):
        found.spend("icu", "urgent", 0)
    assert not found.admits("icu", "urgent")
    found.census("icu", 0, 50 * 24, 0)
    assert spend(found) == 1


def test_units_do_not_share_and_patients_of_none_are_a_unit() -> None:
    found = budget()
    assert (spend(found, "icu"), spend(found, None), spend(found, "")) == (2, 2, 2)


def test_a_tier_that_is_not_named_has_no_limit_and_costs_the_others_nothing() -> None:
    found = budget()
    for _ in range(50):
        assert found.admits("icu", "warning")
        found.spend("icu", "warning", 0)
    assert spend(found) == 2


@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.just("census"),
                st.sampled_from(["a", "", None]),
                st.integers(0, 3),
                st.floats(0, 1e4),
                st.integers(0, 20 * DAY_MS),
            ),
            st.tuples(
                st.just("spend"),
                st.sampled_from(["a", "", None]),
                st.just("urgent"),
                st.integers(0, 20 * DAY_MS),
            ),
        ),
        max_size=30,
    ),
    st.integers(1, 5),
)
def test_a_restored_budget_is_the_same_however_often_it_was_stored(
    course: list[Any], every: int
) -> None:
    stored: dict[bytes, bytes] = {b"other": b"\x07"}
    found = budget()
    for number, (what, *how) in enumerate(course):
        getattr(found, what)(*how)
        if number % every == 0:
            stored |= found.rows()
    stored |= found.rows()
    assert found.rows() == {}
    again = budget()
    again.restore(stored.items())
    for unit in ("a", "", None):
        assert again.spent(unit, "urgent") == found.spent(unit, "urgent")
        assert again.allowed(unit, "urgent") == found.allowed(unit, "urgent")


def test_a_budget_of_another_release_is_not_misread() -> None:
    with pytest.raises(ValueError, match="another release"):
        budget().restore([(b"buicu", b"\x09")])


def test_a_quiet_month_is_no_credit_for_a_loud_night() -> None:
    found = budget()
    for day in range(30):
        found.census("icu", 0, 10 * 24 * (day + 1), day * DAY_MS)
    assert found.patient_days("icu") == 10 * WINDOW_DAYS
    assert spend(found, at_ms=29 * DAY_MS) == WINDOW_DAYS


def test_a_loud_night_is_forgotten_after_a_week_and_not_before() -> None:
    found = budget()
    for _ in range(2):
        found.spend("icu", "urgent", 0)
    found.census("icu", 0, 1, (WINDOW_DAYS - 1) * DAY_MS)
    assert not found.admits("icu", "urgent")
    found.census("icu", 0, 2, WINDOW_DAYS * DAY_MS)
    assert found.admits("icu", "urgent")


def test_what_comes_later_than_the_window_is_of_its_oldest_day() -> None:
    found = budget()
    found.census("icu", 0, 1, 30 * DAY_MS)
    found.spend("icu", "urgent", 0)
    assert found.spent("icu", "urgent") == 1


def test_a_count_that_begins_anew_goes_on_from_there() -> None:
    found = budget()
    found.census("icu", 0, 50 * 24, 0)
    found.census("icu", 0, 24, 0)
    found.census("icu", 0, 10 * 24, 0)
    assert found.patient_days("icu") == 60

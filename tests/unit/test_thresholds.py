"""Thresholds that follow a hospital: exact on the grid, of fixed size, not thrown about."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.alarms import URGENT_BUDGET, WARNING_BUDGET, alert_rows, patient_days
from models.risk import Tiers
from models.stay import Stay
from models.thresholds import GRID, Prior, Tally, hourly_gains
from models.utility import utility_gains
from tests.unit.made_forests import made_champion

pytestmark = pytest.mark.unit

HOUR_MS = 3_600_000
NO_PRIOR = Prior(pull=0.0, days=1e-9)


def made(count: int = 60, *, seed: int = 0, shift: float = 0.0) -> list[Stay]:
    """Stays of 10 to 40 hours, their risk in ``values``: log-odds that rise before onset."""
    rng = np.random.default_rng(seed)
    stays = []
    for number in range(count):
        hours = int(rng.integers(10, 40))
        labels = np.zeros(hours, np.int8)
        logits = rng.normal(-4 + shift, 1, hours)
        if number % 5 == 0:
            labels[hours // 2 :] = 1
            logits[hours // 2 - 4 :] += 2
        stays.append(
            Stay(f"p{number}", np.arange(1, hours + 1) * 3600, logits[:, None], labels=labels)
        )
    return stays


def tally(stays: list[Stay], *, keep: float = 1.0) -> Tally:
    found = Tally.empty()
    for stay in stays:
        assert stay.labels is not None
        found.add(stay.seconds * 1000, stay.values[:, 0], stay.labels, keep=keep)
    return found


def test_what_a_threshold_earns_and_alerts_is_counted_exactly() -> None:
    stays = made()
    found = tally(stays)
    logits = [stay.values[:, 0] for stay in stays]
    gains = utility_gains([stay.labels for stay in stays if stay.labels is not None])
    earned = np.cumsum(found.gains[::-1])[::-1][1:]
    for at in range(0, len(GRID), 20):
        reached = np.concatenate(logits) >= GRID[at]
        assert earned[at] == pytest.approx(gains[reached].sum(), abs=1e-9)
        assert found.alerts[at] == sum(map(len, alert_rows(stays, logits, float(GRID[at]))))
    assert found.days == pytest.approx(patient_days(stays))
    assert found.stays == len(stays)


@settings(max_examples=50)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=30),
    st.integers(0, 40),
    st.integers(0, HOUR_MS),
)
def test_hours_without_a_reading_earn_nothing_and_shift_nobody_elses(
    steps: list[int], onset: int, start_ms: int
) -> None:
    hours = np.cumsum(steps)
    labels = (hours >= onset).astype(np.int8)
    found = hourly_gains(start_ms + hours * HOUR_MS, labels)
    first = int(hours[np.argmax(labels)]) if labels.any() else 10**6
    whole = (np.arange(hours[0], hours[-1] + 1) >= first).astype(np.int8)
    np.testing.assert_array_equal(found, utility_gains([whole])[hours - hours[0]])


def test_the_threshold_is_the_best_one_where_much_has_been_seen() -> None:
    stays = made(1_000)
    threshold, _ = tally(stays).tuned(made_champion(), NO_PRIOR)
    gains = utility_gains([stay.labels for stay in stays if stay.labels is not None])
    logits = np.concatenate([stay.values[:, 0] for stay in stays])
    earned = [gains[logits >= at].sum() for at in GRID]
    mine = gains[logits >= np.log(threshold / (1 - threshold)) - 1e-9].sum()
    assert mine > 0.97 * max(earned)


def test_the_tiers_spend_their_budgets_where_much_has_been_seen() -> None:
    stays = made(1_000)
    _, tiers = tally(stays).tuned(made_champion(), NO_PRIOR)
    logits = [stay.values[:, 0] for stay in stays]
    for probability, budget in ((tiers.warning, WARNING_BUDGET), (tiers.urgent, URGENT_BUDGET)):
        at = np.log(probability / (1 - probability)) - 1e-9
        spent = sum(map(len, alert_rows(stays, logits, float(at)))) / patient_days(stays)
        assert 0.85 * budget < spent <= budget
    assert tiers.watch <= tiers.warning <= tiers.urgent


def test_with_nothing_seen_the_champions_own_thresholds_hold() -> None:
    champion = made_champion()
    assert Tally.empty().tuned(champion, Prior()) == (champion.threshold, champion.tiers)


def test_a_strong_prior_keeps_every_threshold_within_a_step_of_the_champions() -> None:
    champion = made_champion()
    threshold, tiers = tally(made(5, shift=3)).tuned(champion, Prior(1e9, 1e9))
    for found, wanted in zip(
        (threshold, tiers.warning, tiers.urgent),
        (champion.threshold, champion.tiers.warning, champion.tiers.urgent),
        strict=True,
    ):
        off = np.log(found / (1 - found)) - np.log(wanted / (1 - wanted))
        assert abs(off) <= GRID[1] - GRID[0]


def test_tiers_that_coincide_and_thresholds_of_nobody_are_no_trouble() -> None:
    champion = replace(made_champion(), threshold=1.5, tiers=Tiers(0.4, 0.4, 0.4))
    threshold, tiers = tally(made(20)).tuned(champion, Prior())
    assert 0 < threshold < 1
    assert 0 < tiers.watch <= tiers.warning <= tiers.urgent < 1


@settings(max_examples=30)
@given(st.integers(0, 60))
def test_parts_that_are_merged_count_what_the_whole_counts(cut: int) -> None:
    stays = made()
    whole, both = tally(stays), tally(stays[:cut]).merged(tally(stays[cut:]))
    np.testing.assert_allclose(both.gains, whole.gains, atol=1e-12)
    np.testing.assert_array_equal(both.alerts, whole.alerts)
    assert (both.days, both.stays) == (pytest.approx(whole.days), whole.stays)


def test_a_stay_counts_half_after_the_half_life() -> None:
    first, later = made(1), made(101)[1:]
    faded = tally(first + later, keep=0.5 ** (1 / 100))
    rest = tally(later, keep=0.5 ** (1 / 100))
    np.testing.assert_allclose(faded.alerts - rest.alerts, tally(first).alerts / 2, atol=1e-9)
    assert faded.stays - rest.stays == pytest.approx(0.5)


def test_what_an_old_hospital_taught_is_forgotten() -> None:
    champion, keep = made_champion(), 0.5 ** (1 / 200)
    home, away = made(1_000, shift=2), made(2_000, seed=1)
    moved, _ = tally(home + away, keep=keep).tuned(champion, NO_PRIOR)
    fresh, _ = tally(away, keep=keep).tuned(champion, NO_PRIOR)
    stayed, _ = tally(home, keep=keep).tuned(champion, NO_PRIOR)
    assert moved == pytest.approx(fresh, rel=0.1)
    assert stayed > 2 * moved

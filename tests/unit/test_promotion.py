"""A challenger takes over where it is better by the margin on stays nobody has seen, else not."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.cohort import held_out, side_of
from models.promotion import (
    Evidence,
    PairedBootstrap,
    Rule,
    SeenError,
    judge,
    require_unseen,
    unseen,
)

pytestmark = pytest.mark.unit

GOOD = Evidence(
    stays=500, septic=40, utility_before=0.30, utility_after=0.31, gain=0.01,
    gain_interval=(-0.002, 0.02), better=0.9,
)  # fmt: skip


# -- the rule


def test_a_challenger_that_shows_all_of_it_takes_over() -> None:
    verdict = judge(GOOD)
    assert verdict.promote
    assert "0.300 to 0.310" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("lacking", "says"),
    [
        ({"stays": 499}, "499 unseen stays, 500 are needed"),
        ({"septic": 39}, "39 septic"),
        ({"gain": 0.0099}, "utility"),
        ({"gain": float("nan")}, "utility"),
        ({"better": 0.89}, "better in 89%"),
        ({"better": float("nan")}, "better in nan%"),
    ],
)
def test_a_challenger_that_lacks_one_of_it_does_not(lacking: dict[str, Any], says: str) -> None:
    verdict = judge(replace(GOOD, **lacking))
    assert not verdict.promote
    assert len(verdict.reasons) == 1
    assert says in verdict.reasons[0]


def test_everything_that_is_lacking_is_told() -> None:
    assert len(judge(PairedBootstrap().evidence()).reasons) == 4
    assert not judge(GOOD, Rule(margin=0.02)).promote


def test_evidence_goes_into_json() -> None:
    plain = PairedBootstrap().evidence().to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False))["gain_interval"] == [None, None]


# -- the paired bootstrap


def stays(
    count: int, advantage: float, seed: int = 0
) -> list[tuple[str, float, float, float, bool]]:
    """Stays of which a seventh are septic; the challenger earns more of them on average."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        septic = i % 7 == 0
        attainable = 8.0 if septic else 0.0
        before = rng.uniform(0, 8) if septic else -0.05 * rng.integers(0, 10)
        after = before + (advantage * 8 + rng.normal(0, 1) if septic else 0.0)
        made.append((f"p{i}", before, after, attainable, septic))
    return made


def tally(given: list[tuple[str, float, float, float, bool]]) -> PairedBootstrap:
    made = PairedBootstrap()
    for stay in given:
        made.add(*stay)
    return made


def test_a_clear_advantage_is_found_and_none_is_not() -> None:
    better = tally(stays(1000, 0.05)).evidence()
    assert judge(better).promote
    assert better.gain == pytest.approx(0.05, abs=0.02)
    assert better.gain_interval[0] < better.gain < better.gain_interval[1]
    assert not judge(tally(stays(1000, 0.0)).evidence()).promote
    worse = tally(stays(1000, -0.05)).evidence()
    assert worse.better < 0.05
    assert not judge(worse).promote


def test_an_advantage_on_few_stays_is_not_enough() -> None:
    assert not judge(tally(stays(400, 0.2)).evidence()).promote


def test_the_interval_is_that_of_a_bootstrap_over_whole_stays() -> None:
    given = stays(700, 0.03)
    found = tally(given).evidence()
    before, after, attainable = np.array([stay[1:4] for stay in given]).T
    rng = np.random.default_rng(1)
    counts = [np.bincount(rng.integers(0, 700, 700), minlength=700) for _ in range(1000)]
    gains = [float(n @ (after - before)) / float(n @ attainable) for n in counts]
    assert found.gain == pytest.approx((after - before).sum() / attainable.sum())
    assert found.gain_interval == pytest.approx(np.quantile(gains, [0.025, 0.975]), abs=0.006)
    assert found.better == pytest.approx(np.mean(np.array(gains) > 0), abs=0.03)


def test_equal_models_gain_nothing_whatever_they_earn() -> None:
    given = [
        (name, before, before, best, septic) for name, before, _, best, septic in stays(600, 0)
    ]
    found = tally(given).evidence()
    assert (found.gain, found.gain_interval, found.better) == (0.0, (0.0, 0.0), 0.0)


def test_the_order_of_the_stays_does_not_count() -> None:
    given = stays(200, 0.05)
    np.testing.assert_allclose(tally(given).sums, tally(given[::-1]).sums, rtol=1e-9, atol=1e-9)


def test_a_stay_is_drawn_once_on_average() -> None:
    made = PairedBootstrap()
    for i in range(300):
        made.add(str(i), 0, 0, 1, True)
    assert made.sums[2, :-1].mean() == pytest.approx(300, rel=0.01)
    assert made.sums[2, :-1].std() == pytest.approx(300**0.5, rel=0.1)


def test_without_a_septic_stay_nothing_is_defined() -> None:
    found = tally([stay for stay in stays(600, 0.1) if not stay[4]]).evidence()
    assert np.isnan(found.gain)
    assert not judge(found).promote


# -- nobody has seen them

IDS = [f"p{i:06d}" for i in range(200)]
HELD = [name for name in IDS if held_out(name)]
OTHER = [name for name in IDS if not held_out(name)]
TRAINED: dict[str, Any] = {"held_out": {"patients": 9}}


def test_held_out_patients_are_unseen_by_a_model_that_held_them_out() -> None:
    assert all(unseen(name, TRAINED) for name in HELD)
    assert not any(unseen(name, TRAINED) for name in OTHER)


def test_patients_of_another_side_of_the_split_are_unseen() -> None:
    facts = {"data": {"split": {"seed": 3, "side": "train"}}}
    assert {unseen(name, facts) for name in IDS if side_of(name, 3) == "train"} == {False}
    assert {unseen(name, facts) for name in IDS if side_of(name, 3) != "train"} == {True}


def test_stays_that_began_after_the_last_event_are_unseen() -> None:
    facts = {"data": {"last_event_ms": 1000}}
    assert unseen(OTHER[0], facts, 1001)
    assert not unseen(OTHER[0], facts, 1000)
    assert not unseen(OTHER[0], facts)


def test_what_cannot_be_shown_counts_as_seen() -> None:
    assert not any(unseen(name, {}, 10**15) for name in IDS)


def test_a_comparison_on_patients_that_one_model_has_seen_is_refused() -> None:
    held = [(name, None) for name in HELD]
    require_unseen(held, {"A": TRAINED, "B": TRAINED})
    with pytest.raises(SeenError, match=r"1 of .* may have been trained on by A"):
        require_unseen([*held, (OTHER[0], None)], {"A": TRAINED, "B": TRAINED})
    with pytest.raises(SeenError, match="by B"):
        require_unseen(held, {"A": TRAINED, "B": {}})

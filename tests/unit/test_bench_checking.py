"""A benchmark that takes wrong results for right would be worth nothing."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from bench.checking import Checked
from bench.common import BenchError
from bench.job import Feed, encode
from bench.rates import Run, ratios, summary
from models.features import ORIGINAL_FEATURES


@pytest.fixture
def feed() -> Feed:
    return Feed(40, 4, seed=2)


def right(feed: Feed, number: int, **changed: Any) -> SimpleNamespace:
    """A result as an engine should write it, but for what is changed."""
    key = feed.keys[feed.of[number]]
    fields = dict(zip(ORIGINAL_FEATURES, feed.expected[number].tolist(), strict=True))
    value = {"patient_id": key.decode(), "sequence": number, **fields}
    record = {"key": key, "timestamp": 1_000 + number, **changed}
    value |= record.pop("value", {})
    return SimpleNamespace(value=encode(value), **record)


def test_right_results_in_any_order_are_complete(feed: Feed) -> None:
    checked = Checked(feed)
    checked.take([right(feed, number) for number in reversed(range(40))])
    assert checked.complete() == 0
    assert checked.first_ms.tolist() == list(range(1_000, 1_040))


def test_a_repeat_is_counted_and_the_first_one_tells_the_time(feed: Feed) -> None:
    checked = Checked(feed)
    checked.take([right(feed, number) for number in range(40)])
    checked.take([right(feed, 7, timestamp=9_999)])
    assert checked.complete() == 1
    assert checked.first_ms[7] == 1_007


def test_a_value_that_is_off_by_the_least_is_found_and_shown(feed: Feed) -> None:
    name = ORIGINAL_FEATURES[1]
    off = right(feed, 3, value={name: float(feed.expected[3, 1]) + 1e-13})
    with pytest.raises(BenchError, match=r"1 results are wrong.*" + name):
        Checked(feed).take([right(feed, 2), off])


@pytest.mark.parametrize("changed", [{"key": b"p9999999"}, {"value": {"patient_id": "p9999999"}}])
def test_a_result_of_another_patient_is_wrong(feed: Feed, changed: dict[str, Any]) -> None:
    with pytest.raises(BenchError, match="wrong"):
        Checked(feed).take([right(feed, 3, **changed)])


@pytest.mark.parametrize("number", [-1, 40])
def test_a_result_of_no_reading_is_wrong(feed: Feed, number: int) -> None:
    with pytest.raises(BenchError, match="never sent"):
        Checked(feed).take([right(feed, 3, value={"sequence": number})])


def test_a_reading_without_a_result_is_missed(feed: Feed) -> None:
    checked = Checked(feed)
    checked.take([right(feed, number) for number in range(39)])
    with pytest.raises(BenchError, match="1 of 40 readings have no result"):
        checked.complete()


def recommendation(number: int, risk: float) -> SimpleNamespace:
    value = {"risk": risk, "original_data": {"sequence": number, "x": 1}, "tier": "none"}
    return SimpleNamespace(value=json.dumps(value).encode(), key=b"", timestamp=5)


def test_recommendations_are_counted_by_the_reading_that_they_carry(feed: Feed) -> None:
    checked = Checked(feed, recommendations=True)
    assert checked.take([recommendation(n, 0.5) for n in range(40)]).tolist() == list(range(40))
    assert checked.complete() == 0
    with pytest.raises(BenchError, match="no probability"):
        checked.take([recommendation(0, 1.5)])


def run(seconds: float) -> Run:
    return Run(1_000, seconds, warm=None, cpu_s=0.5, peak_rss=1024**2, repeats=0)


def test_a_summary_has_the_median_of_the_rounds_and_their_spread() -> None:
    found = summary("vigil", [run(1), run(4), run(2)])
    assert (found["lowest"], found["readings_per_second"], found["highest"]) == (250, 500, 1_000)
    assert found["cpu_seconds_per_million"] == 500
    assert found["warm_readings_per_second"] is None


def test_ratios_are_to_the_better_python_engine_and_only_of_what_was_measured() -> None:
    rates = {"vigil": 300, "quixstreams": 100, "bytewax": 150}
    found = ratios(
        [
            {"engine": name, "readings_per_second": rate, "warm_readings_per_second": None}
            for name, rate in rates.items()
        ]
    )
    assert found == {"vigil / better of quixstreams and bytewax": 2.0}

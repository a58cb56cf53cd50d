"""A monitor's feed and its own hourly chart mean the same to the model at the ends of the hours."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from models.dataset import Dataset, featurise
from models.features import CURRENT, FEATURES
from models.registry import SHIPPED, load_model
from models.simulator import simulate
from models.stay import Stay
from tests.helpers import Floats

pytestmark = pytest.mark.unit

INTERVAL_S = 10
WINDOWED = [f"{kind}_{hours}h" for kind in ("mean", "sd", "min", "max") for hours in (6, 24)]


class Pair(NamedTuple):
    """The same hours' ends, as the monitor's feed and as the chart have them."""

    monitor: Floats
    chart: Floats

    def apart(self, feature: str) -> Floats:
        """Absolute differences; where one side knows the feature, the other must."""
        column = FEATURES.index(feature)
        ours, theirs = self.monitor[:, column], self.chart[:, column]
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs), err_msg=feature)
        return np.abs(ours - theirs)[~np.isnan(ours)]


def chart_of(stay: Stay) -> Stay:
    """The mean of each hour, at its end."""
    hour = (stay.seconds - 1) // 3600
    hours = np.unique(hour)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an hour without a measurement
        means = np.array([np.nanmean(stay.values[hour == h], axis=0) for h in hours])
    return replace(stay, seconds=(hours + 1) * 3600, values=means)


@pytest.fixture(scope="module")
def pair() -> Pair:
    stays: Sequence[Stay] = [
        replace(stay, labels=None)
        for stay in simulate(8, hours=36, interval_s=INTERVAL_S, seed=5, septic_share=0.4)
    ]
    monitor, chart = featurise(stays), featurise([chart_of(stay) for stay in stays])
    row_of = {place: row for row, place in enumerate(places(monitor))}
    return Pair(monitor.X[[row_of[place] for place in places(chart)]], chart.X)


def places(data: Dataset) -> list[tuple[int, int]]:
    return list(zip(data.patient.tolist(), data.seconds.tolist(), strict=True))


def test_there_are_hours_to_compare(pair: Pair) -> None:
    assert len(pair.chart) == 8 * 36
    assert not np.isnan(pair.chart[:, FEATURES.index("heart_rate")]).all()


@pytest.mark.parametrize("vital", CURRENT)
def test_hourly_means_spreads_and_extremes_agree_to_the_rounding_of_a_hundredth(
    pair: Pair, vital: str
) -> None:
    for feature in WINDOWED:
        assert pair.apart(f"{vital}_{feature}").max() < 0.0051


@pytest.mark.parametrize("vital", CURRENT)
def test_what_was_measured_and_how_long_ago_is_the_same(pair: Pair, vital: str) -> None:
    for feature in ("count_6h", "count_24h", "hours_ago"):
        assert pair.apart(f"{vital}_{feature}").max() == 0


def test_the_context_and_how_much_was_measured_are_the_same(pair: Pair) -> None:
    for feature in ("age", "sex", "hours_before_icu", "icu_hours", "measured_6h", "measured_24h"):
        assert pair.apart(feature).max() == 0


@pytest.mark.parametrize(
    ("vital", "median", "most"),
    [
        # the last five minutes against the hour: what a chart cannot know
        ("heart_rate", 2.5, 14), ("resp_rate", 1.3, 7), ("temperature", 0.1, 0.5),
        ("spo2", 0.6, 6), ("sbp", 6, 28), ("dbp", 4, 18), ("map", 5, 22),
    ],
)  # fmt: skip
def test_the_current_value_differs_by_what_happens_within_an_hour(
    pair: Pair, vital: str, median: float, most: float
) -> None:
    for feature in ("", "_change_24h", "_step"):
        apart = pair.apart(vital + feature)
        assert np.median(apart) < median
        assert np.percentile(apart, 99) < most


def test_the_risk_is_the_same_to_a_thousandth_and_nearly_always_to_a_hundredth(pair: Pair) -> None:
    model = load_model(SHIPPED["context"])
    monitor, chart = (model.score(side).probability for side in pair)
    apart = np.abs(monitor - chart)
    assert np.median(apart) < 0.001
    assert np.percentile(apart, 99) < 0.015
    assert np.corrcoef(monitor, chart)[0, 1] > 0.97

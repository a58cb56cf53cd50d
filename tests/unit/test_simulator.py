"""The simulated patients against the cohort's stored statistics, and the promises of the feed."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models import simulator_calibration
from models.simulator import CHARTED, STATS, simulate
from models.simulator_calibration import calibrate, describe
from models.stay import Stay
from models.vitals import VITALS, index_of

pytestmark = pytest.mark.unit

GROUPS = ("stable", "septic")
PATIENTS = 1500
DETERIORATION = {"heart_rate": 1.5, "resp_rate": 0.7, "temperature": 0.2, "spo2": -0.35}


@pytest.fixture(scope="module")
def stats() -> dict[str, Any]:
    return dict(json.loads(STATS.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def cohorts() -> dict[str, list[Stay]]:
    return {
        group: list(simulate(PATIENTS, septic_share=share, seed=1))
        for group, share in zip(GROUPS, (0, 1), strict=True)
    }


@pytest.fixture(scope="module")
def described(cohorts: dict[str, list[Stay]]) -> dict[str, dict[str, dict[str, float]]]:
    return {group: describe(stays) for group, stays in cohorts.items()}


def assert_same(ours: Stay, theirs: Stay) -> None:
    assert ours.patient_id == theirs.patient_id
    assert (ours.age, ours.sex, ours.hours_before_icu) == (
        theirs.age,
        theirs.sex,
        theirs.hours_before_icu,
    )
    np.testing.assert_array_equal(ours.seconds, theirs.seconds)
    np.testing.assert_array_equal(ours.values, theirs.values)
    np.testing.assert_array_equal(labels_of(ours), labels_of(theirs))


def labels_of(stay: Stay) -> np.ndarray[Any, Any]:
    assert stay.labels is not None
    return stay.labels


def late_deviation(stays: list[Stay]) -> dict[str, float]:
    """Mean of the last 6 hours less the patient's own mean earlier than 24 hours before these."""
    deviations = [
        np.nanmean(stay.values[-6:], axis=0) - np.nanmean(stay.values[:-30], axis=0)
        for stay in stays
        if np.isfinite(stay.values[-6:]).any(axis=0).all()
        and np.isfinite(stay.values[:-30]).any(axis=0).all()
    ]
    assert len(deviations) > 200
    means = np.mean(deviations, axis=0)
    return {vital.name: float(mean) for vital, mean in zip(VITALS, means, strict=True)}


def test_the_same_seed_gives_the_same_patients_and_another_seed_gives_others() -> None:
    for ours, theirs in zip(simulate(20, seed=7), simulate(20, seed=7), strict=True):
        assert_same(ours, theirs)
    first, other = next(simulate(1, seed=7)), next(simulate(1, seed=8))
    assert not np.array_equal(first.values, other.values, equal_nan=True)


@pytest.mark.parametrize("interval_s", [3600, 60])
def test_a_patient_does_not_depend_on_how_many_are_asked_for(interval_s: int) -> None:
    few = list(simulate(3, seed=2, interval_s=interval_s))
    many = list(simulate(9, seed=2, interval_s=interval_s))
    for ours, theirs in zip(few, many[:3], strict=True):
        assert_same(ours, theirs)
    assert [stay.patient_id for stay in many[:3]] == ["sim-0001", "sim-0002", "sim-0003"]


@pytest.mark.parametrize("share", [0.0, 0.07, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_share_of_septic_patients_is_kept_to_within_one(share: float, seed: int) -> None:
    septic = sum(bool(stay.septic) for stay in simulate(100, septic_share=share, seed=seed))
    assert abs(septic - 100 * share) <= (0 if share in (0, 1) else 1)


@pytest.mark.parametrize("interval_s", [3600, 20])
def test_values_are_plausible_and_rounded_to_what_a_monitor_shows(interval_s: int) -> None:
    patients = 400 if interval_s == 3600 else 8
    for stay in simulate(patients, septic_share=0.5, interval_s=interval_s, seed=3):
        assert stay.values.shape == (len(stay.seconds), len(VITALS))
        for column, vital in zip(stay.values.T, VITALS, strict=True):
            known = column[~np.isnan(column)]
            low, high = vital.plausible
            assert ((low <= known) & (known <= high)).all()
            np.testing.assert_array_equal(
                known, known.round(1 if vital.name == "temperature" else 0)
            )


def test_diastolic_mean_and_systolic_pressure_are_always_in_this_order(
    cohorts: dict[str, list[Stay]],
) -> None:
    rows = np.concatenate([stay.values for stays in cohorts.values() for stay in stays])
    pressures = rows[:, [index_of(name) for name in ("dbp", "map", "sbp")]]
    pressures = pressures[np.isfinite(pressures).all(axis=1)]
    assert len(pressures) > 10_000
    assert (np.diff(pressures, axis=1) >= 0).all()


def test_the_pulse_is_the_heart_rate_but_for_the_sensor_and_comes_with_the_saturation(
    cohorts: dict[str, list[Stay]],
) -> None:
    rows = np.concatenate([stay.values for stay in cohorts["stable"]])
    pulse = rows[:, index_of("pulse_rate")]
    np.testing.assert_array_equal(np.isnan(pulse), np.isnan(rows[:, index_of("spo2")]))
    difference = pulse - rows[:, index_of("heart_rate")]
    assert abs(np.nanmean(difference)) < 0.05
    assert 0.5 < np.nanstd(difference) < 1.5


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("name", CHARTED)
def test_simulated_vital_signs_are_distributed_as_in_the_cohort(
    group: str,
    name: str,
    described: dict[str, dict[str, dict[str, float]]],
    stats: dict[str, Any],
) -> None:
    """Tolerances: mean 0.1 sd, sds 10 %, missing 0.03, lag-1 correlation 0.15, gaps 20 %."""
    simulated, cohort = described[group][name], stats[group]["cohort"][name]
    assert simulated["mean"] == pytest.approx(cohort["mean"], abs=0.1 * cohort["sd"])
    assert simulated["sd"] == pytest.approx(cohort["sd"], rel=0.1)
    assert simulated["within_sd"] == pytest.approx(cohort["within_sd"], rel=0.1)
    assert simulated["missing"] == pytest.approx(cohort["missing"], abs=0.03)
    assert simulated["lag1"] == pytest.approx(cohort["lag1"], abs=0.15)
    assert simulated["gap_hours"] == pytest.approx(cohort["gap_hours"], rel=0.2)


@pytest.mark.parametrize("group", GROUPS)
def test_stays_are_as_long_and_patients_as_old_as_in_the_cohort(
    group: str, cohorts: dict[str, list[Stay]], stats: dict[str, Any]
) -> None:
    """Tolerance: 10 % and an hour, or 2 years, at the quartiles and at 95 %."""
    at = [stats["probabilities"].index(p) for p in (0.25, 0.5, 0.75, 0.95)]
    probabilities = [stats["probabilities"][i] for i in at]
    hours = np.quantile([len(stay.seconds) for stay in cohorts[group]], probabilities)
    np.testing.assert_allclose(hours, np.array(stats[group]["hours"])[at], rtol=0.1, atol=1)
    ages = np.quantile([stay.age for stay in cohorts[group]], probabilities)
    np.testing.assert_allclose(ages, np.array(stats[group]["quantiles"]["age"])[at], atol=2)
    male = np.mean([stay.sex for stay in cohorts[group]])
    assert male == pytest.approx(stats[group]["male_share"], abs=0.04)


@pytest.mark.parametrize("group", GROUPS)
def test_vital_signs_move_together_as_in_the_cohort(
    group: str, cohorts: dict[str, list[Stay]], stats: dict[str, Any]
) -> None:
    """Tolerance: 0.15 in each correlation around the patients' means."""
    columns = [index_of(name) for name in CHARTED]
    stays = [pd.DataFrame(stay.values[:, columns]) for stay in cohorts[group]]
    z = pd.concat([(stay - stay.mean()) / stay.std().replace(0, np.nan) for stay in stays])
    simulated = z.corr().to_numpy()
    np.testing.assert_allclose(simulated, stats[group]["within_correlation"], atol=0.15)


def test_septic_patients_deteriorate_before_onset(cohorts: dict[str, list[Stay]]) -> None:
    deviation = late_deviation(cohorts["septic"])
    for name, least in DETERIORATION.items():
        assert deviation[name] / least > 1, name


def test_stable_patients_do_not_deteriorate(cohorts: dict[str, list[Stay]]) -> None:
    deviation = late_deviation(cohorts["stable"])
    for name, least in DETERIORATION.items():
        assert abs(deviation[name] / least) < 0.75, name


@pytest.mark.parametrize("interval_s", [3600, 600])
def test_labels_begin_six_hours_before_onset_and_stay(interval_s: int) -> None:
    before_end = set()
    for stay in simulate(150, septic_share=1, interval_s=interval_s, seed=4):
        labels = labels_of(stay)
        assert labels.dtype == np.int8
        assert (np.diff(labels) >= 0).all()
        assert labels[-1] == 1
        if not labels[0]:
            before_end.add(int(stay.seconds[-1] - stay.seconds[labels == 1][0]))
    # onset is 2 or 3 hours before the end, as in the cohort
    assert before_end == {8 * 3600, 9 * 3600}
    assert not any(labels_of(stay).any() for stay in simulate(50, septic_share=0))


@pytest.mark.parametrize(("hours", "interval_s"), [(1, 3600), (0.5, 1), (30.25, 900), (4.1, 60)])
@pytest.mark.parametrize("share", [0, 1])
def test_a_given_length_and_interval_are_kept(hours: float, interval_s: int, share: float) -> None:
    for stay in simulate(3, septic_share=share, hours=hours, interval_s=interval_s):
        expected = np.arange(interval_s, round(hours * 3600) + 1, interval_s)
        np.testing.assert_array_equal(stay.seconds, expected)
        assert stay.septic is bool(share)


def test_hourly_means_of_a_dense_feed_are_the_hourly_readings() -> None:
    """Tolerance: bias 0.05 of a unit; 1.5 in 99 % of hours, of which rounding makes 0.5."""
    differences = []
    hourly = simulate(100, septic_share=0.5, seed=5)
    dense = simulate(100, septic_share=0.5, seed=5, interval_s=60)
    for sparse, feed in zip(hourly, dense, strict=True):
        means = feed.values.reshape(len(sparse.seconds), 60, len(VITALS)).mean(axis=1)
        both = np.isfinite(sparse.values).any(axis=1)
        # but for the blank first hour of a chart, what is measured is measured in both
        np.testing.assert_array_equal(np.isnan(means[both]), np.isnan(sparse.values[both]))
        differences.append((means - sparse.values)[both])
    difference = np.delete(np.concatenate(differences), index_of("pulse_rate"), axis=1)
    assert (np.abs(np.nanmean(difference, axis=0)) < 0.05).all()
    assert (np.nanquantile(np.abs(difference), 0.99, axis=0) < 1.5).all()


def test_feeds_of_different_intervals_sample_one_signal() -> None:
    for often, seldom in zip(
        simulate(3, interval_s=10, hours=12), simulate(3, interval_s=600, hours=12), strict=True
    ):
        np.testing.assert_array_equal(often.values[59::60], seldom.values)


def test_a_feed_moves_smoothly_from_second_to_second() -> None:
    heart = index_of("heart_rate")
    for stay in simulate(10, hours=9, interval_s=1, seed=6):
        steps = np.abs(np.diff(stay.values[:, heart]))
        if np.isfinite(steps).any():
            assert np.nanmax(steps) <= 2


def test_the_stored_statistics_hold_aggregates_only(stats: dict[str, Any]) -> None:
    assert STATS.stat().st_size <= 60_000
    for group in GROUPS:
        assert stats[group]["patients"] > 1000
        for name, quantiles in stats[group]["quantiles"].items():
            assert len(quantiles) == len(stats["probabilities"]), name
    # the outermost quantile still has several patients beyond it
    beyond = stats["probabilities"][0] * min(stats[group]["patients"] for group in GROUPS)
    assert beyond > 3


def test_calibration_on_simulated_patients_finds_what_they_were_made_from(
    cohorts: dict[str, list[Stay]], stats: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulator_calibration, "_SERIES", 10)
    found = calibrate([stay for group in GROUPS for stay in cohorts[group][:800]])
    for group in GROUPS:
        np.testing.assert_allclose(
            found[group]["measured_persistence"], stats[group]["measured_persistence"], atol=0.15
        )
        np.testing.assert_allclose(
            found[group]["within_correlation"], stats[group]["within_correlation"], atol=0.15
        )
        assert found[group]["first_hour_measured"] == pytest.approx(
            stats[group]["first_hour_measured"], abs=0.05
        )
        np.linalg.cholesky(np.array(found[group]["copula"]))
    onset = stats["septic"]["trajectory"]["hours"].index(0)
    assert found["septic"]["trajectory"]["hours"] == stats["septic"]["trajectory"]["hours"]
    for name, least in DETERIORATION.items():
        assert found["septic"]["trajectory"][name][onset] / least > 1


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("patients", -1),
        ("septic_share", 1.5),
        ("septic_share", float("nan")),
        ("interval_s", 0),
        ("hours", 0.5),
        ("hours", float("nan")),
        ("hours", float("inf")),
    ],
)
def test_an_argument_out_of_range_is_named_at_once(argument: str, value: float) -> None:
    arguments: dict[str, Any] = {"patients": 1} | {argument: value}
    with pytest.raises(ValueError, match=f"{argument} is {value}; give"):
        simulate(**arguments)

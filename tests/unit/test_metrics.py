"""What a risk is worth, against cases small enough to count by hand."""

import json
import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from models.alarms import (
    alert_figures,
    alert_rows,
    clock_alarm,
    onset_seconds,
    patient_days,
    threshold_for_budget,
)
from models.bootstrap import auroc_statistic, patient_intervals, ratio_statistic
from models.cohort import held_out, read_stays
from models.metrics import RiskReport, auprc, auroc, brier, calibration_error, risk_report
from models.stay import Stay
from models.utility import normalised_utility

pytestmark = pytest.mark.unit

DATA = Path(os.environ.get("VIGIL_DATA", "../shared/data")) / "sepsis2019"
Scores = list[NDArray[np.float64]]


def hourly(rows: int, first_label: int | None = None, *, first_hour: int = 1) -> Stay:
    """A stay of one reading an hour, septic from a row on."""
    septic_from = rows if first_label is None else first_label
    return Stay(
        patient_id=f"{rows}-{first_label}",
        seconds=np.arange(first_hour, first_hour + rows) * 3600,
        values=np.full((rows, 8), np.nan),
        labels=(np.arange(rows) >= septic_from).astype(np.int8),
    )


def alarms_at(rows: int, *hours: int) -> NDArray[np.float64]:
    scores = np.zeros(rows)
    scores[list(hours)] = 1.0
    return scores


def test_ranking_every_positive_above_every_negative_scores_one() -> None:
    assert auroc([0, 0, 1], [1, 2, 3]) == 1
    assert auprc([0, 0, 1], [1, 2, 3]) == 1
    assert auroc([1, 0], [1, 2]) == 0
    # precision 1 at recall 1/2, 2/3 at recall 1
    assert auprc([1, 0, 1], [3, 2, 1]) == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3)


def test_a_figure_that_is_not_defined_is_nan_and_not_an_error() -> None:
    assert np.isnan(auroc([0, 0], [1, 2]))
    assert np.isnan(auroc([1, 1], [1, 2]))
    assert np.isnan(auprc([0, 0], [1, 2]))
    assert np.isnan(brier([], []))
    assert np.isnan(calibration_error([], []))


def test_brier_is_the_mean_squared_error() -> None:
    assert brier([1, 0], [0.8, 0.4]) == pytest.approx((0.04 + 0.16) / 2)


def test_calibration_error_is_the_mean_gap_of_equally_filled_bins() -> None:
    p = np.array([0.1, 0.1, 0.1, 0.1, 0.6, 0.6, 0.6, 0.6])
    y = np.array([0, 0, 0, 1, 1, 1, 1, 0])
    # 1 of 4 at .1 (gap .15) and 3 of 4 at .6 (gap .15)
    assert calibration_error(y, p, bins=2) == pytest.approx(0.15)
    assert calibration_error(y, np.where(p < 0.5, 0.25, 0.75), bins=2) == pytest.approx(0)


def test_one_probability_for_all_is_one_bin_in_whatever_order_the_rows_come() -> None:
    p, y = np.full(100, 0.3), np.arange(100) < 30
    assert calibration_error(y, p) == pytest.approx(0)
    assert calibration_error(y[::-1], p) == pytest.approx(0)


def test_calibration_error_splits_distinct_probabilities_into_twenty_bins() -> None:
    p = np.arange(2000) / 2000
    y = np.random.default_rng(1).random(2000) < p**2
    expected = sum(
        abs(bin_y.mean() - bin_p.mean()) / 20
        for bin_y, bin_p in zip(np.split(y, 20), np.split(p, 20), strict=True)
    )
    assert calibration_error(y, p) == pytest.approx(expected, abs=1e-3)


def test_an_alert_silences_the_patient_for_twelve_hours() -> None:
    stay = hourly(40)
    (rows,) = alert_rows([stay], [alarms_at(40, 3, 4, 14, 15, 26, 27, 39)], 0.5)
    assert rows.tolist() == [3, 15, 27, 39]


def test_the_lock_out_of_one_patient_does_not_silence_the_next() -> None:
    stays = [hourly(5), hourly(0), hourly(5), hourly(5), hourly(3)]
    scores = [alarms_at(5, 4), np.zeros(0), alarms_at(5, 0, 1), alarms_at(5), alarms_at(3, 2)]
    assert [rows.tolist() for rows in alert_rows(stays, scores, 0.5)] == [[4], [], [0], [], [2]]


def test_without_a_lock_out_every_reading_alerts() -> None:
    assert alert_rows([hourly(4)], [np.ones(4)], 0.5, lockout_hours=0)[0].tolist() == [0, 1, 2, 3]


def test_the_lock_out_counts_time_and_not_readings() -> None:
    stay = Stay("fast", np.array([0, 1, 43_199, 43_200]), np.full((4, 8), np.nan))
    assert alert_rows([stay], [np.ones(4)], 0.5)[0].tolist() == [0, 3]


def test_onset_is_six_hours_after_the_first_label() -> None:
    assert onset_seconds(hourly(30, 20)) == (21 + 6) * 3600
    assert onset_seconds(hourly(30)) == float("inf")


def test_alerts_are_true_from_twelve_hours_before_onset_to_three_hours_after() -> None:
    # labelled from row 20, onset in row 26: rows 14 to 29 count
    stays = [hourly(40, 20)] * 4 + [hourly(24)]
    for hour, is_true in ((13, False), (14, True), (29, True), (30, False)):
        figures = alert_figures(stays[:1], [alarms_at(40, hour)], 0.5)
        assert (figures.ppv, figures.sensitivity) == (is_true, is_true)
    scores = [alarms_at(40, 1, 16, 28), alarms_at(40, 27), alarms_at(40, 2), np.zeros(40)]
    figures = alert_figures(stays, [*scores, alarms_at(24, 5)], 0.5)
    assert figures.alerts == 6
    assert figures.per_patient_day == pytest.approx(6 / ((4 * 40 + 24) / 24))
    assert figures.ppv == pytest.approx(3 / 6)
    assert figures.sensitivity == pytest.approx(2 / 4)
    assert figures.patient_ppv == pytest.approx(3 / 4)
    # first true alerts: ten hours before onset, and one hour after
    assert figures.lead_hours == pytest.approx((10 - 1) / 2)


def test_no_alert_has_no_worth_rather_than_a_worth_of_zero() -> None:
    figures = alert_figures([hourly(40, 20)], [np.zeros(40)], 0.5)
    assert (figures.alerts, figures.per_patient_day, figures.sensitivity) == (0, 0, 0)
    assert np.isnan([figures.ppv, figures.patient_ppv, figures.lead_hours]).all()
    assert np.isnan(alert_figures([hourly(5)], [np.ones(5)], 0.5).sensitivity)


def test_a_patient_day_is_twenty_four_hourly_readings() -> None:
    assert patient_days([hourly(24), hourly(12), hourly(0)]) == 1.5


def random_cohort(seed: int) -> tuple[list[Stay], Scores]:
    rng = np.random.default_rng(seed)
    stays = [hourly(int(rng.integers(1, 80)), int(rng.integers(0, 200))) for _ in range(60)]
    return stays, [rng.integers(0, 100, len(stay.seconds)) / 100 for stay in stays]


@pytest.mark.parametrize("budget", [0.05, 0.3, 1.0])
def test_the_budgets_threshold_keeps_it_and_the_next_lower_one_does_not(budget: float) -> None:
    stays, scores = random_cohort(3)
    threshold = threshold_for_budget(stays, scores, budget)
    lower = np.unique(np.concatenate(scores))
    lower = lower[lower < threshold][-1]
    assert alert_figures(stays, scores, threshold).per_patient_day <= budget
    assert alert_figures(stays, scores, lower).per_patient_day > budget


def test_a_budget_of_nothing_is_above_every_probability_and_a_large_one_is_the_lowest() -> None:
    stays, scores = random_cohort(4)
    assert threshold_for_budget(stays, scores, 0) > max(p.max() for p in scores)
    assert threshold_for_budget(stays, scores, 100) == min(p.min() for p in scores)
    with pytest.raises(ValueError, match="no reading to set a threshold on"):
        threshold_for_budget([], [], 1)


def test_the_clock_alarms_on_everyone_from_its_hour_on() -> None:
    late, early = clock_alarm([hourly(3, first_hour=52), hourly(3)])
    assert late.tolist() == [False, True, True]
    assert not early.any()


def test_the_resampled_auroc_is_the_auroc_of_the_copied_patients() -> None:
    stays, scores = random_cohort(5)
    labels = [np.asarray(stay.labels) for stay in stays]
    patient = np.repeat(np.arange(len(stays)), [len(p) for p in scores])
    statistic = auroc_statistic(np.concatenate(labels), np.concatenate(scores), patient)
    drawn = np.random.default_rng(6).integers(0, len(stays), len(stays))
    expected = roc_auc_score(
        np.concatenate([labels[i] for i in drawn]), np.concatenate([scores[i] for i in drawn])
    )
    counts = np.bincount(drawn, minlength=len(stays))
    assert statistic(counts) == pytest.approx(expected)
    assert np.isnan(statistic(np.zeros(len(stays), dtype=np.int64)))


def test_the_interval_of_a_mean_is_as_wide_as_its_standard_error_says() -> None:
    values = np.random.default_rng(7).normal(size=400)
    mean = ratio_statistic(values, np.ones(400))
    ((low, high),) = patient_intervals([mean], 400, 2000)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert low < values.mean() < high


def test_resamples_without_a_septic_patient_are_left_out_of_the_interval() -> None:
    one_septic = ratio_statistic(np.array([1, 0]), np.array([2, 0]))
    assert patient_intervals([one_septic], 2, 50) == [(0.5, 0.5)]
    assert np.isnan(patient_intervals([one_septic], 2, 0)).all()


def test_the_report_agrees_with_each_figure_taken_alone() -> None:
    stays, scores = random_cohort(8)
    labels = [np.asarray(stay.labels) for stay in stays]
    y, p = np.concatenate(labels), np.concatenate(scores)
    report = risk_report(stays, scores, 0.6, alert_threshold=0.9, resamples=200)
    assert (report.patients, report.patient_hours) == (60, len(y))
    assert report.septic_patients == sum(bool(truth.any()) for truth in labels)
    assert report.auroc == auroc(y, p)
    assert report.auprc == auprc(y, p)
    assert report.brier == brier(y, p)
    assert report.calibration_error == calibration_error(y, p)
    assert report.utility == pytest.approx(normalised_utility(labels, [s >= 0.6 for s in scores]))
    figures = alert_figures(stays, scores, 0.9)
    assert report.alerts == figures.alerts
    assert report.alerts_per_patient_day == figures.per_patient_day
    assert report.alert_ppv == figures.ppv
    assert report.auroc_interval[0] < report.auroc < report.auroc_interval[1]
    assert report.utility_interval[0] < report.utility < report.utility_interval[1]
    assert report == risk_report(stays, scores, 0.6, alert_threshold=0.9, resamples=200)
    assert (
        report.auroc_interval
        != risk_report(stays, scores, 0.6, resamples=200, seed=1).auroc_interval
    )


def test_readings_within_an_hour_count_as_one_hour_of_their_highest_risk() -> None:
    stay = hourly(12, 4)
    scores = np.linspace(0.1, 0.9, 12)
    fine = Stay(
        patient_id="fine",
        seconds=np.repeat(stay.seconds, 3) + np.tile([0, 1200, 2400], 12),
        values=np.full((36, 8), np.nan),
        labels=np.repeat(np.asarray(stay.labels), 3),
    )
    fine_scores = np.repeat(scores, 3) * np.tile([0.5, 1.0, 0.2], 12)
    stays, other = [stay, hourly(12)], np.full(12, 0.2)
    coarse_report = risk_report(stays, [scores, other], 0.5)
    fine_report = risk_report([fine, stays[1]], [fine_scores, other], 0.5)
    for name in ("patient_hours", "auroc", "auprc", "brier", "calibration_error", "utility"):
        assert getattr(fine_report, name) == pytest.approx(getattr(coarse_report, name)), name


def test_alarms_of_one_threshold_are_worth_what_the_threshold_is_worth() -> None:
    stays, scores = random_cohort(3)
    plain = risk_report(stays, scores, 0.4)
    told = risk_report(stays, scores, np.nan, alarms=[said >= 0.4 for said in scores])
    for field in fields(RiskReport):
        if field.name in ("threshold", "alert_threshold"):
            assert np.isnan(getattr(told, field.name))
        else:
            np.testing.assert_equal(getattr(told, field.name), getattr(plain, field.name))


def test_the_report_goes_into_json_with_null_for_what_is_not_defined() -> None:
    plain = risk_report([hourly(5)], [np.full(5, 0.1)], 0.5).to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert set(plain) == {field.name for field in fields(RiskReport)}
    assert plain["auroc"] is None
    assert plain["auroc_interval"] == [None, None]
    assert plain["alerts"] == 0


def test_what_cannot_be_scored_is_refused_with_the_stay_named() -> None:
    unlabelled = Stay("p1", np.array([3600]), np.full((1, 8), np.nan))
    with pytest.raises(ValueError, match="p1 has no labels"):
        risk_report([unlabelled], [np.zeros(1)], 0.5)
    with pytest.raises(ValueError, match="5-None has 5 readings but 4 probabilities"):
        risk_report([hourly(5)], [np.zeros(4)], 0.5)
    with pytest.raises(ValueError, match="1 stays but probabilities of 2"):
        risk_report([hourly(5)], [np.zeros(5), np.zeros(5)], 0.5)
    with pytest.raises(ValueError, match="a probability is NaN"):
        risk_report([hourly(2)], [np.array([0.1, np.nan])], 0.5)
    with pytest.raises(ValueError, match="no reading to score"):
        risk_report([], [], 0.5)


@pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no patients at {DATA}; point VIGIL_DATA at the data"
)
def test_the_clock_alone_earns_a_quarter_of_the_utility_of_the_held_out_patients() -> None:
    stays = [stay for stay in read_stays(DATA) if held_out(stay.patient_id)]
    report = risk_report(stays, [hours.astype(float) for hours in clock_alarm(stays)], 0.5)
    assert (report.patients, report.septic_patients) == (8_191, 597)
    # what the hour-by-hour loop of the organisers' scorer gives for these alarms
    assert report.utility == pytest.approx(0.29705946743175965)
    labels = np.concatenate([np.asarray(stay.labels) for stay in stays])
    hours = np.concatenate([stay.seconds for stay in stays])
    assert auroc(labels, hours) == pytest.approx(0.6455, abs=5e-5)

"""The challenge's utility, against numbers worked out by hand and against its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.utility import best_threshold, normalised_utility, row_utilities, utility_curve

pytestmark = pytest.mark.unit

Labels = list[list[int]]


def septic_from(first: int, rows: int) -> list[int]:
    return [int(row >= first) for row in range(rows)]


def by_definition(labels: Labels, predictions: Labels) -> float:
    """Hour by hour, as Reyna et al. 2020 state it: slow, and with no algebra in common."""

    def utility(onset: float, alarms: list[bool]) -> float:
        total = 0.0
        for hour, alarm in enumerate(alarms):
            t = hour - onset
            if onset == float("inf"):
                total += -0.05 if alarm else 0.0
            elif t <= -6:
                total += max((t + 12) / 6, -0.05) if alarm else 0.0
            elif t <= 3:
                total += (3 - t) / 9 if alarm else -2 * (t + 6) / 9
        return total

    observed = best = inaction = 0.0
    for truth, alarms in zip(labels, predictions, strict=True):
        onset = truth.index(1) + 6 if 1 in truth else float("inf")
        hours = range(len(truth))
        observed += utility(onset, [bool(alarm) for alarm in alarms])
        best += utility(onset, [onset - 12 <= hour <= onset + 3 for hour in hours])
        inaction += utility(onset, [False] * len(truth))
    return (observed - inaction) / (best - inaction)


cohorts = st.lists(
    st.integers(1, 40).flatmap(
        lambda rows: st.tuples(
            st.integers(0, 2 * rows).map(lambda first: septic_from(first, rows)),
            st.lists(st.integers(0, 4), min_size=rows, max_size=rows),
        )
    ),
    min_size=1,
    max_size=5,
)


def test_an_alarm_is_worth_most_six_hours_before_onset_and_nothing_from_three_hours_after() -> None:
    alarm, quiet = row_utilities(septic_from(20, 32))  # onset in hour 26
    by_hand = {0: -0.05, 13: -0.05, 14: 0, 17: 0.5, 20: 1, 21: 8 / 9, 26: 1 / 3, 29: 0, 30: 0}
    assert {hour: alarm[hour] for hour in by_hand} == pytest.approx(by_hand)
    by_hand = {0: 0, 20: 0, 21: -2 / 9, 26: -4 / 3, 29: -2, 30: 0, 31: 0}
    assert {hour: quiet[hour] for hour in by_hand} == pytest.approx(by_hand)


def test_a_patient_who_is_never_septic_costs_a_twentieth_for_every_alarm() -> None:
    alarm, quiet = row_utilities([0, 0, 0])
    assert alarm.tolist() == [-0.05] * 3
    assert quiet.tolist() == [0.0] * 3


def test_a_patient_labelled_from_the_first_row_is_at_the_best_hour_in_that_row() -> None:
    alarm, quiet = row_utilities([1] * 12)  # onset in row 6
    ninths = [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0]
    assert alarm == pytest.approx([n / 9 for n in ninths])
    losses = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 0, 0]
    assert quiet == pytest.approx([-n / 9 for n in losses])


def test_one_septic_and_one_other_patient_score_as_worked_out_by_hand() -> None:
    # septic: t = -8, -7, -6, -5; alarms earn 2/3, 5/6, 1, 8/9; silence 0, 0, 0, -2/9
    labels = [[0, 0, 1, 1], [0, 0]]
    best, inaction = 2 / 3 + 5 / 6 + 1 + 8 / 9, -2 / 9
    observed = 1 + 8 / 9 - 0.05
    expected = (observed - inaction) / (best - inaction)
    assert normalised_utility(labels, [[0, 0, 1, 1], [0, 1]]) == pytest.approx(expected)


def test_never_alarming_scores_zero_and_the_best_hours_score_one() -> None:
    labels = [septic_from(20, 40), [0] * 10]
    assert normalised_utility(labels, [[0] * 40, [0] * 10]) == 0
    best = [int(14 <= hour <= 29) for hour in range(40)]
    assert normalised_utility(labels, [best, [0] * 10]) == pytest.approx(1)


def test_alarming_too_early_and_on_the_wrong_patient_scores_below_zero() -> None:
    labels = [septic_from(20, 40), [0] * 10]
    assert normalised_utility(labels, [[1] * 10 + [0] * 30, [1] * 10]) < 0


def test_the_worth_of_an_alarm_depends_on_the_row_and_not_on_later_labels() -> None:
    once, stays = [0] * 10 + [1] + [0] * 5, [0] * 10 + [1] * 6
    assert row_utilities(once)[0].tolist() == row_utilities(stays)[0].tolist()


@given(cohorts)
def test_every_cohort_scores_as_the_definition_says(
    cohort: list[tuple[list[int], list[int]]],
) -> None:
    labels = [truth for truth, _ in cohort]
    alarms = [[int(score > 2) for score in scores] for _, scores in cohort]
    if not any(map(any, labels)):
        assert np.isnan(normalised_utility(labels, alarms))
    else:
        assert normalised_utility(labels, alarms) == pytest.approx(by_definition(labels, alarms))


@given(cohorts)
def test_the_curve_is_the_utility_of_alarming_at_each_threshold(
    cohort: list[tuple[list[int], list[int]]],
) -> None:
    labels = [truth for truth, _ in cohort]
    scores = [scores for _, scores in cohort]
    thresholds, utilities = utility_curve(labels, scores)
    assert thresholds.tolist() == sorted({score for row in scores for score in row})
    each = [
        normalised_utility(labels, [np.asarray(row) >= threshold for row in scores])
        for threshold in thresholds
    ]
    assert utilities == pytest.approx(each, nan_ok=True)
    if any(map(any, labels)):
        assert best_threshold(labels, scores)[1] == pytest.approx(max([0.0, *each]))


def test_given_thresholds_are_kept_in_their_order() -> None:
    thresholds, utilities = utility_curve([[1] * 5], [[0.1, 0.2, 0.3, 0.4, 0.5]], [0.9, 0.0])
    assert thresholds.tolist() == [0.9, 0.0]
    assert utilities == pytest.approx([0, 1])


def test_of_equally_good_thresholds_the_highest_is_chosen() -> None:
    # row 10 is past the last useful hour: alarming there changes nothing
    threshold, utility = best_threshold([[1] * 11], [[0.9] * 10 + [0.2]])
    assert threshold == 0.9
    assert utility == pytest.approx(1)


def test_a_threshold_above_every_probability_is_chosen_where_no_alarm_pays() -> None:
    # one alarm at the best hour earns 1, the fifty false ones that come with it cost 2.5
    never, utility = best_threshold([[1], [0] * 50], [[0.9], [0.9] * 50])
    assert never > 0.9
    assert utility == 0


def test_a_threshold_cannot_be_tuned_without_a_septic_patient() -> None:
    with pytest.raises(ValueError, match="no septic patient"):
        best_threshold([[0, 0]], [[0.1, 0.2]])


def test_shapes_that_differ_are_refused_with_the_patient_named() -> None:
    with pytest.raises(ValueError, match="patient 1 has 2 labels but 1 predictions"):
        normalised_utility([[0], [0, 1]], [[0], [1]])
    with pytest.raises(ValueError, match="labels of 2 patients but probabilities of 1"):
        utility_curve([[0], [1]], [[0.5]])


def test_a_probability_is_no_prediction_and_nan_is_no_probability() -> None:
    with pytest.raises(ValueError, match="prediction is neither 0 nor 1"):
        normalised_utility([[0, 1]], [[0.2, 0.9]])
    with pytest.raises(ValueError, match="label is neither 0 nor 1"):
        row_utilities([0, 2])
    with pytest.raises(ValueError, match="probability is NaN"):
        utility_curve([[0, 1]], [[0.2, float("nan")]])

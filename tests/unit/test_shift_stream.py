"""A shift as the stream is to see it: what is sent together, and which layer scores what."""

from dataclasses import replace

import numpy as np
import pytest

from models.cohort import held_out
from models.dataset import featurise
from models.learner import Rules
from models.shift import ShiftOptions
from models.shift_stream import Course, Said, chart_course, follow_arms, stream_points
from tests.unit.made_forests import HOUR_MS, made_champion
from tests.unit.made_patients import made_patients

pytestmark = pytest.mark.unit

OPTIONS = ShiftOptions(
    delay_hours=6,
    points=(10, 20),
    refit=(20,),
    trees=5,
    leaves=4,
    rules=Rules(block=5, negatives=0.5),
)


def made_course(options: ShiftOptions = OPTIONS) -> Course:
    stays = made_patients(60)
    return chart_course(made_champion(), stays, featurise(stays), options)


@pytest.fixture(scope="module")
def course() -> Course:
    return made_course()


def spoken(course: Course) -> Said:
    """What a stream says that does what it should."""
    number = course.layer_of()
    right = Said.following(course.models, course.data, number)
    versions = [course.models[n].version for n in number.tolist()]
    return course.heard(right.probability, right.tier, versions)


def test_segments_cover_every_reading_once_in_the_order_of_time(course: Course) -> None:
    assert np.all(np.diff(course.at_ms[course.order]) >= 0)
    at = 0
    for segment in course.segments():
        assert segment.rows[0] == at < segment.rows[1]
        at = segment.rows[1]
    assert at == len(course.order) == 60 * 24


def test_no_label_is_due_in_the_segment_in_which_its_stay_ends(course: Course) -> None:
    at_ms, stay_of = course.at_ms[course.order], course.data.patient[course.order]
    end_of = {i: int(at_ms[stay_of == i].max()) for i in range(len(course.stays))}
    for segment in course.segments():
        rows = slice(*segment.rows)
        for stay, at in zip(stay_of[rows].tolist(), at_ms[rows].tolist(), strict=True):
            if at == end_of[stay]:
                assert segment.until_ms < at + course.delay_ms


def test_a_layer_scores_from_the_reading_after_the_one_that_made_it_known(course: Course) -> None:
    assert len(course.layers) >= 4
    number = course.layer_of()[course.order]
    known = {s.layer: s for s in course.segments() if s.layer is not None}
    assert sorted(known) == sorted({layer for layer in number.tolist() if layer})
    for layer, segment in known.items():
        start, end = segment.rows
        assert end == start + 1
        assert number[start] < layer
        assert set(number[end:].tolist()) <= set(range(layer, len(course.layers) + 1))
    # until then some labels of its block were not due, and then all were
    stays = [s for s in course.known if s[1] <= known[1].until_ms]
    assert len(stays) >= 5
    assert all(
        course.at_ms[course.data.patient == i].max() + 6 * HOUR_MS <= now for i, now in stays
    )


def test_nobody_who_is_held_out_is_learned_and_all_are_scored(course: Course) -> None:
    assert not any(held_out(course.stays[i].patient_id) for i, _ in course.known)
    assert len(course.stays) == 60


def test_what_a_stream_says_that_does_what_it_should_has_no_differences(course: Course) -> None:
    assert course.differences(spoken(course)) == (0, 0)


def test_the_last_bit_of_one_probability_is_a_difference(course: Course) -> None:
    said = spoken(course)
    said.probability[7] = np.nextafter(said.probability[7], 1)
    assert course.differences(said) == (1, 0)


def test_another_version_is_a_difference_although_its_probability_is_right(course: Course) -> None:
    number = course.layer_of()
    late = Said.following(course.models, course.data, np.maximum(number - 1, 0))
    versions = [course.models[n].version for n in np.maximum(number - 1, 0).tolist()]
    found = course.differences(course.heard(late.probability, late.tier, versions))
    assert found == (0, int((number > 0).sum()))


def test_what_was_not_answered_or_names_no_known_model_is_a_difference(course: Course) -> None:
    said = spoken(course)
    said.probability[3] = np.nan
    said.version[5] = -1
    assert course.differences(said) == (2, 1)


def test_every_stay_is_in_one_span_and_all_are_in_the_whole(course: Course) -> None:
    home = made_patients(30, seed=7)
    arms = follow_arms(course, spoken(course), (home, featurise(home)), OPTIONS)
    points, whole = stream_points(course, arms, OPTIONS.points)
    assert [point.discharges for point in points] == [10, 20, len(course.known)]
    assert sum(point.rows[0].report.patients for point in points) == 60
    assert whole.rows[0].report.patients == 60
    for point in [*points, whole]:
        names = [row.name for row in point.rows]
        assert names == ["frozen", "frozen, re-tuned", "online", "retrained", "ICU clock ≥ 53 h"]


def test_what_is_retrained_scores_only_what_is_observed_after_its_last_label(
    course: Course,
) -> None:
    home = made_patients(30, seed=7)
    arms = follow_arms(course, spoken(course), (home, featurise(home)), OPTIONS)
    until = course.at_ms <= course.known[19][1]
    frozen, retrained = arms["frozen"].probability, arms["retrained"].probability
    np.testing.assert_array_equal(frozen[until], retrained[until])
    assert (frozen[~until] != retrained[~until]).any()


def test_the_alarms_of_the_online_arm_are_those_of_the_version_that_scored(course: Course) -> None:
    said = spoken(course)
    thresholds = np.array([model.threshold for model in course.models])[course.layer_of()]
    np.testing.assert_array_equal(said.alarm, said.probability >= thresholds)


def test_what_cannot_be_charted_is_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="delay above 0"):
        made_course(replace(OPTIONS, delay_hours=0))
    nobody = [stay for stay in made_patients(30) if held_out(stay.patient_id)]
    with pytest.raises(ValueError, match="nobody to learn from"):
        chart_course(made_champion(), nobody, featurise(nobody), OPTIONS)
    often = [replace(stay, seconds=stay.seconds // 2) for stay in made_patients(10)]
    with pytest.raises(ValueError, match="several readings in an hour"):
        chart_course(made_champion(), often, featurise(often), OPTIONS)

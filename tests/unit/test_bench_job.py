"""The reference that every engine's output is held against."""

import json
import math

import numpy as np

from bench.job import Feed, Reading, features
from models.features import ORIGINAL_FEATURES
from models.quality import impossible, screen
from streams.events import Reading as Event


def reading(pulse: float, temperature: float, heart: float = 90, resp: float = 18) -> Reading:
    return Reading("p", 0, pulse, temperature, heart, resp)


def test_a_first_reading_is_its_own_mean() -> None:
    assert features([reading(80, 37.5)]) == (80, 37.5, 80, 5)


def test_features_are_over_the_last_two_readings_and_the_ratio_is_of_the_newest() -> None:
    kept = [reading(100, 36.0, heart=200), reading(80, 37.0, heart=90, resp=20)]
    assert features(kept) == (80, 36.5, 90, 4.5)


def test_of_more_than_two_readings_only_the_last_two_count() -> None:
    kept = [reading(10, 20.0), reading(100, 36.0), reading(80, 37.0)]
    assert features(kept) == features(kept[1:])


def test_the_same_seed_gives_the_same_readings_and_another_seed_others() -> None:
    assert list(Feed(50, 5, seed=3).small(0, 50)) == list(Feed(50, 5, seed=3).small(0, 50))
    assert list(Feed(50, 5, seed=3).small(0, 50)) != list(Feed(50, 5, seed=4).small(0, 50))


def test_every_patient_has_one_reading_in_every_second() -> None:
    feed = Feed(30, 10)
    for second in range(3):
        assert set(feed.of[10 * second : 10 * second + 10].tolist()) == set(range(10))


def test_a_reading_of_the_small_job_has_the_fields_of_the_original_feed() -> None:
    (patient, raw), *_ = Feed(1, 1).small(0, 1)
    sent = json.loads(raw)
    assert patient == 0
    assert sent["patient_id"] == "p0000000"
    assert sent["sequence"] == 0
    assert [type(value) for value in list(sent.values())[2:]] == [float] * 4


def test_a_full_reading_is_one_that_the_bedside_application_takes() -> None:
    feed = Feed(500, 100, start_ms=1_700_000_000_000)
    for _, raw in feed.full(0, 500):
        Event.model_validate_json(raw)
    column = np.empty(500, np.int8)
    impossible(feed.values, column)
    assert (column < 0).all()
    kept, flags = np.empty((500, 8), np.int64), np.empty(500, np.int32)
    screen(feed.values, kept, flags)
    assert not flags.any()


def test_a_patients_observed_times_are_a_second_apart() -> None:
    times = [json.loads(raw)["observed_at"] for _, raw in Feed(3, 1, start_ms=0).full(0, 3)]
    assert times == [f"1970-01-01T00:00:0{second}.000Z" for second in range(3)]


def test_a_slice_of_a_feed_is_that_part_of_the_whole() -> None:
    feed = Feed(40, 7)
    assert list(feed.small(10, 30)) == list(feed.small(0, 40))[10:30]
    assert list(feed.full(10, 30)) == list(feed.full(0, 40))[10:30]


def test_what_is_expected_follows_each_patient_on_its_own() -> None:
    feed = Feed(400, 7, seed=1)
    of: dict[int, list[float]] = {}
    for number, (patient, raw) in enumerate(feed.small(0, 400)):
        sent = list(json.loads(raw).values())[2:]
        before, of[patient] = of.get(patient, sent), sent
        pulse, temperature, heart, resp = sent
        assert feed.expected[number].tolist() == [
            min(pulse, before[0]),
            (temperature + before[1]) / 2,
            (pulse + before[0]) / 2,
            heart / resp,
        ]
    assert feed.expected.shape == (400, len(ORIGINAL_FEATURES))
    assert not math.isnan(feed.expected.sum())

"""What a window remembers, and that no order of arrival and no split into batches changes it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.window import (
    CONTEXT_AT,
    COUNT_AT,
    DUPLICATE,
    FINGERPRINT_AT,
    FINGERPRINTS,
    HOURS,
    LATE,
    MAX_GRACE_MS,
    MEASURED_AT,
    NEWEST,
    OUT_OF_ORDER,
    RECENT_AT,
    SENSORS_AT,
    SUM_AT,
    TAKEN,
    VITAL_COUNT,
    empty_window,
    observe,
    take_in,
)
from tests.feeds import feeds
from tests.helpers import (
    GRACE,
    HOUR,
    MINUTE,
    NOBODY,
    SECOND,
    T0,
    Ints,
    Observed,
    row,
    run,
    same_features,
    who,
)

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]


def everything_but_fingerprints(window: Ints) -> Ints:
    """Nor what is known of the sensors: a rule about time passes over readings out of order."""
    return np.concatenate((window[:FINGERPRINT_AT], window[MEASURED_AT:SENSORS_AT]))


def hourly(hours: int, start: int = T0) -> list[Observed]:
    return [Observed(start + i * HOUR, row(heart_rate=70 + i, sbp=120 - i)) for i in range(hours)]


# -- what becomes of a reading


def test_a_reading_is_taken_and_the_same_one_again_is_a_duplicate_that_changes_nothing() -> None:
    once = run([Observed(T0, row(heart_rate=80))])
    twice = run([Observed(T0, row(heart_rate=80))] * 3)
    assert twice.outcomes == [TAKEN, DUPLICATE, DUPLICATE]
    np.testing.assert_array_equal(once.windows, twice.windows)


def test_a_duplicate_gets_the_features_of_the_reading_it_repeats() -> None:
    result = run([Observed(T0, row(heart_rate=80, sbp=100))] * 2)
    np.testing.assert_array_equal(result.features[0], result.features[1])
    np.testing.assert_array_equal(result.original[0], result.original[1])


@pytest.mark.parametrize(
    "other",
    [
        Observed(T0 + 1, row(heart_rate=80)),
        Observed(T0, row(heart_rate=80.01)),
        Observed(T0, row(pulse_rate=80)),
        Observed(T0, row(heart_rate=80, sbp=120)),
        Observed(T0, row(heart_rate=80), device=1),
    ],
    ids=["another time", "another value", "another vital sign", "one value more", "another device"],
)
def test_a_reading_that_differs_in_anything_is_no_duplicate(other: Observed) -> None:
    assert run([Observed(T0, row(heart_rate=80)), other]).outcomes == [TAKEN, TAKEN]


def test_a_duplicate_is_known_among_the_last_sixteen_readings() -> None:
    first = Observed(T0, row(heart_rate=80))
    later = [Observed(T0 + i * SECOND, row(heart_rate=80)) for i in range(1, FINGERPRINTS + 1)]
    assert run([first, *later[:-1], first]).outcomes[-1] == DUPLICATE
    assert run([first, *later, first]).outcomes[-1] == OUT_OF_ORDER


@pytest.mark.parametrize(
    ("older_ms", "outcome"), [(GRACE - 1, OUT_OF_ORDER), (GRACE, OUT_OF_ORDER), (GRACE + 1, LATE)]
)
def test_a_reading_is_late_when_it_is_older_than_the_grace(older_ms: int, outcome: int) -> None:
    newest, late = Observed(T0, row(heart_rate=80)), Observed(T0 - older_ms, row(heart_rate=99))
    assert run([newest, late]).outcomes == [TAKEN, outcome]


def test_without_grace_only_an_older_reading_is_late() -> None:
    readings = [Observed(T0 + at, row(heart_rate=80 + at)) for at in (0, 0, 1, 0)]
    readings[1] = Observed(T0, row(heart_rate=79))
    assert run(readings, grace_ms=0).outcomes == [TAKEN, TAKEN, TAKEN, LATE]


def test_a_late_reading_leaves_the_window_as_it_was_and_has_no_features() -> None:
    before = run(hourly(10))
    after = run([*hourly(10), Observed(T0 + 2 * HOUR, row(heart_rate=200, sbp=200))])
    np.testing.assert_array_equal(before.windows, after.windows)
    assert np.isnan(after.features[-1]).all()
    assert np.isnan(after.original[-1]).all()


def test_a_reading_without_a_value_is_taken_and_measures_nothing() -> None:
    result = run([Observed(T0, row())])
    assert result.outcomes == [TAKEN]
    assert result.windows[0, NEWEST] == T0
    assert result.windows[0, COUNT_AT:SUM_AT].sum() == 0


# -- what is remembered


def test_an_hour_of_readings_a_second_is_kept_as_its_exact_sum_and_count() -> None:
    values = [round(60 + (i * 7919 % 4000) / 100, 2) for i in range(3600)]
    feed = [Observed(T0 + i * SECOND, row(temperature=v)) for i, v in enumerate(values, start=1)]
    window = run(feed)
    cell = (T0 // HOUR % HOURS) * VITAL_COUNT + 3
    assert window.windows[0, COUNT_AT + cell] == 3600
    assert window.windows[0, SUM_AT + cell] == sum(round(v * 100) for v in values)


@pytest.mark.parametrize("gap_h", [23, 31, 32, 33, 64, 1000])
def test_after_a_gap_the_ring_holds_nothing_of_the_hour_it_overwrites(gap_h: int) -> None:
    result = run([*hourly(5), Observed(T0 + (4 + gap_h) * HOUR, row(heart_rate=50))])
    measured_hours_ago = [gap_h + back for back in range(5)]
    expected = 1 + sum(ago < 24 for ago in measured_hours_ago)
    assert result.last("heart_rate_count_24h") == expected
    assert result.last("heart_rate_min_24h") == 50
    assert result.last("heart_rate") == 50


def test_a_stay_of_days_never_sees_more_than_its_last_day() -> None:
    result = run(hourly(200))
    assert result.last("heart_rate_count_24h") == 24
    assert result.last("heart_rate_min_24h") == 70 + 199 - 23
    assert result.last("heart_rate_mean_24h") == pytest.approx(70 + 199 - 11.5)


def test_with_the_longest_grace_a_late_reading_still_sees_its_whole_day() -> None:
    feed = [reading for reading in hourly(40) if reading.at_ms != T0 + 31 * HOUR]
    late = Observed(T0 + 31 * HOUR, row(heart_rate=500))
    result = run([*feed, late], grace_ms=MAX_GRACE_MS)
    assert result.outcomes[-1] == OUT_OF_ORDER
    in_order = run([*feed[:31], late], grace_ms=MAX_GRACE_MS)
    for name in ("mean_24h", "min_24h", "max_24h", "sd_24h", "count_24h", "mean_6h"):
        assert result.last(f"heart_rate_{name}") == in_order.last(f"heart_rate_{name}")


def test_a_window_holds_what_was_known_of_the_patient_with_the_newest_reading() -> None:
    window = run(hourly(2), context=who(61.5, 1, T0 - HOUR, T0 - 3 * HOUR)).windows[0]
    assert window[CONTEXT_AT : CONTEXT_AT + 4].tolist() == [6150, 1, T0 - HOUR, T0 - 3 * HOUR]


def test_taking_in_a_log_gives_the_window_that_reading_by_reading_gave() -> None:
    feed = [*hourly(30), Observed(T0 + 27 * HOUR + 5, row(sbp=90)), Observed(T0, row(sbp=1))]
    window = empty_window()
    take_in(
        window,
        np.array([r.at_ms for r in feed]),
        np.array([r.values for r in feed]),
        np.array([r.device for r in feed]),
        np.tile(NOBODY, (len(feed), 1)),
        GRACE,
    )
    np.testing.assert_array_equal(window, run(feed).windows[0])


# -- order of arrival


@st.composite
def shuffled_within_grace(draw: st.DrawFn) -> tuple[list[Observed], list[Observed]]:
    """A feed in order, and the same with its last six hours in any order."""
    times = draw(st.lists(st.integers(0, GRACE), min_size=2, max_size=25, unique=True))
    old = draw(st.lists(st.integers(GRACE + 1, 40 * HOUR), max_size=10, unique=True))
    end = T0 + 48 * HOUR
    in_order = [
        Observed(
            end - ago, row(heart_rate=ago % 90 + 30, temperature=36 + ago % 3, sbp=ago % 70 + 60)
        )
        for ago in sorted([*times, *old], reverse=True)
    ]
    head, tail = in_order[: len(old)], in_order[len(old) :]
    return in_order, [*head, *draw(st.permutations(tail))]


@given(shuffled_within_grace())
def test_readings_in_any_order_within_the_grace_end_in_the_window_of_their_order(
    feeds_: tuple[list[Observed], list[Observed]],
) -> None:
    in_order, shuffled = feeds_
    ours, theirs = run(shuffled), run(in_order)
    assert LATE not in ours.outcomes
    np.testing.assert_array_equal(
        everything_but_fingerprints(ours.windows[0]), everything_but_fingerprints(theirs.windows[0])
    )


@given(shuffled_within_grace())
def test_after_readings_out_of_order_the_next_one_gets_the_features_of_the_order(
    feeds_: tuple[list[Observed], list[Observed]],
) -> None:
    in_order, shuffled = feeds_
    after = Observed(T0 + 49 * HOUR, row(heart_rate=77, resp_rate=19))
    ours, theirs = run([*shuffled, after]), run([*in_order, after])
    np.testing.assert_array_equal(ours.features[-1], theirs.features[-1])
    np.testing.assert_array_equal(ours.original[-1], theirs.original[-1])


def test_the_last_four_readings_are_kept_in_the_order_of_their_times() -> None:
    feed = [Observed(T0 + m * MINUTE, row(pulse_rate=60 + m)) for m in (5, 1, 4, 2, 6, 3)]
    recent = run(feed).windows[0, RECENT_AT:FINGERPRINT_AT].reshape(-1, 3)
    assert recent[:, 0].tolist() == [T0 + m * MINUTE for m in (6, 5, 4, 3)]
    assert recent[:, 1].tolist() == [6600, 6500, 6400, 6300]


# -- batches, patients, time


@given(feeds(), st.data())
def test_no_split_into_batches_changes_a_bit_of_any_feature(
    feed: list[Observed], data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(feed)), max_size=8))
    whole, split = run(feed), run(feed, batches=cuts)
    assert same_features(whole, split)
    np.testing.assert_array_equal(whole.windows, split.windows)


@given(feeds())
def test_a_reading_at_a_time_gives_the_bits_that_one_batch_gives(feed: list[Observed]) -> None:
    assert same_features(run(feed), run(feed, batches=range(1, len(feed))))


@given(feeds())
def test_a_patient_has_the_features_they_would_have_alone(feed: list[Observed]) -> None:
    together = run(feed)
    for patient in {reading.patient for reading in feed}:
        own = [i for i, reading in enumerate(feed) if reading.patient == patient]
        alone = run([feed[i]._replace(patient=0) for i in own])
        assert [together.outcomes[i] for i in own] == alone.outcomes
        np.testing.assert_array_equal(together.features[own], alone.features)
        np.testing.assert_array_equal(together.original[own], alone.original)


@given(feeds(), st.integers(-100_000, 100_000))
def test_shifting_a_feed_by_whole_hours_changes_no_feature(
    feed: list[Observed], hours: int
) -> None:
    shift = hours * HOUR
    shifted = [reading._replace(at_ms=reading.at_ms + shift) for reading in feed]
    here = run(feed, context=who(50, 0, T0, T0 - HOUR))
    there = run(shifted, context=who(50, 0, T0 + shift, T0 - HOUR + shift))
    assert same_features(here, there)


# -- compiled and interpreted


PROBE = """
import hashlib, random
import numpy as np
from models.features import FEATURES
from models.quality import impossible, screen
from models.scores import news2_points
from models.vitals import VITALS
from tables.codec import LOG_WIDTH, State, decode, encode
from tests.helpers import HOUR, MINUTE, SECOND, T0, Observed, row, run, who

draw = random.Random(7)
clocks, feed = [T0 + 17 * MINUTE] * 3, []
forth = (0, SECOND, 20 * SECOND, MINUTE, HOUR, 3 * HOUR, 26 * HOUR, 40 * HOUR)
steps = (*forth, -MINUTE, -2 * HOUR, -8 * HOUR)
for i in range(160):
    patient = draw.randrange(3)
    if i % 11 == 10:
        feed.append(feed[-1])
        continue
    clocks[patient] += draw.choice(steps) + draw.randrange(1000)
    known = {v.name: round(draw.uniform(20, 110), 2) for v in VITALS if draw.random() < 0.6}
    feed.append(Observed(clocks[patient], row(**known), patient, draw.randrange(2)))
done = run(feed, context=who(64.2, 1, T0, T0 - 5 * HOUR))
assert sorted(set(done.outcomes)) == [0, 1, 2, 3], set(done.outcomes)

values = np.array([[draw.uniform(-10, 500) for _ in VITALS] for _ in range(60)])
values[::7] = np.nan
values[3, 6] = np.inf
hundredths, flags = np.empty(values.shape, np.int64), np.empty(len(values), np.int32)
column, points = np.empty(len(values), np.int8), np.empty((len(values), 5), np.int8)
screen(values, hundredths, flags)
impossible(values, column)
news2_points(np.ascontiguousarray(values[:, :5]), points)

with np.errstate(over="ignore"):  # the codec's differences wrap around
    log = np.array([[draw.randrange(-2**63, 2**63) for _ in range(LOG_WIDTH)] for _ in range(4)])
    state = encode(State(base=done.windows[0], log=log))
    back = decode(state)
assert (back.base == done.windows[0]).all() and (back.log == log).all()

digests = [
    hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest()
    for a in (done.features, done.original, done.windows, hundredths, flags, column, points)
]
print(done.outcomes, *digests, hashlib.sha256(state).hexdigest())
"""


def test_compiled_kernels_give_the_bits_of_the_interpreter() -> None:
    said = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", PROBE],
            env={**os.environ, "NUMBA_DISABLE_JIT": disabled},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        for disabled in ("0", "1")
    ]
    assert [done.returncode for done in said] == [0, 0], said
    assert said[0].stdout == said[1].stdout


def test_observe_runs_under_the_interpreter_as_it_is_compiled() -> None:
    compiled, interpreted = empty_window(), empty_window()
    for at, values in ((T0, row(heart_rate=80)), (T0 + HOUR, row(sbp=90)), (T0 - 7 * HOUR, row())):
        assert observe(compiled, at, values, 3, GRACE) == observe.py_func(
            interpreted, at, values, 3, GRACE
        )
    np.testing.assert_array_equal(compiled, interpreted)

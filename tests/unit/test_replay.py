"""What a replay sends, in which order and when; without a broker."""

import json
import math
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from config.clock import from_ms, to_ms
from config.settings import Settings
from models.cohort import CohortError
from models.stay import FEMALE, MALE, Stay
from models.vitals import VITALS, WIRE_NAMES
from streams.commands.replay import RATE, replay
from streams.events import Admission, Outcome, Reading
from streams.replay import Replay
from streams.timeline import Rate, Speed, Timeline, admission, outcome, reading

pytestmark = pytest.mark.unit

HOUR_MS = 3_600_000
BASE_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


def stay(
    name: str = "p1",
    seconds: Sequence[int] = (3600, 7200),
    labels: Sequence[int] | None = None,
    **known: Any,
) -> Stay:
    """A stay whose values tell which reading of which patient they are."""
    n = len(seconds)
    return Stay(
        patient_id=name,
        seconds=np.array(seconds, np.int64),
        values=np.arange(n * 8, dtype=float).reshape(n, 8),
        labels=None if labels is None else np.array(labels, np.int8),
        **known,
    )


some_stays = st.lists(
    st.lists(st.integers(0, 20), max_size=6).map(sorted), min_size=1, max_size=5
).map(lambda all_: [stay(f"p{i}", seconds) for i, seconds in enumerate(all_)])


@given(some_stays)
def test_readings_of_all_patients_come_by_time_and_those_of_a_patient_in_their_own_order(
    stays: list[Stay],
) -> None:
    timeline = Timeline(stays)
    sent = list(timeline.readings(0, len(timeline)))

    assert [second for _, second, _ in sent] == sorted(second for _, second, _ in sent)
    for index, one in enumerate(stays):
        own = [values for of, _, values in sent if of == index]
        assert own == one.values.tolist()


@given(some_stays, st.integers(1, 4))
def test_every_stay_ends_once_with_its_last_reading(stays: list[Stay], size: int) -> None:
    timeline = Timeline(stays)
    ended: list[int] = []
    for start in range(0, len(timeline), size):
        end = min(start + size, len(timeline))
        ended += (now := timeline.ended(start, end))
        for index in now:
            assert index not in timeline.of[end:]
    assert sorted(ended) == [i for i, one in enumerate(stays) if len(one.seconds)]


@given(some_stays)
def test_a_slice_before_a_repeat_has_no_patient_twice_and_is_as_long_as_can_be(
    stays: list[Stay],
) -> None:
    timeline = Timeline(stays)
    start = 0
    while start < len(timeline):
        end = timeline.before_repeat(start, len(timeline))
        patients = timeline.of[start:end].tolist()
        assert 0 < len(patients) == len(set(patients))
        assert end == len(timeline) or timeline.of[end] in patients
        start = end


def test_admission_is_the_latest_whole_hour_that_leaves_no_reading_in_the_future() -> None:
    timeline = Timeline([stay(seconds=[3600]), stay("p2", seconds=[1800, 36_000])])
    now = BASE_MS + 17 * 60_000

    base = timeline.base_ms(now)

    assert base % HOUR_MS == 0
    assert base + 36_000_000 <= now < base + 36_000_000 + HOUR_MS


def test_a_reading_has_every_vital_sign_and_null_for_what_was_not_measured() -> None:
    values = [float(i) if i % 2 else math.nan for i in range(8)]
    sent = json.loads(reading(values, "p1", BASE_MS + 1000))

    assert list(sent) == ["patient_id", *WIRE_NAMES, "observed_at"]
    assert [sent[vital.wire] for vital in VITALS] == [None, 1, None, 3, None, 5, None, 7]
    assert sent["observed_at"] == "2026-01-01T00:00:01.000Z"
    assert Reading.model_validate_json(reading(values, "p1", BASE_MS, "ICU-1")).unit_id == "ICU-1"


def test_admission_times_are_exact_to_the_millisecond() -> None:
    event = admission(stay(age=63.5, sex=FEMALE, hours_before_icu=12.3456), "p1-2", BASE_MS, "ICU")
    read = Admission.model_validate_json(json.dumps(event))

    assert (read.patient_id, read.age_years, read.sex, read.unit_id) == (
        "p1-2",
        63.5,
        "female",
        "ICU",
    )
    assert read.icu_admitted_at is not None
    assert read.hospital_admitted_at is not None
    assert to_ms(read.icu_admitted_at) == BASE_MS
    assert to_ms(read.hospital_admitted_at) == BASE_MS - round(12.3456 * HOUR_MS)


def test_an_admission_of_which_nothing_is_known_says_so() -> None:
    read = Admission.model_validate_json(json.dumps(admission(stay(), "p1", BASE_MS)))
    assert (read.age_years, read.sex, read.hospital_admitted_at) == (None, None, None)
    assert admission(stay(sex=MALE), "p1", BASE_MS)["sex"] == "male"


def test_onset_is_six_hours_after_the_first_label() -> None:
    septic = stay(seconds=[3600, 7200, 10_800], labels=[0, 1, 1])
    read = Outcome.model_validate_json(json.dumps(outcome(septic, "p1", BASE_MS)))

    assert read.septic
    assert read.onset_at == from_ms(BASE_MS) + timedelta(hours=2 + 6)
    assert read.ended_at == from_ms(BASE_MS) + timedelta(hours=3)


def test_a_patient_without_sepsis_has_no_onset_and_one_without_labels_no_outcome() -> None:
    well = outcome(stay(labels=[0, 0]), "p1", BASE_MS)
    assert well is not None
    assert (well["septic"], well["onset_at"]) == (False, None)
    assert outcome(stay(), "p1", BASE_MS) is None
    assert outcome(stay(seconds=[], labels=[]), "p1", BASE_MS) is None


def test_an_hour_a_second_sends_what_an_hour_has_brought() -> None:
    pace = Speed(3600.0, np.array([3600, 3600, 7200, 9000]))
    assert [pace.due(elapsed) for elapsed in (0.0, 0.99, 1.0, 1.5)] == [2, 2, 3, 4]
    assert [pace.at(position) for position in range(4)] == [0.0, 0.0, 1.0, 1.5]


def test_a_rate_spaces_readings_evenly_and_without_a_limit_all_are_due() -> None:
    pace = Rate(100.0)
    assert [pace.due(elapsed) for elapsed in (0.0, 0.01, 0.5)] == [1, 2, 51]
    for one, next_ in pairwise(range(5)):
        assert pace.at(next_) - pace.at(one) == pytest.approx(0.01)
    assert Rate(math.inf).due(0.0) > 10**12


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"speed": 1.0, "rate": 1.0}, "not both"),
        ({"speed": 0.0}, "speed is 0"),
        ({"rate": -1.0}, "rate is -1"),
        ({"rate": math.nan}, "rate is nan"),
    ],
)
def test_a_pace_that_makes_no_sense_is_refused(given_: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Replay(Settings(), [stay()], speed=given_.get("speed"), rate=given_.get("rate"))


@pytest.mark.parametrize("text", ["max", "0"])
def test_a_rate_without_a_limit_is_called_max_or_0(text: str) -> None:
    assert RATE.convert(text, None, None) == math.inf


@pytest.mark.parametrize("text", ["-1", "fast", "nan"])
def test_a_rate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="give a number, or max"):
        RATE.convert(text, None, None)


@pytest.mark.parametrize(
    "arguments",
    [[], ["x.csv", "--simulate", "3"], ["x.csv", "--speed", "2", "--rate", "2"]],
)
def test_a_command_line_that_is_ambiguous_is_a_usage_error(arguments: list[str]) -> None:
    assert CliRunner().invoke(replay, arguments).exit_code == 2


def test_a_file_without_the_columns_is_refused_before_a_broker_is_looked_for(
    tmp_path: Path,
) -> None:
    (tmp_path / "x.csv").write_text("pid,HR\n1,80\n")
    result = CliRunner().invoke(replay, [str(tmp_path / "x.csv")])
    assert isinstance(result.exception, CohortError)
    assert "Temp" in str(result.exception)


def test_nothing_is_sent_before_run() -> None:
    run = Replay(Settings(), [stay(), stay("p2")], suffix="-x")
    assert (run.total, run.sent.readings, list(run.keys())) == (4, 0, [])
    assert run.patients == ["p1-x", "p2-x"]

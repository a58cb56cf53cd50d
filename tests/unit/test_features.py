"""Every feature against values worked out by hand, and against a second, plain implementation."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given

from models.features import CURRENT, FEATURES, GROUP_OF, GROUPS
from models.vitals import MISSING, index_of
from models.window import DUPLICATE, LATE, OUT_OF_ORDER
from tests.feeds import feeds
from tests.helpers import (
    HOUR,
    MINUTE,
    SECOND,
    T0,
    Observed,
    Replayed,
    row,
    run,
    who,
)

pytestmark = pytest.mark.unit

NAN = math.nan


def at(hours: float, **vitals: float) -> Observed:
    return Observed(T0 + round(hours * HOUR), row(**vitals))


@pytest.fixture
def afternoon() -> Replayed:
    """Three hours: the heart rate in each, the pressures in the first one only."""
    return run(
        [
            at(0, heart_rate=80, sbp=120, dbp=80),
            at(1, heart_rate=90),
            at(2.1, heart_rate=100),
            at(2.5, heart_rate=110, temperature=38.4, resp_rate=23, spo2=95),
        ],
        context=who(age=61.5, sex=1, icu_ms=T0 - 90 * MINUTE, hospital_ms=T0 - 12 * HOUR),
    )


# -- worked out by hand


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        # hourly means 80, 90 and (100 + 110) / 2 = 105
        ("heart_rate", 110),
        ("heart_rate_hours_ago", 0),
        ("heart_rate_step", 110 - 90),
        ("heart_rate_mean_6h", 275 / 3),
        ("heart_rate_sd_6h", math.sqrt((35**2 + 5**2 + 40**2) / 27)),
        ("heart_rate_min_6h", 80),
        ("heart_rate_max_6h", 105),
        ("heart_rate_count_6h", 3),
        ("heart_rate_mean_24h", 275 / 3),
        ("heart_rate_sd_24h", math.sqrt((35**2 + 5**2 + 40**2) / 27)),
        ("heart_rate_min_24h", 80),
        ("heart_rate_max_24h", 105),
        ("heart_rate_count_24h", 3),
        ("heart_rate_change_24h", 110 - 275 / 3),
        # measured once, two and a half hours ago
        ("sbp", 120),
        ("sbp_hours_ago", 2.5),
        ("sbp_step", NAN),
        ("sbp_mean_6h", 120),
        ("sbp_sd_6h", 0),
        ("sbp_count_6h", 1),
        ("sbp_change_24h", 0),
        # never measured
        ("map", NAN),
        ("map_hours_ago", NAN),
        ("map_step", NAN),
        ("map_mean_6h", NAN),
        ("map_sd_6h", NAN),
        ("map_min_24h", NAN),
        ("map_max_24h", NAN),
        ("map_count_6h", 0),
        ("map_count_24h", 0),
        ("map_change_24h", NAN),
        # derived
        ("shock_index", 110 / 120),
        ("pulse_pressure", 120 - 80),
        ("news2", 2 + 1 + 0 + 1 + 1),  # 23/min, 95 %, 120 mmHg, 110/min, 38.4 Cel
        ("qsofa", 1),  # 23/min; 120 mmHg is above 100
        ("sirs", 3),  # 38.4 Cel, 110/min, 23/min
        ("measured_6h", 3 + 1 + 1 + 1 + 1 + 1),
        ("measured_24h", 8),
        # context
        ("age", 61.5),
        ("sex", 1),
        ("hours_before_icu", 10.5),
        ("icu_hours", 4),
    ],
)
def test_features_are_what_a_hand_works_out(
    afternoon: Replayed, feature: str, value: float
) -> None:
    assert afternoon.last(feature) == pytest.approx(value, rel=1e-14, nan_ok=True)


def test_the_first_reading_has_a_mean_and_no_step(afternoon: Replayed) -> None:
    assert afternoon.of(0, "heart_rate_mean_24h") == 80
    assert math.isnan(afternoon.of(0, "heart_rate_step"))
    assert afternoon.of(1, "heart_rate_step") == 10


def test_the_current_value_is_the_mean_of_the_newest_five_minutes() -> None:
    readings = [at(0, spo2=80), *(at((5 * 60 + s) / 3600, spo2=90 + s) for s in (1, 4, 7))]
    assert run(readings).last("spo2") == 94
    assert run(readings[:1]).last("spo2") == 80


def test_one_bad_second_among_five_minutes_is_not_the_current_value() -> None:
    seconds = [at(s / 3600, heart_rate=200 if s == 300 else 80) for s in range(1, 301)]
    assert run(seconds).last("heart_rate") == pytest.approx(80.4)


def test_five_minutes_begin_after_whole_fives_and_a_new_one_starts_afresh() -> None:
    readings = [at(4 / 60, spo2=80), at(5 / 60, spo2=90), at(5 / 60 + 1 / 3600, spo2=99)]
    assert run(readings[:2]).last("spo2") == 85
    assert run(readings).last("spo2") == 99


def test_windows_reach_back_over_whole_hours_that_end_with_the_readings_own() -> None:
    readings = [at(h + 0.5, heart_rate=60 + h) for h in range(30)]
    result = run([*readings, at(31, heart_rate=90)])
    assert result.last("heart_rate_min_6h") == 60 + 25
    assert result.last("heart_rate_count_6h") == 6
    assert result.last("heart_rate_min_24h") == 60 + 7
    assert result.last("heart_rate_count_24h") == 24


def test_a_whole_hour_belongs_to_the_hour_that_it_ends() -> None:
    readings = [at(0.25, heart_rate=60), at(1, heart_rate=80)]
    assert run(readings).last("heart_rate_mean_6h") == 70
    after = run([*readings, Observed(T0 + HOUR + 1, row(heart_rate=100))])
    assert after.last("heart_rate_mean_6h") == 85
    assert after.last("heart_rate_count_6h") == 2


def test_a_mean_is_over_hours_however_many_readings_an_hour_has() -> None:
    hour_of_seconds = [at(s / 3600, heart_rate=60) for s in range(10, 3601, 10)]
    result = run([*hour_of_seconds, at(1.01, heart_rate=100)])
    assert result.last("heart_rate_mean_6h") == 80
    assert result.last("heart_rate_count_6h") == 2


@pytest.mark.parametrize(("hours", "known"), [(23, True), (24, False), (500, False)])
def test_a_value_is_current_until_its_hour_has_left_the_day(hours: int, known: bool) -> None:
    result = run([at(0, temperature=39), at(hours, heart_rate=80)])
    assert result.last("temperature") == pytest.approx(39 if known else NAN, nan_ok=True)
    assert result.last("temperature_hours_ago") == hours
    assert result.last("temperature_count_24h") == int(known)


@pytest.mark.parametrize(("hours", "step"), [(1, 10), (23, 10), (24, NAN)])
def test_a_step_is_from_the_last_hour_measured_within_the_day(hours: int, step: float) -> None:
    result = run([at(0, heart_rate=80), at(hours, heart_rate=90)])
    assert result.last("heart_rate_step") == pytest.approx(step, nan_ok=True)


def test_a_step_starts_from_the_hour_before_the_newest_measurement_not_before_the_reading() -> None:
    readings = [at(0, heart_rate=80), at(1, heart_rate=90), at(5, sbp=100)]
    assert run(readings).last("heart_rate_step") == 10
    assert run(readings).last("heart_rate_hours_ago") == 4


@pytest.mark.parametrize(
    ("pulse_at", "value"), [(0.5, 80), (1, 80), (1 + 1 / 3_600_000, 70), (3, 70)]
)
def test_the_pulse_stands_in_when_the_ecg_has_been_silent_for_more_than_an_hour(
    pulse_at: float, value: float
) -> None:
    result = run([at(0, heart_rate=80), at(pulse_at, pulse_rate=70)])
    assert result.last("heart_rate") == value


def test_the_pulse_stands_in_where_there_never_was_an_ecg_and_gives_way_when_there_is() -> None:
    readings = [at(0, pulse_rate=70), at(1, pulse_rate=72), at(2, heart_rate=80, pulse_rate=74)]
    result = run(readings)
    assert result.of(1, "heart_rate") == 72
    assert result.of(1, "heart_rate_mean_6h") == 71
    assert result.last("heart_rate") == 80
    assert result.last("heart_rate_count_6h") == 1


def test_without_an_admission_the_context_is_not_known() -> None:
    result = run([at(0, heart_rate=80)])
    for name in ("age", "sex", "hours_before_icu", "icu_hours"):
        assert math.isnan(result.last(name))
    result = run([at(0, heart_rate=80)], context=who(icu_ms=T0 - HOUR))
    assert result.last("icu_hours") == 1
    assert math.isnan(result.last("hours_before_icu"))


def test_an_admission_to_the_hospital_alone_says_nothing_of_intensive_care() -> None:
    result = run([at(0, heart_rate=80)], context=who(age=0, sex=0, hospital_ms=T0))
    assert result.last("age") == 0
    assert result.last("sex") == 0
    assert math.isnan(result.last("hours_before_icu"))
    assert math.isnan(result.last("icu_hours"))


def test_a_reading_out_of_order_gets_the_hours_up_to_its_own() -> None:
    readings = [at(0, sbp=100), at(1, sbp=110), at(3, sbp=140), at(1.5, resp_rate=20)]
    result = run(readings)
    assert result.outcomes[-1] == OUT_OF_ORDER
    assert result.last("sbp") == 110
    assert result.last("sbp_mean_6h") == 105
    assert result.last("sbp_count_24h") == 2
    assert result.last("sbp_step") == 10


# -- the four features of the original feed

PULSE_MIN = "MDC_PULS_OXIM_PULS_RATE_Result_min"
PULSE_MEAN = "MDC_PULS_OXIM_PULS_RATE_Result_mean"
TEMP_MEAN = "MDC_TEMP_Result_mean"
RATIO = "HR_to_RR_Ratio"


def test_the_original_features_are_over_the_last_two_readings() -> None:
    readings = [
        at(0, pulse_rate=90, temperature=39),
        at(1, pulse_rate=80, temperature=36),
        at(2, pulse_rate=70, temperature=37, heart_rate=72, resp_rate=18),
    ]
    expected = {PULSE_MIN: 70, PULSE_MEAN: 75, TEMP_MEAN: 36.5, RATIO: 4}
    assert run(readings).first_four() == expected
    first = run(readings).first_four(0)
    assert (first[PULSE_MIN], first[PULSE_MEAN], first[TEMP_MEAN]) == (90, 90, 39)
    assert math.isnan(first[RATIO])


@pytest.mark.parametrize(
    ("readings", "pulse_min", "pulse_mean", "temperature"),
    [
        ([at(0, pulse_rate=90, temperature=39), at(1)], 90, 90, 39),
        ([at(0), at(1, pulse_rate=80)], 80, 80, NAN),
        ([at(0, pulse_rate=90), at(1), at(2)], NAN, NAN, NAN),
        ([at(0, pulse_rate=90), at(1, temperature=38), at(2, pulse_rate=80)], 80, 80, 38),
    ],
)
def test_a_null_among_the_last_two_readings_is_left_out_of_the_original_features(
    readings: list[Observed], pulse_min: float, pulse_mean: float, temperature: float
) -> None:
    four = run(readings).first_four()
    assert four[PULSE_MIN] == pytest.approx(pulse_min, nan_ok=True)
    assert four[PULSE_MEAN] == pytest.approx(pulse_mean, nan_ok=True)
    assert four[TEMP_MEAN] == pytest.approx(temperature, nan_ok=True)


@pytest.mark.parametrize(
    "vitals",
    [{"heart_rate": 80.0}, {"resp_rate": 20.0}, {"pulse_rate": 80.0, "resp_rate": 20.0}],
)
def test_the_ratio_needs_both_rates_on_the_reading_itself(vitals: dict[str, float]) -> None:
    result = run([at(0, heart_rate=80, resp_rate=20), at(1, **vitals)])
    assert math.isnan(result.first_four()[RATIO])


def test_a_reading_out_of_order_has_the_two_readings_up_to_its_own_time() -> None:
    readings = [at(0, pulse_rate=90), at(1, pulse_rate=80), at(2, pulse_rate=50)]
    result = run([*readings, at(0.5, pulse_rate=100)])
    assert result.first_four()[PULSE_MIN] == 90
    assert result.first_four()[PULSE_MEAN] == 95


def test_a_reading_older_than_the_last_four_has_no_original_features() -> None:
    result = run([*(at(h, pulse_rate=70) for h in range(1, 5)), at(0.5, pulse_rate=90)])
    assert result.outcomes[-1] == OUT_OF_ORDER
    assert math.isnan(result.first_four()[PULSE_MEAN])


# -- the catalogue


def test_every_feature_has_one_name_and_belongs_to_the_group_of_its_vital_sign() -> None:
    assert len(set(FEATURES)) == len(FEATURES)
    assert set(GROUP_OF) == set(GROUPS)
    for name, group in zip(FEATURES, GROUP_OF, strict=True):
        owners = [vital for vital in CURRENT if name == vital or name.startswith(f"{vital}_")]
        assert group == owners[0] if owners else group not in CURRENT


# -- a second implementation


class Plain:
    """The definitions of the module's table, over a list of all readings of one patient."""

    def __init__(self) -> None:
        self.readings: list[Observed] = []
        self.recent: list[Observed] = []

    def take(self, reading: Observed) -> None:
        self.readings.append(reading)
        newer = sum(other.at_ms > reading.at_ms for other in self.recent)
        self.recent = [*self.recent[:newer], reading, *self.recent[newer:]][:4]

    def values(self, name: str) -> list[tuple[int, float]]:
        column = index_of(name)
        return [
            (r.at_ms, int(r.values[column]) / 100)
            for r in self.readings
            if r.values[column] != MISSING
        ]

    def source(self, name: str) -> list[tuple[int, float]]:
        values = self.values(name)
        if name != "heart_rate":
            return values
        pulse = self.values("pulse_rate")
        if pulse and (not values or max(pulse)[0] - max(values)[0] > HOUR):
            return pulse
        return values

    def vital(self, name: str, now_ms: int) -> dict[str, float]:
        hour = hour_of(now_ms)
        values = self.source(name)
        by_hour: dict[int, list[float]] = {}
        for ms, value in values:
            by_hour.setdefault(hour_of(ms), []).append(value)
        means = {h: sum(v) / len(v) for h, v in by_hour.items() if hour - 24 < h <= hour}
        out = {"hours_ago": NAN, "step": NAN}
        current = NAN
        if values:
            newest = max(ms for ms, _ in values)
            out["hours_ago"] = max(now_ms - newest, 0) / HOUR
            slot = slot_of(newest)
            if means and slot <= slot_of(now_ms):
                current = mean([v for ms, v in values if slot_of(ms) == slot])
            elif means:
                current = means[max(means)]
        if len(means) > 1:
            out["step"] = current - means[sorted(means)[-2]]
        for hours in (6, 24):
            window = [m for h, m in means.items() if h > hour - hours]
            out[f"mean_{hours}h"] = mean(window)
            out[f"sd_{hours}h"] = float(np.std(window)) if window else NAN
            out[f"min_{hours}h"] = min(window, default=NAN)
            out[f"max_{hours}h"] = max(window, default=NAN)
            out[f"count_{hours}h"] = len(window)
        out["change_24h"] = current - out["mean_24h"]
        return {name: current} | {f"{name}_{feature}": value for feature, value in out.items()}

    def four(self, reading: Observed) -> list[float]:
        two = [r for r in self.recent if r.at_ms <= reading.at_ms][:2]
        pulses = [v for r in two if (v := int(r.values[index_of("pulse_rate")])) != MISSING]
        temperatures = [v for r in two if (v := int(r.values[index_of("temperature")])) != MISSING]
        heart, resp = (int(reading.values[index_of(n)]) for n in ("heart_rate", "resp_rate"))
        return [
            min(pulses, default=NAN) / 100,
            mean(temperatures) / 100,
            mean(pulses) / 100,
            heart / resp if MISSING not in (heart, resp) else NAN,
        ]


def hour_of(ms: int) -> int:
    return math.ceil(ms / HOUR) - 1


def slot_of(ms: int) -> int:
    return math.ceil(ms / (5 * MINUTE)) - 1


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else NAN


@given(feeds(patients=1, max_size=30))
def test_features_are_those_of_a_plain_implementation_that_keeps_every_reading(
    feed: list[Observed],
) -> None:
    result = run(feed)
    plain = Plain()
    for i, reading in enumerate(feed):
        if result.outcomes[i] == LATE:
            continue
        if result.outcomes[i] != DUPLICATE:
            plain.take(reading)
        for vital in CURRENT:
            for name, value in plain.vital(vital, reading.at_ms).items():
                assert result.of(i, name) == pytest.approx(value, abs=1e-6, nan_ok=True), name
        assert result.original[i].tolist() == pytest.approx(plain.four(reading), nan_ok=True)


@given(feeds(patients=1))
def test_no_feature_is_infinite_and_counts_are_whole_and_within_their_window(
    feed: list[Observed],
) -> None:
    result = run(feed, context=who(50, 1, T0, T0 - SECOND))
    taken = [i for i, outcome in enumerate(result.outcomes) if outcome != LATE]
    assert not np.isinf(result.features).any()
    for vital in CURRENT:
        for hours in (6, 24):
            counts = result.features[taken, FEATURES.index(f"{vital}_count_{hours}h")]
            assert ((counts >= 0) & (counts <= hours) & (counts == counts.round())).all()

"""Drift is found once, soon, where it is, and not where there is none."""

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import ttest_ind

import models.drift
from models.drift import (
    DATA_SIGNALS,
    DRIFT_RULE,
    ERROR_SIGNALS,
    EXAMPLE_SIGNALS,
    EXAMPLES,
    MIXUPS,
    STAYS,
    DriftEvent,
    DriftMonitor,
    DriftStateError,
    _change_point,
    _compare,
    _cusum,
    example_signals,
    stay_signals,
)
from models.features import CURRENT, FEATURES
from models.quality import FAHRENHEIT, FLAG_NAMES, FRACTION, PRESSURE_IN_KPA

pytestmark = pytest.mark.unit

#: The rule with a short memory, so that a test sees it wrap around.
SHORT = replace(
    EXAMPLES,
    memory=512,
    suspect=400,
    before=128,
    reach=(128, 512),
    cool_down=96,
    alpha=1e-4,
    patients=8,
)
SBP = EXAMPLE_SIGNALS.index("sbp")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.drift, "EXAMPLES", SHORT)


def stream(
    rows: int, *, seed: int = 0, beds: int = 40, stay: int = 30, shift_at: int = -1
) -> Iterator[tuple[NDArray[np.float32], str, int]]:
    """Examples of a ward: only the systolic pressure is there; 50 mm[Hg] higher from a row on."""
    random = np.random.default_rng(seed)
    for row in range(rows):
        bed, turn = row % beds, row // beds
        patient = f"{bed}-{(turn + bed) // stay}"
        level = np.random.default_rng(zlib.crc32(f"{seed}{patient}".encode())).normal(120, 10)
        values = np.full(len(EXAMPLE_SIGNALS), np.nan, np.float32)
        values[SBP] = random.normal(level, 5) + 50 * (0 <= shift_at <= row)
        yield values, patient, row * 1000


def events_of(
    monitor: DriftMonitor, examples: Sequence[tuple[NDArray[np.float32], str, int]]
) -> list[DriftEvent]:
    return [event for example in examples for event in monitor.observe_signals(*example)]


def test_a_shift_is_one_event_that_says_what_since_when_and_how_strong(short: None) -> None:
    (event,) = events_of(DriftMonitor("north"), list(stream(1500, shift_at=800)))

    assert (event.layer, event.signal, event.site) == ("data", "sbp", "north")
    assert (event.unit, event.device, event.rule) == (None, None, DRIFT_RULE)
    assert abs(event.since_example - 800) <= 1
    assert event.since_ms == event.since_example * 1000
    assert 815 < event.found_example < 860
    assert event.found_ms == event.found_example * 1000
    assert event.before == pytest.approx(120, abs=5)
    assert event.after == pytest.approx(170, abs=5)
    assert event.effect > 3
    assert event.p_value < SHORT.alpha
    assert event.values == event.found_example - event.since_example + 1
    assert event.patients == event.values


def test_where_nothing_changes_nothing_is_found(short: None) -> None:
    assert events_of(DriftMonitor(), list(stream(4000, seed=1))) == []


def test_patients_one_after_the_other_are_no_drift(short: None) -> None:
    """Each differs from the last: a test that took readings for independent would cry out."""
    assert events_of(DriftMonitor(), list(stream(3000, seed=2, beds=1))) == []


def test_a_shift_is_found_on_a_ward_of_one_bed_once_enough_patients_came(short: None) -> None:
    found = events_of(DriftMonitor(), list(stream(1500, seed=2, beds=1, stay=5, shift_at=800)))

    (event,) = found
    assert event.patients >= SHORT.patients
    assert event.found_example >= 800 + 5 * (SHORT.patients - 2)


def test_a_second_shift_is_a_second_event_after_the_cool_down_only(short: None) -> None:
    examples = list(stream(2500, shift_at=800))
    monitor = DriftMonitor()
    (first,) = events_of(monitor, examples[:1500])
    back = [(values - np.float32(50), who, at) for values, who, at in examples[1500:]]
    (second,) = events_of(monitor, back)

    assert second.after == pytest.approx(120, abs=5)
    assert second.before == pytest.approx(170, abs=5)
    assert second.id != first.id

    soon = list(stream(first.found_example + SHORT.cool_down, shift_at=800))
    monitor = DriftMonitor()
    events_of(monitor, soon[: first.found_example + 1])
    back = [(v - np.float32(50), who, at) for v, who, at in soon[first.found_example + 1 :]]
    assert events_of(monitor, back) == []


def test_a_shift_smaller_than_counts_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.drift, "EXAMPLES", replace(SHORT, effect=9.0))
    assert events_of(DriftMonitor(), list(stream(1500, shift_at=800))) == []


@pytest.mark.parametrize("cut", [0, 1, 300, 511, 512, 513, 799, 820, 840, 850, 1100, 1499])
def test_a_restored_monitor_goes_on_as_if_nothing_had_been(short: None, cut: int) -> None:
    examples = list(stream(1500, shift_at=800))
    whole = DriftMonitor("north")
    expected = events_of(whole, examples)
    before = DriftMonitor("north")
    found = events_of(before, examples[:cut])
    after = DriftMonitor.restore(before.encode())
    assert after.encode() == before.encode()

    found += events_of(after, examples[cut:])

    assert found == expected
    assert after.encode() == whole.encode()
    assert after.examples == 1500


@settings(max_examples=8)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=30), st.integers(0, 5))
def test_batches_make_no_difference(sizes: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    n = 400
    features = np.full((n, len(FEATURES)), np.nan)
    features[:, FEATURES.index("temperature_hours_ago")] = 0
    features[:, FEATURES.index("temperature")] = random.normal(37, 1, n)
    logits = random.normal(-4, 1, n)
    patients = [str(i % 37) for i in range(n)]
    units = ["a" if i % 3 else None for i in range(n)]
    flags = random.choice([0, FAHRENHEIT], n)

    def shown(cuts: list[int]) -> tuple[list[DriftEvent], bytes]:
        monitor, found = DriftMonitor(), []
        for first, last in zip([0, *cuts], [*cuts, n], strict=True):
            part = slice(first, last)
            found += monitor.observe(
                features[part], logits[part], list(range(first, last)), patients[part],
                units=units[part], flags=flags[part],
            )  # fmt: skip
        return found, monitor.encode()

    cuts = [cut for cut in np.cumsum(sizes).tolist() if cut < n]
    found, state = shown(cuts)
    assert (found, state) == shown([])
    assert found


def test_restored_a_unit_mixup_is_not_said_again() -> None:
    monitor = DriftMonitor()
    assert len(mixed_up(monitor, "FFF")) == 1
    restored = DriftMonitor.restore(monitor.encode())
    assert mixed_up(restored, "FFFF") == []


@pytest.mark.parametrize(
    "broken",
    [
        lambda state: b"",
        lambda state: b"something else",
        lambda state: state[:-5],
        lambda state: state[:30],
        lambda state: repacked(state, lambda data: data[:-4]),
        lambda state: repacked(state, lambda data: data + b"more"),
        lambda state: repacked(state, lambda data: data.replace(b"drift/1", b"drift/0")),
        lambda state: repacked(state, lambda data: data.replace(b"logit", b"other")),
        lambda state: repacked(state, lambda data: data.replace(b'"site"', b'"sits"')),
        lambda state: repacked(state, lambda data: data.replace(b'"rows": 20', b'"rows": 19')),
        lambda state: repacked(state, lambda data: data.replace(b'"rows": 20', b'"rows": -1')),
    ],
)
def test_what_is_no_state_is_refused(broken: object) -> None:
    monitor = DriftMonitor("north")
    events_of(monitor, list(stream(20)))
    state = monitor.encode()
    DriftMonitor.restore(state)
    with pytest.raises(DriftStateError):
        DriftMonitor.restore(broken(state))  # type: ignore[operator]


def repacked(state: bytes, change: object) -> bytes:
    head = len(models.drift._MAGIC)
    data = change(zlib.decompress(state[head:]))  # type: ignore[operator]
    return state[:head] + zlib.compress(data)


@pytest.mark.parametrize(
    ("shifted", "named"),
    [("b", "b"), ("ab", None), ("", None)],
    ids=["one unit", "both units", "none"],
)
def test_an_event_names_the_unit_if_it_is_one_alone(
    short: None, shifted: str, named: str | None
) -> None:
    monitor, found = DriftMonitor(), []
    for row, (values, patient, at) in enumerate(stream(1500)):
        unit = "a" if row % 40 < 20 else "b"
        moved = values + 50 * (row >= 800 and unit in shifted)
        found += monitor.observe_signals(moved.astype(np.float32), patient, at, unit)
    assert [event.unit for event in found] == [named] * bool(shifted)


def test_a_site_of_one_unit_is_that_unit(short: None) -> None:
    monitor = DriftMonitor()
    found = [e for x in stream(1000, shift_at=800) for e in monitor.observe_signals(*x, "icu")]
    assert [event.unit for event in found] == ["icu"]


def test_without_all_units_none_is_named(short: None) -> None:
    monitor, found = DriftMonitor(), []
    for row, example in enumerate(stream(1000, shift_at=800)):
        found += monitor.observe_signals(*example, None if row % 2 else "icu")
    assert [event.unit for event in found] == [None]


def test_more_units_than_a_site_has_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.drift, "_MOST_UNITS", 2)
    monitor = DriftMonitor()
    assert [monitor._number(unit) for unit in ("a", "b", "c", "a", None)] == [0, 1, -1, 0, -1]


def mixed_up(
    monitor: DriftMonitor, sent: str, device: str | None = "probe", unit: str | None = "icu"
) -> list[DriftEvent]:
    """F: a temperature in Fahrenheit; c: one in Celsius; -: none."""
    found = []
    for letter in sent:
        features = np.full((1, len(FEATURES)), np.nan)
        if letter == "c":
            features[0, FEATURES.index("temperature_hours_ago")] = 0
            features[0, FEATURES.index("temperature")] = 37
        at = monitor.examples * 1000
        found += monitor.observe(
            features, np.array([-4.0]), [at], [f"p{monitor.examples % 30}"],
            units=[unit], devices=[device], flags=[FAHRENHEIT if letter == "F" else 0],
        )  # fmt: skip
    return found


def test_a_device_that_sends_fahrenheit_is_named_at_its_third_value() -> None:
    monitor = DriftMonitor("north")
    assert mixed_up(monitor, "cccccFF") == []
    (event,) = mixed_up(monitor, "F")

    assert (event.layer, event.signal) == ("data", "temperature_in_fahrenheit")
    assert (event.site, event.unit, event.device) == ("north", "icu", "probe")
    assert (event.since_example, event.found_example) == (5, 7)
    assert (event.since_ms, event.found_ms) == (5000, 7000)
    assert (event.before, event.after, event.values) == (0, 1, 3)


@pytest.mark.parametrize(
    ("sent", "events"),
    [
        ("FF", 0),
        ("FccFccF", 1),
        ("FccFcccF", 0),
        ("F-----F-----F", 1),  # what was not sent says nothing
        ("F" * 50, 1),
        ("FFF" + "c" * 67 + "FFF", 1),
        ("FFF" + "c" * 68 + "FFF", 2),  # it was well in between
    ],
)
def test_a_mixup_is_said_at_its_threshold_and_once(sent: str, events: int) -> None:
    assert len(mixed_up(DriftMonitor(), sent)) == events


def test_devices_units_and_sites_are_counted_apart() -> None:
    monitor = DriftMonitor()
    for device, unit in (("a", "icu"), ("b", "icu"), (None, "icu"), (None, None)):
        assert mixed_up(monitor, "FF", device, unit) == []
    (event,) = mixed_up(monitor, "F", None, "icu")
    assert (event.unit, event.device) == ("icu", None)


def test_more_suspects_than_are_kept_are_let_go_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(models.drift, "_SUSPECTS", 2)
    monitor = DriftMonitor()
    for device in "abc":
        mixed_up(monitor, "FF", device)
    assert mixed_up(monitor, "F", "c")
    assert mixed_up(monitor, "F", "a") == []


def test_every_mixup_is_a_flag_of_the_same_name() -> None:
    assert set(MIXUPS) == {FAHRENHEIT, FRACTION, PRESSURE_IN_KPA}
    for flag, (name, vitals) in MIXUPS.items():
        assert FLAG_NAMES[flag.bit_length() - 1] == name
        assert set(vitals) <= set(CURRENT)


def signal(features: dict[str, float], logit: float = -4.0) -> dict[str, float]:
    row = np.full((1, len(FEATURES)), np.nan)
    for name, value in features.items():
        row[0, FEATURES.index(name)] = value
    values = example_signals(row, np.array([logit]))[0]
    return dict(zip(EXAMPLE_SIGNALS, values.tolist(), strict=True))


def test_a_value_counts_as_measured_for_less_than_an_hour() -> None:
    for ago, measured in ((0.0, 1), (0.99, 1), (1.0, 0)):
        found = signal({"heart_rate": 80, "heart_rate_hours_ago": ago})
        assert found["heart_rate_measured"] == found["measured"] == measured
        assert found["heart_rate"] == 80 if measured else math.isnan(found["heart_rate"])
    assert signal({})["measured"] == 0
    assert signal({}, -3.5)["logit"] == -3.5


@pytest.mark.parametrize(
    ("there", "complete"),
    [("", math.nan), ("sbp", 0), ("sbp dbp", 0), ("sbp dbp map", 1), ("map", 0)],
)
def test_pressures_are_complete_if_all_three_are_there(there: str, complete: float) -> None:
    found = signal({f"{vital}_hours_ago": 0 for vital in there.split()})
    np.testing.assert_equal(found["pressures_complete"], complete)


def test_the_layers_have_signals_of_their_own() -> None:
    assert (*DATA_SIGNALS, "logit") == EXAMPLE_SIGNALS
    assert not set(ERROR_SIGNALS) & set(EXAMPLE_SIGNALS)
    monitor = DriftMonitor()
    monitor.observe_stay("p", 0, np.array([], np.int8), np.array([]), False)
    assert (monitor.examples, monitor.stays) == (0, 0)


def test_the_error_of_a_stay_is_its_log_loss_calibration_and_part_in_f1() -> None:
    labels, risks = np.array([0, 1], np.int8), np.array([0.2, 0.6])
    loss, calibration, f1 = stay_signals(labels, risks, True).tolist()
    assert loss == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)
    assert calibration == pytest.approx(0.1)
    assert f1 == 1
    assert stay_signals(labels, risks, False)[2] == 0
    assert stay_signals(labels * 0, risks, True)[2] == 0
    assert np.isnan(stay_signals(labels * 0, risks, False)[2])
    assert np.isfinite(stay_signals(labels, np.array([1.0, 0.0]), False)).all()


def stays(monitor: DriftMonitor, count: int, risk: float, seed: int) -> list[DriftEvent]:
    """Outcomes of stays with a risk of 10 % and one that is told."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        number = monitor.stays
        septic = random.random() < 0.1
        labels = np.full(10, septic, np.int8)
        told = random.normal(risk if septic else risk / 3, 0.01, 10).clip(0.001, 0.999)
        found += monitor.observe_stay(f"s{number}", number, labels, told, bool(told[0] > 0.2))
    return found


def test_a_risk_that_is_no_longer_true_is_found_in_the_error_layer() -> None:
    monitor = DriftMonitor()
    assert stays(monitor, 600, 0.25, 1) == []
    found = stays(monitor, 400, 0.9, 2)

    assert {event.layer for event in found} == {"error"}
    assert {event.signal for event in found} >= {"calibration", "f1"}
    f1 = next(event for event in found if event.signal == "f1")
    assert f1.before == pytest.approx(1)
    assert f1.after == pytest.approx(2 * 0.1 / (1 + 0.1), abs=0.2)
    assert all(590 <= event.since_example <= 640 for event in found)
    restored = DriftMonitor.restore(monitor.encode())
    assert restored.encode() == monitor.encode()
    assert restored.stays == 1000


def test_stays_as_they_were_are_no_drift() -> None:
    assert stays(DriftMonitor(), 1500, 0.25, 3) == []


def test_with_one_value_a_patient_it_is_students_test() -> None:
    random = np.random.default_rng(4)
    x = np.concatenate([random.normal(0, 1, 300), random.normal(0.5, 1, 100)])
    found = _compare(x, np.arange(400), 300, 10, 0.1)
    assert found is not None
    assert found[3] == pytest.approx(float(ttest_ind(x[:300], x[300:]).pvalue), rel=0.5)


def test_many_readings_of_few_patients_prove_less() -> None:
    random = np.random.default_rng(5)
    levels = np.repeat(random.normal(0, 1, 60), 20) + np.repeat([0, 0.8], 600)
    x = levels + random.normal(0, 0.1, 1200)
    own = _compare(x, np.repeat(np.arange(60), 20), 600, 5, 0.1)
    blind = _compare(x, np.arange(1200), 600, 10, 0.1)
    assert own is not None
    assert blind is not None
    assert own[3] > 1e-4 > 1e-20 > blind[3]


def test_a_change_within_the_same_patients_is_proven_sooner_than_one_of_patients() -> None:
    random = np.random.default_rng(6)
    level = random.normal(0, 1, 40)
    x = np.concatenate([np.tile(level, 20), np.tile(level + 0.5, 20)])
    x += random.normal(0, 0.2, len(x))
    same = _compare(x, np.tile(np.arange(40), 40), 800, 10, 0.1)
    others = _compare(x, np.tile(np.arange(40), 40) + 40 * (np.arange(1600) >= 800), 800, 10, 0.1)
    assert same is not None
    assert others is not None
    assert same[:3] == others[:3]
    assert others[3] > 1e-3


def test_too_few_patients_on_either_side_prove_nothing() -> None:
    x = np.repeat([0.0, 1.0], 50)
    x[::7] += 0.1
    for before, after, proves in ((40, 10, True), (39, 10, False), (40, 9, False)):
        patients = np.concatenate([np.arange(50) % before, 100 + np.arange(50) % after])
        assert (_compare(x, patients, 50, 10, 0.1) is not None) == proves


def test_a_constant_has_no_drift_and_two_constants_have() -> None:
    patients = np.arange(100)
    assert _compare(np.ones(100), patients, 50, 10, 0.1) is None
    found = _compare(np.repeat([0.0, 1.0], 50), patients, 50, 10, 0.1)
    assert found is not None
    assert found[3] == 0


@given(st.integers(10, 90), st.integers(1, 10), st.integers(1, 10))
def test_a_step_is_split_where_it_is(at: int, before: int, after: int) -> None:
    x = (np.arange(100) >= at).astype(float)
    assert _change_point(_cusum(x), before, after) == min(max(at, before), 100 - after)


def test_the_rules_are_whole() -> None:
    for rule in (EXAMPLES, STAYS, SHORT):
        assert rule.before + rule.after < rule.memory
        assert rule.suspect < rule.memory
        assert max(rule.reach) >= rule.memory

"""Laboratory results: units, what a reading knows of them, and the state they are kept in."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.dataset import BASE_MS, featurise
from models.features import BEDSIDE_FEATURES, FEATURES
from models.labs import LAB_FEATURES, LAB_SCALE, LABS, index_of_loinc, to_thousandths
from models.stay import Stay
from models.vitals import MISSING, VITALS
from tables.codec import StateError
from tables.labs import Labs
from tests.helpers import HOUR, T0

pytestmark = pytest.mark.unit

LACTATE = index_of_loinc("2524-7")
CREATININE = index_of_loinc("2160-0")
assert LACTATE is not None
assert CREATININE is not None
FOREVER = np.iinfo(np.int64).max


class Store:
    """States as a table keeps them."""

    def __init__(self) -> None:
        self.states: dict[bytes, bytes] = {}
        self.labs = self.restarted()

    def restarted(self) -> Labs:
        return Labs(lambda _, keys: [self.states.get(key) for key in keys], capacity=9)

    def add(self, lab: int, at_ms: int, value: float, key: bytes = b"a") -> None:
        self.states[key], _ = self.labs.add(0, key, lab, at_ms, round(value * LAB_SCALE))

    def features(
        self, at_ms: int, seen: int = FOREVER, labs: Labs | None = None
    ) -> dict[str, float]:
        labs = labs or self.labs
        out = np.full((1, len(LAB_FEATURES)), np.inf)
        found = labs.get(0, [b"a"])
        labs.fill(found, np.array([seen]), np.array([at_ms]), out)
        return dict(zip(LAB_FEATURES, out[0].tolist(), strict=True))


@pytest.fixture
def store() -> Store:
    return Store()


def test_every_loinc_code_names_one_test() -> None:
    codes = [code for lab in LABS for code in lab.loinc]
    assert len(set(codes)) == len(codes)
    assert all(index_of_loinc(code) == i for i, lab in enumerate(LABS) for code in lab.loinc)


def test_loinc_codes_carry_a_right_check_digit() -> None:
    for lab in LABS:
        for code in lab.loinc:
            number, digit = code.split("-")
            # mod 10: every other digit from the right counts twice, by its digits
            doubled = [int(d) * (2 if i % 2 == 0 else 1) for i, d in enumerate(reversed(number))]
            total = sum(d - 9 if d > 9 else d for d in doubled)
            assert (10 - total % 10) % 10 == int(digit), f"{lab.name}: {code}"


@pytest.mark.parametrize(
    ("code", "value", "unit", "kept"),
    [
        ("2160-0", 88.4, "umol/L", 1.0),
        ("2160-0", 1.0, "mg/dL", 1.0),
        ("2160-0", 1.0, None, 1.0),
        ("2345-7", 5.0, "mmol/L", 90.08),
        ("2524-7", 18.0, "mg/dL", 1.998),
        ("1975-2", 17.1, "umol/L", 1.0),
        ("3094-0", 7.14, "mmol/L", 20.006),
        ("2019-8", 5.33, "kPa", 39.978),
        ("718-7", 120.0, "g/L", 12.0),
        ("777-3", 250.0, "10*9/L", 250.0),
        ("3150-0", 40.0, "%", 0.4),
    ],
)
def test_a_result_in_another_unit_of_its_test_is_converted(
    code: str, value: float, unit: str | None, kept: float
) -> None:
    lab = index_of_loinc(code)
    assert lab is not None
    assert to_thousandths(lab, value, unit) == round(kept * LAB_SCALE)


def test_a_unit_that_a_test_does_not_come_in_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(ValueError, match=r"unit of 2160-0 is none of mg/dL, umol/L"):
        to_thousandths(CREATININE, 1.0, "mmol/L")


@pytest.mark.parametrize(
    ("value", "counts"), [(0.05, True), (0.049, False), (50, True), (51, False)]
)
def test_a_value_counts_inside_its_plausible_range_only(value: float, counts: bool) -> None:
    assert (to_thousandths(LACTATE, value, None) is not None) == counts


def test_a_reading_knows_the_newest_result_its_change_its_age_and_the_count_of_a_day(
    store: Store,
) -> None:
    store.add(LACTATE, T0 - 30 * HOUR, 1.0)
    store.add(LACTATE, T0 - 5 * HOUR, 2.0)
    store.add(LACTATE, T0 - 2 * HOUR, 4.5)
    known = store.features(T0)
    assert known["lactate"] == 4.5
    assert known["lactate_hours_ago"] == 2
    assert known["lactate_change"] == 2.5
    assert known["lactate_count_24h"] == 2


def test_a_result_counts_from_its_observed_time_on_and_never_before(store: Store) -> None:
    store.add(LACTATE, T0 - HOUR, 1.0)
    store.add(LACTATE, T0, 9.0)
    assert store.features(T0 - 1)["lactate"] == 1.0
    assert store.features(T0)["lactate"] == 9.0


def test_results_that_come_in_another_order_give_the_same_features(store: Store) -> None:
    for at, value in ((T0 - HOUR, 3.0), (T0 - 5 * HOUR, 1.0), (T0 - 3 * HOUR, 2.0)):
        store.add(LACTATE, at, value)
    known = store.features(T0)
    assert (known["lactate"], known["lactate_change"]) == (3.0, 1.0)


def test_a_patient_without_any_result_is_not_one_whose_laboratory_found_nothing(
    store: Store,
) -> None:
    assert all(math.isnan(value) for value in store.features(T0).values())
    store.add(LACTATE, T0, 1.0)
    assert store.features(T0)["creatinine_count_24h"] == 0
    assert math.isnan(store.features(T0)["creatinine"])


def test_the_same_result_again_changes_nothing_and_a_corrected_one_counts(store: Store) -> None:
    store.add(LACTATE, T0, 1.0)
    assert store.labs.add(0, b"a", LACTATE, T0, 1000) == (store.states[b"a"], False)
    assert store.features(T0)["lactate_count_24h"] == 1
    store.add(LACTATE, T0, 7.0)
    assert store.features(T0)["lactate"] == 7.0


def test_a_reading_delivered_again_finds_the_results_that_had_arrived_the_first_time(
    store: Store,
) -> None:
    store.add(LACTATE, T0 - 5 * HOUR, 1.0)
    [found] = store.labs.get(0, [b"a"])
    seen = int(store.labs.seen([found])[0])
    first = store.features(T0, seen)
    store.add(LACTATE, T0 - HOUR, 8.0)  # late: observed before the reading, arrived after it
    assert store.features(T0)["lactate"] == 8.0
    assert store.features(T0, seen, store.restarted()) == pytest.approx(first, nan_ok=True)


def test_of_a_patient_without_results_none_had_arrived(store: Store) -> None:
    assert store.labs.seen(store.labs.get(0, [b"a"])).tolist() == [MISSING]


def test_a_state_of_another_version_is_refused_with_a_remedy(store: Store) -> None:
    store.states[b"a"] = b"\x09rest"
    with pytest.raises(StateError, match="vigil rebuild bedside"):
        store.labs.get(0, [b"a"])


def test_readings_that_lag_days_behind_the_laboratory_find_the_results_of_their_time(
    store: Store,
) -> None:
    for hour in range(0, 60 * 6, 6):
        store.add(LACTATE, T0 + hour * HOUR, 1 + hour / 100)
    assert store.features(T0 + 3 * HOUR)["lactate"] == 1.0
    assert store.features(T0 + 200 * HOUR)["lactate"] == 1 + 198 / 100


def test_of_a_test_that_is_sent_without_end_the_last_512_results_are_kept(store: Store) -> None:
    for minute in range(600):
        store.add(LACTATE, T0 + minute * 60_000, 1.0 + minute / 1000)
    [found] = store.restarted().get(0, [b"a"])
    assert found is not None
    assert (len(found.rows), found.arrived) == (512, 600)


def test_a_patient_who_is_forgotten_has_no_results(store: Store) -> None:
    store.add(LACTATE, T0, 1.0)
    store.labs.discharge(0, b"a")
    assert store.labs.get(0, [b"a"]) == [None]


results = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 100), st.integers(1, 400)), min_size=1, max_size=60
)


@given(results, st.integers(-8, 0))
def test_forgetting_old_results_changes_no_reading_that_may_still_come(
    given_: list[tuple[int, int, int]], late: int
) -> None:
    store = Store()
    for lab, hour, value in given_:
        store.add(lab, T0 + hour * HOUR, value / 10)
    at = T0 + (max(hour for _, hour, _ in given_) + late) * HOUR
    of_test = {}
    for lab in range(3):
        known = sorted(
            {(hour, i, value) for i, (which, hour, value) in enumerate(given_) if which == lab}
        )
        unique = dict.fromkeys((hour, value) for hour, _, value in known if T0 + hour * HOUR <= at)
        of_test[lab] = list(unique)
    found = store.features(at, labs=store.restarted())
    for lab, kept in of_test.items():
        name = LABS[lab].name
        if not kept:
            assert math.isnan(found[name])
            continue
        assert found[name] == kept[-1][1] / 10
        assert found[f"{name}_count_24h"] == sum(
            at - T0 - hour * HOUR < 24 * HOUR for hour, _ in kept
        )
        if len(kept) > 1:
            change = kept[-1][1] / 10 - kept[-2][1] / 10
            assert found[f"{name}_change"] == pytest.approx(change)


def test_training_sees_what_the_stream_sees(store: Store) -> None:
    seconds = np.arange(1, 60) * 3600
    rng = np.random.default_rng(1)
    rows = sorted(
        (int(rng.integers(0, len(LABS))), int(second), int(rng.integers(1, 9000)))
        for second in seconds
        for _ in range(3)
    )
    labs = np.array(sorted(rows, key=lambda row: row[1]), np.int64)
    values = np.full((len(seconds), len(VITALS)), 80.0)
    offline = featurise([Stay("a", seconds, values, labs=labs)]).X[:, len(BEDSIDE_FEATURES) :]
    assert offline.shape[1] == len(FEATURES) - len(BEDSIDE_FEATURES)
    waiting = labs.tolist()
    for second, row in zip(seconds.tolist(), offline, strict=True):
        while waiting and waiting[0][1] <= second:
            lab, at, value = waiting.pop(0)
            store.add(lab, BASE_MS + at * 1000, value / LAB_SCALE)
        online = store.features(BASE_MS + second * 1000)
        np.testing.assert_array_equal(row, list(online.values()))

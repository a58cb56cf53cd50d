"""Who a patient is: from an admission to a small state and back."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.vitals import MISSING
from streams.events import Admission, struct_of
from tables.stays import NOBODY, StayFacts, Stays
from tests.helpers import HOUR, T0, who

pytestmark = pytest.mark.unit

AdmissionRow: Any = struct_of(Admission)
MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)


def admission(**facts: Any) -> Any:
    return AdmissionRow(**{**dict.fromkeys(Admission.model_fields), "patient_id": "a", **facts})


class Store:
    """A store that counts how often it is asked."""

    def __init__(self) -> None:
        self.states: dict[tuple[int, bytes], bytes] = {}
        self.asked = 0

    def load(self, partition: int, keys: list[bytes]) -> list[bytes | None]:
        self.asked += len(keys)
        return [self.states.get((partition, key)) for key in keys]


def one(stays: Stays, partition: int, key: bytes) -> StayFacts | None:
    [facts] = stays.get(partition, [key])
    return facts


def test_an_admission_becomes_the_context_of_a_window() -> None:
    stays = Stays(Store().load, capacity=9)
    stays.admit(
        0,
        b"a",
        admission(
            age_years=61.54,
            sex="male",
            icu_admitted_at=MIDNIGHT,
            hospital_admitted_at=MIDNIGHT - timedelta(hours=5),
            unit_id="ICU 2",
        ),
    )
    facts = one(stays, 0, b"a")
    assert facts == StayFacts((6154, 1, T0, T0 - 5 * HOUR), "ICU 2")
    np.testing.assert_array_equal(stays.contexts([facts]), [who(61.54, 1, T0, T0 - 5 * HOUR)])


def test_what_an_admission_does_not_tell_is_not_known() -> None:
    stays = Stays(Store().load, capacity=9)
    stays.admit(0, b"a", admission(sex="female"))
    facts = one(stays, 0, b"a")
    assert facts is not None
    assert facts.context == (MISSING, 0, MISSING, MISSING)
    assert facts.unit_id is None


def test_an_age_of_nought_is_known() -> None:
    stays = Stays(Store().load, capacity=9)
    stays.admit(0, b"a", admission(age_years=0.0))
    facts = one(stays, 0, b"a")
    assert facts is not None
    assert facts.context[0] == 0


@given(
    st.one_of(st.none(), st.floats(0, 130)),
    st.sampled_from([None, "female", "male"]),
    st.one_of(st.none(), st.datetimes(timezones=st.just(timezone(timedelta(hours=2))))),
    st.one_of(st.none(), st.text()),
)
def test_a_state_comes_back_from_the_store_as_it_was(
    age: float | None, sex: str | None, icu: datetime | None, unit: str | None
) -> None:
    store = Store()
    stays = Stays(store.load, capacity=9)
    told = admission(age_years=age, sex=sex, icu_admitted_at=icu, unit_id=unit)
    store.states[3, b"a"] = stays.admit(3, b"a", told)
    again = Stays(store.load, capacity=9)
    assert one(again, 3, b"a") == one(stays, 3, b"a")


def test_a_later_admission_replaces_the_earlier_one_whole() -> None:
    stays = Stays(Store().load, capacity=9)
    stays.admit(0, b"a", admission(age_years=50.0, unit_id="ICU 1"))
    stays.admit(0, b"a", admission(sex="male"))
    assert one(stays, 0, b"a") == StayFacts((MISSING, 1, MISSING, MISSING), None)


def test_a_discharged_patient_is_nobody_whatever_the_store_still_holds() -> None:
    store = Store()
    stays = Stays(store.load, capacity=9)
    store.states[0, b"a"] = stays.admit(0, b"a", admission(age_years=50.0))
    stays.discharge(0, b"a")
    assert one(stays, 0, b"a") is None
    np.testing.assert_array_equal(stays.contexts([None]), [who()])
    assert set(NOBODY.context) == {MISSING}


def test_the_store_is_asked_once_of_a_patient_it_does_not_know() -> None:
    store = Store()
    stays = Stays(store.load, capacity=9)
    assert [one(stays, 0, b"a") for _ in range(3)] == [None, None, None]
    assert store.asked == 1


def test_who_is_asked_for_stays_and_the_others_make_room() -> None:
    store = Store()
    stays = Stays(store.load, capacity=2)
    for key in (b"a", b"b", b"a", b"c", b"a", b"d", b"a", b"e", b"a"):
        one(stays, 0, key)
    assert store.asked == 5
    one(stays, 0, b"b")
    assert store.asked == 6


def test_what_is_in_memory_is_at_most_twice_the_capacity() -> None:
    store = Store()
    stays = Stays(store.load, capacity=10)
    for number in range(100):
        one(stays, number % 3, b"%d" % number)
    store.asked = 0
    stays.get(0, [b"%d" % number for number in range(100)])
    assert store.asked >= 100 - 2 * 10


def test_a_batch_of_patients_is_read_in_one_go_and_each_of_them_once() -> None:
    asked: list[list[bytes]] = []

    def load(partition: int, keys: list[bytes]) -> list[bytes | None]:
        asked.append(keys)
        return [None] * len(keys)

    stays = Stays(load, capacity=9)
    stays.admit(0, b"a", admission(age_years=50.0))
    found = stays.get(0, [b"b", b"a", b"b", b"c"])
    assert asked == [[b"b", b"c"]]
    assert [facts is None for facts in found] == [True, False, True, True]


def test_admissions_of_a_batch_are_known_before_the_store_has_them() -> None:
    stays = Stays(Store().load, capacity=50)
    keys = [b"%d" % number for number in range(50)]
    for _ in range(3):
        for age, key in enumerate(keys):
            stays.admit(0, key, admission(age_years=float(age)))
        known = stays.get(0, keys)
        assert [facts and facts.context[0] for facts in known] == [100 * i for i in range(50)]


def test_patients_of_one_name_on_two_partitions_are_two() -> None:
    stays = Stays(Store().load, capacity=9)
    stays.admit(0, b"a", admission(age_years=50.0))
    assert one(stays, 1, b"a") is None


def test_a_partition_that_was_revoked_is_read_from_the_store_when_it_comes_back() -> None:
    store = Store()
    stays = Stays(store.load, capacity=9)
    for partition in (0, 1):
        stays.admit(partition, b"a", admission(age_years=50.0))
    other = Stays(store.load, capacity=9)
    store.states[0, b"a"] = other.admit(0, b"a", admission(age_years=60.0))
    stays.forget(0)
    newer, kept = one(stays, 0, b"a"), one(stays, 1, b"a")
    assert newer is not None
    assert kept is not None
    assert (newer.context[0], kept.context[0]) == (6000, 5000)


def test_contexts_of_nobody_at_all_have_no_rows() -> None:
    assert Stays(Store().load, capacity=9).contexts([]).shape == (0, 5)

"""A batch of records through the whole path, without the engine around it."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from config.guidance import guidance
from streams.bedside import (
    CORRELATION_HEADER,
    DIRECT,
    ORIGIN_HEADER,
    ROUTED,
    Bedside,
    Results,
    with_origin,
)
from streams.events import Admission, Recommendation, struct_of
from streams.intake import IntakeRules
from streams.lessons import decode
from streams.partitions import partition_of
from streams.recommend import Recommender
from tables.stays import Stays
from tables.windows import Windows
from tests.helpers import GRACE, HOUR, MINUTE, T0, Record, StubModel, reading

pytestmark = pytest.mark.unit

PARTITIONS = 4


class Ward:
    """A bedside with its two stores."""

    def __init__(self, **stub: Any) -> None:
        self.states: dict[bytes, bytes] = {}
        windows = Windows(
            lambda _, keys: [self.states.get(key) for key in keys], capacity=100, grace_ms=GRACE
        )
        for partition in range(PARTITIONS):
            windows.resume(partition, [0, 0])
        self.bedside = Bedside(
            windows,
            Stays(lambda _, keys: [None] * len(keys), capacity=100),
            None,
            Recommender(StubModel(**stub), guidance()),
            IntakeRules(),
            PARTITIONS,
            clock=lambda: T0 + HOUR,
        )

    def score(
        self, records: Sequence[Record], *, partition: int = 0, source: int = DIRECT
    ) -> Results:
        sorted_ = self.bedside.sort(records, partition, routed=source == ROUTED, whole=True)
        assert not sorted_.rejects
        assert not sorted_.strays
        results = self.bedside.score(sorted_.own, partition, source)
        self.states.update(results.writes)
        return results

    def admit(self, patient: str, partition: int, **facts: Any) -> None:
        empty = dict.fromkeys(Admission.model_fields)
        admission = struct_of(Admission)(**{**empty, "patient_id": patient, **facts})
        self.bedside.stays.admit(partition, patient.encode(), admission)


def at_home(patient: str) -> int:
    return partition_of(patient.encode(), PARTITIONS)


def sent(patient: str, offset: int = 0, hours: float = 0, **fields: Any) -> Record:
    """A reading under its patient's key on its patient's partition."""
    value = reading(patient, **(fields or {"heart_rate": 80}))
    return Record(
        value, T0 + round(hours * HOUR), offset, patient.encode(), partition=at_home(patient)
    )


def events(results: Results) -> list[dict[str, Any]]:
    return [json.loads(value) for _, value in results.recommendations]


# -- sorting out


@given(st.binary(min_size=1, max_size=40), st.integers(1, 100))
def test_a_patient_belongs_where_kafkas_own_partitioner_puts_its_key(key: bytes, n: int) -> None:
    assert partition_of(key, n) == DefaultPartitioner()(key, list(range(n)), list(range(n)))


def test_a_reading_is_own_under_its_patients_key_on_its_patients_partition() -> None:
    home = at_home("a")
    records = [
        sent("a"),
        Record(reading("a", heart_rate=81), key=None, partition=home),
        Record(reading("a", heart_rate=82), key=b"b", partition=home),
        Record(b"{", key=b"a", partition=home),
        sent("a", heart_rate=83),
    ]
    found = Ward().bedside.sort(records, home, routed=False, whole=True)
    assert found.own.records == [records[0], records[4]]
    assert found.own.values[:, 0].tolist() == [8000, 8300]
    assert found.strays == [(records[1], b"a"), (records[2], b"a")]
    assert [reject.record for reject in found.rejects] == [records[3]]


def test_a_key_on_a_foreign_partition_is_a_stray() -> None:
    record = sent("a")
    found = Ward().bedside.sort([record], (at_home("a") + 1) % PARTITIONS, routed=False, whole=True)
    assert found.own.keys == []
    assert found.strays == [(record, b"a")]


def test_of_a_topic_with_another_number_of_partitions_all_are_strays() -> None:
    found = Ward().bedside.sort([sent("a")], at_home("a"), routed=False, whole=False)
    assert found.own.keys == []
    assert len(found.strays) == 1


def test_a_numeric_patient_is_keyed_by_its_digits() -> None:
    record = Record(reading(3.0, heart_rate=80), key=b"3")
    found = Ward().bedside.sort([record], partition_of(b"3", PARTITIONS), routed=False, whole=True)
    assert found.own.keys == [b"3"]


def test_a_batch_of_rejects_alone_has_nothing_to_score() -> None:
    found = Ward().bedside.sort([Record(b"{"), Record(None)], 0, routed=False, whole=True)
    assert (found.own.keys, found.strays, len(found.rejects)) == ([], [], 2)


# -- scoring


def test_every_reading_is_answered_under_its_patient_with_the_id_of_its_place() -> None:
    records = [sent("a", 4), sent("a", 9, 1, heart_rate=95)]
    results = Ward().score(records, partition=at_home("a"))
    assert [key for key, _ in results.recommendations] == [b"a", b"a"]
    home = at_home("a")
    assert [event["recommendation_id"] for event in events(results)] == [
        f"vitals-{home}-4-{T0}",
        f"vitals-{home}-9-{T0 + HOUR}",
    ]
    assert [event["risk"] for event in events(results)] == [0.08, 0.095]
    assert results.counts == {"scored": 2}
    for _, value in results.recommendations:
        Recommendation.model_validate_json(value)


def test_states_are_written_once_a_patient_and_the_largest_is_told() -> None:
    ward = Ward()
    results = ward.score([sent("a", n, n / 60) for n in range(50)], partition=at_home("a"))
    assert [key for key, _ in results.writes] == [b"a"]
    assert results.largest_state == len(results.writes[0][1])


def test_what_is_late_goes_back_as_it_came_and_gets_no_recommendation() -> None:
    records = [sent("a", 0, 10), sent("a", 1, 3, heart_rate=70), sent("a", 2, 11)]
    results = Ward().score(records, partition=at_home("a"))
    assert results.late == [(b"a", records[1])]
    assert len(results.recommendations) == 2
    assert results.counts == {"scored": 2, "late": 1}
    assert [event["original_data"] for event in events(results)] == [
        json.loads(records[0].value or b""),
        json.loads(records[2].value or b""),
    ]


def test_a_batch_of_late_readings_alone_has_no_recommendations() -> None:
    ward = Ward()
    ward.score([sent("a", 0, 10)], partition=at_home("a"))
    results = ward.score([sent("a", 1, 1), sent("a", 2, 2)], partition=at_home("a"))
    assert results.recommendations == []
    assert len(results.late) == 2
    assert len(results.writes) == 1


def test_duplicates_and_readings_out_of_order_are_answered_and_say_so() -> None:
    records = [sent("a", 0, 2), sent("a", 1, 2), sent("a", 2, 1, heart_rate=70)]
    found = events(Ward().score(records, partition=at_home("a")))
    assert [event["data_quality"]["flags"] for event in found] == [
        ["admission_unknown"],
        ["duplicate", "admission_unknown"],
        ["out_of_order", "admission_unknown"],
    ]


def test_an_admission_is_known_to_the_model_and_lends_its_unit() -> None:
    ward = Ward()
    home = at_home("a")
    (before,) = events(ward.score([sent("a", 0)], partition=home))
    ward.admit("a", home, age_years=61.5, sex="female", unit_id="ICU 2")
    (after,) = events(ward.score([sent("a", 1, 1)], partition=home))
    assert before["data_quality"]["flags"] == ["admission_unknown"]
    assert before["unit_id"] is None
    assert after["data_quality"]["flags"] == []
    assert after["unit_id"] == "ICU 2"


def test_a_correlation_id_comes_back_cut_to_what_an_id_may_be() -> None:
    for given_, expected in ((b"order-7", "order-7"), (b"x" * 500, "x" * 128), (b"\xff", "�")):
        record = sent("a")
        record.headers = [("other", b"1"), (CORRELATION_HEADER, given_)]
        (event,) = events(Ward().score([record], partition=at_home("a")))
        assert event["correlation_id"] == expected


@pytest.mark.parametrize("value", [b"", None])
def test_an_empty_correlation_id_is_none(value: bytes | None) -> None:
    record = sent("a")
    record.headers = [(CORRELATION_HEADER, value)]
    (event,) = events(Ward().score([record], partition=at_home("a")))
    assert event["correlation_id"] == event["recommendation_id"]


# -- routed


def routed(record: Record, offset: int) -> Record:
    """The record as our router sends it on."""
    return Record(
        record.value, record.timestamp, offset, b"a", "vitals.routed", at_home("a"),
        with_origin(record),
    )  # fmt: skip


def test_a_routed_reading_has_the_id_of_the_place_it_was_first_read_from() -> None:
    first = Record(reading("a", heart_rate=80), T0, 77, None, "hospital.vitals", 3)
    (event,) = events(Ward().score([routed(first, 5)], source=ROUTED, partition=at_home("a")))
    assert event["recommendation_id"] == f"hospital.vitals-3-77-{T0}"


def test_a_reading_routed_twice_is_answered_once() -> None:
    first = Record(reading("a", heart_rate=80), T0, 77, None, "vitals", 3)
    results = Ward().score(
        [routed(first, 5), routed(first, 6)], source=ROUTED, partition=at_home("a")
    )
    assert len(results.recommendations) == 1
    assert results.counts == {"scored": 1, "repeated": 1}


@pytest.mark.parametrize("forged", [b"elsewhere/0/5", b"nonsense", b"\xff/\xff/\xff", b"a/b/c"])
def test_an_origin_that_the_producer_put_into_its_reading_is_not_believed(forged: bytes) -> None:
    """It would crash the worker, or drop the next readings as repeats."""
    first = Record(
        reading("a", heart_rate=80), T0, 77, None, "vitals", 3, [(ORIGIN_HEADER, forged)]
    )
    (event,) = events(Ward().score([routed(first, 5)], source=ROUTED, partition=at_home("a")))
    assert event["recommendation_id"] == f"vitals-3-77-{T0}"
    (event,) = events(Ward().score([sent("a")], partition=at_home("a")))
    assert event["recommendation_id"] == f"vitals-{at_home('a')}-0-{T0}"


def test_a_direct_reading_with_a_forged_origin_is_answered_at_its_own_place() -> None:
    record = sent("a", 4)
    record.headers = [(ORIGIN_HEADER, b"vitals/0/999999")]
    ward = Ward()
    ward.score([record], partition=at_home("a"))
    following = sent("a", 5, 1)
    results = ward.score([following], partition=at_home("a"))
    assert results.counts == {"scored": 1}


# -- strangers


def test_a_stranger_is_a_patient_of_whom_nothing_is_known() -> None:
    ward = Ward()
    home = at_home("a")
    own = ward.bedside.sort([sent("a")], home, routed=False, whole=True).own
    assert ward.bedside.strangers(home, own)
    ward.score([sent("a")], partition=home)
    assert not ward.bedside.strangers(home, own)
    admitted = Ward()
    admitted.admit("a", home, age_years=50.0)
    assert not admitted.bedside.strangers(home, own)


# -- batches


@given(st.lists(st.integers(1, 12), max_size=6), st.permutations(range(12)))
def test_recommendations_do_not_depend_on_how_the_readings_were_batched(
    sizes: list[int], order: list[int]
) -> None:
    records = [
        sent("a", offset, n * 20 * MINUTE / HOUR, heart_rate=70 + n, sbp=120 - n)
        for offset, n in enumerate(order)
    ]
    expected = events(Ward().score(records, partition=at_home("a")))
    ward, found, start = Ward(), [], 0
    for size in [*sizes, len(records)]:
        part = records[start : start + size]
        if part:
            found += events(ward.score(part, partition=at_home("a")))
        start += size
    for event in expected + found:
        del event["processing"]
    assert found == expected


def test_a_sensor_that_jumps_is_told_and_a_reading_delivered_again_says_the_same() -> None:
    ward, home = Ward(), at_home("a")
    first = sent("a", 0, 0, temperature=37.0)
    jumped = sent("a", 1, 0.1, temperature=31.0)
    found = [
        event["data_quality"]["flags"]
        for event in events(ward.score([first, jumped], partition=home))
    ]
    assert ["temperature_jump" in flags for flags in found] == [False, True]

    ward.bedside.windows.resume(home, [1, 0])  # a crash: the second reading was not committed
    (again,) = events(ward.score([jumped], partition=home))
    assert "temperature_jump" in again["data_quality"]["flags"]


def test_examples_are_made_of_the_first_reading_in_an_hour_and_again_when_it_comes_again() -> None:
    ward, home = Ward(), at_home("a")
    ward.bedside._learning = True
    records = [sent("a", i, hours) for i, hours in enumerate((1, 1.5, 2, 2.1, 2.2, 3.5))]
    lessons = ward.score(records, partition=home).lessons
    examples: list[Any] = [decode(lesson) for _, lesson in lessons]
    times = [example.observed_at_ms - T0 for example in examples]
    assert times == [HOUR, round(1.5 * HOUR), round(2.1 * HOUR), round(3.5 * HOUR)]

    ward.bedside.windows.resume(home, [2, 0])
    assert ward.score(records[2:], partition=home).lessons == lessons[2:]

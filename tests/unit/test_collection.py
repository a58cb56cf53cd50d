"""Examples joined with outcomes: no label before its time, and nothing counted twice."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.collection import FORGET_MS, DueStay, Ended, Join, Seen
from tests.helpers import HOUR, T0

DELAY = 12 * HOUR
#: (patient, hour of the example) or (patient, hour of the end, septic, hour of onset).
Record = tuple[Any, ...]


def run(
    records: Iterable[Record], join: Join[int] | None = None, start: int = 0
) -> tuple[list[DueStay[int]], Join[int]]:
    join = join or Join(DELAY)
    found = []
    for offset, record in enumerate(records, start):
        patient, hour, *ended = record
        if ended:
            onset = T0 + ended[1] * HOUR if ended[0] else None
            join.outcome(patient, Ended(offset, T0 + hour * HOUR, ended[0], onset))
        else:
            join.example(patient, Seen(offset, T0 + hour * HOUR, offset))
        found += list(join.due())
    return found, join


def test_a_stay_comes_out_when_its_delay_has_passed_and_not_before() -> None:
    before = [("a", 1), ("a", 2), ("a", 3, True, 2), ("b", 14)]
    assert run(before)[0] == []
    (stay,), join = run([*before, ("b", 15)])
    assert (stay.patient_id, stay.ended.ended_at_ms) == ("a", T0 + 3 * HOUR)
    assert [seen.example for seen in stay.examples] == [0, 1]
    assert join.waiting == (2, 0)


def test_labels_begin_six_hours_before_onset() -> None:
    (stay,), _ = run([*(("a", h) for h in range(1, 11)), ("a", 10, True, 11), ("b", 99)])
    assert stay.labels().tolist() == [0] * 4 + [1] * 6
    (stay,), _ = run([("a", 1), ("a", 1, False, None), ("b", 99)])
    assert stay.labels().tolist() == [0]


def test_examples_after_the_end_belong_to_the_next_stay() -> None:
    first, second = run(
        [("a", 1), ("a", 5), ("a", 2, False, None), ("a", 6, False, None), ("b", 99)]
    )[0]
    assert [seen.example for seen in first.examples] == [0]
    assert [seen.example for seen in second.examples] == [1]


def test_the_first_example_of_an_hour_counts_and_a_repeated_outcome_does_not() -> None:
    records = [("a", 1), ("a", 1), ("a", 2, False, None), ("a", 2, False, None), ("b", 20)]
    (stay,), join = run([*records, ("a", 2, False, None), ("b", 40), ("a", 1)])
    assert [seen.example for seen in stay.examples] == [0]
    assert (join.counts.repeated, join.counts.late) == (2, 1)


def test_what_is_said_of_an_end_last_before_it_is_due_counts() -> None:
    (stay,), _ = run([("a", 1), ("a", 2, False, None), ("a", 2, True, 2), ("b", 20)])
    assert stay.ended.septic


def test_an_outcome_of_a_patient_of_whom_nothing_was_scored_is_counted_and_no_stay() -> None:
    found, join = run([("a", 2, False, None), ("b", 20)])
    assert (found, join.counts.without_examples) == ([], 1)


def test_what_waits_is_where_reading_goes_on() -> None:
    _, join = run([("a", 1), ("b", 2), ("a", 3, False, None), ("b", 30), ("c", 31)])
    assert join.resume(5) == 1
    _, join = run([("a", 1), ("a", 3, False, None), ("a", 3)])
    assert join.resume(3) == 0


def test_examples_that_never_get_an_outcome_are_given_up() -> None:
    long = FORGET_MS // HOUR
    _, join = run([("a", 1), ("b", 2), ("b", 3, False, None), ("c", long + 2)])
    assert join.resume(4) == 3
    assert join.counts.forgotten == 1


@st.composite
def topics(draw: st.DrawFn) -> list[Record]:
    """Records in about the order of event time, some late, some repeated."""
    records: list[tuple[float, Record]] = []
    for patient in "abcd"[: draw(st.integers(1, 4))]:
        hour = draw(st.integers(0, 30))
        for _ in range(draw(st.integers(1, 3))):
            for _ in range(draw(st.integers(0, 6))):
                late = draw(st.integers(0, 3))
                records.append((hour + late, (patient, hour)))
                if draw(st.booleans()):
                    records.append((hour + late + draw(st.integers(0, 20)), (patient, hour)))
                hour += draw(st.integers(1, 2))
            septic = draw(st.booleans())
            for _ in range(draw(st.integers(1, 2))):
                said = hour + draw(st.integers(0, 14))
                records.append((said, (patient, hour, septic, hour - 2)))
            hour += draw(st.integers(1, 40))
    return [record for _, record in sorted(records, key=lambda pair: pair[0])]


def told(stays: list[DueStay[int]]) -> list[Any]:
    return [
        (s.patient_id, s.ended.ended_at_ms, s.labels().tolist(), [x.at_ms for x in s.examples])
        for s in stays
    ]


@given(topics(), st.data())
def test_a_topic_that_is_read_in_parts_gives_the_stays_of_one_that_is_read_at_once(
    records: list[Record], data: st.DataObject
) -> None:
    whole, _ = run(records)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(records)), max_size=3)))
    parts: list[DueStay[int]] = []
    ended: dict[str, int] = {}
    resume = watermark = 0
    for cut in [*cuts, len(records)]:
        join: Join[int] = Join(DELAY, ended=ended, watermark_ms=watermark)
        found, join = run(records[resume:cut], join, resume)
        parts += found
        for stay in found:
            ended[stay.patient_id] = stay.ended.ended_at_ms
        resume, watermark = join.resume(cut), join.watermark_ms
    assert told(parts) == told(whole)


@given(topics())
def test_no_label_is_known_before_its_time_and_nobody_counts_twice(records: list[Record]) -> None:
    join: Join[int] = Join(DELAY)
    counted: set[tuple[str, int]] = set()
    for offset in range(len(records)):
        found, join = run(records[offset : offset + 1], join, offset)
        now = max(T0 + record[1] * HOUR for record in records[: offset + 1])
        for stay in found:
            assert stay.ended.ended_at_ms + DELAY <= now
            assert all(seen.at_ms <= stay.ended.ended_at_ms for seen in stay.examples)
            times = {(stay.patient_id, seen.at_ms) for seen in stay.examples}
            assert len(times) == len(stay.examples)
            assert not times & counted
            counted |= times


@given(topics(), st.integers(0, 80))
def test_what_comes_later_changes_nothing_that_has_come_out(
    records: list[Record], more: int
) -> None:
    before = run(records[:more])[0]
    assert told(run(records)[0])[: len(before)] == told(before)


def test_labels_are_int8() -> None:
    (stay,), _ = run([("a", 1), ("a", 1, False, None), ("b", 99)])
    assert stay.labels().dtype == np.int8

"""What the learner keeps of stays whose labels are still to come."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tables.pending import Due, End, Pending
from tests.helpers import DAY, HOUR, T0

pytestmark = pytest.mark.unit

DELAY = 12 * HOUR


class Shelf:
    """A pending in front of a store of bytes."""

    def __init__(self) -> None:
        self.stored: dict[bytes, bytes] = {}
        self.pending = self.fresh()

    def fresh(self) -> Pending:
        return Pending(DELAY, 30 * DAY)

    def restart(self) -> None:
        self.pending = self.fresh()
        self.pending.restore(sorted(self.stored.items()))

    def write(self, writes: dict[bytes, bytes | None]) -> None:
        for key, value in writes.items():
            if value is None:
                self.stored.pop(key, None)
            else:
                self.stored[key] = value
        writes.clear()

    def example(self, patient: bytes, hour: int, value: bytes = b"x") -> bool:
        writes: dict[bytes, bytes | None] = {}
        new = self.pending.example(patient, T0 + hour * HOUR, value, writes)
        self.write(writes)
        return new

    def outcome(self, patient: bytes, hour: int, onset: int | None = None) -> bool:
        writes: dict[bytes, bytes | None] = {}
        at = None if onset is None else T0 + onset * HOUR
        new = self.pending.outcome(patient, End(T0 + hour * HOUR, at is not None, at), writes)
        self.write(writes)
        return new

    def due(self) -> list[Due]:
        writes: dict[bytes, bytes | None] = {}
        found = list(self.pending.due(writes))
        self.write(writes)
        return found

    def done(self, stays: list[Due]) -> None:
        writes: dict[bytes, bytes | None] = {}
        self.pending.done(stays, writes)
        self.write(writes)

    def sweep(self) -> None:
        writes: dict[bytes, bytes | None] = {}
        self.pending.sweep(writes)
        self.write(writes)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_no_label_is_used_before_its_time(shelf: Shelf) -> None:
    shelf.example(b"a", 1)
    shelf.outcome(b"a", 2)
    shelf.example(b"b", 13)
    assert shelf.due() == []
    shelf.example(b"b", 14)
    (stay,) = shelf.due()
    assert (stay.patient, stay.at_ms.tolist()) == (b"a", [T0 + HOUR])


def test_labels_turn_one_six_hours_before_onset(shelf: Shelf) -> None:
    for hour in range(1, 13):
        shelf.example(b"a", hour)
    shelf.outcome(b"a", 12, onset=11)
    shelf.example(b"b", 24)
    (stay,) = shelf.due()
    assert stay.labels().tolist() == [0] * 4 + [1] * 8


def test_stays_come_out_by_due_time_and_then_by_patient(shelf: Shelf) -> None:
    for patient, end in ((b"c", 5), (b"b", 4), (b"a", 5)):
        shelf.example(patient, 1)
        shelf.outcome(patient, end)
    shelf.example(b"z", 40)
    assert [stay.patient for stay in shelf.due()] == [b"b", b"a", b"c"]


def test_what_is_delivered_again_is_known(shelf: Shelf) -> None:
    assert shelf.example(b"a", 1)
    assert not shelf.example(b"a", 1)
    assert shelf.outcome(b"a", 2)
    assert not shelf.outcome(b"a", 2)
    shelf.restart()
    assert not shelf.example(b"a", 1)
    assert not shelf.outcome(b"a", 2)


def test_a_stay_that_was_learned_is_not_learned_again(shelf: Shelf) -> None:
    shelf.example(b"a", 1)
    shelf.outcome(b"a", 2)
    shelf.example(b"b", 20)
    shelf.done(shelf.due())
    for _ in range(2):
        assert not shelf.example(b"a", 1)
        assert not shelf.outcome(b"a", 2)
        assert shelf.due() == []
        shelf.restart()


def test_a_stay_taken_and_not_yet_learned_comes_again_after_a_restart(shelf: Shelf) -> None:
    shelf.example(b"a", 1)
    shelf.outcome(b"a", 2)
    shelf.example(b"b", 20)
    first = shelf.due()
    assert shelf.due() == []
    shelf.restart()
    assert [stay.patient for stay in shelf.due()] == [stay.patient for stay in first] == [b"a"]


def test_stays_closed_by_name_are_gone_after_a_restart(shelf: Shelf) -> None:
    shelf.example(b"a", 1)
    shelf.outcome(b"a", 2)
    shelf.example(b"b", 20)
    shelf.restart()
    writes: dict[bytes, bytes | None] = {}
    shelf.pending.close([(b"a", T0 + 2 * HOUR)], writes)
    shelf.write(writes)
    assert shelf.due() == []
    assert not shelf.example(b"a", 1)


def test_a_patient_who_comes_back_has_a_stay_of_their_own(shelf: Shelf) -> None:
    shelf.example(b"a", 1)
    shelf.outcome(b"a", 2)
    shelf.example(b"a", 5)
    shelf.outcome(b"a", 6)
    shelf.example(b"b", 30)
    first, second = shelf.due()
    assert first.at_ms.tolist() == [T0 + HOUR]
    assert second.at_ms.tolist() == [T0 + 5 * HOUR]
    shelf.done([first])
    shelf.restart()
    (again,) = shelf.due()
    assert again.at_ms.tolist() == [T0 + 5 * HOUR]


def test_an_outcome_that_is_corrected_in_time_counts_as_corrected(shelf: Shelf) -> None:
    shelf.example(b"a", 8)
    shelf.outcome(b"a", 9)
    assert shelf.outcome(b"a", 9, onset=9)
    shelf.example(b"b", 30)
    (stay,) = shelf.due()
    assert stay.labels().tolist() == [1]


def test_an_outcome_without_an_example_is_counted_and_done(shelf: Shelf) -> None:
    shelf.outcome(b"a", 2)
    shelf.example(b"b", 20)
    assert shelf.due() == []
    assert shelf.pending.counts.empty == 1
    assert not shelf.outcome(b"a", 2)


def test_examples_without_an_outcome_are_given_up_after_their_time(shelf: Shelf) -> None:
    shelf.example(b"a", 1)
    shelf.example(b"b", 1 + 30 * 24 - 1)
    shelf.sweep()
    assert len(shelf.pending) == 2
    shelf.example(b"b", 1 + 30 * 24)
    shelf.sweep()
    assert len(shelf.pending) == 2
    assert shelf.pending.counts.unlabelled == 1


def test_a_mark_is_forgotten_after_its_time_and_nothing_is_left(shelf: Shelf) -> None:
    shelf.example(b"a", 1)
    shelf.outcome(b"a", 2)
    shelf.example(b"b", 20)
    shelf.done(shelf.due())
    shelf.example(b"b", 40 * 24)
    shelf.sweep()
    assert all(b"a" not in key for key in shelf.stored)


lessons = st.lists(
    st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.booleans(), st.integers(0, 60)), max_size=60
)


@given(lessons, st.sets(st.integers(0, 60)))
def test_with_any_restarts_every_stay_is_learned_once_and_as_without(
    given_: list[tuple[bytes, bool, int]], restarts: set[int]
) -> None:
    def learned(at: set[int]) -> tuple[list[tuple[bytes, int, list[int]]], dict[bytes, bytes]]:
        shelf, found = Shelf(), []
        for i, (patient, ended, hour) in enumerate(given_):
            if ended:
                shelf.outcome(patient, hour)
            else:
                shelf.example(patient, hour)
            stays = shelf.due()
            found += [(s.patient, s.end.ended_at_ms, s.at_ms.tolist()) for s in stays]
            shelf.done(stays)
            if i in at:
                shelf.restart()
        return found, shelf.stored

    without, stored = learned(set())
    assert learned(restarts) == (without, stored)
    rows = [(patient, at) for patient, _, times in without for at in times]
    assert len(set(rows)) == len(rows)
    assert all(np.diff(times).min(initial=1) > 0 for _, _, times in without)


def test_outcomes_that_come_late_are_taken_in_the_order_in_which_they_came_after_a_restart_too(
    shelf: Shelf,
) -> None:
    for patient in (b"a", b"b", b"c"):
        shelf.example(patient, 1)
    shelf.outcome(b"c", 2)
    shelf.example(b"z", 30)
    taken = [stay.patient for stay in shelf.due()]
    for patient, hour in ((b"b", 3), (b"a", 2)):
        shelf.outcome(patient, hour)
        taken += [stay.patient for stay in shelf.due()]
    assert taken == [b"c", b"b", b"a"]
    shelf.restart()
    shelf.outcome(b"a", 2)  # and one is delivered again
    assert [stay.patient for stay in shelf.due()] == taken


def test_of_two_examples_within_an_hour_the_first_that_came_counts(shelf: Shelf) -> None:
    writes: dict[bytes, bytes | None] = {}
    border = T0 + HOUR
    came = [border + 50 * 60_000, border + 1, border - 1]
    assert [shelf.pending.example(b"a", at, b"x", writes) for at in came] == [True, False, True]
    shelf.write(writes)
    shelf.restart()
    shelf.outcome(b"a", 3)
    shelf.example(b"b", 20)
    (stay,) = shelf.due()
    assert stay.at_ms.tolist() == [border - 1, border + 50 * 60_000]
    shelf.done([stay])
    assert not [key for key in shelf.stored if key.startswith(b"ea")]

"""No crash, no batch size and no eviction changes what a reading is answered with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.features import FEATURES
from models.window import DUPLICATE, LATE, NEWEST, TAKEN, take_in
from tables.codec import AT_MS, DEVICE, OFFSET, VALUES_AT, decode
from tables.codec import CONTEXT_AT as LOG_CONTEXT_AT
from tables.codec import ORIGIN as LOG_ORIGIN
from tables.windows import REPEATED, Applied, Readings, Windows
from tests.feeds import feeds
from tests.helpers import GRACE, HOUR, MINUTE, NOBODY, T0, Ints, Observed, bits, row, who

pytestmark = pytest.mark.unit

DIRECT, ROUTED = 0, 1
NOT_ROUTED = (-1, 0)


@dataclass(frozen=True)
class Message:
    """A reading in its topic."""

    offset: int
    key: bytes
    observed: Observed
    origin: tuple[int, int] = NOT_ROUTED


def batch(
    source: int,
    messages: Sequence[Message],
    context: Ints | dict[bytes, Ints] | None = None,
    partition: int = 0,
) -> Readings:
    facts = context if isinstance(context, dict) else {}
    anybody = NOBODY if context is None or isinstance(context, dict) else context
    return Readings(
        partition=partition,
        source=source,
        keys=[m.key for m in messages],
        offsets=np.array([m.offset for m in messages], np.int64),
        at_ms=np.array([m.observed.at_ms for m in messages], np.int64),
        values=np.array([m.observed.values for m in messages], np.int64),
        devices=np.array([m.observed.device for m in messages], np.int64),
        context=np.array([facts.get(m.key, anybody) for m in messages], np.int64),
        origins=np.array([m.origin for m in messages], np.int64),
    )


def window_of(stored: bytes) -> Ints:
    """Window of a stored state with its whole log taken in."""
    state = decode(stored)
    window = state.base.copy()
    log = state.log
    if len(log):
        take_in(
            window, log[:, AT_MS], log[:, VALUES_AT:LOG_CONTEXT_AT], log[:, DEVICE],
            log[:, LOG_CONTEXT_AT:LOG_ORIGIN], GRACE,
        )  # fmt: skip
    return window


@dataclass
class Worker:
    """Windows, their store, and a consumer of two topics that commits and dies when told."""

    topics: list[list[Message]]
    capacity: int = 64
    store: dict[bytes, bytes] = field(default_factory=dict)
    read: list[int] = field(default_factory=lambda: [0, 0])
    committed: list[int] = field(default_factory=lambda: [0, 0])
    facts: dict[bytes, Ints] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start with nothing in memory, from the committed offsets."""
        self.read = list(self.committed)
        self.windows = Windows(
            lambda _, keys: [self.store.get(key) for key in keys],
            capacity=self.capacity,
            grace_ms=GRACE,
        )
        self.windows.resume(0, self.committed)

    def deliver(self, source: int, count: int) -> tuple[list[Message], Readings, Applied] | None:
        """Hand over the next batch and store what came of it."""
        start = self.read[source]
        messages = self.topics[source][start : start + count]
        if not messages:
            return None
        readings = batch(source, messages, self.facts)
        applied = self.windows.apply(readings)
        self.store.update(applied.writes)
        self.read[source] = start + len(messages)
        return messages, readings, applied

    def commit(self, source: int, offset: int) -> None:
        """Commit up to an offset; the windows hear of it."""
        self.committed[source] = offset
        self.windows.committed(0, source, offset)


# -- the property: crashes at any point


def key_of(patient: int) -> bytes:
    return f"p{patient}".encode()


def to_topics(feed: Iterable[Observed], repeats: Sequence[tuple[int, int]]) -> list[list[Message]]:
    """Even patients come directly, odd ones routed; a router that died routes some again."""
    direct: list[Message] = []
    routed: list[tuple[Observed, tuple[int, int]]] = []
    routed_offsets = [0, 0]
    for reading in feed:
        if reading.patient % 2 == 0:
            direct.append(Message(len(direct), key_of(reading.patient), reading))
        else:
            partition = reading.patient // 2 % 2
            routed.append((reading, (partition, routed_offsets[partition])))
            routed_offsets[partition] += 3
    for at, back in repeats:
        end = at % (len(routed) + 1)
        routed[end:end] = routed[max(0, end - back) : end]
    return [
        direct,
        [Message(n, key_of(r.patient), r, origin) for n, (r, origin) in enumerate(routed)],
    ]


Step = tuple[Any, ...]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.integers(0, 1), st.integers(1, 5)),
        st.tuples(st.just("deliver"), st.integers(0, 1), st.integers(1, 5)),
        st.tuples(st.just("commit"), st.integers(0, 1), st.integers(0, 4)),
        st.tuples(st.just("admit"), st.integers(0, 4), st.integers(18, 99)),
        st.tuples(st.just("crash")),
        st.tuples(st.just("crash before all of the batch is stored"), st.integers(0, 31)),
    ),
    max_size=40,
)
Answer = tuple[bytes, bytes, int]


def answers(applied: Applied) -> list[Answer]:
    rows = zip(bits(applied.features), bits(applied.original), applied.outcomes, strict=True)
    return [(f.tobytes(), o.tobytes(), int(outcome)) for f, o, outcome in rows]


@given(
    feeds(patients=5, max_size=40),
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 6)), max_size=3),
    steps,
    st.sampled_from([5, 6, 64]),
)
def test_after_any_crashes_every_reading_is_answered_as_if_there_had_been_none(
    feed: list[Observed], repeats: list[tuple[int, int]], plan: list[Step], capacity: int
) -> None:
    topics = to_topics(feed, repeats)
    worker = Worker(topics, capacity)
    said: dict[tuple[int, int], Answer] = {}
    contexts: dict[tuple[int, int], Ints] = {}

    def deliver(source: int, count: int, kept: int | None = None) -> None:
        before = dict(worker.store)
        delivered = worker.deliver(source, count)
        if delivered is None:
            return
        messages, readings, applied = delivered
        for number, (message, answer) in enumerate(zip(messages, answers(applied), strict=True)):
            place = source, message.offset
            if kept is not None and not kept >> int(message.key[1:]) & 1:
                # died before this patient's state was stored, so before anything was sent
                if message.key in before:
                    worker.store[message.key] = before[message.key]
                else:
                    worker.store.pop(message.key, None)
                continue
            if place in said:
                assert answer == said[place], f"{place} was answered otherwise the first time"
            else:
                said[place], contexts[place] = answer, readings.context[number].copy()

    for step in plan:
        match step:
            case "deliver", source, count:
                deliver(source, count)
            case "commit", source, back:
                offset = max(worker.read[source] - back, worker.committed[source])
                worker.commit(source, offset)
            case "admit", patient, age:
                worker.facts[key_of(patient)] = who(age=age, sex=age % 2, icu_ms=T0 - age * MINUTE)
            case ("crash",):
                worker.start()
            case _, kept:
                deliver(0, 3, kept)
                worker.start()
    for source, topic in enumerate(topics):
        while worker.read[source] < len(topic):
            deliver(source, 3)

    calm = Worker(topics)
    for source, topic in enumerate(topics):
        for message in topic:
            place = source, message.offset
            calm.facts = {message.key: contexts[place]}
            delivered = calm.deliver(source, 1)
            assert delivered is not None
            assert answers(delivered[2]) == [said[place]]
    assert worker.store.keys() == calm.store.keys()
    for key in calm.store:
        np.testing.assert_array_equal(window_of(worker.store[key]), window_of(calm.store[key]))


# -- the parts of it


def readings_of(patient: str, hours: Iterable[float], start: int = 0) -> list[Message]:
    return [
        Message(start + n, patient.encode(), Observed(T0 + round(h * HOUR), row(heart_rate=60 + h)))
        for n, h in enumerate(hours)
    ]


def settled(topics: list[list[Message]], capacity: int = 64) -> Worker:
    """A worker that has read all of both topics, committed all, and folded what it could."""
    worker = Worker(topics, capacity)
    for source, topic in enumerate(topics):
        while worker.deliver(source, 1) is not None:
            worker.commit(source, worker.read[source])
        worker.commit(source, len(topic))
    return worker


def one_by_one(worker: Worker) -> list[Answer]:
    """Deliver the direct topic to its end, a reading at a time."""
    said: list[Answer] = []
    while (delivered := worker.deliver(DIRECT, 1)) is not None:
        said += answers(delivered[2])
    return said


def outcomes_of(delivered: tuple[list[Message], Readings, Applied] | None) -> list[int]:
    assert delivered is not None
    return [int(outcome) for outcome in delivered[2].outcomes]


def test_a_redelivered_reading_is_answered_against_the_window_of_its_first_time() -> None:
    topics = [readings_of("a", range(8)), []]
    worker = Worker(topics)
    worker.deliver(DIRECT, 3)
    worker.commit(DIRECT, 3)
    first = worker.deliver(DIRECT, 5)
    worker.start()
    again = worker.deliver(DIRECT, 2)
    assert first is not None
    assert again is not None
    assert answers(again[2]) == answers(first[2])[:2]
    assert outcomes_of(again) == [TAKEN, TAKEN]


def test_a_redelivered_reading_keeps_its_context_when_an_admission_has_come_since() -> None:
    worker = Worker([readings_of("a", range(4)), []])
    first = worker.deliver(DIRECT, 4)
    worker.facts = {b"a": who(age=80, sex=1)}
    worker.start()
    again = worker.deliver(DIRECT, 4)
    assert first is not None
    assert again is not None
    assert answers(again[2]) == answers(first[2])


def test_it_keeps_its_context_through_a_second_crash_in_the_middle_of_the_redelivery() -> None:
    worker = Worker([readings_of("a", range(4)), []])
    first = worker.deliver(DIRECT, 4)
    worker.facts = {b"a": who(age=80, sex=1)}
    worker.start()
    worker.deliver(DIRECT, 1)
    worker.start()
    again = worker.deliver(DIRECT, 4)
    assert first is not None
    assert again is not None
    assert answers(again[2]) == answers(first[2])


def test_it_keeps_its_context_when_its_patient_left_memory_during_the_redelivery() -> None:
    a, b = readings_of("a", range(2)), readings_of("b", range(2))
    topic = [Message(n, m.key, m.observed) for n, m in enumerate([a[0], b[0], a[1], b[1]])]
    worker = Worker([topic, []], capacity=1)
    said = one_by_one(worker)
    worker.facts = {b"a": who(age=80, sex=1), b"b": who(age=20, sex=0)}
    worker.start()
    assert one_by_one(worker) == said


def test_a_reading_after_the_redelivered_ones_gets_the_context_of_now() -> None:
    worker = Worker([readings_of("a", range(3)), []])
    worker.deliver(DIRECT, 2)
    worker.facts = {b"a": who(age=80)}
    worker.start()
    done = worker.deliver(DIRECT, 3)
    assert done is not None
    ages = done[2].features[:, FEATURES.index("age")]
    assert np.isnan(ages[:2]).all()
    assert ages[2] == 80


def test_commits_fold_the_log_into_the_base_so_that_it_stays_short() -> None:
    worker = Worker([readings_of("a", np.arange(500) / 60), []])
    for _ in range(100):
        delivered = worker.deliver(DIRECT, 5)
        assert delivered is not None
        assert all(len(decode(state).log) <= 10 for _, state in delivered[2].writes)
        worker.commit(DIRECT, worker.read[DIRECT])
    state = decode(worker.store[b"a"])
    assert len(state.log) == 5
    assert state.bounds.tolist() == [495, 0]


def test_what_is_not_committed_stays_in_the_log() -> None:
    worker = Worker([readings_of("a", range(20)), []])
    worker.deliver(DIRECT, 10)
    worker.commit(DIRECT, 4)
    worker.deliver(DIRECT, 1)
    state = decode(worker.store[b"a"])
    assert state.log[:, OFFSET].tolist() == list(range(4, 11))
    assert state.base[NEWEST] == T0 + 3 * HOUR


def test_the_log_is_folded_up_to_the_first_reading_that_is_not_committed() -> None:
    """Of two topics one may be committed further; the order of the readings is kept."""
    direct, routed = readings_of("a", (0, 2, 4)), readings_of("a", (1, 3, 5))
    worker = Worker([direct, routed])
    for source in (DIRECT, ROUTED, DIRECT):
        worker.deliver(source, 1)
    worker.commit(ROUTED, 1)
    worker.deliver(ROUTED, 1)
    assert len(decode(worker.store[b"a"]).log) == 4
    worker.commit(DIRECT, 1)
    worker.deliver(DIRECT, 1)
    assert decode(worker.store[b"a"]).log[:, AT_MS].tolist() == [T0 + h * HOUR for h in (2, 3, 4)]


# -- routed twice


def routed(*origins: tuple[int, int]) -> list[Message]:
    return [
        Message(
            n, b"a", Observed(T0 + offset * MINUTE, row(pulse_rate=60 + offset)), (part, offset)
        )
        for n, (part, offset) in enumerate(origins)
    ]


def test_a_reading_that_was_routed_twice_is_dropped_and_changes_nothing() -> None:
    worker = Worker([[], routed((0, 5), (0, 6), (0, 5), (0, 6), (0, 7))])
    once = Worker([[], routed((0, 5), (0, 6), (0, 7))])
    delivered = worker.deliver(ROUTED, 9)
    once.deliver(ROUTED, 9)
    assert outcomes_of(delivered) == [TAKEN, TAKEN, REPEATED, REPEATED, TAKEN]
    assert delivered is not None
    assert np.isnan(delivered[2].features[2:4]).all()
    np.testing.assert_array_equal(window_of(worker.store[b"a"]), window_of(once.store[b"a"]))


def test_offsets_of_different_partitions_are_not_compared() -> None:
    worker = Worker([[], routed((0, 50), (1, 51), (0, 52), (2, 53))])
    assert outcomes_of(worker.deliver(ROUTED, 4)) == [TAKEN] * 4


@pytest.mark.parametrize("committed", [0, 1, 2, 3])
def test_a_repeat_is_dropped_after_a_crash_whatever_was_committed(committed: int) -> None:
    worker = Worker([[], routed((0, 5), (0, 6), (1, 7), (0, 5), (0, 6), (1, 7), (0, 8))])
    worker.deliver(ROUTED, 3)
    worker.commit(ROUTED, committed)
    worker.start()
    expected = [TAKEN] * (3 - committed) + [REPEATED] * 3 + [TAKEN]
    assert outcomes_of(worker.deliver(ROUTED, 9)) == expected


def test_a_repeat_is_known_from_the_base_when_the_log_has_been_folded() -> None:
    worker = settled([[], routed((0, 5), (0, 6), (1, 7), (1, 8))])
    worker.topics[ROUTED] += [
        Message(4 + n, m.key, m.observed, m.origin) for n, m in enumerate(worker.topics[ROUTED])
    ]
    worker.start()
    before = dict(worker.store)
    assert decode(worker.store[b"a"]).origins.tolist() == [[0, 6], [1, 7]]
    assert outcomes_of(worker.deliver(ROUTED, 9)) == [REPEATED] * 4
    assert worker.store == before


def test_readings_of_the_routed_topic_that_were_not_routed_are_taken() -> None:
    worker = Worker([[], readings_of("a", range(3))])
    assert outcomes_of(worker.deliver(ROUTED, 3)) == [TAKEN] * 3


# -- memory


@given(feeds(patients=6, max_size=60), st.integers(1, 6))
def test_how_many_patients_are_kept_in_memory_changes_nothing(
    feed: list[Observed], most: int
) -> None:
    topics = to_topics(feed, [])
    small, large = Worker(topics, capacity=most), Worker(topics)
    for source in (DIRECT, ROUTED):
        while (ours := small.deliver(source, most)) is not None:
            theirs = large.deliver(source, most)
            assert theirs is not None
            assert answers(ours[2]) == answers(theirs[2])
            assert len(small.windows) <= most
    assert small.store == large.store


def test_a_partition_that_was_revoked_leaves_no_patient_in_memory() -> None:
    windows = Windows(lambda _, keys: [None] * len(keys), capacity=2, grace_ms=GRACE)
    for partition in (0, 1):
        windows.resume(partition, [0, 0])
        windows.apply(batch(DIRECT, readings_of("a", range(3)), partition=partition))
    windows.forget(0)
    assert len(windows) == 1
    assert windows.unknown(1, [b"a"]) == []
    assert windows.unknown(0, [b"a"]) == [b"a"]
    windows.apply(batch(DIRECT, readings_of("b", range(3)), partition=1))
    assert len(windows) == 2, "its slot is free for another patient"


def test_a_slot_is_used_again_without_what_its_last_patient_left_in_it() -> None:
    worker = Worker([readings_of("a", range(3)), []], capacity=1)
    worker.deliver(DIRECT, 3)
    worker.topics[DIRECT] += readings_of("b", [1], start=3)
    alone = Worker([readings_of("b", [1]), []])
    ours, theirs = worker.deliver(DIRECT, 1), alone.deliver(DIRECT, 1)
    assert ours is not None
    assert theirs is not None
    assert answers(ours[2]) == answers(theirs[2])


def test_a_partition_that_comes_back_starts_from_the_store() -> None:
    store: dict[bytes, bytes] = {}
    windows = Windows(lambda _, keys: [store.get(k) for k in keys], capacity=8, grace_ms=GRACE)
    windows.resume(0, [0, 0])
    messages = readings_of("a", range(6))
    windows.apply(batch(DIRECT, messages[:4]))  # never stored: another worker had the partition
    windows.forget(0)
    other = Worker([messages, []], store=store)
    other.deliver(DIRECT, 2)
    windows.resume(0, [2, 0])
    theirs = other.deliver(DIRECT, 2)
    ours = windows.apply(batch(DIRECT, messages[2:4]))
    assert theirs is not None
    assert answers(ours) == answers(theirs[2])


def test_a_patient_is_known_from_memory_or_from_the_store() -> None:
    worker = Worker([readings_of("a", range(1)), []])
    assert worker.windows.unknown(0, [b"a", b"b", b"a"]) == [b"a", b"b"]
    worker.deliver(DIRECT, 1)
    assert worker.windows.unknown(0, [b"a", b"b"]) == [b"b"]
    worker.start()
    assert worker.windows.unknown(0, [b"a", b"b"]) == [b"b"]


def test_a_late_reading_is_told_and_its_state_written_as_it_was() -> None:
    worker = Worker([readings_of("a", [10, 11, 1, 12]), []])
    assert outcomes_of(worker.deliver(DIRECT, 4)) == [TAKEN, TAKEN, LATE, TAKEN]
    in_order = Worker([readings_of("a", [10, 11, 12]), []])
    in_order.deliver(DIRECT, 3)
    np.testing.assert_array_equal(window_of(worker.store[b"a"]), window_of(in_order.store[b"a"]))


# -- offsets that an operator set back, topics made anew


def numbered(source: int, n: int, observed: Observed) -> Message:
    return Message(n, key_of(observed.patient), observed, (0, n) if source else NOT_ROUTED)


@pytest.mark.parametrize("source", [DIRECT, ROUTED])
def test_offsets_set_back_known_readings_are_answered_and_change_nothing(source: int) -> None:
    feed = [numbered(source, n, Observed(T0 + n * HOUR, row(heart_rate=60 + n))) for n in range(10)]
    topics: list[list[Message]] = [[], []]
    topics[source] = feed
    worker = settled(topics)
    before = window_of(worker.store[b"p0"])
    worker.committed[source] = 3
    worker.start()
    assert outcomes_of(worker.deliver(source, 4)) == [DUPLICATE] * 4
    np.testing.assert_array_equal(window_of(worker.store[b"p0"]), before)
    assert outcomes_of(worker.deliver(source, 9)) == [DUPLICATE, DUPLICATE, TAKEN]
    np.testing.assert_array_equal(window_of(worker.store[b"p0"]), before)


@pytest.mark.parametrize("source", [DIRECT, ROUTED])
@given(feed=feeds(patients=3, max_size=30), size=st.integers(1, 30), crash=st.integers(0, 30))
def test_a_topic_made_anew_with_newer_times_goes_on_in_any_batches_and_after_a_crash(
    source: int, feed: list[Observed], size: int, crash: int
) -> None:
    """Its offsets start from 0, before those that the state has seen."""
    patients = sorted({reading.patient for reading in feed})
    old = [
        numbered(source, n, Observed(T0 + n * MINUTE, row(sbp=90 + n), patient))
        for n, patient in enumerate(patients * 20)
    ]
    later = max(m.observed.at_ms for m in old) + 8 * 24 * HOUR - min(r.at_ms for r in feed)
    new = [
        numbered(source, n, reading._replace(at_ms=reading.at_ms + later))
        for n, reading in enumerate(feed)
    ]
    topics: list[list[Message]] = [[], []]
    topics[source] = old
    first = settled(topics)
    topics[source] = new

    def anew() -> Worker:
        return Worker(topics, store=dict(first.store))

    calm, batches = anew(), anew()
    said: list[Answer] = []
    while (delivered := calm.deliver(source, 1)) is not None:
        assert REPEATED not in outcomes_of(delivered)
        said += answers(delivered[2])
        calm.commit(source, calm.read[source])
    assert TAKEN in [outcome for *_, outcome in said]
    while (here := batches.read[source]) < len(new):
        delivered = batches.deliver(source, size)
        assert delivered is not None
        assert answers(delivered[2]) == said[here : here + size]
        if here <= crash < here + size:
            crash = -1
            batches.start()
        elif here % 3 == 0:
            batches.commit(source, batches.read[source])
    for key in calm.store:
        np.testing.assert_array_equal(window_of(batches.store[key]), window_of(calm.store[key]))


def test_what_was_ahead_in_a_topic_that_is_gone_is_not_mistaken_for_the_new_ones() -> None:
    worker = Worker([readings_of("a", range(5)), []], capacity=1)
    worker.deliver(DIRECT, 5)
    worker.start()  # nothing was committed, and the topic is made anew: five will never come again
    later = [5 + h for h in range(9)]
    a, b = readings_of("a", later), readings_of("b", later)
    worker.topics[DIRECT] = [*a[:2], *b[2:8], a[8]]
    *_, said = one_by_one(worker)
    in_memory = Worker([[*a[:2], a[8]], []])
    *_, expected = one_by_one(in_memory)
    assert said == expected

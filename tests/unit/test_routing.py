"""Readings without a key come out in the order of their Kafka times, and none is held for ever."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.routing import Merger

pytestmark = pytest.mark.unit

HOLD = 50


def everything(_: int) -> bool:
    return True


def nothing(_: int) -> bool:
    return False


def merger(*partitions: int, now_ms: float = 0) -> Merger[str]:
    made: Merger[str] = Merger(HOLD)
    made.assign(set(partitions), now_ms)
    return made


def read(made: Merger[str], partition: int, *times: int, now_ms: float = 0) -> None:
    items = [(time, f"{partition}:{time}") for time in times]
    made.read(partition, times[-1], items, now_ms)


def test_a_single_partition_waits_for_nobody() -> None:
    made = merger(0)
    read(made, 0, 3, 5, 4)
    assert made.release(0, nothing) == ["0:3", "0:5", "0:4"]
    assert len(made) == 0


def test_readings_of_several_partitions_come_in_the_order_of_their_times() -> None:
    made = merger(0, 1, 2)
    read(made, 0, 1, 4, 7)
    read(made, 1, 2, 5, 8)
    read(made, 2, 3, 6, 9)
    assert made.release(0, everything)[:7] == ["0:1", "1:2", "2:3", "0:4", "1:5", "2:6", "0:7"]


def test_nothing_goes_while_another_partition_that_lags_may_hold_older_ones() -> None:
    made = merger(0, 1)
    read(made, 0, 10, 20)
    assert made.release(10 * HOLD, nothing) == []
    read(made, 1, 5, 12, now_ms=11 * HOLD)
    assert made.release(11 * HOLD, nothing) == ["1:5", "0:10", "1:12"]
    assert len(made) == 1


def test_a_partition_read_beyond_a_time_holds_nothing_older_even_without_strays() -> None:
    made = merger(0, 1)
    read(made, 0, 10, 20)
    made.read(1, 15, [], 0)
    assert made.release(0, nothing) == ["0:10"]
    made.read(1, 20, [], 0)
    assert made.release(0, nothing) == ["0:20"]


def test_a_partition_at_its_end_is_waited_for_as_long_as_the_hold() -> None:
    made = merger(0, 1)
    read(made, 0, 10, now_ms=100)
    assert made.release(100 + HOLD - 1, everything) == []
    assert made.release(100 + HOLD, everything) == ["0:10"]


def test_the_hold_starts_anew_when_a_partition_is_heard_of() -> None:
    made = merger(0, 1)
    read(made, 0, 10, now_ms=0)
    made.read(1, 5, [], HOLD - 1)
    assert made.release(HOLD, everything) == []
    assert made.release(2 * HOLD - 1, everything) == ["0:10"]


def test_a_partition_that_was_quiet_for_long_is_still_given_the_hold_after_a_reading() -> None:
    made = merger(0, 1)
    read(made, 0, 10, now_ms=1000 * HOLD)
    assert made.release(1000 * HOLD, everything) == []
    assert made.release(1001 * HOLD, everything) == ["0:10"]


def test_a_partition_that_is_not_at_its_end_is_waited_for_however_long() -> None:
    made = merger(0, 1)
    read(made, 0, 10)
    assert made.release(10**9, nothing) == []


def test_an_older_reading_that_arrives_within_the_hold_goes_first() -> None:
    made = merger(0, 1)
    read(made, 0, 10, now_ms=0)
    assert made.release(HOLD / 2, everything) == []
    read(made, 1, 9, now_ms=HOLD / 2)
    assert made.release(HOLD / 2, everything) == ["1:9"]
    assert made.release(2 * HOLD, everything) == ["0:10"]


def test_the_order_within_a_partition_is_kept_even_where_its_times_go_back() -> None:
    made = merger(0, 1)
    read(made, 0, 50, 10, 60)
    read(made, 1, 20, 70)
    released = made.release(HOLD, everything)
    assert [item for item in released if item.startswith("0")] == ["0:50", "0:10", "0:60"]


def test_readings_of_equal_time_all_go() -> None:
    made = merger(0, 1, 2)
    for partition in (2, 0, 1):
        read(made, partition, 7, 7)
    assert sorted(made.release(0, nothing)) == ["0:7", "0:7", "1:7", "1:7", "2:7", "2:7"]


def test_what_was_held_is_dropped_when_partitions_are_assigned() -> None:
    made = merger(0, 1)
    read(made, 0, 10)
    made.assign({1}, 0)
    assert len(made) == 0
    read(made, 1, 3)
    assert made.release(0, nothing) == ["1:3"]


@st.composite
def partitions_and_reads(
    draw: st.DrawFn,
) -> tuple[list[list[int]], list[tuple[int, int, float]]]:
    """Times in each partition, ascending; and reads: which, how many, after how long."""
    times = [
        sorted(draw(st.lists(st.integers(0, 30), max_size=8)))
        for _ in range(draw(st.integers(1, 4)))
    ]
    reads = draw(
        st.lists(
            st.tuples(
                st.integers(0, len(times) - 1), st.integers(1, 3), st.sampled_from([0.0, 20, 100])
            ),
            max_size=30,
        )
    )
    return times, reads


@given(partitions_and_reads())
def test_whatever_is_read_when_all_comes_once_and_in_the_order_of_its_time(
    drawn: tuple[list[list[int]], list[tuple[int, int, float]]],
) -> None:
    times, reads = drawn
    made: Merger[tuple[int, int]] = Merger(HOLD)
    made.assign(set(range(len(times))), 0)
    place = [0] * len(times)
    now = 0.0
    released: list[tuple[int, int]] = []
    at_end: Callable[[int], bool] = lambda p: place[p] == len(times[p])  # noqa: E731
    everything_else = [(p, len(t), 0.0) for p, t in enumerate(times)]
    for partition, count, wait in [*reads, *everything_else]:
        now += wait
        start = place[partition]
        part = times[partition][start : start + count]
        if part:
            place[partition] += len(part)
            items = [(t, (partition, start + n)) for n, t in enumerate(part)]
            made.read(partition, part[-1], items, now)
        released += made.release(now, at_end)
    released += made.release(now + HOLD, at_end)

    assert len(made) == 0
    assert sorted(released) == [(p, n) for p, t in enumerate(times) for n in range(len(t))]
    in_time = [times[partition][number] for partition, number in released]
    assert in_time == sorted(in_time)
    for partition in range(len(times)):
        numbers = [number for p, number in released if p == partition]
        assert numbers == sorted(numbers)

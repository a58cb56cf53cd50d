"""A state comes back from its bytes as it was, and bytes that are no state are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.simulator import simulate
from models.vitals import MISSING
from models.window import WIDTH, empty_window
from tables.codec import (
    CONTEXT_AT,
    LOG_WIDTH,
    ORIGIN,
    SOURCES,
    VERSION,
    State,
    StateError,
    decode,
    encode,
)
from tests.helpers import HOUR, MINUTE, T0, Ints, Observed, row, run, who

pytestmark = pytest.mark.unit

SMALLEST, LARGEST = -(2**63), 2**63 - 1

integers = st.one_of(
    st.sampled_from([0, 1, -1, MISSING, SMALLEST + 1, LARGEST, LARGEST - 1, T0, 2**62, -(2**62)]),
    st.integers(SMALLEST, LARGEST),
    st.integers(-300, 300),
)


@st.composite
def matrices(draw: st.DrawFn, width: int, most: int) -> Ints:
    rows = draw(st.integers(0, most))
    matrix = np.zeros((rows, width), np.int64)
    for i in range(rows):
        matrix[i] = matrix[i - 1] if i else 0
        changes = draw(st.dictionaries(st.integers(0, width - 1), integers, max_size=width))
        for column, value in changes.items():
            matrix[i, column] = value
    return matrix


@st.composite
def states(draw: st.DrawFn) -> State:
    base = empty_window()
    for column, value in draw(
        st.dictionaries(st.integers(0, WIDTH - 1), integers, max_size=30)
    ).items():
        base[column] = value
    bounds = np.array([draw(integers) for _ in range(SOURCES)], np.int64)
    return State(base, bounds, draw(matrices(2, 5)), draw(matrices(LOG_WIDTH, 12)))


def assert_same(ours: State, theirs: State) -> None:
    for name in ("base", "bounds", "origins", "log"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
        assert getattr(ours, name).dtype == np.int64


def a_state() -> State:
    window = run([Observed(T0 + h * HOUR, row(heart_rate=80, sbp=120 - h)) for h in range(30)])
    log = np.arange(3 * LOG_WIDTH, dtype=np.int64).reshape(3, LOG_WIDTH)
    return State(window.windows[0], np.array([7, 0]), np.array([[0, 9], [3, 4]]), log)


@given(states())
def test_a_state_comes_back_as_it_was(state: State) -> None:
    assert_same(decode(encode(state)), state)


def test_an_empty_state_is_a_handful_of_bytes() -> None:
    data = encode(State())
    assert_same(decode(data), State())
    assert len(data) < 12


def test_a_long_log_whose_every_value_changes_completely_comes_back_as_it_was() -> None:
    # differences of the largest kind in every column: ten bytes each and one to skip nothing
    log = np.zeros((5_000, LOG_WIDTH), np.int64)
    log[::2] = SMALLEST
    base = np.full(WIDTH, 3, np.int64)
    origins = np.zeros((2_000, 2), np.int64)
    origins[::2] = SMALLEST
    state = State(base, np.array([SMALLEST, LARGEST]), origins, log)
    assert_same(decode(encode(state)), state)


def test_encoding_leaves_the_state_as_it_was_and_decoding_gives_it_memory_of_its_own() -> None:
    state = a_state()
    first = encode(state)
    decoded = decode(first)
    decoded.base[:] = 1
    decoded.log[:] = 1
    assert_same(state, a_state())
    assert encode(state) == first
    assert_same(State(), decode(encode(State())))


def test_a_log_that_is_a_slice_of_a_larger_one_is_written_as_it_is() -> None:
    log = np.arange(10 * LOG_WIDTH, dtype=np.int64).reshape(10, LOG_WIDTH)
    state = State(log=log[4:])
    assert_same(decode(encode(state)), state)


# -- bytes that are no state


def test_a_state_that_ends_early_is_refused_wherever_it_ends() -> None:
    data = encode(a_state())
    for end in range(1, len(data)):
        with pytest.raises(StateError, match="damaged"):
            decode(data[:end])


def test_a_state_with_more_behind_it_is_refused() -> None:
    for more in (b"\x00", b"\xff", encode(State())):
        with pytest.raises(StateError, match="damaged"):
            decode(encode(a_state()) + more)


@pytest.mark.parametrize("version", [0, VERSION + 1, 255])
def test_another_version_is_named_and_the_way_out_is_told(version: int) -> None:
    with pytest.raises(StateError, match=rf"version {version}, .*reads version {VERSION}: run"):
        decode(bytes([version]) + encode(State())[1:])


def test_no_bytes_at_all_are_no_state() -> None:
    with pytest.raises(StateError, match="is empty"):
        decode(b"")


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_or_are_a_state(garbage: bytes) -> None:
    assert_refused_or_whole(bytes([VERSION]) + garbage)


@given(st.integers(1, 5_000), st.integers(0, 255))
def test_a_state_with_a_garbled_byte_is_refused_or_is_a_state(place: int, byte: int) -> None:
    data = bytearray(encode(a_state()))
    data[1 + place % (len(data) - 1)] = byte
    assert_refused_or_whole(bytes(data))


def assert_refused_or_whole(data: bytes) -> None:
    """No checksum is kept, RocksDB and Kafka have theirs; what must not happen is a crash."""
    try:
        state = decode(data)
    except StateError:
        return
    assert state.base.shape == (WIDTH,)
    assert state.bounds.shape == (SOURCES,)
    assert state.origins.shape[1:] == (2,)
    assert state.log.shape[1:] == (LOG_WIDTH,)
    assert_same(decode(encode(state)), state)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff" * 200,  # a number that never ends
        b"\x80" * 200 + b"\x00",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" * 3,
        b"\x00" * 2_000,  # nothing skipped, nothing changed, for ever
        encode(State())[1:-2] + b"\xff\xff\xff\xff\x7f" + b"\x00",  # a count of a log too long
    ],
)
def test_numbers_without_end_and_counts_beyond_the_bytes_are_refused(garbage: bytes) -> None:
    with pytest.raises(StateError, match="damaged"):
        decode(bytes([VERSION]) + garbage)


# -- size


def test_a_day_of_readings_a_second_is_a_few_kilobytes_and_an_hourly_chart_two() -> None:
    """Both with the log of a commit interval: 10 s of a monitor, one reading of a nurse."""
    monitor = next(simulate(1, hours=25, interval_s=1, seed=11, septic_share=0))
    nurse = next(simulate(1, hours=48, interval_s=3600, seed=11, septic_share=0))
    dense, hourly = size(monitor.seconds, monitor.values, 10), size(nurse.seconds, nurse.values, 1)
    assert 2_000 < dense < 6 * 1024
    assert hourly < 2_500


def test_a_minute_of_readings_a_second_not_yet_committed_stays_under_32_kib() -> None:
    monitor = next(simulate(1, hours=25, interval_s=1, seed=12, septic_share=0))
    assert size(monitor.seconds, monitor.values, 60) < 32 * 1024


def size(seconds: Ints, values: np.typing.NDArray[np.float64], logged: int) -> int:
    hundredths = np.where(np.isnan(values), MISSING, np.nan_to_num(values * 100).round())
    times = T0 + 17 * MINUTE + seconds * 1000
    context = who(age=70, sex=1, icu_ms=T0, hospital_ms=T0 - 9 * HOUR)
    rows = hundredths.astype(np.int64)
    feed = [Observed(int(t), v) for t, v in zip(times, rows, strict=True)]
    base = run(feed[:-logged], context=context).windows[0]
    log = np.zeros((logged, LOG_WIDTH), np.int64)
    log[:, 1] = 1_000_000 + np.arange(logged) * 40
    log[:, 2] = times[-logged:]
    log[:, 3] = 3_456_789_012
    log[:, 4:12] = rows[-logged:]
    log[:, CONTEXT_AT:ORIGIN] = context
    log[:, ORIGIN] = -1
    return len(encode(State(base, np.array([1_000_000, 0]), log=log)))

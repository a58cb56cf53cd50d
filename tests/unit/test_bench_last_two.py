"""The small job by the batch says what the reference says reading by reading."""

from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.job import Feed, Reading
from bench.peers.last_two import LastTwo

pytestmark = pytest.mark.unit

_decode = msgspec.json.Decoder(Reading).decode


@given(st.integers(1, 60), st.integers(1, 9), st.lists(st.integers(1, 60), max_size=5))
def test_results_are_those_of_the_reference_in_any_batches_and_after_any_restart(
    count: int, patients: int, cuts: list[int]
) -> None:
    feed = Feed(count, patients, seed=count)
    sent = [(feed.keys[patient], _decode(raw)) for patient, raw in feed.small(0, count)]
    store: dict[bytes, bytes] = {}
    bounds = [0, *sorted(cut for cut in cuts if cut < count), count]
    found: list[Any] = []
    job = LastTwo(store.get)
    for number, (start, end) in enumerate(pairwise(bounds)):
        if start == end:
            continue
        if number % 2:  # another worker goes on
            job = LastTwo(store.get)
        keys, readings = zip(*sent[start:end], strict=True)
        results, writes = job.take(keys, readings)
        store.update(writes)
        found += results
    assert [result.sequence for result in found] == list(range(count))
    assert [result.patient_id for result in found] == [key.decode() for key, _ in sent]
    numbers = np.array([msgspec.structs.astuple(result)[2:] for result in found])
    np.testing.assert_array_equal(numbers, feed.expected)


def test_a_state_holds_the_last_two_readings_and_not_more() -> None:
    feed = Feed(6, 2)
    store: dict[bytes, bytes] = {}
    job = LastTwo(store.get)
    sizes = []
    for patient, raw in feed.small(0, 6):
        _, writes = job.take([feed.keys[patient]], [_decode(raw)])
        store.update(writes)
        sizes.append(len(writes[0][1]))
    assert sizes == [40, 40, 80, 80, 80, 80]

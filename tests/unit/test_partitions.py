"""A patient's partition is the one that every Kafka client would choose."""

import pytest
from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from streams import partitions
from streams.partitions import partition_of, partitions_of

pytestmark = pytest.mark.unit


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=20), st.integers(1, 1000))
def test_many_keys_at_once_go_where_one_by_one_they_would(keys: list[bytes], count: int) -> None:
    wanted = [(murmur2(key) & 0x7FFFFFFF) % count for key in keys]
    assert partitions_of(keys, count).tolist() == wanted
    assert [partition_of(key, count) for key in keys] == wanted


def test_no_keys_have_no_partitions() -> None:
    assert partitions_of([], 4).tolist() == []


def test_one_key_waits_for_nothing_to_be_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def compiled(*given: object) -> None:
        raise AssertionError("the first question would wait for it, two seconds long")

    monkeypatch.setattr(partitions, "_partitions", compiled)
    partition_of.cache_clear()
    assert partition_of(b"p1", 4) == murmur2(b"p1") % 4

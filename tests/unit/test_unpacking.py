"""A header's name of any bytes stops no partition, and comes back as it was."""

from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record import memory_records
from aiokafka.record.default_records import _DefaultRecordBatchPy
from hypothesis import given
from hypothesis import strategies as st

from streams.header_names import name_bytes, require_names, unreadable
from streams.unpacking import accept_any_name
from tests.helpers import Record
from tests.odd_headers import NOT_UTF8, Made, record_batch

accept_any_name()

GOOD: Made = (b"k", b"good", [(b"correlation-id", b"1")])
ODD: Made = (b"k", b"odd", [(NOT_UTF8, b"x"), (b"other", None)])


def unpacked(data: bytes, at: int = 0, aborted: Any = None, isolation: int = 0) -> list[Any]:
    """Unpack what was fetched, as aiokafka's fetcher does."""
    found = fetcher.PartitionRecords(
        TopicPartition("vitals", 0), fetcher.MemoryRecords(data), aborted, at, None, None, True,
        isolation,
    )  # fmt: skip
    records = list(found)
    assert found.next_fetch_offset == records[-1].offset + 1
    return records


def wire(records: Sequence[Any]) -> list[Any]:
    return [
        (r.key, r.value, [(name_bytes(name), value) for name, value in r.headers]) for r in records
    ]


@pytest.mark.parametrize("compression", [0, 1], ids=["plain", "gzip"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_name_that_is_not_utf8_leaves_the_records_before_and_after_it_as_they_are(
    place: int, compression: int
) -> None:
    made = [GOOD, GOOD, GOOD]
    made[place] = ODD
    assert wire(unpacked(record_batch(made, compression))) == made


def test_records_that_were_read_already_do_not_come_again() -> None:
    assert [r.offset for r in unpacked(record_batch([GOOD, GOOD, ODD, GOOD]), at=1)] == [1, 2, 3]


def test_batches_after_the_odd_one_are_read_too() -> None:
    first, second = record_batch([GOOD, ODD]), bytearray(record_batch([GOOD, ODD, GOOD]))
    second[7] = 2  # base offset, as the broker writes it
    assert [r.offset for r in unpacked(first + bytes(second))] == [0, 1, 2, 3, 4]


def test_it_is_the_same_where_aiokafka_has_no_extension_in_c(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory_records, "MemoryRecords", memory_records._MemoryRecordsPy)
    monkeypatch.setattr(memory_records, "DefaultRecordBatch", _DefaultRecordBatchPy)
    assert wire(unpacked(record_batch([GOOD, ODD, GOOD]))) == [GOOD, ODD, GOOD]


def test_bytes_that_were_damaged_on_the_way_are_still_an_error() -> None:
    damaged = bytearray(record_batch([GOOD, ODD]))
    damaged[-1] ^= 1
    with pytest.raises(CorruptRecordException, match="CRC"):
        unpacked(bytes(damaged))


@given(st.lists(st.tuples(st.binary(), st.one_of(st.none(), st.binary())), max_size=4))
def test_headers_of_any_bytes_come_back_as_they_were(
    headers: list[tuple[bytes, bytes | None]],
) -> None:
    made = [GOOD, (b"k", None, headers), GOOD]
    assert wire(unpacked(record_batch(made))) == made


@given(st.binary())
def test_just_what_is_not_utf8_is_told(name: bytes) -> None:
    (_, record, _) = unpacked(record_batch([GOOD, (b"k", b"v", [(name, b"")]), GOOD]))
    try:
        name.decode()
    except UnicodeDecodeError:
        assert "not UTF-8" in unreadable(record)
        with pytest.raises(ValueError, match="not UTF-8"):
            require_names(record)
    else:
        assert unreadable(record) == ""
        require_names(record)


def test_a_record_without_headers_is_fine() -> None:
    require_names(Record(b"v"))

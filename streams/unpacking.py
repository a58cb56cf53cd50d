"""Unpacking what was fetched, whatever the names of headers: an agent says what is wrong.

Kafka takes any bytes for a header's name, and aiokafka decodes names while it unpacks what it has
fetched. One record with a name in Latin-1 would stop its partition for good: the error comes before
anybody has the record, and again whenever it is fetched again. aiokafka has no place to decide
otherwise, so two of its classes are replaced, see `accept_any_name`. What becomes of such a
name is in `streams.header_names`.

What was fetched is unpacked as ever, in C. Only where that fails it is unpacked again, in Python,
from the record that failed.
"""

from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record import default_records, memory_records
from typing_extensions import override

__all__ = ["accept_any_name"]

_MAGIC_AT = 16
#: aiokafka keeps them to itself: it does not promise to keep them. `tests.unit.test_unpacking`
#: tells when it has not.
_Unpacking: Any = fetcher.PartitionRecords
_BatchInPython: Any = default_records._DefaultRecordBatchPy
_RecordsInPython: Any = memory_records._MemoryRecordsPy


def accept_any_name() -> None:
    """Let every consumer of this process read records whatever their headers' names are."""
    fetcher.MemoryRecords = _Records
    fetcher.PartitionRecords = _PartitionRecords


class _Records:
    """Fetched record batches, which can be unpacked a second time."""

    def __init__(self, data: bytes) -> None:
        self._data, records = data, memory_records.MemoryRecords(data)
        self.has_next = records.has_next
        self.next_batch = records.next_batch
        self.size_in_bytes = records.size_in_bytes

    def leniently(self) -> Any:
        """All of them anew, with any name."""
        return _LenientRecords(self._data)


class _PartitionRecords(_Unpacking):
    """Unpacks the records of a partition; where that fails for a name, leniently."""

    _records: Any
    _records_iterator: Any
    _aborted_transactions: list[Any]
    _aborted_producers: set[Any]

    def __init__(self, tp: Any, records: Any, aborted: Any, *rest: Any) -> None:
        super().__init__(tp, records, aborted, *rest)
        self._aborted = list(self._aborted_transactions)

    @override
    def __next__(self) -> Any:
        try:
            return next(self._records_iterator)
        except StopIteration:
            self._records_iterator = None
            raise
        except Exception as error:
            # as it comes out of C, or as the cause of what Python makes of it
            if not isinstance(error.__cause__ or error, UnicodeDecodeError):
                raise
            if isinstance(self._records, _LenientRecords):
                raise
        # from the start: what was handed over already is passed over by its offset
        self._records = self._records.leniently()
        self._aborted_transactions, self._aborted_producers = self._aborted, set()
        self._records_iterator = self._unpack_records()
        return next(self._records_iterator)


class _LenientRecords(_RecordsInPython):
    """Record batches whose records may have any names."""

    @override
    def next_batch(self) -> Any:
        here = self._next_slice
        batch = super().next_batch()
        has_headers = here is not None and here[_MAGIC_AT] >= 2
        return _LenientBatch(here) if has_headers else batch


class _LenientBatch(_BatchInPython):
    """A record batch whose records may have any names."""

    _buffer: bytearray

    @override
    def _read_msg(self) -> Any:
        if not isinstance(self._buffer, _Lenient):
            self._buffer = _Lenient(self._buffer)
        return super()._read_msg()


class _Lenient(bytearray):
    """Bytes that decode whatever they are."""

    @override
    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return found if isinstance(found, int) else _Lenient(found)

    @override
    def decode(self, *_: Any, **__: Any) -> str:
        return super().decode("utf-8", "surrogateescape")

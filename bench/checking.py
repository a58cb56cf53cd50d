"""Whether what an engine wrote is right and complete."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench import wire
from bench.common import BenchError
from bench.job import Feed, Result
from models.features import ORIGINAL_FEATURES

__all__ = ["Checked", "none_lost"]

_NEVER = np.iinfo(np.int64).max
_decode_result = msgspec.json.Decoder(Result).decode
_Sent = msgspec.defstruct("_Sent", [("sequence", int)], gc=False)
_Recommendation: Any = msgspec.defstruct(
    "_Recommendation", [("risk", float), ("original_data", _Sent)], gc=False
)
_decode_recommendation = msgspec.json.Decoder(_Recommendation).decode


class Checked:
    """Results that were found right.

    Args:
        feed: the readings.
        recommendations: the results are those of the bedside application, not of the small job.

    Attributes:
        first_ms: Kafka time of the first result of each reading, shape [readings].
        count: results, repeats included.
    """

    def __init__(self, feed: Feed, *, recommendations: bool = False) -> None:
        self._feed = feed
        self._numbers = self._of_recommendations if recommendations else self._of_results
        self.first_ms: NDArray[np.int64] = np.full(len(feed), _NEVER)
        self.count = 0

    def take(self, records: Sequence[Any]) -> NDArray[np.int64]:
        """Check results; return the numbers of their readings, shape [records].

        Raises:
            BenchError: one is wrong, or belongs to no reading.
        """
        numbers = self._numbers(records)
        np.minimum.at(self.first_ms, numbers, [record.timestamp for record in records])
        self.count += len(records)
        return numbers

    def complete(self) -> int:
        """Return how many results are repeats.

        Raises:
            BenchError: a reading has no result.
        """
        if missing := int((self.first_ms == _NEVER).sum()):
            raise BenchError(f"{missing:,} of {len(self._feed):,} readings have no result.")
        return self.count - len(self._feed)

    def _known(self, numbers: list[int]) -> NDArray[np.int64]:
        found = np.array(numbers, np.int64)
        if found.min() < 0 or found.max() >= len(self._feed):
            raise BenchError("There is a result for a reading that was never sent.")
        return found

    def _of_results(self, records: Sequence[Any]) -> NDArray[np.int64]:
        rows = [_decode_result(record.value) for record in records]
        numbers = self._known([row.sequence for row in rows])
        found = np.array([msgspec.structs.astuple(row)[2:] for row in rows])
        right = self._feed.expected[numbers]
        keys = [self._feed.keys[patient] for patient in self._feed.of[numbers].tolist()]
        wrong = (found != right).any(axis=1)
        wrong |= [
            record.key != key or row.patient_id.encode() != key
            for record, row, key in zip(records, rows, keys, strict=True)
        ]
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            expected = dict(zip(ORIGINAL_FEATURES, right[at].tolist(), strict=True))
            raise BenchError(
                f"{int(wrong.sum())} results are wrong; the first is {records[at].value!r} under "
                f"the key {records[at].key!r}, and {keys[at]!r} has {expected}."
            )
        return numbers

    def _of_recommendations(self, records: Sequence[Any]) -> NDArray[np.int64]:
        rows = [_decode_recommendation(record.value) for record in records]
        if not all(0 <= row.risk <= 1 for row in rows):
            raise BenchError("There is a risk that is no probability.")
        return self._known([row.original_data.sequence for row in rows])


async def none_lost(bootstrap: str, prefix: str) -> None:
    """Check that the bedside application took no reading for late or unreadable.

    Args:
        bootstrap: address of the broker.
        prefix: of its topics.

    Raises:
        BenchError: it did.
    """
    for name in ("dead.letters", "vitals.late"):
        if found := await wire.total(bootstrap, f"{prefix}{name}"):
            raise BenchError(f"{found:,} good readings went to {name}.")

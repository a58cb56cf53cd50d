"""Examples joined with outcomes, in the order of the topic ``lessons``.

A stay is the examples of a patient up to the end that an outcome names, after the end of the
patient's stay before. It comes out when the newest event time of the topic has reached its end plus
a delay: a label is not known before. Until then a later outcome of the same end replaces an earlier
one. What comes out depends on the records before it and on nothing else, so that a topic that is
read in several parts gives the stays of one that is read at once.
"""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.utility import LABEL_LEAD
from models.window import HOUR_MS, hour_of

__all__ = ["Counts", "DueStay", "Ended", "Join", "Seen", "labels_of"]

#: Time after which examples without an outcome are given up.
FORGET_MS = 60 * 24 * HOUR_MS

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """An example and where it stands.

    Attributes:
        offset: of its record.
        at_ms: observed time, ms since 1970.
        example: whatever it is.
    """

    offset: int
    at_ms: int
    example: T


@dataclass(frozen=True, slots=True)
class Ended:
    """An outcome and where it stands.

    Attributes:
        offset: of its record.
        ended_at_ms: end of the stay, ms since 1970.
        septic: whether the patient became septic.
        onset_at_ms: onset, ms since 1970; None where not septic.
    """

    offset: int
    ended_at_ms: int
    septic: bool
    onset_at_ms: int | None


@dataclass(frozen=True, slots=True)
class DueStay(Generic[T]):
    """A stay whose labels may be known.

    Attributes:
        patient_id: of the patient.
        ended: how it ended.
        examples: one an hour at most, by time.
    """

    patient_id: str
    ended: Ended
    examples: list[Seen[T]]

    def labels(self) -> NDArray[np.int8]:
        """1 from six hours before onset on, else 0, shape [examples]."""
        at_ms = np.array([seen.at_ms for seen in self.examples], np.int64)
        return labels_of(at_ms, self.ended.onset_at_ms)


def labels_of(at_ms: NDArray[np.int64], onset_at_ms: int | None) -> NDArray[np.int8]:
    """Labels of a stay's examples.

    Args:
        at_ms: observed times, ms since 1970, shape [n].
        onset_at_ms: clinical onset, ms since 1970; None where the patient was not septic.

    Returns:
        1 from six hours before onset on, else 0, shape [n].
    """
    if onset_at_ms is None:
        return np.zeros(len(at_ms), np.int8)
    return (at_ms >= onset_at_ms - LABEL_LEAD * HOUR_MS).astype(np.int8)


@dataclass(slots=True)
class Counts:
    """What did not become part of a stay.

    Attributes:
        repeated: examples of an hour that had one, and outcomes of a stay that had come out.
        late: examples that came after their stay had come out.
        without_examples: outcomes of patients of whom nothing was scored.
        forgotten: examples given up for want of an outcome.
    """

    repeated: int = 0
    late: int = 0
    without_examples: int = 0
    forgotten: int = 0


class Join(Generic[T]):
    """Joins examples with outcomes.

    Attributes:
        watermark_ms: newest event time so far, ms since 1970.
        counts: what was left out.
    """

    def __init__(
        self, delay_ms: int, *, ended: Mapping[str, int] | None = None, watermark_ms: int = 0
    ) -> None:
        """Begin, or go on.

        Args:
            delay_ms: after the end of a stay; then its outcome counts.
            ended: end of the last stay of each patient that has come out, ms since 1970.
            watermark_ms: event time that had been reached.
        """
        self.watermark_ms = watermark_ms
        self.counts = Counts()
        self._delay_ms = delay_ms
        self._ended = dict(ended or {})
        self._waiting: dict[str, dict[int, Seen[T]]] = {}
        self._outcomes: dict[tuple[str, int], Ended] = {}
        self._due: list[tuple[int, str]] = []

    def example(self, patient_id: str, seen: Seen[T]) -> None:
        """Take in an example."""
        if seen.at_ms <= self._ended.get(patient_id, -1):
            self.counts.late += 1
        else:
            hours = self._waiting.setdefault(patient_id, {})
            if hours.setdefault(hour_of(seen.at_ms), seen) is not seen:
                self.counts.repeated += 1
        self.watermark_ms = max(self.watermark_ms, seen.at_ms)

    def outcome(self, patient_id: str, ended: Ended) -> None:
        """Take in an outcome."""
        if ended.ended_at_ms <= self._ended.get(patient_id, -1):
            self.counts.repeated += 1
        else:
            key = (patient_id, ended.ended_at_ms)
            if key not in self._outcomes:
                heapq.heappush(self._due, (ended.ended_at_ms, patient_id))
            self._outcomes[key] = ended
        self.watermark_ms = max(self.watermark_ms, ended.ended_at_ms)

    def due(self) -> Iterator[DueStay[T]]:
        """Take out the stays whose labels may be known now; ask after every record."""
        while self._due and self._due[0][0] + self._delay_ms <= self.watermark_ms:
            ended_at_ms, patient_id = heapq.heappop(self._due)
            ended = self._outcomes.pop((patient_id, ended_at_ms))
            self._ended[patient_id] = max(ended_at_ms, self._ended.get(patient_id, -1))
            hours = self._waiting.get(patient_id, {})
            mine = [hour for hour, seen in hours.items() if seen.at_ms <= ended_at_ms]
            examples = sorted((hours.pop(hour) for hour in mine), key=lambda seen: seen.at_ms)
            if not hours:
                self._waiting.pop(patient_id, None)
            if examples:
                yield DueStay(patient_id, ended, examples)
            else:
                self.counts.without_examples += 1

    def resume(self, end: int) -> int:
        """Where to read on another time, so that what waits now is there again.

        Gives up examples that have waited too long.

        Args:
            end: offset after the last record.
        """
        offsets = [end, *(ended.offset for ended in self._outcomes.values())]
        ending = {patient_id for patient_id, _ in self._outcomes}
        oldest = self.watermark_ms - FORGET_MS
        for patient_id, hours in list(self._waiting.items()):
            newest = max(seen.at_ms for seen in hours.values())
            if patient_id in ending or newest > oldest:
                offsets += [seen.offset for seen in hours.values()]
            else:
                self.counts.forgotten += len(hours)
                del self._waiting[patient_id]
        return min(offsets)

    @property
    def waiting(self) -> tuple[int, int]:
        """How many examples and outcomes wait."""
        return sum(map(len, self._waiting.values())), len(self._outcomes)

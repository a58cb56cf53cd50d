"""What the learner keeps: stays whose labels are still to come, and which it has learned.

    example ─→ kept ─┐
                     ├─ watermark ≥ end + delay ─→ due, in one order ─→ learned ─→ done
    outcome ─→ kept ─┘

The watermark is the newest event time in the topic. A stay is due when it has passed the stay's end
by the delay. Stays come out by due time and then by patient; one whose outcome comes when it would
have been due already, in the order in which the outcomes came. That order is stored with them, so
that a learner that starts again from what is stored takes the same stays in the same order.

Of a patient's examples within an hour the first one in the topic counts, as in
`models.collection`.

A stay is taken first and learned later, with its block. It stays stored until then (`done`), and
leaves a mark behind: an example or outcome of it that Kafka delivers again is known by that.

Pure: knows a store of bytes, and says what is to be written. Keys of the store are a letter and the
patient, for an example also its time, so that a patient's come in the order of time.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.collection import labels_of
from models.window import HOUR_MS, hour_of

__all__ = ["Counts", "Due", "End", "Pending", "example_key"]

_EXAMPLE, _END, _DONE = b"e", b"o", b"d"
_TIME = 8  # bytes of a time at the end of an example's key
_SIGN = 1 << 63

_NO_TIMES = np.empty(0, np.int64)

_NEVER = -(2**62)

Writes = dict[bytes, bytes | None]


class End(msgspec.Struct, frozen=True, array_like=True):
    """How a stay ended.

    Attributes:
        ended_at_ms: ms since 1970.
        septic: whether the patient became septic.
        onset_at_ms: clinical onset, ms since 1970; None where not septic.
        came_ms: watermark at which it came, where the stay was due by then; else 0.
        late: the how manieth such outcome it is; else 0.
    """

    ended_at_ms: int
    septic: bool
    onset_at_ms: int | None = None
    came_ms: int = 0
    late: int = 0

    def says(self, other: "End | None") -> bool:
        """Whether another outcome says the same."""
        return other is not None and (other.septic, other.onset_at_ms) == (
            self.septic,
            self.onset_at_ms,
        )


_encode = msgspec.msgpack.Encoder().encode
_decode_end = msgspec.msgpack.Decoder(End).decode
_decode_time = msgspec.msgpack.Decoder(int).decode


@dataclass(slots=True)
class Counts:
    """What became of the lessons.

    Attributes:
        examples: kept.
        outcomes: kept.
        repeated: were here before, or are of a stay that was learned.
        unlabelled: examples given up, because no outcome came for too long.
        empty: outcomes of stays without an example.
    """

    examples: int = 0
    outcomes: int = 0
    repeated: int = 0
    unlabelled: int = 0
    empty: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Due:
    """A stay whose labels may be learned.

    Attributes:
        patient: as at the bedside.
        end: how it ended.
        at_ms: observed times of its examples, ascending, shape [n], n > 0.
    """

    patient: bytes
    end: End
    at_ms: NDArray[np.int64]

    def labels(self) -> NDArray[np.int8]:
        """1 from six hours before onset on, else 0, shape [n]."""
        return labels_of(self.at_ms, self.end.onset_at_ms)


@dataclass(slots=True, eq=False)
class _Patient:
    """What waits of one patient.

    Attributes:
        times: of examples, by the hour.
        ends: of stays, by time.
        taken_ms: end of the last stay that was taken out.
        done_ms: end of the last stay that was learned.
    """

    times: dict[int, int] = field(default_factory=dict)
    ends: dict[int, End] = field(default_factory=dict)
    taken_ms: int = _NEVER
    done_ms: int = _NEVER


class Pending:
    """Stays that wait.

    Args:
        delay_ms: after the end of a stay, event time; then its outcome counts.
        give_up_ms: without an outcome, examples are given up after this time, and so are marks.
    """

    def __init__(self, delay_ms: int, give_up_ms: int) -> None:
        self.delay_ms, self._give_up_ms = delay_ms, give_up_ms
        self._patients: dict[bytes, _Patient] = {}
        self._due: list[tuple[int, int, bytes, int]] = []
        self._late = 0
        self._swept_ms = self.watermark_ms = _NEVER
        self.counts = Counts()

    def __len__(self) -> int:
        """Count the examples that wait."""
        return sum(len(patient.times) for patient in self._patients.values())

    @property
    def begun(self) -> bool:
        """Whether anything has come yet."""
        return self.watermark_ms > _NEVER

    def restore(self, stored: Iterable[tuple[bytes, bytes]]) -> None:
        """Take in what an earlier learner has stored; keys of others are passed over."""
        for key, value in stored:
            kind, rest = key[:1], key[1:]
            if kind == _EXAMPLE:
                at_ms = _time_of(rest)
                self._patient(rest[:-_TIME]).times.setdefault(hour_of(at_ms), at_ms)
                self._pass(at_ms)
            elif kind == _END:
                patient, end = rest[:-_TIME], _decode_end(value)
                self._wait(patient, end)
                self._pass(end.ended_at_ms)
            elif kind == _DONE:
                known = self._patient(rest)
                known.taken_ms = known.done_ms = _decode_time(value)
                self._pass(known.done_ms)
        for known in self._patients.values():  # what was to be deleted with its stay, and was not
            known.times = {hour: at for hour, at in known.times.items() if at > known.done_ms}

    def example(self, patient: bytes, at_ms: int, value: bytes, writes: Writes) -> bool:
        """Take in an example; tell whether it is new.

        Args:
            patient: as at the bedside.
            at_ms: observed time.
            value: to be stored.
            writes: filled with what is to be written.
        """
        self._pass(at_ms)
        known = self._patient(patient)
        of_the_hour = known.times.get(hour_of(at_ms))
        if at_ms == of_the_hour:  # written again: the first time it may not have got to the broker
            writes[example_key(patient, at_ms)] = value
        elif at_ms <= known.done_ms:
            writes[example_key(patient, at_ms)] = None
        if of_the_hour is not None or at_ms <= known.taken_ms:
            self.counts.repeated += 1
            return False
        known.times[hour_of(at_ms)] = at_ms
        writes[example_key(patient, at_ms)] = value
        self.counts.examples += 1
        return True

    def outcome(self, patient: bytes, end: End, writes: Writes) -> bool:
        """Take in an outcome; one of the same stay takes its place. Tell whether it is new."""
        self._pass(end.ended_at_ms)
        known = self._patient(patient)
        key = _END + patient + _packed(end.ended_at_ms)
        before = known.ends.get(end.ended_at_ms)
        again = end.says(before)
        if again:
            writes[key] = _encode(before)
        elif end.ended_at_ms <= known.done_ms:
            writes[key] = None
            writes[_DONE + patient] = _encode(known.done_ms)
        if again or end.ended_at_ms <= known.taken_ms:
            self.counts.repeated += 1
            return False
        if end.ended_at_ms + self.delay_ms <= self.watermark_ms:
            self._late += 1
            end = msgspec.structs.replace(end, came_ms=self.watermark_ms, late=self._late)
        self._wait(patient, end)
        writes[key] = _encode(end)
        self.counts.outcomes += 1
        return True

    @property
    def any_due(self) -> bool:
        """Whether `due` has anything to look at."""
        return bool(self._due) and self._due[0][0] <= self.watermark_ms

    def due(self, writes: Writes) -> Iterator[Due]:
        """Take out the stays that are due by now, one by one.

        Args:
            writes: filled with what is to be written, for stays of which there is nothing to learn.
        """
        while self.any_due:
            *_, patient, ended_at_ms = heapq.heappop(self._due)
            known = self._patient(patient)
            end = known.ends.get(ended_at_ms)
            if end is None or ended_at_ms <= known.taken_ms:
                continue
            times = sorted(at for at in known.times.values() if known.taken_ms < at <= ended_at_ms)
            known.taken_ms = ended_at_ms
            stay = Due(patient, end, np.array(times, np.int64))
            if times:
                yield stay
            else:
                self.counts.empty += 1
                self.done([stay], writes)

    def done(self, stays: Iterable[Due], writes: Writes) -> None:
        """Forget stays that were learned, but for a mark; ``writes`` is filled."""
        for stay in stays:
            known = self._patient(stay.patient)
            for at_ms in [at for at in known.times.values() if at <= stay.end.ended_at_ms]:
                del known.times[hour_of(at_ms)]
                writes[example_key(stay.patient, at_ms)] = None
            known.ends.pop(stay.end.ended_at_ms, None)
            known.done_ms = max(known.done_ms, stay.end.ended_at_ms)
            known.taken_ms = max(known.taken_ms, known.done_ms)
            writes[_END + stay.patient + _packed(stay.end.ended_at_ms)] = None
            writes[_DONE + stay.patient] = _encode(known.done_ms)

    def close(self, stays: Iterable[tuple[bytes, int]], writes: Writes) -> None:
        """Forget stays that were learned, by patient and end; ``writes`` is filled."""
        for patient, ended_at_ms in stays:
            self.done([Due(patient, End(ended_at_ms, False), _NO_TIMES)], writes)

    def sweep(self, writes: Writes) -> None:
        """Once an hour of event time, give up what has waited too long; ``writes`` is filled."""
        if self.watermark_ms < self._swept_ms + HOUR_MS:
            return
        self._swept_ms = self.watermark_ms
        until = self.watermark_ms - self._give_up_ms
        for patient, known in list(self._patients.items()):
            if not known.ends:
                for at_ms in [at for at in known.times.values() if at <= until]:
                    del known.times[hour_of(at_ms)]
                    writes[example_key(patient, at_ms)] = None
                    self.counts.unlabelled += 1
            if not known.times and not known.ends and known.done_ms <= until:
                if known.done_ms > _NEVER:
                    writes[_DONE + patient] = None
                del self._patients[patient]

    def _patient(self, patient: bytes) -> _Patient:
        return self._patients.setdefault(patient, _Patient())

    def _wait(self, patient: bytes, end: End) -> None:
        self._patient(patient).ends[end.ended_at_ms] = end
        self._late = max(self._late, end.late)
        due_ms = max(end.ended_at_ms + self.delay_ms, end.came_ms)
        heapq.heappush(self._due, (due_ms, end.late, patient, end.ended_at_ms))

    def _pass(self, at_ms: int) -> None:
        self.watermark_ms = max(self.watermark_ms, at_ms)


def example_key(patient: bytes, at_ms: int) -> bytes:
    """Key of an example in the store."""
    return _EXAMPLE + patient + _packed(at_ms)


def _packed(at_ms: int) -> bytes:
    """A time as bytes that sort as times do."""
    return (at_ms + _SIGN).to_bytes(_TIME, "big")


def _time_of(key: bytes) -> int:
    return int.from_bytes(key[-_TIME:], "big") - _SIGN

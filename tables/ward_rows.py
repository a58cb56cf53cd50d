"""What is kept of a patient on the ward, and its codec: the newest recommendation and a day behind.

A snapshot is small however fast a feed is. It holds the newest recommendation, the last `RECENT`
readings as they were, and of each of the last `SPANS` hours where things stood at its end, where
the highest tier began, and the lowest and highest of each vital sign. Each of these is a maximum in
some order of its own, so recommendations may come late, twice and in any order.

Values are whole hundredths of their unit, as in `models.vitals`; here `NOT_MEASURED` is none.
"""

from typing import Literal, TypeVar

import msgspec

__all__ = [
    "NOT_MEASURED",
    "RECENT",
    "SPANS",
    "SPAN_MS",
    "TIERS",
    "Factor",
    "Newest",
    "Point",
    "Range",
    "RowError",
    "Snapshot",
    "Span",
    "Tier",
    "decode",
    "encode",
    "read_row",
]

_T = TypeVar("_T")

Tier = Literal["none", "watch", "warning", "urgent"]
#: The least urgent first; a point has the place in it.
TIERS: tuple[Tier, ...] = ("none", "watch", "warning", "urgent")

#: One hour: charts are kept hourly.
SPAN_MS = 3_600_000
#: Hours that are kept of a patient, the newest one included.
SPANS = 24
#: Readings that are kept as they were.
RECENT = 24
#: Of a value; every plausible one is above zero.
NOT_MEASURED = -1

_VERSION = b"\x01"
_encode = msgspec.msgpack.Encoder().encode


class RowError(ValueError):
    """A row cannot be read by this release."""


class Factor(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One thing that drove a risk, see `streams.events.Factor`."""

    name: str
    text: str
    contribution: float


class Newest(msgspec.Struct, array_like=True, frozen=True):
    """The newest recommendation, see `streams.events.Recommendation`.

    Attributes:
        observed_ms: event time; decides which is the newest.
        produced_ms: Kafka time of the reading; decides between those of the same event time.
    """

    recommendation_id: str
    observed_ms: int
    produced_ms: int
    unit_id: str | None
    risk: float
    tier: Tier
    factors: tuple[Factor, ...]
    news2: int
    news2_points: dict[str, int]
    news2_missing: tuple[str, ...]
    news2_rule: str
    next_steps: tuple[str, ...]
    features: dict[str, float | None]
    flags: tuple[str, ...]
    measured: int
    model_name: str
    model_version: str
    disclaimer: str

    @property
    def order(self) -> tuple[int, int, int, str, float]:
        """Of two, the one with the higher is the newer. Ids end in numbers: longer is later."""
        name = self.recommendation_id
        return self.observed_ms, self.produced_ms, len(name), name, self.risk

    def ahead(self, other: "Newest") -> "Newest":
        """The newer of both; where nothing tells, the same one in either order."""
        if self.order == other.order:
            return max(self, other, key=_encode)
        return max(self, other, key=lambda one: one.order)


class Point(msgspec.Struct, array_like=True, frozen=True, order=True, gc=False):
    """Where a patient stood at one reading.

    Attributes:
        at_ms: observed time.
        risk: 0 to 1.
        news2: total.
        tier: place in `TIERS`.
        values: hundredths, in the order of `models.vitals.VITALS`; `NOT_MEASURED` where none.
    """

    at_ms: int
    risk: float
    news2: int
    tier: int
    values: tuple[int, ...]


class Range(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One vital sign in one hour.

    Attributes:
        at_ms: when it was measured last; of values of the same time the highest counts.
        last: value then, hundredths.
        low: lowest of the hour.
        high: highest of it.
    """

    at_ms: int
    last: int
    low: int
    high: int

    def joined(self, other: "Range") -> "Range":
        """Of both."""
        at_ms, last = max((self.at_ms, self.last), (other.at_ms, other.last))
        return Range(at_ms, last, min(self.low, other.low), max(self.high, other.high))


class Span(msgspec.Struct, array_like=True, frozen=True):
    """One hour of a patient.

    Attributes:
        number: hours since 1970.
        last: its last reading.
        top: its first reading of the highest tier: where an alert of that tier comes from.
        ranges: by column of `models.vitals.VITALS`, of what was measured.
    """

    number: int
    last: Point
    top: Point
    ranges: dict[int, Range]

    def joined(self, other: "Span") -> "Span":
        """Of both; they are of the same hour."""
        ranges = dict(self.ranges)
        for column, found in other.ranges.items():
            known = ranges.get(column)
            ranges[column] = found if known is None else known.joined(found)
        return Span(
            self.number,
            max(self.last, other.last),
            max(self.top, other.top, key=lambda point: (point.tier, -point.at_ms, point)),
            dict(sorted(ranges.items())),
        )


class Snapshot(msgspec.Struct, array_like=True, frozen=True):
    """What is kept of a patient.

    Attributes:
        patient_id: whose.
        newest: recommendation.
        recent: the last readings of the same hours, ascending, each once.
        spans: the last hours of which there is anything, ascending.
    """

    patient_id: str
    newest: Newest
    recent: tuple[Point, ...]
    spans: tuple[Span, ...]

    def joined(self, newest: Newest, point: Point) -> "Snapshot":
        """With one more recommendation, early or late."""
        ahead = self.newest.ahead(newest)
        since_ms = ahead.observed_ms - SPANS * SPAN_MS
        # mostly it is the newest, and nothing has to be sorted
        newer = point > self.recent[-1]
        kept = [*self.recent, point] if newer else sorted({*self.recent, point})
        recent = tuple(one for one in kept[-RECENT:] if one.at_ms >= since_ms)
        return Snapshot(self.patient_id, ahead, recent, _with(self.spans, span_of(point)))


def span_of(point: Point) -> Span:
    """The hour of one reading."""
    ranges = {
        column: Range(point.at_ms, value, value, value)
        for column, value in enumerate(point.values)
        if value != NOT_MEASURED
    }
    return Span(point.at_ms // SPAN_MS, point, point, ranges)


def _with(spans: tuple[Span, ...], one: Span) -> tuple[Span, ...]:
    if one.number == spans[-1].number:
        return (*spans[:-1], spans[-1].joined(one))
    by = {span.number: span for span in spans}
    known = by.get(one.number)
    by[one.number] = one if known is None else known.joined(one)
    first = max(by) - SPANS + 1
    return tuple(by[number] for number in sorted(by) if number >= first)


_decoder = msgspec.msgpack.Decoder(Snapshot)


def encode(snapshot: Snapshot) -> bytes:
    """Write a snapshot."""
    return _VERSION + _encode(snapshot)


def decode(stored: bytes) -> Snapshot:
    """Read what `encode` wrote.

    Raises:
        RowError: it was written by another release, or is damaged.
    """
    return read_row(stored, _VERSION, _decoder, "a patient on the ward")


def read_row(stored: bytes, version: bytes, decoder: msgspec.msgpack.Decoder[_T], what: str) -> _T:
    """Read a row of the ward: a byte of its version, then msgpack.

    Raises:
        RowError: it was written by another release, or is damaged.
    """
    if stored[:1] != version:
        raise RowError(
            f"{what} was stored by another release: go back to it, or delete the table; it is made "
            "anew from the topics"
        )
    try:
        return decoder.decode(stored[1:])
    except msgspec.MsgspecError:
        raise RowError(f"{what} cannot be read: were the bytes damaged?") from None

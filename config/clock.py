"""The one clock: everything that asks what time it is asks here.

Event time decides in Vigil (windows, late readings, label delay); the wall clock is for measuring
how long something took and for telling how old a thing is.
"""

import time
from datetime import UTC, datetime

__all__ = ["DAY_MS", "HOUR_MS", "from_ms", "iso", "now_ms", "to_ms"]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970 of a moment that carries its time zone.

    Raises:
        ValueError: the moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone: write 2026-01-31T12:00:00Z")
    return round(moment.timestamp() * 1000)


def from_ms(ms: int) -> datetime:
    """Return the moment in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def iso(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds.

    >>> iso(0)
    '1970-01-01T00:00:00.000Z'
    """
    return from_ms(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""The clock on a wall: times of day of a place, and the moments at which it shows them.

Where clocks are put forward or back, a reading of the wall is still one moment: the first at which
it is shown, or the leap where it is leapt over. Later readings are never earlier moments, so shifts
that border on the wall border in truth: nobody is missing in an hour that exists twice or not.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator

__all__ = [
    "DAYS",
    "CalendarDay",
    "ClockTime",
    "Day",
    "Span",
    "TimeZone",
    "WallTime",
    "gaps",
    "moment",
    "span",
]

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 24 * 60
_WEEK = 7 * _DAY


def _clock_time(given: object) -> object:
    if not isinstance(given, str):
        return given
    if not re.fullmatch(r"(?:[01]\d|2[0-3]):[0-5]\d", given):
        raise ValueError("write a time of day as 06:30, from 00:00 to 23:59")
    return time.fromisoformat(given)


def _wall_time(given: object) -> object:
    if not isinstance(given, str):
        return given
    try:
        return datetime.strptime(given, "%Y-%m-%d %H:%M")
    except ValueError:
        raise ValueError("write a local time as 2026-12-24 07:00, without a time zone") from None


def _day(given: object) -> object:
    if not isinstance(given, str):
        return given
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise ValueError("write a day of the calendar as 2026-01-05") from None


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        near = get_close_matches(name, available_timezones(), 1)
        meant = f"did you mean {near[0]}?" if near else "write one such as Europe/London"
        raise ValueError(f"there is no time zone {name!r}: {meant}") from None
    return name


#: Time of day, without a zone.
ClockTime = Annotated[time, BeforeValidator(_clock_time)]
#: Date and time of day, without a zone.
WallTime = Annotated[datetime, BeforeValidator(_wall_time)]
#: Day, without a time.
CalendarDay = Annotated[date, BeforeValidator(_day)]
#: Name of the tz database.
TimeZone = Annotated[str, AfterValidator(_time_zone)]
#: From one moment to before another, UTC.
Span = tuple[datetime, datetime]


@lru_cache(maxsize=4096)
def moment(wall: datetime, zone: str) -> datetime:
    """When a clock on the wall first shows a time, UTC; where it leaps over it, when it leaps.

    Later readings are never earlier moments, so what borders on the wall borders in truth.

    Args:
        wall: without a time zone.
        zone: name of the tz database.
    """
    place = ZoneInfo(zone)
    found = wall.replace(tzinfo=place, fold=0).astimezone(UTC)
    if found.astimezone(place).replace(tzinfo=None) == wall:
        return found
    # leapt over: the leap lies between what both offsets make of it
    before = wall.replace(tzinfo=place, fold=1).astimezone(UTC)
    old = before.astimezone(place).utcoffset()
    after = found
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(place).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after


def span(day: date, begin: time, end: time, zone: str) -> Span:
    """The time between two times of day; an end that is not after the begin is of the next day."""
    last = day if end > begin else day + timedelta(days=1)
    return moment(datetime.combine(day, begin), zone), moment(datetime.combine(last, end), zone)


def gaps(parts: Iterable[tuple[Iterable[Day], time, time]]) -> list[tuple[str, str]]:
    """When in the week none of the parts is: ("mon 06:00", "mon 07:00")."""
    taken = []
    for days, begin, end in parts:
        first, last = (t.hour * 60 + t.minute for t in (begin, end))
        length = (last - first) % _DAY or _DAY
        for day in days:
            start = DAYS.index(day) * _DAY + first
            taken += [(start, start + length), (start - _WEEK, start - _WEEK + length)]
    found, reached = [], 0
    for start, stop in sorted(taken):
        if start > reached:
            found.append((reached, min(start, _WEEK)))
        reached = max(reached, stop)
        if reached >= _WEEK:
            break
    if reached < _WEEK:
        found.append((reached, _WEEK))
    if len(found) > 1 and found[0][0] == 0 and found[-1][1] == _WEEK:
        found = [*found[1:-1], (found[-1][0], found[0][1])]  # Sunday goes on into Monday
    return [(_of_week(start), _of_week(stop)) for start, stop in found]


def _of_week(minute: int) -> str:
    day, rest = divmod(minute % _WEEK, _DAY)
    return f"{DAYS[day]} {rest // 60:02}:{rest % 60:02}"

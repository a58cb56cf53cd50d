"""How far back a question looks: "in the last 6 hours", "since yesterday", "this morning".

Times of the day are those of the clock on the wall, so they need a time zone.
"""

import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from config.clock import from_ms
from rag.tools.vocabulary import NUMBERS, number_in

__all__ = ["hours_back"]

_UNITS = r"(?P<unit>minutes?|mins?|hours?|hrs?|h|days?|d|weeks?|shifts?)"
_NUMBER = "|".join(sorted(map(re.escape, NUMBERS), key=len, reverse=True))
# "and" is not "an d": only figures may stand without a space
_AMOUNT = re.compile(rf"\b(?P<n>\d+(?:\.\d+)?|(?:{_NUMBER})(?=[ -]))[ -]?{_UNITS}\b")
_LAST = re.compile(r"\b(?:last|past|previous|this|my) (?P<unit>minute|hour|day|night|week|shift)\b")
_AT = re.compile(
    r"\b(?:since|from|after|at|than at) (?P<h>[01]?\d|2[0-3])(?:[:.](?P<m>[0-5]\d))?"
    r"\s?(?P<half>am|pm|o'clock)?\b(?! ?(?:hours?|hrs?|h|min|minutes?|days?|%|/))"
)
#: When each begins, on the wall clock.
_BEGINS = (
    (re.compile(r"\bthis morning\b|\bin the morning\b|\bsince morning\b"), time(6)),
    (re.compile(r"\bthis afternoon\b"), time(12)),
    (re.compile(r"\b(?:noon|midday|lunch|lunchtime)\b"), time(12)),
    (re.compile(r"\bthis evening\b"), time(18)),
    (re.compile(r"\bovernight\b|\blast night\b|\bduring the night\b|\bthe night\b"), time(22)),
    (re.compile(r"\bmidnight\b|\btoday\b|\bso far today\b"), time(0)),
)
_YESTERDAY = re.compile(r"\byesterday\b")
_ADMISSION = re.compile(r"\bsince (?:admission|arrival|she came|he came|they came|coming)\b")
#: Of a shift; rotas differ, and the answer says how far back it looks.
_SHIFT_HOURS = 8.0
#: Less than this has hardly a reading.
_LEAST = 0.25


def hours_back(text: str, now_ms: int, zone: ZoneInfo, *, most: float = 24.0) -> float | None:
    """How many hours back a question looks; None where it does not say.

    Args:
        text: in lower case.
        now_ms: when it was asked.
        zone: of the wall clock.
        most: hours that can be looked back on; more is cut to it.

    >>> hours_back("in the last 6 hours", 0, ZoneInfo("UTC"))
    6.0
    """
    hours = _hours(text, from_ms(now_ms).astimezone(zone))
    if hours is None:
        return None
    return round(min(max(hours, _LEAST), most), 2)


def _hours(text: str, now: datetime) -> float | None:
    found = _AMOUNT.search(text)
    if found is not None and not _is_age(text, found):
        number = number_in(found["n"])
        if number is not None:
            return number * _unit(found["unit"])
    clock = _AT.search(text)
    if clock is not None and (clock["half"] or clock["m"] or "since" in clock[0]):
        hour = int(clock["h"])
        if clock["half"] == "pm" and hour < 12:
            hour += 12
        if clock["half"] == "am" and hour == 12:
            hour = 0
        return _since(time(hour, int(clock["m"] or 0)), now)
    if _YESTERDAY.search(text):
        # on the wall clock: the night on which clocks change is as long as it is
        return 24.0 if "since" not in text else _since(time(0), now) + 24
    for pattern, begin in _BEGINS:
        if pattern.search(text):
            return _since(begin, now)
    if last := _LAST.search(text):
        return {"night": 12.0, "shift": _SHIFT_HOURS}.get(last["unit"]) or _unit(last["unit"])
    return 24.0 if _ADMISSION.search(text) else None


def _is_age(text: str, found: re.Match[str]) -> bool:
    """Whether it is how old somebody is: "a 3 day old baby"."""
    return text[found.end() :].lstrip(" -").startswith("old")


def _unit(word: str) -> float:
    if word.startswith("shift"):
        return _SHIFT_HOURS
    for short, hours in (("min", 1 / 60), ("h", 1.0), ("d", 24.0), ("w", 168.0)):
        if word.startswith(short):
            return hours
    raise AssertionError("unreachable")


def _since(begin: time, now: datetime) -> float:
    """Hours since it was last so late on the wall clock."""
    at = now.replace(hour=begin.hour, minute=begin.minute, second=0, microsecond=0)
    if at > now:
        at -= timedelta(days=1)
    return (now.timestamp() - at.timestamp()) / 3600

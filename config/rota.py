"""Who is on call: weekly shifts, rotations and dated exceptions, in the wall-clock time of a place.

A shift lasts from one reading of the wall clock to another (`config.wall_clock`). So a night of
22:00 to 06:00 has seven hours when the clocks go forward and nine when they go back.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from config.wall_clock import (
    DAYS,
    CalendarDay,
    ClockTime,
    Day,
    TimeZone,
    WallTime,
    gaps,
    moment,
    span,
)

__all__ = ["Override", "Part", "Rotation", "Schedule", "Shift"]

#: How far ahead a handover is looked for.
_AHEAD_DAYS = 60
#: Ids of contacts, at least one.
Contacts = Annotated[tuple[str, ...], Field(min_length=1)]


class Part(BaseModel):
    """What every part of the policy has in common: nothing unknown, nothing coerced."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, populate_by_name=True
    )


class Rotation(Part):
    """People who take turns.

    Attributes:
        every_days: length of a turn.
        since: first day of the first one's turn.
        contacts: ids, in the order of their turns.
    """

    every_days: int = Field(gt=0)
    since: CalendarDay
    contacts: Contacts

    def on(self, day: date) -> tuple[str, ...]:
        """Whose turn a day is."""
        turn = (day - self.since).days // self.every_days
        return (self.contacts[turn % len(self.contacts)],)


class Shift(Part):
    """Who is on call at the same hours of some days of every week.

    Attributes:
        name: for people and errors.
        days: on which it begins.
        begin: local time of day; ``from`` in the file.
        end: the same, of the next day where it is not after the begin; ``to`` in the file.
        contacts: ids; or
        rotation: who takes turns, each shift whole by the day on which it begins.
    """

    name: str = ""
    days: Annotated[tuple[Day, ...], Field(min_length=1)] = DAYS
    begin: ClockTime = Field(alias="from")
    end: ClockTime = Field(alias="to")
    contacts: Contacts | None = None
    rotation: Rotation | None = None

    @model_validator(mode="after")
    def _somebody(self) -> "Shift":
        if (self.contacts is None) == (self.rotation is None):
            raise ValueError("a shift has either contacts or a rotation: give one of them")
        return self

    def on(self, day: date) -> tuple[str, ...]:
        """Who has the shift that begins on a day; nobody where none does."""
        if DAYS[day.weekday()] not in self.days:
            return ()
        return self.rotation.on(day) if self.rotation else self.contacts or ()


class Override(Part):
    """Who is on call once, instead of whom the shifts name.

    Attributes:
        begin: local date and time; ``from`` in the file.
        end: the same; ``to`` in the file.
        contacts: ids.
    """

    begin: WallTime = Field(alias="from")
    end: WallTime = Field(alias="to")
    contacts: Contacts

    @model_validator(mode="after")
    def _forward(self) -> "Override":
        if self.end <= self.begin:
            raise ValueError("'to' is not after 'from': give a later one")
        return self


class Schedule(Part):
    """A rota of one role at one place.

    Attributes:
        time_zone: of the clock on its wall.
        shifts: where several are at once, all their people are on call.
        overrides: count before the shifts; where two are at once, the first in the file.
        fallback: ids of who is on call where nobody else is.
    """

    time_zone: TimeZone
    shifts: tuple[Shift, ...] = ()
    overrides: tuple[Override, ...] = ()
    fallback: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _never_nobody(self) -> "Schedule":
        if self.fallback:
            return self
        found = gaps((shift.days, shift.begin, shift.end) for shift in self.shifts)
        if found:
            when = ", ".join(f"{start} to {stop}" for start, stop in found)
            raise ValueError(f"nobody is on call {when}: let a shift cover it, or name a fallback")
        return self

    def on_call(self, at: datetime) -> tuple[str, ...]:
        """Ids of the contacts on call; each once, in the file's order.

        Args:
            at: with a time zone.
        """
        for override in self.overrides:
            if moment(override.begin, self.time_zone) <= at < moment(override.end, self.time_zone):
                return override.contacts
        people: dict[str, Any] = {}
        for shift in self.shifts:
            for day in _days_around(at, self.time_zone):
                if contacts := shift.on(day):
                    begin, end = span(day, shift.begin, shift.end, self.time_zone)
                    if begin <= at < end:
                        people |= dict.fromkeys(contacts)
        return tuple(people) or self.fallback

    def handover(self, at: datetime) -> datetime | None:
        """When others are next on call, UTC; None where that is not within two months."""
        now = self.on_call(at)
        for change in sorted(self._changes(at)):
            if change > at and self.on_call(change) != now:
                return change
        return None

    def people(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Everybody whom it names, each with the place in the file: ("fallback", 0), "ann"."""
        for number, shift in enumerate(self.shifts):
            place: tuple[str | int, ...] = ("shifts", number)
            if shift.contacts is not None:
                yield from _placed((*place, "contacts"), shift.contacts)
            if shift.rotation is not None:
                yield from _placed((*place, "rotation", "contacts"), shift.rotation.contacts)
        for number, override in enumerate(self.overrides):
            yield from _placed(("overrides", number, "contacts"), override.contacts)
        yield from _placed(("fallback",), self.fallback)

    def _changes(self, at: datetime) -> set[datetime]:
        found = {
            moment(wall, self.time_zone)
            for override in self.overrides
            for wall in (override.begin, override.end)
        }
        today = at.astimezone(ZoneInfo(self.time_zone)).date()
        for shift in self.shifts:
            for number in range(-1, _AHEAD_DAYS):
                day = today + timedelta(days=number)
                if shift.on(day):
                    found |= {*span(day, shift.begin, shift.end, self.time_zone)}
        return found


def _days_around(at: datetime, zone: str) -> Iterator[date]:
    """Days on which a shift may have begun that is now; where clocks go back, also tomorrow."""
    today = at.astimezone(ZoneInfo(zone)).date()
    return (today + timedelta(days=number) for number in (-1, 0, 1))


def _placed(
    place: tuple[str | int, ...], contacts: tuple[str, ...]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    return (((*place, number), contact) for number, contact in enumerate(contacts))

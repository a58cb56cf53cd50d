"""People who can be paged: how they are reached, when they are left in peace, how often."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from config.rota import Part
from config.wall_clock import DAYS, ClockTime, TimeZone, gaps, span

__all__ = ["CHANNELS", "Channel", "Contact", "Kind", "Limit", "Quiet", "Tier"]

Tier = Literal["watch", "warning", "urgent"]
Kind = Literal["patient", "operations"]
#: Text message, mail, and a file and the terminal of the machine that pages.
Channel = Literal["sms", "email", "local"]
CHANNELS: tuple[Channel, ...] = ("sms", "email", "local")


class Limit(Part):
    """How often a contact is paged at most; what is more waits and goes out as one text.

    Attributes:
        texts: so many
        minutes: within so many minutes.
    """

    texts: int = Field(gt=0)
    minutes: float = Field(gt=0)


#: Those of GoAlert, which found them on people: one a minute, and not many of them for long.
DEFAULT_LIMITS = tuple(
    Limit(texts=texts, minutes=minutes) for texts, minutes in ((1, 1), (5, 15), (11, 60), (21, 180))
)


class Quiet(Part):
    """Hours of every day in which a contact's pages of some tiers are held until the end.

    Attributes:
        begin: local time of day, in the contact's time zone; ``from`` in the file.
        end: the same, of the next day where it is not after the begin; ``to`` in the file.
        tiers: whose pages are held. Urgent ones about patients never are.
        kind: only those about patients, or about operations; None: both.
    """

    begin: ClockTime = Field(alias="from")
    end: ClockTime = Field(alias="to")
    tiers: Annotated[tuple[Tier, ...], Field(min_length=1)]
    kind: Kind | None = None

    @model_validator(mode="after")
    def _urgent_is_never_held(self) -> "Quiet":
        if "urgent" in self.tiers and self.kind != "operations":
            raise ValueError(
                "urgent alerts about patients are never held: take 'urgent' out of the tiers, or "
                "add 'kind: operations' where only those may wait"
            )
        if self.begin == self.end:
            raise ValueError(
                "it is quiet all day, so what is held is held for ever: end it earlier"
            )
        return self

    def holds(self, tier: Tier, kind: Kind) -> bool:
        """Whether it is about such pages."""
        return tier in self.tiers and self.kind in (None, kind)


class Contact(Part):
    """A person, or a telephone that is handed on.

    Attributes:
        name: for boards and lists.
        sms: telephone number in the form of E.164, or None.
        email: address, or None.
        time_zone: where the person lives; of the quiet hours.
        quiet: when pages are held.
        limits: all of them hold at once.
    """

    name: str = Field(min_length=1)
    sms: str | None = None
    email: str | None = Field(None, max_length=254)
    time_zone: TimeZone = "UTC"
    quiet: tuple[Quiet, ...] = ()
    limits: tuple[Limit, ...] = DEFAULT_LIMITS

    @field_validator("sms")
    @classmethod
    def _e164(cls, given: str | None) -> str | None:
        digits = (given or "")[1:]
        if given is not None and not (
            given[:1] == "+" and digits.isascii() and digits.isdecimal()
            and 7 <= len(digits) <= 15 and digits[0] != "0"
        ):  # fmt: skip
            raise ValueError(
                "write a telephone number as +447700900123: plus, country, number, nothing between"
            )
        return given

    @field_validator("email")
    @classmethod
    def _address(cls, given: str | None) -> str | None:
        local, _, domain = (given or "").rpartition("@")
        if given is not None and (
            not local or "." not in domain.strip(".") or not given.isprintable() or " " in given
            or "@" in local
        ):  # fmt: skip
            raise ValueError("write an e-mail address as ward@example.org")
        return given

    @model_validator(mode="after")
    def _not_quiet_for_ever(self) -> "Contact":
        for tier in ("watch", "warning", "urgent"):
            for kind in ("patient", "operations"):
                held: list[Any] = [q for q in self.quiet if q.holds(tier, kind)]
                if held and not gaps((DAYS, q.begin, q.end) for q in held):
                    raise ValueError(
                        f"quiet hours hold {kind} alerts of tier {tier} all day, so for ever: "
                        "leave an hour between them"
                    )
        return self

    def reached_by(self, channel: Channel) -> bool:
        """Whether it can be paged so; what is local needs no address."""
        return channel == "local" or getattr(self, channel) is not None

    def held_until(self, tier: Tier, kind: Kind, at: datetime) -> datetime | None:
        """When a page that is held may go, UTC; None where it may go now."""
        quiet = [each for each in self.quiet if each.holds(tier, kind)]
        until = at
        while ends := [end for each in quiet if (end := self._end(each, until)) is not None]:
            until = max(ends)
        return None if until == at else until.astimezone(UTC)

    def _end(self, quiet: Quiet, at: datetime) -> datetime | None:
        today = at.astimezone(ZoneInfo(self.time_zone)).date()
        for number in (-1, 0, 1):
            day = today + timedelta(days=number)
            begin, end = span(day, quiet.begin, quiet.end, self.time_zone)
            if begin <= at < end:
                return end
        return None

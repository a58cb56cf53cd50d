"""Silences: for a while nobody is paged about something, because somebody said so."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Protocol

from config.contacts import Kind, Tier

__all__ = ["SilenceLike", "silenced"]


class SilenceLike(Protocol):
    """What a silence has to say; see `streams.alert_events.Silence`."""

    @property
    def silence_id(self) -> str:
        """Names it."""

    @property
    def kind(self) -> Kind | None:
        """About patients, about operations, or None: both."""

    @property
    def unit_id(self) -> str | None:
        """Of one unit, or None: everywhere."""

    @property
    def tiers(self) -> Collection[Tier]:
        """Empty: all but urgent, which has to be named."""

    @property
    def starts_at(self) -> datetime:
        """The first moment at which it holds."""

    @property
    def ends_at(self) -> datetime:
        """The first moment at which it does not hold any more."""


def silenced(
    silences: Iterable[SilenceLike], kind: Kind, unit_id: str | None, tier: Tier, at: datetime
) -> str | None:
    """Return the id of the first silence that keeps an alert from paging; None where none does.

    Args:
        silences: those that are known, ended ones too.
        kind: of the alert.
        unit_id: of the alert; an alert of no unit is silenced by what holds everywhere only.
        tier: of the alert.
        at: event time of the alert, with a time zone.
    """
    for silence in silences:
        if (
            silence.starts_at <= at < silence.ends_at
            and silence.kind in (None, kind)
            and silence.unit_id in (None, unit_id)
            and (tier in silence.tiers if silence.tiers else tier != "urgent")
        ):
            return silence.silence_id
    return None

"""What the pager keeps: alerts, the pages to each person, its clock; and their codec.

A row is stored under a letter and its id. Rows are arrays with a version in front, so that a later
release may add to their end.
"""

from datetime import datetime
from typing import Any, Literal

import msgspec

__all__ = [
    "OPEN",
    "Alert",
    "Clock",
    "Early",
    "Page",
    "Quiet",
    "Row",
    "RowError",
    "decode",
    "encode",
    "key_of",
]

#: States of an alert in which somebody may still have to come.
OPEN = frozenset({"raised", "silenced", "over_budget", "unanswered"})

_VERSION = 1


class RowError(ValueError):
    """A row cannot be read by this release."""


class Alert(msgspec.Struct, array_like=True):
    """One alert: a patient's episode at a tier, or something operators have to see to.

    Attributes:
        alert_id: deterministic and opaque.
        reference: what pages call it: short, without vowels, unique among those that are kept.
        kind: ``patient`` or ``operations``.
        tier: ``watch``, ``warning`` or ``urgent``.
        subject: what it is about, without a patient.
        raised_ms: event time.
        patient_id: None where no patient is meant.
        unit_id: None where it is not known.
        episode_ms: begin of the patient's episode.
        state: see `streams.alert_events.AlertState`.
        step: of the escalation that was begun last; -1 = none.
        due_ms: event time at which something is next to be done by itself.
        changes: how many changes were told; numbers their ids.
        answers: those that were taken, so that one delivered again is known.
        declined: who has declined.
    """

    alert_id: str
    reference: str
    kind: Literal["patient", "operations"]
    tier: Literal["watch", "warning", "urgent"]
    subject: str
    raised_ms: int
    patient_id: str | None = None
    unit_id: str | None = None
    episode_ms: int | None = None
    state: str = "raised"
    step: int = -1
    due_ms: int | None = None
    changes: int = 0
    answers: list[str] = []
    declined: list[str] = []

    @property
    def is_open(self) -> bool:
        """Whether somebody may still have to come."""
        return self.state in OPEN


class Page(msgspec.Struct, array_like=True):
    """One alert to one person: exactly one.

    Attributes:
        page_id: made of the alert's id and the contact.
        alert_id: of the alert.
        contact: of the alert policy.
        step: of the escalation.
        channels: those that are left, the first in use.
        state: see `streams.alert_events.AlertState`.
        queued_ms: event time when it was queued first.
        held_until_ms: event time before which the person is left in peace.
        attempts: requests that were begun.
        retry_wall_ms: wall clock before which nothing is sent again.
        sending_wall_ms: wall clock when the last request was begun.
        doubt_wall_ms: wall clock since when it is in doubt.
        ask_wall_ms: wall clock when the provider is next asked whether it has the page.
        provider_id: the provider's id of the message that carried it.
        possible_repeat: whether the person may have got it before.
    """

    page_id: str
    alert_id: str
    contact: str
    step: int
    channels: list[str]
    state: str = "queued"
    queued_ms: int = 0
    held_until_ms: int = 0
    attempts: int = 0
    retry_wall_ms: int = 0
    sending_wall_ms: int = 0
    ask_wall_ms: int = 0
    provider_id: str | None = None
    possible_repeat: bool = False
    doubt_wall_ms: int = 0


class Early(msgspec.Struct, array_like=True):
    """A receipt that came before it was known which page it is of.

    Attributes:
        provider_id: the provider's id of the message.
        status: the last that counts.
        error_code: of the provider.
        wall_ms: when it came.
    """

    provider_id: str
    status: str
    error_code: int | None
    wall_ms: int


class Quiet(msgspec.Struct, array_like=True):
    """A silence: see `streams.alert_events.Silence`."""

    silence_id: str
    kind: Literal["patient", "operations"] | None
    unit_id: str | None
    tiers: list[Literal["watch", "warning", "urgent"]]
    starts_at: datetime
    ends_at: datetime


class Clock(msgspec.Struct, array_like=True):
    """Event time as far as it is known: see `tables.pager.Pager.now`.

    Attributes:
        event_ms: event time.
        wall_ms: wall clock then.
    """

    event_ms: int
    wall_ms: int


Row = Alert | Page | Early | Quiet | Clock

_KINDS: dict[bytes, type[Row]] = {
    b"a": Alert,
    b"p": Page,
    b"r": Early,
    b"s": Quiet,
    b"k": Clock,
}
_LETTERS = {kind: letter for letter, kind in _KINDS.items()}
_DECODERS: dict[bytes, Any] = {
    letter: msgspec.msgpack.Decoder(tuple[int, kind])  # type: ignore[valid-type]
    for letter, kind in _KINDS.items()
}
_ENCODE = msgspec.msgpack.Encoder().encode


def key_of(row: Row) -> bytes:
    """Key of a row in the store."""
    match row:
        case Alert():
            name = row.alert_id
        case Page():
            name = row.page_id
        case Early():
            name = row.provider_id
        case Quiet():
            name = row.silence_id
        case Clock():
            name = ""
    return _LETTERS[type(row)] + name.encode()


def encode(row: Row) -> bytes:
    """Encode a row."""
    return _ENCODE((_VERSION, row))


def decode(key: bytes, value: bytes) -> Row | None:
    """Decode a row; None where the key is none of the pager's own.

    Raises:
        RowError: it was written by a later release, or is damaged.
    """
    decoder = _DECODERS.get(key[:1])
    if decoder is None:
        return None
    try:
        version, row = decoder.decode(value)
    except msgspec.MsgspecError as error:
        raise RowError(f"a row of the pager cannot be read ({error}); was it damaged?") from None
    if version != _VERSION:
        raise RowError(f"a row of the pager has version {version}: run a release that knows it")
    found: Row = row
    return found

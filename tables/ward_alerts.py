"""What is kept of a patient's alert, from the changes on `alerts`.

The pager numbers the changes of an alert, and the number is in the change's id: it decides which is
the newer, for their times may be those of a person's clock. So changes may come twice and in any
order.
"""

import re
from typing import Literal

import msgspec

from tables.alert_rows import OPEN
from tables.ward_rows import read_row

__all__ = ["AlertStory", "Event", "decode", "encode", "is_of_page"]

PagedTier = Literal["watch", "warning", "urgent"]

#: People and answers of an alert that are kept: more than any policy has.
_MOST = 32
_VERSION = b"\x01"
_NUMBER = re.compile(r"-(\d{1,18})-[a-z_]+(?:-[0-9a-f]{8})?")
#: States that an alert stays in; declined and escalated call the next person and change nothing.
_LASTING = frozenset({"raised", "silenced", "over_budget", "unanswered", "accepted", "resolved"})
_ANSWERS = frozenset({"accepted", "declined", "escalated"})
#: An alert that was held back and then pages is told of by its pages alone.
_HELD = frozenset({"silenced", "over_budget"})
_OF_PAGES = frozenset({"queued", "sending", "sent", "delivered", "failed", "in_doubt"})


class Event(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One change.

    Attributes:
        number: of the change, counted from 0 in each alert; -1 = its id does not say.
        at_ms: event time.
        state: see `streams.alert_events.AlertState`.
        contact: who answered, or who was paged.
        channel: of the page.
        step: of the escalation, from 0.
        detail: for people.
    """

    number: int
    at_ms: int
    state: str
    contact: str | None = None
    channel: str | None = None
    step: int | None = None
    detail: str = ""

    @property
    def order(self) -> tuple[int, int, str, str]:
        """Of two, the one with the higher is the newer."""
        return self.number, self.at_ms, self.state, self.contact or ""


def is_of_page(state: str, contact: str | None) -> bool:
    """Whether a change is of the page to one person, not of the alert."""
    return contact is not None and (state in _OF_PAGES or state == "resolved")


def number_of(change_id: str, alert_id: str) -> int:
    """Number of a change, from its id; -1 where it has none."""
    found = _NUMBER.fullmatch(change_id.removeprefix(alert_id))
    return int(found[1]) if found and change_id.startswith(alert_id) else -1


class AlertStory(msgspec.Struct, array_like=True, frozen=True):
    """One alert of one patient.

    Attributes:
        alert_id: opaque.
        reference: what pages call it.
        tier: of the alert.
        subject: what it is about, without a patient.
        patient_id: whose.
        unit_id: where the patient was then.
        first: its first change that is known: when it was raised, and why where that is told.
        lasting: newest change to a state that lasts; None = not known yet.
        pages: by contact the newest of its page.
        answers: of people and escalations, the oldest first.
    """

    alert_id: str
    reference: str
    tier: PagedTier
    subject: str
    patient_id: str
    unit_id: str | None
    first: Event
    lasting: Event | None = None
    pages: dict[str, Event] = {}
    answers: tuple[Event, ...] = ()

    @property
    def state(self) -> str:
        """State that the alert is in."""
        if self.lasting is None:
            return "raised"
        paged = max((page.number for page in self.pages.values()), default=-1)
        if self.lasting.state in _HELD and paged > self.lasting.number:
            return "raised"
        return self.lasting.state

    @property
    def is_open(self) -> bool:
        """Whether somebody may still have to come."""
        return self.state in OPEN

    @property
    def newest_ms(self) -> int:
        """Event time of the newest change that is kept."""
        kept = [self.first, *self.pages.values(), *self.answers]
        if self.lasting is not None:
            kept.append(self.lasting)
        return max(event.at_ms for event in kept)

    def joined(self, event: Event) -> "AlertStory":
        """With one more change, early or late."""
        first, lasting = min(self.first, event, key=_order), self.lasting
        pages, answers = self.pages, self.answers
        if is_of_page(event.state, event.contact):
            assert event.contact is not None
            known = pages.get(event.contact)
            ahead = event if known is None else max(known, event, key=_order)
            newest = sorted(
                {**pages, event.contact: ahead}.items(), key=lambda item: _order(item[1])
            )
            pages = dict(sorted(newest[-_MOST:]))
        elif event.state in _LASTING:
            lasting = event if lasting is None else max(lasting, event, key=_order)
        if event.state in _ANSWERS and event not in answers:
            answers = tuple(sorted((*answers, event), key=_order)[-_MOST:])
        return msgspec.structs.replace(
            self, first=first, lasting=lasting, pages=pages, answers=answers
        )


def _order(event: Event) -> tuple[int, int, str, str]:
    return event.order


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(AlertStory)


def encode(story: AlertStory) -> bytes:
    """Write an alert."""
    return _VERSION + _encode(story)


def decode(stored: bytes) -> AlertStory:
    """Read what `encode` wrote.

    Raises:
        RowError: it was written by another release, or is damaged.
    """
    return read_row(stored, _VERSION, _decoder, "an alert of the ward")

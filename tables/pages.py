"""Pages on their way to people: one alert to one person, exactly once.

    queued ─→ sending ─→ sent ─→ delivered
       ↑         │  └─→ failed ─→ the next channel, or the next step
       └─────────┴─→ in_doubt ─→ the provider has it: sent; it has not: queued

Nothing may be sent before the broker has what `claim` changed. A request whose answer was lost, or
whose worker was, is in doubt, and the provider is asked before anything else is done. What is over
a person's limits waits, and goes as one message.

Times that concern the person (quiet hours, limits) are event time, those that concern the provider
(another try, a question) are the wall clock.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from config.clock import DAY_MS, from_ms
from config.policy import Policy
from streams.delivery.message import (
    Accepted,
    Busy,
    Channel,
    InDoubt,
    Message,
    Outcome,
    Refused,
)
from tables.alert_book import AlertBook
from tables.alert_rows import Alert, Early, Page
from tables.throttle import Throttle
from tables.wording import MAX_BUNDLE, body, subject

__all__ = ["Pages", "Sending", "page_id"]

#: Wall clock, ms: the first question after a doubt, and the longest time between two.
_ASK_MS, _ASK_MOST_MS = 2_000, 30_000
#: Wall clock, ms: the first and the longest pause of a provider that takes nothing.
_PAUSE_MS, _PAUSE_MOST_MS = 1_000, 60_000
#: Wall clock, ms: however long a provider asks to be left alone. People wait.
_RETRY_MOST_S = 600.0


def page_id(alert_id: str, contact: str) -> str:
    """Id of the one page of an alert to a contact; the tier is in the alert's id."""
    return hashlib.sha256(f"{alert_id}/{contact}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Sending:
    """Pages that go to a provider as one message."""

    channel: Channel
    contact: str
    pages: tuple[str, ...]
    message: Message


class Pages:
    """What goes to whom, and what became of it.

    Args:
        book: where alerts and pages are.
        policy: addresses, quiet hours and limits.
        failed: is told an alert, one page of which can never arrive, and the event time.
        link: for the texts, with ``{reference}`` in it; None = no link.
        grace_ms: wall clock in doubt; a provider that does not have it by then never will.
    """

    def __init__(
        self,
        book: AlertBook,
        policy: Policy,
        failed: Callable[[Alert, int], None],
        *,
        link: str | None,
        grace_ms: int,
    ) -> None:
        self._book, self._policy, self._tell_failed = book, policy, failed
        self._link, self._grace_ms = link, grace_ms
        self._throttle = Throttle()
        self._queued: dict[str, list[str]] = defaultdict(list)
        self._doubtful: set[str] = set()
        self._under_way: dict[str, Channel] = {}
        self._of_message: dict[str, list[str]] = defaultdict(list)
        self._early: dict[str, Early] = {}
        self._refusals: dict[Channel, int] = defaultdict(int)
        self._paused_until: dict[Channel, int] = {}

    def restore(self, early: list[Early], now: int, wall_ms: int) -> None:
        """Go on with the pages that are in the book; requests that were under way are in doubt."""
        self._early = {receipt.provider_id: receipt for receipt in early}
        for page in sorted(self._book.pages.values(), key=lambda page: page.sending_wall_ms):
            contact = self._policy.contacts.get(page.contact)
            if page.sending_wall_ms and contact is not None and page.channels[:1] == ["sms"]:
                sent_ms = now - (wall_ms - page.sending_wall_ms)
                mark = page.sending_wall_ms
                self._throttle.note(page.contact, sent_ms, contact.limits, mark)
            if page.provider_id is not None:
                self._of_message[page.provider_id].append(page.page_id)
            if page.state == "queued":
                self._queued[page.contact].append(page.page_id)
            elif page.state == "in_doubt":
                self._doubtful.add(page.page_id)
            elif page.state == "sending":
                self._doubt(page, now, wall_ms, "the worker was gone before the answer was there")

    # -- new pages

    def queue(self, alert: Alert, contact: str, step: int, channels: list[str], at_ms: int) -> bool:
        """Queue the page of an alert to a contact; tell whether there is any way to the person."""
        known = self._policy.contacts.get(contact)
        ways = [channel for channel in channels if self._address(contact, channel) is not None]
        page = Page(page_id(alert.alert_id, contact), alert.alert_id, contact, step, ways)
        self._book.add(page)
        if known is None or not ways:
            page.state = "failed"
            self._book.change(alert, "failed", at_ms, page=page, detail="there is no address")
            return False
        tier, kind = alert.tier, alert.kind
        held = self._policy.held_until(contact, tier, kind, from_ms(at_ms))
        page.held_until_ms = 0 if held is None else round(held.timestamp() * 1000)
        page.queued_ms = at_ms
        self._queue(page, at_ms)
        return True

    def cancel(self, alert: Alert, at_ms: int) -> None:
        """Take back what has not been sent of an alert."""
        for known in self._book.pages_of.get(alert.alert_id, ()):
            page = self._book.pages[known]
            if page.state == "queued":
                self._queued[page.contact].remove(known)
                page.state = "resolved"
                self._book.change(alert, "resolved", at_ms, page=page, detail="needed no more")

    # -- to the provider

    def claim(self, now: int, wall_ms: int) -> list[Sending]:
        """Take out what may be sent now, a message a person at most; it is `sending` then."""
        found = []
        for contact in [who for who, waiting in self._queued.items() if waiting]:
            if contact not in self._under_way:
                sending = self._next(contact, now, wall_ms)
                if sending is not None:
                    found.append(sending)
        return found

    def _next(self, contact: str, now: int, wall_ms: int) -> Sending | None:
        ready = [
            page
            for page in map(self._book.pages.__getitem__, self._queued[contact])
            if page.held_until_ms <= now and page.retry_wall_ms <= wall_ms
        ]
        known = self._policy.contacts.get(contact)
        if known is None:  # the policy was changed meanwhile
            for page in ready:
                self._queued[contact].remove(page.page_id)
                page.channels = page.channels[:1]
                self._failed(page, "the contact is no longer in the policy", now)
            return None
        limits = known.limits
        for channel in dict.fromkeys(_channel(page) for page in ready):
            if self._paused_until.get(channel, 0) > wall_ms:
                continue
            # a provider that has just refused is tried with one message
            if self._refusals.get(channel) and channel in self._under_way.values():
                continue
            if channel == "sms":
                if self._throttle.allowed_at(contact, limits) > now:
                    continue
                self._throttle.note(contact, now, limits, wall_ms)
            # what may be a repeat goes by itself, so that nothing else is called one
            pages = [page for page in ready if _channel(page) == channel]
            pages = [page for page in pages if page.possible_repeat == pages[0].possible_repeat]
            return self._begin(contact, channel, pages[:MAX_BUNDLE], now, wall_ms)
        return None

    def _begin(
        self, contact: str, channel: Channel, pages: list[Page], now: int, wall_ms: int
    ) -> Sending:
        self._under_way[contact] = channel
        for page in pages:
            self._queued[contact].remove(page.page_id)
            page.state, page.sending_wall_ms = "sending", wall_ms
            page.attempts += 1
            self._book.change(self._alert(page), "sending", now, page=page)
        return Sending(
            channel, contact, tuple(page.page_id for page in pages), self._message(pages)
        )

    def _message(self, pages: list[Page]) -> Message:
        first, alerts = pages[0], [self._alert(page) for page in pages]
        return Message(
            page_id=first.page_id,
            channel=_channel(first),
            to=self._address(first.contact, first.channels[0]) or "",
            references=tuple(alert.reference for alert in alerts),
            subject=subject(alerts),
            body=body(alerts, self._link, first.possible_repeat),
            message_id=f"<{first.page_id}@vigil.invalid>",
            possible_repeat=first.possible_repeat,
        )

    # -- from the provider

    def settled(self, sending: Sending, outcome: Outcome, now: int, wall_ms: int) -> None:
        """Note what became of a message."""
        self._under_way.pop(sending.contact, None)
        self._pause(sending, outcome, wall_ms)
        for known in sending.pages:
            page = self._book.pages.get(known)
            # in doubt: after a rebalance the same worker may have begun anew meanwhile
            if page is None or page.state not in ("sending", "in_doubt"):
                continue
            self._doubtful.discard(known)
            match outcome:
                case Accepted(provider_id):
                    self._sent(page, provider_id, now)
                case Refused(code, reason):
                    self._failed(page, f"{code}: {reason}", now)
                case Busy(_, reason):
                    self._take_back(page)
                    # others come first: it may be this person's mailbox that is full
                    page.retry_wall_ms = self._paused_until[sending.channel] + _PAUSE_MS
                    self._queue(page, now, detail=reason)
                case InDoubt(reason):
                    self._doubt(page, now, wall_ms, reason)

    def _pause(self, sending: Sending, outcome: Outcome, wall_ms: int) -> None:
        """Leave a provider alone that takes nothing, ever longer; and go on when it does again."""
        channel = sending.channel
        if isinstance(outcome, Accepted | Refused):
            self._refusals.pop(channel, None)
            self._paused_until.pop(channel, None)
            return
        pause_ms = min(_PAUSE_MOST_MS, _PAUSE_MS << min(self._refusals[channel], 10))
        self._refusals[channel] += 1
        if isinstance(outcome, Busy):
            pause_ms = max(pause_ms, round(1000 * min(outcome.retry_after_s or 0, _RETRY_MOST_S)))
        self._paused_until[channel] = wall_ms + pause_ms

    def receipt(self, provider_id: str, status: str, code: int | None, now: int, wall: int) -> None:
        """Take in what a provider says of a message that it took; old news changes nothing."""
        if provider_id in self._of_message:
            for known in self._of_message[provider_id]:
                page = self._book.pages.get(known)
                if page is not None and page.provider_id == provider_id:
                    self._arrived(page, status, code, now)
            if not self._doubtful:
                return
            # others that went with the same message may still be in doubt, and are found later
        # else it was quicker than the answer to the request
        before = self._early.get(provider_id)
        if before is None or before.status not in ("delivered", "undelivered", "failed"):
            self._early[provider_id] = early = Early(provider_id, status, code, wall)
            self._book.touch(early)

    def forget(self, alert: Alert) -> None:
        """Forget which messages carried the pages of an alert that is over for long."""
        for known in self._book.pages_of.get(alert.alert_id, ()):
            provider_id = self._book.pages[known].provider_id
            if provider_id is not None:
                self._of_message.pop(provider_id, None)

    def forget_early(self, wall_ms: int) -> None:
        """Forget receipts that nobody has come for in a day."""
        for early in [e for e in self._early.values() if e.wall_ms < wall_ms - DAY_MS]:
            del self._early[early.provider_id]
            self._book.drop(early)

    # -- doubts

    def doubtful(self, wall_ms: int) -> list[tuple[str, Message, int]]:
        """Pages that the provider is to be asked about now: id, message, begin of the request."""
        found = []
        for known in sorted(self._doubtful):
            page = self._book.pages[known]
            if page.ask_wall_ms <= wall_ms:
                page.ask_wall_ms = wall_ms + _ASK_MOST_MS  # the answer comes before
                found.append((known, self._message([page]), page.sending_wall_ms))
        return found

    def answered(self, known: str, provider_id: str | None, now: int, wall_ms: int) -> None:
        """Note that the provider has a page that was in doubt, by its id; or has not, None."""
        page = self._in_doubt(known)
        if page is None:
            return
        self._refusals.pop(_channel(page), None)
        self._paused_until.pop(_channel(page), None)
        over_ms = page.doubt_wall_ms + self._grace_ms
        if provider_id is not None:
            self._doubtful.discard(known)
            self._sent(page, provider_id, now, detail="the provider has it")
        elif wall_ms >= over_ms:
            self._doubtful.discard(known)
            self._take_back(page)
            self._queue(page, now, detail="the provider does not have it")
        else:
            page.ask_wall_ms = min(over_ms, wall_ms + _ASK_MS)

    def untold(self, known: str, now: int, wall_ms: int) -> None:
        """Note that it cannot be told whether the provider has a page.

        A mail server can never be asked: after the grace the mail goes again, with the same
        Message-ID and marked as a possible repeat. A provider of texts is asked until it answers;
        meanwhile the escalation goes on to the next person by itself.
        """
        page = self._in_doubt(known)
        if page is None:
            return
        over_ms = page.doubt_wall_ms + self._grace_ms
        if page.channels[0] != "email":
            waited_ms = wall_ms - page.doubt_wall_ms
            page.ask_wall_ms = wall_ms + min(max(waited_ms, _ASK_MS), _ASK_MOST_MS)
        elif wall_ms >= over_ms:
            self._doubtful.discard(known)
            page.possible_repeat = True
            self._queue(page, now, detail="it cannot be told whether it has arrived")
        else:
            page.ask_wall_ms = over_ms

    def _take_back(self, page: Page) -> None:
        """Count a text for nothing that surely did not arrive: an outage uses up no limit."""
        self._throttle.take_back(page.contact, page.sending_wall_ms)
        page.sending_wall_ms = 0

    def _in_doubt(self, known: str) -> Page | None:
        page = self._book.pages.get(known)
        return page if page is not None and page.state == "in_doubt" else None

    # -- states

    def _queue(self, page: Page, at_ms: int, *, detail: str = "") -> None:
        alert = self._alert(page)
        if page.attempts and not alert.is_open:
            page.state = "resolved"
            self._book.change(alert, "resolved", at_ms, page=page, detail="needed no more")
            return
        page.state = "queued"
        self._queued[page.contact].append(page.page_id)
        self._book.change(alert, "queued", at_ms, page=page, detail=detail)

    def _sent(self, page: Page, provider_id: str, at_ms: int, *, detail: str = "") -> None:
        page.state, page.provider_id = "sent", provider_id
        self._of_message[provider_id].append(page.page_id)
        self._book.change(self._alert(page), "sent", at_ms, page=page, detail=detail)
        # kept for a day: other pages that went with this message need it too
        early = self._early.get(provider_id)
        if early is not None:
            self._arrived(page, early.status, early.error_code, at_ms)
        elif page.channels[0] == "local":
            self._arrived(page, "delivered", None, at_ms)

    def _doubt(self, page: Page, at_ms: int, wall_ms: int, reason: str) -> None:
        page.state, page.ask_wall_ms, page.doubt_wall_ms = "in_doubt", wall_ms, wall_ms
        self._doubtful.add(page.page_id)
        self._book.change(self._alert(page), "in_doubt", at_ms, page=page, detail=reason)

    def _arrived(self, page: Page, status: str, code: int | None, at_ms: int) -> None:
        """Take in a receipt: that it has arrived is believed against anything that comes late."""
        if status == "delivered" and page.state in ("sent", "failed"):
            page.state = "delivered"
            self._book.change(self._alert(page), "delivered", at_ms, page=page)
        elif status in ("undelivered", "failed") and page.state == "sent":
            self._failed(page, f"not delivered, code {code}", at_ms)

    def _failed(self, page: Page, reason: str, at_ms: int) -> None:
        """Go on with the person's next channel, or tell that this person cannot be reached."""
        alert = self._alert(page)
        if len(page.channels) > 1 and alert.is_open:
            self._book.change(alert, "failed", at_ms, page=page, detail=reason)
            page.channels = page.channels[1:]
            self._queue(page, at_ms, detail="by the next channel")
            return
        page.state = "failed"
        self._book.change(alert, "failed", at_ms, page=page, detail=reason)
        self._tell_failed(alert, at_ms)

    # -- who and where

    def _alert(self, page: Page) -> Alert:
        return self._book.alerts[page.alert_id]

    def _address(self, contact: str, channel: str) -> str | None:
        known = self._policy.contacts.get(contact)
        if known is None:
            return None
        return {"sms": known.sms, "email": known.email, "local": known.name}.get(channel)


def _channel(page: Page) -> Channel:
    found: Channel = page.channels[0]  # type: ignore[assignment]  # stored as text
    return found

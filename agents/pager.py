"""Alerts → people: the path from an alert to somebody who has accepted it.

    alerts.raised, alerts.acknowledged, alerts.silences, delivery.receipts
      → pager → alerts, audit
              ↔ pages
              → provider → SMS, e-mail

One worker has the one partition of each topic, so there is one pager. What the broker does not have
has not happened: changes are told first, then stored, then acted on. A pager that is killed in
between tells them again, with the ids that they had.
"""

import asyncio
import logging
from collections.abc import Mapping
from time import monotonic
from typing import Any

from faust.types import TP

from agents.work import Work, dead_letter, each, finish, reason
from config.clock import from_ms, now_ms, to_ms
from config.policy import Policy
from streams.alert_events import (
    Acknowledgement,
    AlertChange,
    AlertRaised,
    AuditEntry,
    RaisedEvent,
    Receipt,
    Silence,
)
from streams.application import VigilApp, report_lag
from streams.audit import Chain, newest, of_change
from streams.audit_hashes import Hashes, audit_key
from streams.delivery.message import Channel, FindError, InDoubt, Message, Provider
from streams.header_names import require_names
from streams.intake_alerts import give
from streams.metrics import metrics
from streams.outbox import Outbox
from streams.partitions import partition_of
from streams.patience import patiently
from streams.topics import Catalogue
from streams.transport import Batch
from tables.alert_book import Change
from tables.alert_rows import Quiet
from tables.pager import Pager
from tables.pages import Sending
from tables.store import BatchTable

__all__ = ["PagerAgent"]

log = logging.getLogger(__name__)

#: How often it is looked what is due: escalations are exact to the second.
_LOOK_AGAIN_S = 0.25
#: How often alerts and pages are counted: a week of them, whatever the changes are.
_COUNT_AGAIN_S = 1.0
#: After an assignment, for so long nothing is done that is due until all that has come is read.
_READ_WITHIN_S = 10.0
#: A provider that has a message shows it under a time that its own clock gave.
_CLOCKS_DIFFER_MS = 10 * 60_000


class PagerAgent:
    """Takes alerts and answers, and pages people.

    Args:
        app: the application.
        topics: all of them.
        table: of one partition.
        policy: who is paged.
        providers: by channel.
    """

    def __init__(
        self,
        app: VigilApp,
        topics: Catalogue,
        table: BatchTable,
        policy: Policy,
        providers: Mapping[Channel, Provider],
    ) -> None:
        self._app, self._topics, self._table = app, topics, table
        self._policy, self._providers = policy, providers
        self._hashes = Hashes(audit_key(app.settings))
        self._turn = asyncio.Lock()
        self._noting = 0
        self._assignment = -1
        self._unread: dict[TP, int] = {}
        self._read_to: dict[TP, int] = {}
        self._read_by = 0.0
        self._pager = self._new_pager()
        self._chain = Chain()
        self._produced: dict[str, int] = {}

    async def run(self, stream: Any) -> None:
        """Take a batch, do what follows from it."""
        await each(self._app, stream, self._take)

    async def keep(self) -> None:
        """Do what is due by time; runs beside the agent."""
        count_at = 0.0
        while not self._app.should_stop:
            await asyncio.sleep(_LOOK_AGAIN_S)
            if not self._has_place:
                self._count_nothing()
            if self._is_mine:
                try:
                    async with self._turn:
                        outbox = Outbox(self._app.batch_producer)
                        if self._is_mine and await self._go_on(outbox) and monotonic() >= count_at:
                            self._count()
                            count_at = monotonic() + _COUNT_AGAIN_S
                except Exception as error:
                    await self._app.fail(error)

    # -- what comes in

    async def _take(self, event: Any) -> None:
        batch: Batch = event.value
        async with self._turn:
            outbox = Outbox(self._app.batch_producer)
            await self._resume()
            for record in batch.records:
                try:
                    self._read(record)
                except ValueError as error:
                    dead_letter(self._app, self._topics, outbox, record, reason(error))
            self._read_to[batch.tp] = batch.end
            if await self._go_on(outbox):
                Work(event).done()
                report_lag(self._app, batch.tp, batch.end)

    def _read(self, record: Any) -> None:
        require_names(record)
        topics, wall_ms = self._topics, now_ms()
        if record.topic == topics.alerts_raised.name:
            self._raised(record, wall_ms)
        elif record.topic == topics.alerts_acknowledged.name:
            ack = Acknowledgement.model_validate_json(record.value or b"")
            at_ms = to_ms(ack.at)
            if not self._pager.acknowledged(
                ack.alert, ack.answer, ack.by, at_ms, wall_ms, ack.answer_id
            ):
                raise ValueError("there is no such alert, or it is over for long")
        elif record.topic == topics.alerts_silences.name:
            self._silence(record, wall_ms)
        else:
            receipt = Receipt.model_validate_json(record.value or b"")
            now = self._pager.now(wall_ms)
            self._pager.pages.receipt(
                receipt.provider_id, receipt.status, receipt.error_code, now, wall_ms
            )

    def _raised(self, record: Any, wall_ms: int) -> None:
        event = RaisedEvent.model_validate_json(record.value or b"").root
        if isinstance(event, AlertRaised) and event.produced_at is not None:
            self._produced[event.alert_id] = to_ms(event.produced_at)
        give(self._pager, event, wall_ms)

    def _silence(self, record: Any, wall_ms: int) -> None:
        if record.value is not None:
            read = Silence.model_validate_json(record.value)
            silence = Quiet(
                read.silence_id, read.kind, read.unit_id, read.tiers, read.starts_at, read.ends_at
            )
            self._pager.silence(silence.silence_id, silence, wall_ms)
        elif record.key is not None:
            self._pager.silence(record.key.decode(), None, wall_ms)

    # -- what goes out

    async def _go_on(self, outbox: Outbox) -> bool:
        """Tell and store what has changed, then act; False where a rebalance came first."""
        await self._resume()
        wall_ms = now_ms()
        self._pager.waits = not self._has_read_all()
        self._pager.advance(wall_ms)
        sendings, doubts = [], []
        if not self._pager.waits:
            sendings = self._pager.pages.claim(self._pager.now(wall_ms), wall_ms)
            doubts = self._pager.pages.doubtful(wall_ms)
        produced, self._produced = self._produced, {}  # who waits for a limit is not measured
        changes, writes = self._pager.drain()
        for change in changes:
            self._tell(change, outbox)
        if await finish(self._app, await outbox.hand_over()) is None:
            self._assignment = -1  # what is in memory is ahead of what is stored
            return False
        stored = list(writes.items())
        self._table.announce(0, stored, outbox)
        delivered = await finish(self._app, await outbox.hand_over())
        if delivered is None or not self._is_same:
            self._assignment = -1
            return False
        if stored:
            self._table.apply(0, stored)
            self._table.stored(0, delivered)
        for sending in sendings:
            self._app.add_future(self._send(sending, self._assignment, produced))
        for known, message, since_ms in doubts:
            self._app.add_future(self._ask(known, message, since_ms))
        return True

    def _count(self) -> None:
        for state, count in self._pager.counts().items():
            metrics.paging.labels(state).set(count)

    def _count_nothing(self) -> None:
        """Whoever has the alerts now counts them: two workers' figures would be added up."""
        for state in self._new_pager().counts():
            metrics.paging.labels(state).set(0)

    def _tell(self, change: Change, outbox: Outbox) -> None:
        alert, page = change.alert, change.page
        told = AlertChange.model_validate(
            {
                "change_id": change.change_id,
                "alert_id": alert.alert_id,
                "reference": alert.reference,
                "kind": alert.kind,
                "tier": alert.tier,
                "state": change.state,
                "at": from_ms(change.at_ms),
                "subject": alert.subject,
                "patient_id": alert.patient_id,
                "unit_id": alert.unit_id,
                "contact": change.by if page is None else page.contact,
                "channel": change.channel,
                "step": change.step,
                "possible_repeat": change.possible_repeat,
                "detail": change.detail,
            }
        )
        value = told.model_dump_json().encode()
        key, name = alert.alert_id.encode(), self._topics.alerts.name
        outbox.add(name, partition_of(key, self._app.sizes[name]), key, value)
        entry = of_change(told, value, self._hashes)
        outbox.add(self._topics.audit.name, 0, None, self._chain.bind(entry))
        metrics.alert_changes.labels(change.state).inc()

    # -- to and from providers

    async def _send(self, sending: Sending, assignment: int, produced: dict[str, int]) -> None:
        """Hand a message to its provider, and note what became of it."""
        while assignment == self._app.consumer.assignment_number and not self._is_mine:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN_S)
        if assignment != self._app.consumer.assignment_number:
            return  # it is in doubt for whoever has the alerts now
        for alert in map(self._pager.alert_of, sending.pages):
            if alert in produced:
                metrics.paging_latency.observe(max(0, now_ms() - produced[alert]) / 1000)
        try:
            outcome = await self._providers[sending.channel].send(sending.message)
        except Exception as error:
            log.exception("a provider failed in a way that is not its own")
            outcome = InDoubt(type(error).__name__)
        metrics.messages.labels(sending.channel, type(outcome).__name__.lower()).inc()
        wall_ms = now_ms()
        await self._note(
            lambda: self._pager.pages.settled(sending, outcome, self._pager.now(wall_ms), wall_ms)
        )

    async def _ask(self, known: str, message: Message, since_ms: int) -> None:
        """Ask a provider whether it has a page."""
        since = from_ms(since_ms - _CLOCKS_DIFFER_MS)
        try:
            provider_id = await self._providers[message.channel].find(message, since)
        except Exception as error:
            # an answer that is none is no reason to stop paging
            said = str(error) if isinstance(error, FindError) else type(error).__name__
            log.warning("a page stays in doubt: %s", said)
            await self._note(
                lambda: self._pager.pages.untold(known, self._pager.now(now_ms()), now_ms())
            )
            return
        await self._note(
            lambda: self._pager.pages.answered(
                known, provider_id, self._pager.now(now_ms()), now_ms()
            )
        )

    async def _note(self, change: Any) -> None:
        """Note something that was heard of a provider, if the alerts are still ours.

        What is heard while the broker is waited for is told and stored in one go, by the last of
        those that wait: else a page would wait behind two writes for each of them.
        """
        self._noting += 1
        try:
            async with self._turn:
                self._noting -= 1
                # While the lease is away nothing can be stored, but what was heard is not to be
                # heard again: it is kept, and stored when the lease is back, or lost with it.
                if self._is_mine:
                    await self._resume()
                elif not self._is_same:
                    return
                change()
                if self._is_mine and not self._noting:
                    await self._go_on(Outbox(self._app.batch_producer))
        except Exception as error:
            await self._app.fail(error)

    # -- where to go on

    @property
    def _is_mine(self) -> bool:
        """Whether the alerts are this worker's, and what was stored of them is there."""
        return self._has_place and self._app.ready and self._app.lease.sends

    @property
    def _has_place(self) -> bool:
        """Whether the alerts were assigned to this worker."""
        place = TP(self._topics.alerts_raised.name, 0)
        return place in self._app.consumer.assignment()

    @property
    def _is_same(self) -> bool:
        """Whether what is in memory is still of this assignment."""
        return self._assignment == self._app.consumer.assignment_number and self._has_place

    def _has_read_all(self) -> bool:
        """Whether what came before the assignment is read, or has been waited for long enough.

        Somebody may have accepted while nobody paged: the next person is not to be called for it.
        """
        if self._unread and monotonic() < self._read_by:
            consumer = self._app.consumer
            self._unread = {
                tp: end
                for tp, end in self._unread.items()
                if not consumer.handled(tp, end, self._read_to.get(tp, 0))
            }
            return not self._unread
        self._unread = {}
        return True

    async def _resume(self) -> None:
        """After an assignment, go on from what is stored."""
        number = self._app.consumer.assignment_number
        if number == self._assignment:
            return
        self._pager = self._new_pager()
        self._pager.restore(self._table.scan(0), now_ms())
        settings = self._app.settings
        # a broker that blinks just now is no reason to stop
        last, self._unread = await patiently(
            self._ask_broker, settings.bootstrap, settings.broker_wait_s
        )
        self._chain = Chain(last)
        self._read_to, self._read_by = {}, monotonic() + _READ_WITHIN_S
        self._assignment = number

    async def _ask_broker(self) -> tuple[AuditEntry | None, dict[TP, int]]:
        """Ask for the newest audit entry, and how far each topic is to be read."""
        topics, end_offset = self._topics, self._app.consumer.end_offset
        last = await newest(self._app.settings, topics.audit.name, AuditEntry)
        inbox = (topics.alerts_raised, topics.alerts_acknowledged, topics.alerts_silences)
        places = [TP(topic.name, 0) for topic in (*inbox, topics.delivery_receipts)]
        return last, {tp: await end_offset(tp) for tp in places}

    def _new_pager(self) -> Pager:
        settings = self._app.settings
        grace_ms = round(1000 * settings.provider_timeout_s * 1.5)
        return Pager(self._policy, link=settings.alert_link, grace_ms=grace_ms)

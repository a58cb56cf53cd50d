"""What operators have to see to → alerts.raised: drift, models that changed, dead letters, lag.

    drift        → what patients, scores or errors are like has changed
    models       → another model scores: promoted, or rolled back
    dead.letters → records that could not be used, once an hour while they come
    (the broker) → consumers that stand still, once an hour while they do

Nothing is kept: an alert's id is made of what it is about, and the pager passes over those that it
knows.
"""

import asyncio
import logging
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from faust.types import TP
from pydantic import ValidationError

from agents.work import Work, each, settle
from config.clock import HOUR_MS, now_ms
from config.policy import Policy
from models.release_records import ModelEvent, ModelPointer
from streams.alert_events import PagedTier
from streams.application import VigilApp
from streams.events import DriftEvent
from streams.intake_alerts import operations_event
from streams.outbox import Outbox
from streams.topics import Catalogue
from streams.transport import Batch

__all__ = ["OperationsAgent"]

log = logging.getLogger(__name__)

#: What is older when it is read is no news: a pager that starts reads topics from their beginning.
_NEWS_MS = HOUR_MS
#: Between two looks at the groups' offsets.
_LOOK_S = 15.0


class OperationsAgent:
    """Raises alerts to operators.

    Args:
        app: the application.
        topics: all of them.
        policy: its version goes on the alerts.
    """

    def __init__(self, app: VigilApp, topics: Catalogue, policy: Policy) -> None:
        self._app, self._topics, self._policy = app, topics, policy
        self._stalled: dict[TP, tuple[int, int]] = {}

    async def run(self, stream: Any) -> None:
        """Take a batch, raise what operators have to know."""
        await each(self._app, stream, self._take)

    async def _take(self, event: Any) -> None:
        batch: Batch = event.value
        outbox = Outbox(self._app.batch_producer)
        for record in batch.records:
            if record.value is not None and record.timestamp > now_ms() - _NEWS_MS:
                self._look_at(record, outbox)
        acks = await outbox.hand_over()
        self._app.add_future(settle(self._app, acks, Work(event)))

    def _look_at(self, record: Any, outbox: Outbox) -> None:
        if record.topic == self._topics.dead_letters.name:
            hour = record.timestamp // HOUR_MS
            self._raise(
                outbox, f"deadletters/{hour}", "warning",
                "records could not be used: `vigil deadletters list` tells why", record.timestamp,
            )  # fmt: skip
            return
        try:
            if record.topic == self._topics.drift.name:
                drift = DriftEvent.model_validate_json(record.value)
                self._raise(
                    outbox, f"drift/{drift.drift_id}", "warning",
                    f"drift of {drift.signal} ({drift.layer})", record.timestamp,
                )  # fmt: skip
                return
            found = ModelEvent.model_validate_json(record.value).root
        except ValidationError as error:  # who writes these topics is us, or a later release
            log.warning("a record of %s says nothing to operators: %s", record.topic, type(error))
            return
        if isinstance(found, ModelPointer):
            move = found.as_move()
            self._raise(
                outbox, f"model/{found.site}/{move.serial}/{move.champion}", "warning",
                f"model {move.champion} scores at {found.site} from now on: {move.action}",
                record.timestamp,
            )  # fmt: skip

    def _raise(self, outbox: Outbox, name: str, tier: PagedTier, subject: str, at_ms: int) -> None:
        raised = operations_event(name, tier, subject, at_ms, self._policy.version)
        key = raised.alert_id.encode()
        outbox.add(self._topics.alerts_raised.name, 0, key, raised.model_dump_json().encode())

    # -- consumers that stand still

    async def keep(self) -> None:
        """Look after the consumers of vital signs; of several workers one does."""
        admin: AIOKafkaAdminClient | None = None
        try:
            while not self._app.should_stop:
                await asyncio.sleep(_LOOK_S)
                if TP(self._topics.alerts_raised.name, 0) not in self._app.consumer.assignment():
                    continue
                try:
                    if admin is None:
                        admin = AIOKafkaAdminClient(**self._app.settings.kafka_client())
                        await admin.start()
                    await self._look_after(admin)
                except KafkaError as error:
                    log.warning("consumers cannot be looked after: %s", error)
                    if admin is not None:
                        await admin.close()
                    admin = None
        finally:
            if admin is not None:
                await admin.close()

    async def _look_after(self, admin: AIOKafkaAdminClient) -> None:
        """Raise an alert where readings wait and the committed offset has not moved for long."""
        group = f"{self._app.settings.topic_prefix}bedside"
        committed = await admin.list_consumer_group_offsets(group)
        vitals = {
            tp: at.offset for tp, at in committed.items() if tp.topic == self._topics.vitals.name
        }
        ends = {tp: await self._app.consumer.end_offset(tp) for tp in vitals}
        wall_ms, outbox = now_ms(), Outbox(self._app.batch_producer)
        for tp, offset in vitals.items():
            before, since_ms = self._stalled.get(tp, (-1, wall_ms))
            if offset >= ends[tp] or offset != before:
                self._stalled[tp] = offset, wall_ms
            elif wall_ms - since_ms > 1000 * self._app.settings.liveness_s:
                self._raise(
                    outbox, f"stalled/{tp.partition}/{wall_ms // HOUR_MS}", "urgent",
                    f"partition {tp.partition} of the vital signs is read by nobody: patients are "
                    "not watched", wall_ms,
                )  # fmt: skip
        await (await outbox.hand_over())

"""Outcomes → lessons: how stays ended, sent on to the learner in the one order it reads."""

import asyncio
from typing import Any

from agents.vitals import VitalsAgent
from agents.work import Work, dead_letter, settle
from config.settings import Settings
from streams.application import VigilApp
from streams.header_names import require_names
from streams.intake import record_bytes
from streams.lessons import StayEnd, decode, require_past
from streams.outbox import Outbox
from streams.topics import Catalogue
from streams.transport import Batch

__all__ = ["OutcomesAgent"]


class OutcomesAgent:
    """Sends on what is an outcome, as it came; what is none is a dead letter.

    It follows the patient's readings: what the broker held of them when the outcome was read is
    scored before the outcome is sent on. It keeps nothing: an outcome that is read again is sent on
    again, and the learner knows which stays it has had.
    """

    def __init__(self, app: VigilApp, topics: Catalogue, vitals: VitalsAgent) -> None:
        self._app, self._topics, self._vitals = app, topics, vitals

    async def run(self, stream: Any) -> None:
        """Take a batch, send its outcomes on; a partition that has to wait holds up no other."""
        last: dict[int, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            async for event in stream.noack().events():
                partition = event.value.tp.partition
                last[partition] = group.create_task(self._in_turn(event, last.get(partition)))

    async def _in_turn(self, event: Any, before: asyncio.Task[None] | None) -> None:
        """Handle a batch once the one before it of the same partition is handled."""
        if before is not None:
            await before
        try:
            await self._vitals.caught_up(event.value)
            if await self._app.consumer.begin(event.value):
                await self._send_on(event)
        except Exception as error:
            await self._app.fail(error)

    async def _send_on(self, event: Any) -> None:
        batch: Batch = event.value
        outbox = Outbox(self._app.batch_producer)
        for record in batch.records:
            try:
                key = _patient(record, self._app.settings)
            except ValueError as error:
                dead_letter(self._app, self._topics, outbox, record, str(error))
            else:
                outbox.add(self._topics.lessons.name, 0, key, record.value)
        acks = await outbox.hand_over()
        self._app.add_future(settle(self._app, acks, Work(event)))


def _patient(record: Any, settings: Settings) -> bytes:
    """Whose outcome it is; ValueError tells why it is none."""
    require_names(record)
    if (size := record_bytes(record)) > settings.max_reading_bytes:
        raise ValueError(f"too large: {size} bytes, at most {settings.max_reading_bytes}")
    outcome = decode(record.value)
    if not isinstance(outcome, StayEnd):
        raise ValueError("not an outcome: it is not JSON")
    require_past(outcome, record.timestamp, settings.future_tolerance_s)
    return outcome.patient_id.encode()

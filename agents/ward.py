"""Recommendations → ward: what is known of each patient, for questions.

recommendations → keep → ward → its changelog, which every worker follows
alerts          → every worker follows
"""

import logging
from collections.abc import Sequence
from typing import Any

from faust.types import TP

from agents.work import Work, dead_letter, each, settle
from streams.application import VigilApp, report_lag
from streams.following import Following
from streams.header_names import unreadable
from streams.outbox import Outbox
from streams.topics import Catalogue
from streams.transport import Batch
from tables.store import BatchTable
from tables.wards import Wards

__all__ = ["WardAgent"]

log = logging.getLogger(__name__)


class WardAgent:
    """Keeps the ward.

    Args:
        app: the application.
        topics: all of them.
        wards: in memory.
        table: where its rows are kept, with as many partitions as the recommendations.

    Attributes:
        changes: follows what other workers keep.
        alerts: follows the alerts.
    """

    def __init__(self, app: VigilApp, topics: Catalogue, wards: Wards, table: BatchTable) -> None:
        self._app, self._topics, self._wards, self._table = app, topics, wards, table
        self._assignment = -1
        self._begun: set[int] = set()
        self.changes = Following(app.settings, table.changelog, self._follow)
        self.alerts = Following(app.settings, topics.alerts.name, self._hear)

    async def run(self, stream: Any) -> None:
        """Take a batch, keep what it says."""
        await each(self._app, stream, self._keep)

    async def _keep(self, event: Any) -> None:
        batch: Batch = event.value
        partition = batch.tp.partition
        self._resume(partition)
        outbox = Outbox(self._app.batch_producer)
        readable = [record for record in batch.records if not unreadable(record)]
        writes, bad = self._wards.recommended(partition, (record.value for record in readable))
        refused = [(record, unreadable(record)) for record in batch.records]
        refused += [(readable[number], "it is no recommendation") for number in bad]
        for record, why in refused:
            if why:
                dead_letter(self._app, self._topics, outbox, record, why)
        self._table.store(partition, list(writes.items()), outbox)
        acks = await outbox.hand_over()
        self._app.add_future(settle(self._app, acks, Work(event), self._table))
        report_lag(self._app, batch.tp, batch.end)

    def _resume(self, partition: int) -> None:
        """After an assignment, go on from what is stored."""
        number = self._app.consumer.assignment_number
        if number != self._assignment:
            self._assignment, self._begun = number, set()
        if partition not in self._begun:
            self._wards.begin(partition, self._table.scan(partition))
            self._begun.add(partition)

    # -- what others keep

    async def _follow(self, records: Sequence[Any]) -> None:
        rows = [(r.key, r.value) for r in records if r.key is not None]
        partition = records[0].partition if records else 0
        if rows and not self._is_mine(partition):
            self._wards.follow(partition, rows)

    def _is_mine(self, partition: int) -> bool:
        """Whether this worker writes a partition itself, and so is ahead of its changelog."""
        if self._assignment != self._app.consumer.assignment_number:
            return False
        place = TP(self._topics.recommendations.name, partition)
        return partition in self._begun and place in self._app.consumer.assignment()

    async def _hear(self, records: Sequence[Any]) -> None:
        for record in records:
            try:
                self._wards.changed(record.value)
            except ValueError:
                # what it says could name a patient: only the place is told
                place = f"{record.topic}-{record.partition}, offset {record.offset}"
                log.warning("%s is no change of an alert: passed over", place)

"""Recommendations → alerts: who has to be looked at.

    recommendations → episodes → alerts.raised: raised, resolved, census

A batch is acknowledged when the broker holds all of that and the episodes' changelog.
"""

from typing import Any

from agents.work import Work, each, settle
from streams.application import VigilApp, report_lag
from streams.deadletters import encode
from streams.header_names import require_names
from streams.metrics import metrics
from streams.outbox import Outbox
from streams.topics import Catalogue, TopicError
from streams.transport import Batch
from tables.episodes import Came, Episodes, decode
from tables.store import BatchTable

__all__ = ["WatchAgent"]


class WatchAgent:
    """Follows each patient's episode, and tells what is to be known of it.

    Args:
        app: the application.
        topics: all of them.
        episodes: what is known of patients.
        table: where it is kept, with as many partitions as the recommendations.
    """

    def __init__(
        self, app: VigilApp, topics: Catalogue, episodes: Episodes, table: BatchTable
    ) -> None:
        self._app, self._topics, self._episodes, self._table = app, topics, episodes, table
        self._assignment = -1

    async def run(self, stream: Any) -> None:
        """Take a batch, send what came of it."""
        await each(self._app, stream, self._watch)

    async def _watch(self, event: Any) -> None:
        batch: Batch = event.value
        partition = batch.tp.partition
        self._resume()
        outbox = Outbox(self._app.batch_producer)
        came = Came()
        for record in batch.records:
            try:
                require_names(record)
                came.add(decode(record.value), record.offset, record.timestamp)
            except ValueError as error:
                metrics.dead_letters.labels(record.topic).inc()
                dead_letters = self._topics.dead_letters.name
                place = partition % self._app.sizes[dead_letters]
                outbox.add(dead_letters, place, None, encode(record, str(error)))
        told = self._episodes.apply(partition, came, self._app.consumer.committed(batch.tp))
        outbox.extend(self._topics.alerts_raised.name, 0, told.events)
        newest_ms = batch.records[-1].timestamp
        self._episodes.sweep(partition, self._table.scan, newest_ms, told.writes)
        self._table.store(partition, list(told.writes.items()), outbox)
        acks = await outbox.hand_over()
        self._app.add_future(settle(self._app, acks, Work(event), self._table))
        report_lag(self._app, batch.tp, batch.end)

    def _resume(self) -> None:
        """After an assignment, start with nothing in memory."""
        number = self._app.consumer.assignment_number
        if number == self._assignment:
            return
        self._assignment = number
        topic = self._topics.recommendations
        if (found := self._app.sizes[topic.name]) != topic.partitions:
            raise TopicError(
                f"Topic {topic.name!r} has {found} partitions and VIGIL_PARTITIONS says "
                f"{topic.partitions}: patients' episodes are kept beside their recommendations, so "
                "the numbers have to be the same. Name a topic that is not there yet in "
                "VIGIL_TOPIC_RECOMMENDATIONS, or make this one anew."
            )
        for partition in range(topic.partitions):
            # another worker may have kept them since; what is stored here is up to date again
            self._episodes.forget(partition)

"""Vitals → recommendations: the path from a reading to a risk.

    vitals, vitals.routed
      → rejects      → dead.letters
      → strays       → vitals.routed, by patient, in the order of their Kafka times
      → own readings → windows → risk → recommendations
      → too late     → vitals.late

A batch is acknowledged when the broker holds all of that and the windows' changelog.
"""

import asyncio
import logging
from time import monotonic
from typing import Any

from faust.types import TP

from agents.admissions import AdmissionsAgent
from agents.labs import LabsAgent
from agents.progress import Progress
from agents.work import Work, dead_letter, finish, settle
from config.clock import now_ms
from streams.application import VigilApp, report_lag
from streams.bedside import DIRECT, ROUTED, Bedside, Results, with_origin
from streams.deadletters import DeadLetterLimit
from streams.intake import Reject
from streams.metrics import metrics
from streams.outbox import Outbox
from streams.partitions import partition_of
from streams.routing import Merger
from streams.topics import Catalogue
from streams.transport import Batch
from tables.store import BatchTable

__all__ = ["VitalsAgent"]

log = logging.getLogger(__name__)

#: A state of this size has a long log: the next commit is not waited for but made, so that a flood
#: of one patient's readings cannot push its state over 32 KiB.
_LARGE_STATE = 12 * 1024

Stray = tuple[Any, bytes, Work]


class VitalsAgent:
    """Scores readings where they belong, and sends on those that do not."""

    def __init__(
        self,
        app: VigilApp,
        topics: Catalogue,
        bedside: Bedside,
        windows: BatchTable,
        admissions: AdmissionsAgent,
        labs: LabsAgent | None,
        model_known: asyncio.Event,
    ) -> None:
        self._app, self._topics, self._bedside = app, topics, bedside
        self._windows, self._admissions, self._labs = windows, admissions, labs
        settings = app.settings
        self._model_known = model_known
        self._progress = {t.name: Progress(app, t) for t in (topics.vitals, topics.vitals_routed)}
        self._limit = DeadLetterLimit(settings.dead_letter_window, settings.dead_letter_ratio)
        self._merger: Merger[Stray] = Merger(settings.route_hold_ms)
        self._routing = asyncio.Lock()
        self._read_to: dict[int, int] = {}
        self._assignment = -1
        self._caught_up: set[int] = set()

    async def run(self, stream: Any) -> None:
        """Take a batch, score it, send what came of it."""
        await self._model_known.wait()
        async for event in stream.noack().events():
            try:
                await self._handle(event)
            except Exception as error:
                # a bug, or a state that cannot be read: stop before anything is lost
                await self._app.fail(error)

    async def caught_up(self, batch: Batch) -> None:
        """Wait until all readings that the broker holds now for a batch's patients are scored.

        So an outcome does not come to the learner before the stay's last reading.
        """
        seconds = self._app.settings.liveness_s / 4
        await asyncio.gather(
            *(
                progress.reach(batch, seconds)
                for topic, progress in self._progress.items()
                if batch.tp.partition < self._app.sizes[topic]
            )
        )

    async def keep_routing(self) -> None:
        """Send on strays that have waited long enough; runs beside the agent."""
        while not self._app.should_stop:
            await asyncio.sleep(max(self._app.settings.route_hold_ms, 10) / 2000)
            if len(self._merger):
                await self._route()

    async def _handle(self, event: Any) -> None:
        batch: Batch = event.value
        self._resume()
        if batch.stale:
            return
        partition = batch.tp.partition
        source = ROUTED if batch.tp.topic == self._topics.vitals_routed.name else DIRECT
        sorted_ = self._bedside.sort(
            batch.records,
            partition,
            routed=source == ROUTED,
            whole=self._app.sizes[batch.tp.topic] == self._topics.vitals_routed.partitions,
        )
        self._limit.count(len(batch.records) - len(sorted_.rejects), len(sorted_.rejects))
        # Once an assignment for everybody: the worker before may have known an admission that this
        # one has still to read, and a window that is known already does not wait for it.
        if partition not in self._caught_up or self._bedside.strangers(partition, sorted_.own):
            await self._admissions.caught_up(batch)
            if batch.stale:
                return
            self._caught_up.add(partition)
        # A result counts from its observed time on, so one that was sent before the reading is
        # waited for; with that, a replay at any speed finds what the original day found.
        if self._labs is not None and sorted_.own.keys:
            await self._labs.caught_up(batch)
            if batch.stale:
                return

        if not await self._app.consumer.begin(batch):
            return
        results = Results()
        if sorted_.own.keys:
            for number, topic in enumerate((self._topics.vitals, self._topics.vitals_routed)):
                committed = self._app.consumer.committed(TP(topic.name, partition))
                self._bedside.windows.committed(partition, number, committed)
            started = monotonic()
            results = self._bedside.score(sorted_.own, partition, source)
            metrics.scoring.observe((monotonic() - started) / len(sorted_.own.keys))

        work = Work(event)
        outbox = Outbox(self._app.batch_producer)
        self._fill(outbox, partition, results, sorted_.rejects)
        self._windows.store(partition, results.writes, outbox)
        acks = await outbox.hand_over()
        self._progress[batch.tp.topic].note(batch)
        delivery = self._finish(work, acks, batch, results)
        if source == DIRECT:
            await self._hold(batch, sorted_.strays, work)
        self._count(batch, results, len(sorted_.rejects), len(sorted_.strays))
        if results.largest_state > _LARGE_STATE:
            await delivery
            await self._app.consumer.commit()
        else:
            self._app.add_future(delivery)

    def _fill(
        self, outbox: Outbox, partition: int, results: Results, rejects: list[Reject]
    ) -> None:
        topics = self._topics
        recommendations = topics.recommendations.name
        if self._app.sizes[recommendations] == topics.vitals_routed.partitions:
            outbox.extend(recommendations, partition, results.recommendations)
        else:
            for key, value in results.recommendations:
                outbox.add(
                    recommendations, self._place(recommendations, key, partition), key, value
                )
        for key, example in results.lessons:
            outbox.add(topics.lessons.name, 0, key, example)
        for key, record in results.late:
            place = self._place(topics.vitals_late.name, key, partition)
            outbox.add(
                topics.vitals_late.name, place, key, record.value, record.timestamp,
                with_origin(record),
            )  # fmt: skip
        for reject in rejects:
            dead_letter(self._app, topics, outbox, reject.record, reject.reason)

    async def _finish(self, work: Work, acks: Any, batch: Batch, results: Results) -> None:
        if await settle(self._app, acks, work, self._windows) and results.recommendations:
            metrics.latency.observe(max(0, now_ms() - batch.records[0].timestamp) / 1000)

    # -- strays

    async def _hold(self, batch: Batch, strays: list[tuple[Any, bytes]], work: Work) -> None:
        for _ in strays:
            work.split()
        self._read_to[batch.tp.partition] = batch.end
        self._merger.read(
            batch.tp.partition,
            batch.records[-1].timestamp,
            [(record.timestamp, (record, key, work)) for record, key in strays],
            monotonic() * 1000,
        )
        if len(self._merger):
            await self._route()

    async def _route(self) -> None:
        async with self._routing:  # what is released first is handed over first
            # Of a stale batch earlier strays may have been given up with the producer: one that
            # arrived before them would make them repeats when the next owner sends them.
            released = [
                stray
                for stray in self._merger.release(monotonic() * 1000, self._at_end)
                if not stray[2].stale
            ]
            if not released:
                return
            topic = self._topics.vitals_routed
            outbox = Outbox(self._app.batch_producer)
            for record, key, _ in released:
                outbox.add(
                    topic.name, partition_of(key, topic.partitions), key, record.value,
                    record.timestamp, with_origin(record),
                )  # fmt: skip
            acks = await outbox.hand_over()
        self._app.add_future(self._routed(acks, [work for _, _, work in released]))

    async def _routed(self, acks: Any, works: list[Work]) -> None:
        if await finish(self._app, acks) is not None:
            for work in works:
                work.done()

    def _at_end(self, partition: int) -> bool:
        tp = TP(self._topics.vitals.name, partition)
        end = self._app.consumer.highwater(tp)
        return end is not None and self._app.consumer.handled(
            tp, end, self._read_to.get(partition, 0)
        )

    # -- partitions

    def _resume(self) -> None:
        """After an assignment, start from the committed offsets with nothing in memory."""
        consumer = self._app.consumer
        if consumer.assignment_number == self._assignment:
            return
        self._assignment = consumer.assignment_number
        self._caught_up.clear()
        topics = self._topics
        assigned = {tp.partition for tp in consumer.assignment()}
        for partition in range(topics.vitals_routed.partitions):
            # another worker may have kept them since; what is stored here is up to date again
            self._bedside.stays.forget(partition)
            if self._bedside.labs is not None:
                self._bedside.labs.forget(partition)
            if partition in assigned:
                sources = (topics.vitals.name, topics.vitals_routed.name)
                resumed = [consumer.resumed_at(TP(topic, partition)) for topic in sources]
                self._bedside.windows.resume(partition, resumed)
            else:
                self._bedside.windows.forget(partition)
        self._read_to.clear()
        mine = {tp.partition for tp in consumer.assignment() if tp.topic == topics.vitals.name}
        self._merger.assign(mine, monotonic() * 1000)

    def _place(self, topic: str, key: bytes, partition: int) -> int:
        """Partition of a result: its reading's, unless the topic was made with another number."""
        partitions = self._app.sizes[topic]
        if partitions == self._topics.vitals_routed.partitions:
            return partition
        return partition_of(key, partitions)

    # -- metrics

    def _count(self, batch: Batch, results: Results, rejected: int, strays: int) -> None:
        for outcome, count in results.counts.items():
            metrics.readings.labels(outcome).inc(count)
        metrics.readings.labels("rejected").inc(rejected)
        metrics.readings.labels("routed").inc(strays)
        metrics.dead_letters.labels(batch.tp.topic)  # there from the first batch on, at zero
        metrics.batch.observe(len(batch.records))
        metrics.patients.set(len(self._bedside.windows))
        metrics.held.set(len(self._merger))
        metrics.state_bytes.set(results.largest_state)
        report_lag(self._app, batch.tp, batch.end)

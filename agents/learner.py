"""Lessons → models: what the hospital teaches.

    lessons → examples and outcomes kept → stays that are due → learner → a layer, every 50 stays
              ↘ drift of data and score     ↘ drift of error   ↘ challengers in the shadow

One worker has the topic's one partition, so there is one learner a site. Everything it knows lies
in one table: what waits, and the learner's state. The state is written before the stays that are in
it are taken out, and names them: a learner that is killed in between finds them and does not learn
them again.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import numpy as np

from agents.retraining import Retraining
from agents.work import Work, dead_letter, each, settle
from config.clock import DAY_MS, from_ms
from models.contest import Contest
from models.learner import LabelledStay, Learner, Snapshot
from models.registry import model_files
from models.release_records import LayerRecord, ModelRecord, ShadowRecord, key_of
from models.risk import ForestModel
from models.window import HOUR_MS
from streams.application import VigilApp, report_lag
from streams.following import Follower
from streams.header_names import require_names
from streams.lessons import FEATURES_VERSION, Example, StayEnd, decode, require_past
from streams.metrics import metrics
from streams.outbox import Outbox
from streams.topics import Catalogue
from streams.transport import Batch
from streams.watch import Watch, drift_event
from tables.pending import Due, End, Pending, example_key
from tables.store import BatchTable

__all__ = ["LearnerAgent"]

log = logging.getLogger(__name__)

_WHO = "vigil learning"


class _State(msgspec.Struct, array_like=True):
    """What the learner goes on from, beside the stays that wait.

    Attributes:
        snapshot: see `models.learner.Snapshot`.
        stays: those that are in it since the last one that the broker surely has: patient, end.
        shadows: see `models.contest.Contest`.
    """

    snapshot: bytes
    stays: list[tuple[bytes, int]]
    shadows: list[bytes] = []


def _state_key(champion: str) -> bytes:
    """Each champion has a state: learning goes on where it was when one comes back."""
    return b"s" + champion.encode()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_State).decode


class LearnerAgent:
    """Keeps lessons, learns stays when they are due, publishes layers.

    Args:
        app: the application.
        topics: all of them.
        table: of one partition.
        follower: of the topic ``models``.
        champion: what scores where that topic names none; it is published then.
        retraining: is asked after drift.
        now: the time, for the records.
    """

    def __init__(
        self,
        app: VigilApp,
        topics: Catalogue,
        table: BatchTable,
        follower: Follower,
        champion: ForestModel,
        retraining: Retraining,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._app, self._topics, self._table, self._follower = app, topics, table, follower
        self._own, self._retraining, self._now = champion, retraining, now
        self._site = app.settings.site
        self._assignment = -1
        self._champion = ""
        self._promoted: set[str] = set()
        self._asked_ms: int | None = None
        self._untold = False  # whether MLflow is to hear of a challenger or a promotion
        self._block: list[Due] = []
        # stays that were learned, and how many of them the broker surely has marked
        self._learned: list[tuple[bytes, int]] = []
        self._forgotten = 0
        self._pending = self._new_pending()
        self._learner = Learner(champion)
        self._threshold = champion.threshold
        self._contest = Contest(champion.version)
        self._watch = Watch(self._site)

    async def run(self, stream: Any) -> None:
        """Take a batch, learn what is due."""
        await self._follower.ready.wait()
        await each(self._app, stream, self._learn)

    async def _learn(self, event: Any) -> None:
        batch: Batch = event.value
        outbox = Outbox(self._app.batch_producer)
        self._resume(outbox)
        writes: dict[bytes, bytes | None] = {}
        fresh: list[Example] = []
        for record in batch.records:
            try:
                self._keep(record, writes, fresh)
            except ValueError as error:
                dead_letter(self._app, self._topics, outbox, record, str(error))
            if self._pending.any_due:  # after each record, so that batches make no difference
                self._store(writes, outbox)  # what is taken is read from there
                for stay in self._pending.due(writes):
                    self._take(stay, outbox)
        self._watch.examples(fresh, self._learner.champion)
        self._tell(outbox, writes)
        self._pending.sweep(writes)
        self._store(writes, outbox)
        learned = len(self._learned)
        untold, self._untold = self._untold, False
        acks = await outbox.hand_over()
        self._app.add_future(self._settle(acks, Work(event), self._assignment, learned, untold))
        metrics.examples_waiting.set(len(self._pending))
        report_lag(self._app, batch.tp, batch.end)

    async def _settle(
        self, acks: Any, work: Work, assignment: int, learned: int, untold: bool
    ) -> None:
        """Wait for the broker; what it has of learned stays need not be named again."""
        if not await settle(self._app, acks, work, self._table):
            return
        if assignment == self._assignment:
            self._forgotten = max(self._forgotten, learned)
        if untold:
            self._retraining.track()

    def _keep(self, record: Any, writes: dict[bytes, bytes | None], fresh: list[Example]) -> None:
        require_names(record)
        lesson = decode(record.value)
        patient = lesson.patient_id.encode()
        require_past(lesson, record.timestamp, self._app.settings.future_tolerance_s)
        if isinstance(lesson, StayEnd):
            end = End(lesson.ended_at_ms, lesson.septic, lesson.onset_at_ms)
            self._pending.outcome(patient, end, writes)
        elif lesson.features_version == FEATURES_VERSION and self._pending.example(
            patient, lesson.observed_at_ms, record.value, writes
        ):
            fresh.append(lesson)

    def _store(self, writes: dict[bytes, bytes | None], outbox: Outbox) -> None:
        self._table.store(0, list(writes.items()), outbox)
        writes.clear()

    # -- learning

    def _take(self, stay: Due, outbox: Outbox) -> None:
        """Give a stay that is due to the learner; with a full block, publish what was learned."""
        keys = [example_key(stay.patient, at_ms) for at_ms in stay.at_ms.tolist()]
        stored = [decode(value) if value else None for value in self._table.load_all(0, keys)]
        self._block.append(stay)
        # an older release may have kept examples of other features
        usable = [
            isinstance(lesson, Example) and lesson.features_version == FEATURES_VERSION
            for lesson in stored
        ]
        if not any(usable):
            return
        stay = replace(stay, at_ms=stay.at_ms[np.array(usable)])
        examples: list[Any] = [lesson for lesson, use in zip(stored, usable, strict=True) if use]
        patient, labels = stay.patient.decode(), stay.labels()
        features = np.stack([example.features for example in examples])
        due_ms = stay.end.ended_at_ms + self._pending.delay_ms
        taken = self._learner.take(
            LabelledStay(patient, stay.at_ms, features, labels, due_ms), self._pending.watermark_ms
        )
        scored = (taken.logits, self._threshold)
        self._contest.enter(self._follower.releases, self._pending.watermark_ms)
        self._contest.add(patient, stay.at_ms, labels, features, scored)
        self._watch.stay(patient, stay.end.ended_at_ms, labels, *scored, examples[-1].unit_id)
        metrics.stays_learned.inc()
        if taken.snapshot is not None:
            self._publish(taken.snapshot, outbox)

    def _tell(self, outbox: Outbox, writes: dict[bytes, bytes | None]) -> None:
        """Publish what has drifted, and store the monitor where it is time to."""
        found = self._watch.found()
        for event in found:
            metrics.drift.labels(event.layer, event.signal).inc()
            told = drift_event(event, self._learner.champion.version)
            outbox.add(self._topics.drift.name, 0, None, told.model_dump_json().encode())
            log.warning("drift: %s", told.detail)
            self._retraining.ask(f"drift of {event.signal}")
        if found or self._watch.is_due:
            self._watch.store(writes)
        every, now_ms = self._app.settings.retrain_days, self._pending.watermark_ms
        if every is None or not self._pending.begun:
            return
        # of what was trained last the topic tells, whoever asked; else since this learner began
        trained_ms = self._follower.releases.trained_until_ms
        self._asked_ms = max(filter(None, (self._asked_ms, trained_ms)), default=now_ms)
        if now_ms >= self._asked_ms + every * DAY_MS:
            self._asked_ms = now_ms
            self._retraining.ask(f"{every:g} days have passed")

    def _publish(self, snapshot: Snapshot, outbox: Outbox) -> None:
        record = LayerRecord.of(
            snapshot.values,
            tiers=snapshot.tiers,
            site=self._site,
            version=str(snapshot.layer),
            champion=snapshot.champion,
            created_at=from_ms(self._pending.watermark_ms),
            threshold=snapshot.threshold,
            stays=snapshot.learned,
            examples=snapshot.labels,
        )
        self._send(outbox, record)
        for key in self._follower.releases.superfluous():
            outbox.add(self._topics.models.name, 0, key, None)
        block, self._block = self._block, []
        self._learned += [(stay.patient, stay.end.ended_at_ms) for stay in block]
        # in this order, in one partition of the changelog
        names = self._learned[self._forgotten :]
        state = _State(snapshot.encode(), names, self._contest.encode())
        writes: dict[bytes, bytes | None] = {_state_key(snapshot.champion): _encode(state)}
        self._pending.done(block, writes)
        self._store(writes, outbox)
        self._threshold = snapshot.threshold
        self._judge(outbox)
        metrics.layer.set(snapshot.layer)
        log.info("layer %s: %d stays learned", snapshot.version, snapshot.learned)

    def _judge(self, outbox: Outbox) -> None:
        """Publish how challengers do; one that the rule lets pass takes over, if it may."""
        releases, now = self._follower.releases, self._now()
        scoring = releases.active()
        if scoring is not None and scoring.version.partition("+")[0] != self._champion:
            return  # they are measured against a model that does not score
        pointer = releases.pointer
        past = {move.champion for move in pointer.history} if pointer is not None else set()
        for version, verdict in self._contest.verdicts().items():
            shadow = self._contest.shadows[version]
            figures = shadow.evidence().to_dict()
            said = {"promote": verdict.promote, "reasons": list(verdict.reasons)}
            record = ShadowRecord.of(
                shadow.encode(),
                site=self._site,
                version=version,
                champion=shadow.champion,
                at=from_ms(self._pending.watermark_ms),
                figures=figures | said,
            )
            self._send(outbox, record)
            self._untold |= version not in releases.shadows
            # what a person has set back is not for the rule to promote again
            may = self._app.settings.promotion == "auto" and version not in self._promoted | past
            if not (may and verdict.promote):
                continue
            self._untold = True
            self._promoted.add(version)  # what is sent is read again a moment later
            challenger = releases.challengers[version]
            why = f"better in the shadow: {'; '.join(verdict.reasons)}"
            champion = challenger.model_copy(update={"kind": "champion", "why": why})
            moved = releases.promote(version, who=_WHO, why=why, at=now, evidence=figures)
            self._send(outbox, champion)
            self._send(outbox, moved)
            outbox.add(self._topics.models.name, 0, key_of(challenger), None)
            log.warning("challenger %s takes over: %s", version, why)

    def _send(self, outbox: Outbox, record: Any) -> None:
        value = record.model_dump_json().encode()
        outbox.add(self._topics.models.name, 0, key_of(record), value)

    # -- where to go on

    def _resume(self, outbox: Outbox) -> None:
        """After an assignment, or with another champion, go on from what is stored."""
        number = self._app.consumer.assignment_number
        champion = self._to_learn_on()
        if (number, champion.version) == (self._assignment, self._champion):
            return
        self._assignment, self._champion = number, champion.version
        self._announce(champion, outbox)
        self._block = []
        self._pending = self._new_pending()
        self._pending.restore(self._table.scan(0))
        self._learned, self._forgotten, self._promoted = [], 0, set()
        key = _state_key(champion.version)
        stored = self._table.load(0, key)
        snapshot, shadows = None, []
        if stored is not None:
            state = _decode(stored)
            # Killed after the state was written and before they were taken out. It is written
            # again, too: the broker may not have it.
            writes: dict[bytes, bytes | None] = {key: stored}
            self._pending.close(state.stays, writes)
            self._learned = list(state.stays)
            self._store(writes, outbox)
            snapshot, shadows = Snapshot.decode(state.snapshot), state.shadows
        self._learner = Learner(champion, snapshot=snapshot)
        self._threshold = champion.threshold if snapshot is None else snapshot.threshold
        self._contest = Contest(champion.version, shadows)
        self._watch = Watch.restored(self._site, partial(self._table.load, 0))

    def _to_learn_on(self) -> ForestModel:
        """The champion that scores, without what was learned on it; else our own."""
        scoring = self._follower.releases.active()
        if scoring is not None:
            named = self._follower.releases.model(scoring.version.partition("+")[0])
            if isinstance(named, ForestModel):
                return named
        return self._own

    def _announce(self, champion: ForestModel, outbox: Outbox) -> None:
        """Where the site has no pointer yet, publish the champion and point to it."""
        releases = self._follower.releases
        if releases.pointer is not None:
            return
        now = self._now()
        record = ModelRecord.of(
            model_files(champion),
            kind="champion",
            site=self._site,
            version=champion.version,
            created_at=now,
            who=_WHO,
            why="the model that this site began with",
        )
        self._send(outbox, record)
        why = "no model of this site was there yet"
        self._send(outbox, releases.start(champion.version, who=_WHO, why=why, at=now))

    def _new_pending(self) -> Pending:
        settings = self._app.settings
        return Pending(
            round(settings.label_delay_hours * HOUR_MS),
            round(settings.label_wait_days * DAY_MS),
        )

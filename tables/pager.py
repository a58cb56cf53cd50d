"""Who is paged and when: the life of an alert, from what raised it to the person who accepts it.

    raised ─→ silenced? over budget? ─→ step 0 ─→ a page to each who is on call
               until it ends; until its unit may page again, or the risk rises far
                                          │ nobody accepts in time, or nobody can be reached
                                          └→ step 1 ─→ … ─→ unanswered

Pure: everything is in memory, times are given, and `drain` tells what has changed and what is to be
stored. Nothing may be acted on before the broker has both.

Event time goes on by itself between records, as fast as the wall clock: a feed that has stopped
stops no escalation. What is due happens at its own time, however late it is looked at, so that a
replay at any speed gives the pages of the original day.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Literal

from config.clock import DAY_MS, HOUR_MS, from_ms
from config.policy import Policy
from config.silences import silenced
from tables.alert_book import AlertBook, Change
from tables.alert_rows import Alert, Clock, Early, Page, Quiet, decode
from tables.budget import Budget
from tables.operations import operations_alert
from tables.pages import Pages, page_id

__all__ = ["Pager"]

Tier = Literal["watch", "warning", "urgent"]

#: After the last step, this long until an alert counts as unanswered.
_LAST_CALL_MS = 10 * 60_000
#: Who asks for the next person, and somebody was called less than this before, event time, asks for
#: that person: the same was said in two texts, or by two people of one step. Nobody can have heard
#: a page, read it and answered in less, so there is no reason yet to call the one after.
_JUST_CALLED_MS = 60_000
#: Alerts are kept for so long, event time: records that come again are known by them.
_KEEP_MS = 7 * DAY_MS


class Pager:
    """Alerts, their pages, and what is to be done next.

    Args:
        policy: who is paged.
        link: for the texts, with ``{reference}`` in it; None = no link.
        grace_ms: wall clock in doubt; a provider that does not have it by then never will.

    Attributes:
        pages: on their way to people.
        budget: of alerts, by unit and tier.
        waits: whether what is due is left alone: after a downtime, until answers are read that have
            come meanwhile.
    """

    def __init__(self, policy: Policy, *, link: str | None = None, grace_ms: int = 15_000) -> None:
        self._policy = policy
        self._book = AlertBook()
        self.pages = Pages(self._book, policy, self._unreachable, link=link, grace_ms=grace_ms)
        self.budget = Budget(policy.budget)
        self._clock: Clock | None = None
        self._silences: dict[str, Quiet] = {}
        self._due: list[tuple[int, str]] = []
        self._swept_ms = 0
        self.waits = False
        self._held_back: dict[str | None, list[str]] = defaultdict(list)

    # -- time

    def now(self, wall_ms: int) -> int:
        """Event time: that of the newest record, and what has passed since on the wall clock."""
        if self._clock is None:
            return wall_ms
        return self._clock.event_ms + max(0, wall_ms - self._clock.wall_ms)

    def passes(self, event_ms: int, wall_ms: int) -> None:
        """Note the event time of a record; what was due by then is done first.

        A device whose clock is fast moves nobody's time on beyond the wall clock.
        """
        event_ms = min(event_ms, wall_ms)
        if self._clock is None or event_ms > self.now(wall_ms):
            self._clock = Clock(event_ms, wall_ms)
            self._book.touch(self._clock)
        self.advance(wall_ms)

    def advance(self, wall_ms: int) -> None:
        """Do what is due by event time, each thing at its own time."""
        if self.waits:
            return
        now = self.now(wall_ms)
        while self._due and self._due[0][0] <= now:
            due_ms, alert_id = heapq.heappop(self._due)
            alert = self._book.alerts.get(alert_id)
            if alert is None or alert.due_ms != due_ms or not alert.is_open:
                continue
            alert.due_ms = None
            if alert.state == "silenced":
                self._decide(alert, due_ms)
            else:
                self._step(alert, alert.step + 1, due_ms)
        if now >= self._swept_ms + HOUR_MS:
            self._swept_ms = now
            self._sweep(now, wall_ms)

    # -- what comes in

    def raised(self, alert: Alert, wall_ms: int, *, higher: bool = False, late_ms: int = 0) -> bool:
        """Take in an alert; tell whether it is new.

        Args:
            alert: as it was raised; it gets its reference here. Those of patients move event time
                on, those of operators do not.
            wall_ms: now.
            higher: the risk has risen far above that of an alert before. It is paged though the
                budget is spent, if that one was held back; else the person knows already.
            late_ms: wall clock since the reading came. After a lock-out nobody is paged: an episode
                that lasts has been raised again by then, and a pager that has never run before must
                not page for the months before it.
        """
        if alert.kind == "patient":
            self.passes(alert.raised_ms, wall_ms)
        if alert.alert_id in self._book.alerts:
            return False
        at_ms = alert.raised_ms
        held_back = [
            before
            for before in self._of_episode(alert.patient_id, alert.episode_ms)
            if before.tier == alert.tier and before.state == "over_budget"
        ]
        self._add(alert)
        if higher and not held_back:
            self._close(alert, "resolved", at_ms, detail="the alert before it was not held back")
            return True
        if higher:
            for before in held_back:
                self._close(before, "resolved", at_ms, detail=f"goes on as {alert.reference}")
        lockout_ms = round(self._policy.episodes.lockout_hours * HOUR_MS)
        if late_ms > lockout_ms:
            self._close(alert, "resolved", at_ms, detail="it came later than a lock-out lasts")
            return True
        begin_ms = max(at_ms, self.now(wall_ms)) if alert.kind == "patient" else self.now(wall_ms)
        self._decide(alert, begin_ms, over_budget=higher)
        return True

    def resolved(self, patient_id: str, episode_ms: int, at_ms: int, wall_ms: int) -> None:
        """Note that a patient's episode has ended: nobody has to come for it any more."""
        self.passes(at_ms, wall_ms)
        for alert in self._of_episode(patient_id, episode_ms):
            if alert.state != "resolved":
                self._close(alert, "resolved", at_ms, detail="the episode has ended")

    def census(
        self, unit_id: str | None, partition: int, hours: float, at_ms: int, wall_ms: int
    ) -> None:
        """Note how long a unit's patients were watched; what was held back may now be within it."""
        self.passes(at_ms, wall_ms)
        self.budget.census(unit_id, partition, hours, at_ms)
        for alert_id in list(self._held_back.get(unit_id, ())):
            alert = self._book.alerts.get(alert_id)
            if alert is None or alert.state != "over_budget":
                self._held_back[unit_id].remove(alert_id)
            elif self.budget.admits(unit_id, alert.tier):
                self._held_back[unit_id].remove(alert_id)
                self._decide(alert, self.now(wall_ms))

    def acknowledged(
        self,
        name: str,
        answer: Literal["accepted", "declined", "escalated"],
        by: str,
        at_ms: int,
        wall_ms: int,
        answer_id: str | None = None,
    ) -> bool:
        """Take in a person's answer; tell whether there is such an alert.

        Args:
            name: the alert's id or reference.
            answer: accepted ends the escalation; declined and escalated call the next step, unless
                somebody of the step that has begun has only just been called.
            by: who.
            at_ms: when.
            wall_ms: now.
            answer_id: an answer that is delivered again is known by it; without one, by all above.
        """
        alert = self._book.find(name)
        if alert is None:
            return False
        mark = answer_id or f"{answer}/{by}/{at_ms}"
        if mark in alert.answers or not alert.is_open:
            return True
        alert.answers = [*alert.answers, mark]
        if answer == "accepted":
            self._close(alert, "accepted", at_ms, by=by)
        else:
            if answer == "declined":
                alert.declined = [*alert.declined, by]
            now = self.now(wall_ms)
            if self._just_called(alert, by, now):
                detail = "the next person was called just before"
                self._book.change(alert, answer, at_ms, by=by, detail=detail)
                return True
            self._book.change(alert, answer, at_ms, by=by)
            if alert.state == "raised" and alert.step >= 0:
                self._step(alert, alert.step + 1, now)
        return True

    def silence(self, silence_id: str, silence: Quiet | None, wall_ms: int) -> None:
        """Take in a silence, or None for its end; what it held back is decided anew."""
        before = self._silences.pop(silence_id, None)
        if silence is not None:
            self._silences[silence_id] = silence
            self._book.touch(silence)
        elif before is not None:
            self._book.drop(before)
        for alert in list(self._book.alerts.values()):
            if alert.state == "silenced":
                self._decide(alert, self.now(wall_ms))

    # -- where to go on

    def drain(self) -> tuple[list[Change], dict[bytes, bytes | None]]:
        """What has changed since the last time, in order, and what is to be stored."""
        changes, writes = self._book.drain()
        return changes, writes | self.budget.rows()

    def restore(self, stored: Iterable[tuple[bytes, bytes]], wall_ms: int) -> None:
        """Go on from what was stored.

        Raises:
            tables.alert_rows.RowError: a row cannot be read.
        """
        early: list[Early] = []
        rows = list(stored)
        self.budget.restore(rows)
        for key, value in rows:
            match decode(key, value):
                case Alert() | Page() as row:
                    self._book.index(row)
                case Early() as receipt:
                    early.append(receipt)
                case Quiet() as silence:
                    self._silences[silence.silence_id] = silence
                case Clock() as clock:
                    self._clock = clock
        for alert in sorted(self._book.alerts.values(), key=lambda alert: alert.raised_ms):
            if alert.state == "over_budget":
                self._held_back[alert.unit_id].append(alert.alert_id)
            if alert.due_ms is not None:
                heapq.heappush(self._due, (alert.due_ms, alert.alert_id))
        self.pages.restore(early, self.now(wall_ms), wall_ms)

    def alert_of(self, known: str) -> str | None:
        """Id of the alert that a page is of; None where it is not known any more."""
        page = self._book.pages.get(known)
        return None if page is None else page.alert_id

    def counts(self) -> dict[str, int]:
        """How many alerts are open, and how many pages are in each state on the way."""
        states = Counter(page.state for page in self._book.pages.values())
        found = {state: states[state] for state in ("queued", "sending", "in_doubt")}
        return found | {"open": sum(alert.is_open for alert in self._book.alerts.values())}

    # -- rules

    def _decide(self, alert: Alert, at_ms: int, *, over_budget: bool = False) -> None:
        """Begin with the first step, unless a silence or the budget says otherwise."""
        tier, kind = alert.tier, alert.kind
        by = silenced(self._silences.values(), kind, alert.unit_id, tier, from_ms(at_ms))
        if by is not None:
            if alert.state != "silenced":
                alert.state = "silenced"
                self._book.change(alert, "silenced", at_ms, detail=f"by silence {by}")
            ends_ms = round(self._silences[by].ends_at.timestamp() * 1000)
            self._wait(alert, max(ends_ms, at_ms + 1))
            return
        alert.state, alert.due_ms = "raised", None
        self._book.touch(alert)
        if self._policy.escalation(kind, alert.unit_id, tier) is None:
            return  # it is on the boards
        if kind == "patient":
            if not over_budget and not self.budget.admits(alert.unit_id, tier):
                alert.state = "over_budget"
                detail = "the alerts of its unit are spent"
                self._book.change(alert, "over_budget", at_ms, detail=detail)
                self._held_back[alert.unit_id].append(alert.alert_id)
                self._tell_of_budget(alert, at_ms)
                return
            self.budget.spend(alert.unit_id, tier, at_ms)
        self._step(alert, 0, at_ms)

    def _step(self, alert: Alert, number: int, at_ms: int) -> None:
        """Begin with a step of the escalation, or with the first one after it that reaches anyone.

        A person who has had the alert gets it no second time: where a step has nobody new, the
        person has the step's time to answer.
        """
        escalation = self._policy.escalation(alert.kind, alert.unit_id, alert.tier)
        steps = escalation.steps if escalation is not None else ()
        for at, step in enumerate(steps[number:], number):
            alert.step = at
            self._book.touch(alert)
            if at > 0:
                self._book.change(alert, "escalated", at_ms, detail=f"step {at + 1}")
            named = [
                who for name in step.notify for who in self._policy.on_call(name, from_ms(at_ms))
            ]
            people = list(dict.fromkeys(named))
            fresh = [w for w in people if page_id(alert.alert_id, w) not in self._book.pages]
            reached = [
                self.pages.queue(alert, who, at, list(step.channels), at_ms) for who in fresh
            ]
            if any(reached) or self._may_answer(alert, people):
                after_s = steps[at + 1].after_s if at + 1 < len(steps) else None
                wait_ms = _LAST_CALL_MS if after_s is None else (after_s - step.after_s) * 1000
                self._wait(alert, at_ms + round(wait_ms))
                return
        alert.state, alert.due_ms = "unanswered", None
        self._book.change(alert, "unanswered", at_ms, detail="all steps are through")
        if alert.kind == "patient":
            subject = f"nobody has answered alert {alert.reference}"
            self._operations(f"unanswered/{alert.alert_id}", "urgent", subject, at_ms)

    def _may_answer(self, alert: Alert, people: list[str]) -> bool:
        """Whether one of these people has the page already, or may still get it, and may come."""
        pages = [
            self._book.pages.get(page_id(alert.alert_id, who))
            for who in people
            if who not in alert.declined
        ]
        return any(page is not None and page.state != "failed" for page in pages)

    def _just_called(self, alert: Alert, by: str, now: int) -> bool:
        """Whether the next person, whom somebody asks for, was called a moment ago.

        Who was called with the step that has begun asks for the one after.
        """
        pages = map(self._book.pages.__getitem__, self._book.pages_of.get(alert.alert_id, ()))
        called = {page.contact: page for page in pages if page.step == alert.step}
        if alert.step <= 0 or by in called:
            return False
        return any(
            page.state != "failed"
            and page.contact not in alert.declined
            and now < page.queued_ms + _JUST_CALLED_MS
            for page in called.values()
        )

    def _unreachable(self, alert: Alert, at_ms: int) -> None:
        """A page has failed for good: where nobody of the step is left, the next begins at once."""
        escalation = self._policy.escalation(alert.kind, alert.unit_id, alert.tier)
        if alert.state != "raised" or alert.step < 0 or escalation is None:
            return
        pages = [self._book.pages[known] for known in self._book.pages_of[alert.alert_id]]
        people = {page.contact for page in pages if page.step == alert.step}
        if alert.step < len(escalation.steps):
            for name in escalation.steps[alert.step].notify:
                people.update(self._policy.on_call(name, from_ms(at_ms)))
        if not self._may_answer(alert, sorted(people)):
            self._step(alert, alert.step + 1, at_ms)

    def _tell_of_budget(self, alert: Alert, at_ms: int) -> None:
        """Tell operators, once a day and unit, that alerts are held back."""
        unit = alert.unit_id or "an unnamed unit"
        subject = f"{alert.tier} alerts of {unit} are over their budget and held back"
        self._operations(f"budget/{unit}/{alert.tier}/{at_ms // DAY_MS}", "warning", subject, at_ms)

    def _operations(self, name: str, tier: Tier, subject: str, at_ms: int) -> None:
        """Raise an alert to operators."""
        alert = operations_alert(name, tier, subject, at_ms)
        if alert.alert_id not in self._book.alerts:
            self._add(alert)
            self._decide(alert, at_ms)

    # -- bookkeeping

    def _add(self, alert: Alert) -> None:
        alert.reference = self._book.new_reference(alert.alert_id)
        self._book.add(alert)
        self._book.change(alert, "raised", alert.raised_ms)

    def _close(
        self, alert: Alert, state: str, at_ms: int, *, by: str | None = None, detail: str = ""
    ) -> None:
        alert.state, alert.due_ms = state, None
        self._book.change(alert, state, at_ms, by=by, detail=detail)
        self.pages.cancel(alert, at_ms)

    def _wait(self, alert: Alert, until_ms: int) -> None:
        alert.due_ms = until_ms
        self._book.touch(alert)
        heapq.heappush(self._due, (until_ms, alert.alert_id))

    def _of_episode(self, patient_id: str | None, episode_ms: int | None) -> list[Alert]:
        if patient_id is None:
            return []
        known = self._book.of_episode.get((patient_id, episode_ms or 0), ())
        return [self._book.alerts[alert_id] for alert_id in known]

    def _sweep(self, now: int, wall_ms: int) -> None:
        """Forget what is old, but for pages whose fate is not known."""
        for alert in [a for a in self._book.alerts.values() if a.raised_ms < now - _KEEP_MS]:
            pages = [self._book.pages[known] for known in self._book.pages_of[alert.alert_id]]
            if alert.due_ms is None and all(
                page.state not in ("queued", "sending", "in_doubt") for page in pages
            ):
                self.pages.forget(alert)
                self._book.forget(alert)
        self.pages.forget_early(wall_ms)
        for silence in [s for s in self._silences.values() if s.ends_at < from_ms(now - _KEEP_MS)]:
            del self._silences[silence.silence_id]
            self._book.drop(silence)

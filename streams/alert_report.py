"""What the alert policy would have done to recorded patients: who is alerted, how often, how right.

The patients' readings are scored as the bedside scores them, their recommendations go through the
episodes and the pager's rules as on the stream. Nobody answers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from matplotlib import rc_context
from matplotlib.figure import Figure

from config.clock import HOUR_MS
from config.guidance import guidance
from config.policy import Policy
from models.alarms import patient_days
from models.progress import track
from models.risk import RiskModel
from models.stay import Stay
from streams.alert_events import AlertRaised, AlertResolved, RaisedEvent
from streams.bedside import DIRECT, Bedside
from streams.events import Admission, struct_of
from streams.intake import IntakeRules
from streams.intake_alerts import give
from streams.recommend import Recommender
from streams.timeline import Timeline, admission, reading
from tables.episodes import Came, Episodes, decode
from tables.pager import Pager
from tables.stays import Stays
from tables.windows import Windows

__all__ = ["Outcome", "Row", "draw", "recommendations", "rows", "run"]

#: Everybody's admission to intensive care: 2026-01-01T00:00Z. Only differences of times matter.
_BASE_MS = 1_767_225_600_000
#: The wall clock, later than anything recorded: the pager takes no event time that is ahead of it.
_WALL_MS = 2 * _BASE_MS
_SLICE = 4_096
_AdmissionRow: Any = struct_of(Admission)


@dataclass(frozen=True, slots=True)
class Row:
    """What the alerts of one kind were worth. A share of nothing is NaN.

    Attributes:
        name: tier, or what became of alerts.
        alerts: how many.
        per_patient_day: of them.
        septic_alerted: share of septic patients who had one.
        alerted_septic: share of the patients with one who were septic.
    """

    name: str
    alerts: int
    per_patient_day: float
    septic_alerted: float
    alerted_septic: float


@dataclass(slots=True, eq=False)
class Outcome:
    """What came of all recommendations.

    Attributes:
        recommendations: how many there were.
        alerts: raised, in order, without those that were raised again as `higher`.
        higher: raised again.
        paged: of both, those that are sent to somebody, at once or when the budget allows it.
        held: over the budget when they were raised.
        resolved: episodes.
        days: time under observation, in patient-days.
    """

    recommendations: int = 0
    alerts: list[AlertRaised] = field(default_factory=list)
    higher: list[AlertRaised] = field(default_factory=list)
    paged: list[AlertRaised] = field(default_factory=list)
    held: list[AlertRaised] = field(default_factory=list)
    resolved: int = 0
    days: float = 0.0


def recommendations(
    stays: Sequence[Stay], model: RiskModel, *, beds: int | None = None
) -> Iterator[list[bytes]]:
    """Yield what the bedside recommends, in the order of the readings' times.

    Args:
        stays: the patients, of different ids.
        model: scores.
        beds: patients of a unit; None: all are in one.
    """
    timeline = Timeline(stays)
    names = [stay.patient_id for stay in stays]
    units = [f"unit-{0 if beds is None else i // beds + 1}" for i in range(len(stays))]
    windows = Windows(_nothing, capacity=len(stays), grace_ms=HOUR_MS)
    windows.resume(0, [0, 0])
    known = Stays(_nothing, capacity=len(stays))
    for stay, name, unit in zip(stays, names, units, strict=True):
        told = admission(stay, name, _BASE_MS, unit)
        known.admit(0, name.encode(), msgspec.convert(told, _AdmissionRow))
    bedside = Bedside(
        windows, known, None, Recommender(model, guidance()), IntakeRules(), 1, lambda: _BASE_MS
    )
    for start in track(range(0, len(timeline), _SLICE), "recommendations"):
        records = [
            SimpleNamespace(
                topic="vitals",
                partition=0,
                offset=start + i,
                timestamp=_BASE_MS + second * 1000,
                key=names[of].encode(),
                value=reading(values, names[of], _BASE_MS + second * 1000),
                headers=(),
            )
            for i, (of, second, values) in enumerate(
                timeline.readings(start, min(start + _SLICE, len(timeline)))
            )
        ]
        own = bedside.sort(records, 0, routed=False, whole=True).own
        windows.committed(0, DIRECT, start)
        yield [value for _, value in bedside.score(own, 0, DIRECT).recommendations]


def run(batches: Iterator[list[bytes]], stays: Sequence[Stay], policy: Policy) -> Outcome:
    """Raise the alerts of recommendations, and page as far as the budget goes.

    Args:
        batches: JSON of recommendations, in order.
        stays: the patients, for the time that they were observed.
        policy: decides.
    """
    outcome = Outcome(days=patient_days(stays))
    episodes = Episodes(_nothing, policy, capacity=len(stays))
    pager = Pager(policy)
    raised: dict[str, AlertRaised] = {}
    for batch in batches:
        came = Came()
        for value in batch:
            row = decode(value)
            came.add(row, outcome.recommendations, _BASE_MS)
            outcome.recommendations += 1
        for _, value in episodes.apply(0, came, outcome.recommendations).events:
            event = RaisedEvent.model_validate_json(value).root
            if isinstance(event, AlertRaised):
                raised[event.alert_id] = event
                (outcome.higher if event.higher else outcome.alerts).append(event)
                event = event.model_copy(update={"produced_at": None})  # nothing comes late here
            outcome.resolved += isinstance(event, AlertResolved)
            give(pager, event, _WALL_MS)
        for change in pager.drain()[0]:
            alert = raised.get(change.alert.alert_id)
            if alert is None:
                continue  # one to operators
            if change.state == "over_budget":
                outcome.held.append(alert)
            elif change.page is not None and (change.state, change.page.step) == ("queued", 0):
                outcome.paged.append(alert)
    return outcome


def rows(outcome: Outcome, stays: Sequence[Stay]) -> list[Row]:
    """Return a row for each tier, and one for what is paged and what is held over the budget."""
    septic = {stay.patient_id for stay in stays if stay.septic}
    kinds = {
        tier: [alert for alert in outcome.alerts if alert.tier == tier]
        for tier in ("watch", "warning", "urgent")
    }
    kinds |= {"paged": outcome.paged, "over budget": outcome.held}
    found = []
    for name, alerts in kinds.items():
        alerted = {alert.patient_id for alert in alerts}
        found.append(
            Row(
                name,
                len(alerts),
                _share(len(alerts), outcome.days),
                _share(len(alerted & septic), len(septic)),
                _share(len(alerted & septic), len(alerted)),
            )
        )
    return found


def draw(outcome: Outcome, policy: Policy, path: Path) -> None:
    """Draw alerts of each tier and pages over the hours since admission, into SVG or PNG.

    Args:
        outcome: of a run.
        policy: names the budget.
        path: of the file; its folder is created where it is missing.
    """
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    tiers = {tier: [a for a in outcome.alerts if a.tier == tier] for tier in ("warning", "urgent")}
    for name, alerts in (tiers | {"paged": outcome.paged}).items():
        hours = sorted((a.raised_at.timestamp() * 1000 - _BASE_MS) / HOUR_MS for a in alerts)
        counts = [_share(i, outcome.days) for i in range(1, len(hours) + 1)]
        axes.step(hours, counts, where="post", label=name)
    for tier, limit in policy.budget.per_patient_day.items():
        axes.axhline(limit, color="0.7", linewidth=0.8, label=f"budget of {tier}")
    axes.set(xlabel="hours since admission", ylabel="alerts so far, per patient-day of all")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context({"svg.hashsalt": "vigil"}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _nothing(_: int, keys: list[bytes]) -> list[bytes | None]:
    return [None] * len(keys)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")

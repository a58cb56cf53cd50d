"""The alert policy: what raises an alert, how many may be, who is paged, in which order.

Who is on call is in `config.rota`, how people are reached in `config.contacts`;
`config.policy` reads all of it from one file.
"""

from datetime import datetime
from itertools import pairwise
from typing import Annotated

from pydantic import Field, model_validator

from config.contacts import Channel, Contact, Kind, Tier
from config.rota import Part, Schedule

__all__ = [
    "NOBODY",
    "Budget",
    "EpisodeRules",
    "Escalation",
    "Policy",
    "Route",
    "Step",
    "TierRule",
]

#: Escalation of a route that pages no one: its alerts are on the boards only.
NOBODY = "nobody"


# -- when an alert is raised


class TierRule(Part):
    """What brings a patient's episode to a tier: any one of these.

    Attributes:
        recommended: the recommendation's own tier is at least this.
        news2: total of NEWS2, at least.
        rise_log_odds: the risk's log-odds have risen by at least this
        rise_hours: within so many hours.
        at_least: NEWS2 and a rise count only where the recommendation's own tier is at least this.
    """

    recommended: Tier | None = None
    news2: int | None = Field(None, ge=1, le=20)
    rise_log_odds: float | None = Field(None, gt=0)
    rise_hours: float = Field(4, gt=0)
    at_least: Tier | None = None

    @model_validator(mode="after")
    def _something(self) -> "TierRule":
        if self.recommended is None and self.news2 is None and self.rise_log_odds is None:
            raise ValueError("nothing leads to this tier: add recommended, news2 or rise_log_odds")
        if self.at_least and self.news2 is None and self.rise_log_odds is None:
            raise ValueError("at_least is about news2 and rise_log_odds: add one, or leave it out")
        return self


class EpisodeRules(Part):
    """How long an episode lasts, and what brings it to a tier; hours are of event time.

    Attributes:
        lockout_hours: after an alert, none of the same or a lower tier for the patient.
        clear_hours: how long the tier must stay below before the episode is resolved.
        clear_log_odds: how far the risk must fall below that at which the tier was reached.
        tiers: what leads to each.
    """

    lockout_hours: float = Field(12, gt=0)
    clear_hours: float = Field(4, gt=0)
    clear_log_odds: float = Field(0.5, ge=0)
    tiers: dict[Tier, TierRule]

    @model_validator(mode="after")
    def _urgent(self) -> "EpisodeRules":
        if "urgent" not in self.tiers:
            raise ValueError("tiers: nothing leads to 'urgent': add a rule for it")
        return self


class Budget(Part):
    """How many alerts a unit takes before it stops listening.

    Attributes:
        per_patient_day: alerts that page, by tier; a tier that is not named has no limit.
        burst: alerts of a tier that a unit may have before the budget counts.
        override_log_odds: over budget, an alert still pages where the risk has risen by so much
            above that at which it was raised.
    """

    per_patient_day: dict[Tier, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    burst: int = Field(2, ge=0)
    override_log_odds: float = Field(0.7, ge=0)


# -- who is paged


class Step(Part):
    """One step of an escalation.

    Attributes:
        after_s: seconds of event time after the alert, where nobody has accepted it by then.
        notify: ids of schedules and contacts; of all of them everybody who is on call.
        channels: tried in this order for one person: the second only where the first failed for
            good or the contact has none.
    """

    after_s: float = Field(ge=0)
    notify: Annotated[tuple[str, ...], Field(min_length=1)]
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)]


class Escalation(Part):
    """Who is paged, and who next when nobody accepts.

    Attributes:
        steps: in their order.
    """

    steps: Annotated[tuple[Step, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _in_order(self) -> "Escalation":
        times = [step.after_s for step in self.steps]
        if times[0] != 0:
            raise ValueError("steps: the first has to be at once: write after_s: 0")
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise ValueError("steps: each has to be later than the one before: see after_s")
        return self


class Route(Part):
    """Which alerts take which escalation.

    Attributes:
        kind: about patients or about operations.
        tiers: of which.
        units: of which; empty: of every unit, and of none.
        escalation: its id, or `NOBODY`.
    """

    kind: Kind
    tiers: Annotated[tuple[Tier, ...], Field(min_length=1)]
    units: tuple[str, ...] = ()
    escalation: str

    def takes(self, kind: Kind, unit_id: str | None, tier: Tier) -> bool:
        """Whether such an alert goes this way."""
        return (
            self.kind == kind and tier in self.tiers and (not self.units or unit_id in self.units)
        )


class Policy(Part):
    """The whole policy.

    Attributes:
        version: as in the file, with the first digits of the SHA-256 of its content.
        episodes: when an alert is raised.
        budget: how many may page.
        routes: in their order; the first that takes an alert counts.
        escalations: by id.
        schedules: by id.
        contacts: by id.
    """

    version: str = Field(min_length=1)
    episodes: EpisodeRules
    budget: Budget
    routes: tuple[Route, ...]
    escalations: dict[str, Escalation]
    schedules: dict[str, Schedule] = Field(default_factory=dict)
    contacts: dict[str, Contact]

    def escalation(self, kind: Kind, unit_id: str | None, tier: Tier) -> Escalation | None:
        """How an alert is escalated; None: nobody is paged, it is on the boards only."""
        for route in self.routes:
            if route.takes(kind, unit_id, tier):
                return self.escalations.get(route.escalation)
        return None

    def on_call(self, name: str, at: datetime) -> tuple[str, ...]:
        """Ids of the contacts behind a schedule or a contact.

        Args:
            name: id of either.
            at: when, with a time zone.

        Raises:
            KeyError: there is neither.
            ValueError: the time has no zone.
        """
        if name in self.contacts:
            return (name,)
        return self.schedules[name].on_call(_aware(at))

    def held_until(self, contact_id: str, tier: Tier, kind: Kind, at: datetime) -> datetime | None:
        """When a page may go that quiet hours hold, UTC; None where it may go now.

        Raises:
            KeyError: there is no such contact.
            ValueError: the time has no zone.
        """
        return self.contacts[contact_id].held_until(tier, kind, _aware(at))


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a moment needs a time zone: write 2026-01-31T12:00:00Z")
    return at

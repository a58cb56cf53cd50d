"""What tools say of a patient."""

from datetime import datetime

from pydantic import Field

from rag.tools.results.base import Part, Result, Tier

__all__ = [
    "Change",
    "Comparison",
    "Criterion",
    "Driver",
    "LastReading",
    "LatestVitals",
    "ModelBehind",
    "News2Explained",
    "News2Item",
    "NextSteps",
    "OfPatient",
    "Quality",
    "RiskNow",
    "RiskPoint",
    "RiskTrend",
    "Screening",
    "Value",
    "VitalNow",
    "VitalTrend",
]


class OfPatient(Result):
    """About one patient, with the reading that it rests on."""

    patient_id: str
    unit_id: str | None
    observed_at: datetime


class Driver(Part):
    """What moved a risk; contribution in log-odds."""

    name: str
    text: str
    contribution: float


class RiskNow(OfPatient):
    """Current risk, 0 to 1, and what moved it."""

    risk: float
    tier: Tier
    news2: int
    factors: list[Driver]
    model_name: str
    model_version: str
    flags: list[str]


class Value(Part):
    """One value at its time."""

    at: datetime
    value: float


class VitalTrend(OfPatient):
    """A vital sign over some hours; null where nothing was measured."""

    vital: str
    label: str
    unit: str
    hours: float
    values: list[Value]
    low: float | None
    high: float | None
    change: float | None


class RiskPoint(Part):
    """Where a patient stood."""

    at: datetime
    risk: float
    tier: Tier
    news2: int


class RiskTrend(OfPatient):
    """Risk and NEWS2 over some hours."""

    hours: float
    points: list[RiskPoint]
    low: float
    high: float
    log_odds_change: float


class VitalNow(Part):
    """Newest value of a vital sign; null where none came in the last 24 hours."""

    vital: str
    label: str
    unit: str
    value: float | None
    at: datetime | None
    age_s: float | None


class LatestVitals(OfPatient):
    """Newest vital signs."""

    vitals: list[VitalNow]


class News2Item(Part):
    """One component of NEWS2; null where it is not known.

    Attributes:
        band: charted values that get these points.
    """

    vital: str
    label: str
    points: int | None
    value: float | None
    unit: str
    at: datetime | None
    band: str


class News2Explained(OfPatient):
    """NEWS2 component by component: a lower bound."""

    total: int
    items: list[News2Item]
    missing: list[str]
    rule: str


class Quality(OfPatient):
    """What to know of the newest reading before its risk is believed."""

    flags: list[str]
    measured: int
    missing: list[str] = Field(description="Vital signs that did not come in the last 24 hours.")
    old: list[str] = Field(description="Vital signs whose newest value is older than two hours.")
    news2_missing: list[str]


class NextSteps(OfPatient):
    """What is suggested for the tier."""

    tier: Tier
    steps: list[str]


class ModelBehind(OfPatient):
    """What scored, and by which rules."""

    model_name: str
    model_version: str
    recommendation_id: str
    rules: list[str]


class Change(Part):
    """One thing then and now; null where it is not known."""

    name: str
    label: str
    unit: str
    before: float | None
    before_at: datetime | None
    now: float | None
    change: float | None


class Comparison(OfPatient):
    """Now and some hours ago; nothing is compared where nothing is kept from then."""

    hours: float
    then_at: datetime | None
    tier_before: Tier | None
    tier: Tier
    changes: list[Change]


class Criterion(Part):
    """One criterion of a score; ``met`` is null where the value is not known."""

    score: str
    text: str
    met: bool | None
    value: float | None
    at: datetime | None


class Screening(OfPatient):
    """Criteria of bedside scores that are met. Not a diagnosis."""

    qsofa: int
    sirs: int
    news2: int
    criteria: list[Criterion]
    not_on_the_feed: list[str]


class LastReading(OfPatient):
    """When there was a reading last, and what was on it."""

    age_s: float
    measured: list[str]

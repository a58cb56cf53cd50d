"""What tools return: values with units and times, and a text for people with its disclaimer."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from config.guidance import guidance

__all__ = [
    "AlertAnswers",
    "AlertLine",
    "AlertList",
    "Answered",
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
    "NothingKnown",
    "OfPatient",
    "OfUnit",
    "Paged",
    "Quality",
    "Result",
    "RiskNow",
    "RiskPoint",
    "RiskTrend",
    "Screening",
    "TierRow",
    "Tiers",
    "UnitPatients",
    "UnitRow",
    "UnitSummary",
    "UnitVital",
    "UnitVitalRow",
    "Value",
    "VitalNow",
    "VitalTrend",
    "WhyPaged",
    "Worsened",
    "WorsenedRow",
]

Tier = Literal["none", "watch", "warning", "urgent"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Result(_Part):
    """What every result has.

    Attributes:
        tool: that made it.
        as_of: what ages are measured against.
        text: for people: a sentence or a small table, times, basis and disclaimer.
        disclaimer: the project's.
    """

    tool: str
    as_of: datetime
    text: str
    disclaimer: str = Field(default_factory=lambda: guidance().disclaimer)


class NothingKnown(Result):
    """There is nothing that may be told, though whoever asks may see it."""


# -- of a patient


class OfPatient(Result):
    """About one patient, with the reading that it rests on."""

    patient_id: str
    unit_id: str | None
    observed_at: datetime


class Driver(_Part):
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


class Value(_Part):
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


class RiskPoint(_Part):
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


class VitalNow(_Part):
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


class News2Item(_Part):
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


class Change(_Part):
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


class Criterion(_Part):
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


# -- of an alert


class Answered(_Part):
    """What a person said to an alert."""

    by: str | None
    answer: str
    at: datetime


class Paged(_Part):
    """What became of the page to one person."""

    contact: str
    state: str
    channel: str | None
    at: datetime


class AlertLine(_Part):
    """One alert."""

    reference: str
    tier: str
    state: str
    is_open: bool
    raised_at: datetime
    pages: list[Paged]
    answers: list[Answered]


class AlertList(Result):
    """Alerts of a patient or a unit, the newest first; patients are named on a unit's alone."""

    patient_id: str | None
    unit_id: str | None
    alerts: list[AlertLine]
    patients: list[str]


class WhyPaged(Result):
    """From a page to the readings and the rule behind it.

    Attributes:
        basis_at: observed time of the reading nearest to the alert that is kept.
        exact: whether that is the reading that raised it.
    """

    patient_id: str
    unit_id: str | None
    alert: AlertLine
    told: str
    rules: list[str]
    basis_at: datetime | None
    exact: bool
    risk: float | None
    tier: Tier | None
    news2: int | None
    vitals: list[VitalNow]


class AlertAnswers(Result):
    """Who was paged and who answered."""

    patient_id: str
    alert: AlertLine


# -- of a unit


class OfUnit(Result):
    """About one unit."""

    unit_id: str


class UnitRow(_Part):
    """One patient of a unit."""

    patient_id: str
    risk: float
    tier: Tier
    news2: int
    observed_at: datetime
    age_s: float
    factor: str


class UnitPatients(OfUnit):
    """Patients of a unit, in the order asked for."""

    patients: list[UnitRow]
    of: int = Field(description="How many patients the unit has.")


class UnitSummary(OfUnit):
    """A unit in numbers."""

    patients: int
    tiers: dict[str, int]
    open_alerts: int
    silent: int
    oldest_reading_s: float | None


class WorsenedRow(_Part):
    """A patient who got worse."""

    patient_id: str
    risk_before: float
    risk: float
    tier_before: Tier
    tier: Tier
    news2_before: int
    news2: int
    before_at: datetime
    log_odds_change: float


class Worsened(OfUnit):
    """Patients who got worse; those without a reading from then are only counted."""

    hours: float
    patients: list[WorsenedRow]
    not_comparable: int


class UnitVitalRow(_Part):
    """A patient's newest value."""

    patient_id: str
    value: float
    at: datetime
    age_s: float


class UnitVital(OfUnit):
    """One vital sign of everybody on a unit."""

    vital: str
    label: str
    unit: str
    patients: list[UnitVitalRow]
    not_measured: int


# -- of nobody


class TierRow(_Part):
    """A tier: from which risk it begins, what raises an alert of it, what is suggested."""

    tier: Tier
    from_risk: float | None
    raised_when: list[str]
    next_steps: list[str]


class Tiers(Result):
    """What tiers mean."""

    tiers: list[TierRow]

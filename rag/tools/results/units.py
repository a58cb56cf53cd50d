"""What tools say of a unit, and of tiers."""

from datetime import datetime

from pydantic import Field

from rag.tools.results.base import Part, Result, Tier

__all__ = [
    "OfUnit",
    "TierRow",
    "Tiers",
    "UnitPatients",
    "UnitRow",
    "UnitSummary",
    "UnitVital",
    "UnitVitalRow",
    "Worsened",
    "WorsenedRow",
]


class OfUnit(Result):
    """About one unit."""

    unit_id: str


class UnitRow(Part):
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


class WorsenedRow(Part):
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


class UnitVitalRow(Part):
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


class TierRow(Part):
    """A tier: from which risk it begins, what raises an alert of it, what is suggested."""

    tier: Tier
    from_risk: float | None
    raised_when: list[str]
    next_steps: list[str]


class Tiers(Result):
    """What tiers mean."""

    tiers: list[TierRow]

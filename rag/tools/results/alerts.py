"""What tools say of alerts."""

from datetime import datetime

from rag.tools.results.base import Part, Result, Tier
from rag.tools.results.patients import VitalNow

__all__ = [
    "AlertAnswers",
    "AlertLine",
    "AlertList",
    "Answered",
    "Paged",
    "WhyPaged",
]


class Answered(Part):
    """What a person said to an alert."""

    by: str | None
    answer: str
    at: datetime


class Paged(Part):
    """What became of the page to one person."""

    contact: str
    state: str
    channel: str | None
    at: datetime


class AlertLine(Part):
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

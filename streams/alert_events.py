"""Event models of paging: what is on the wire of its topics.

Contract as in `streams.events`, and in a file of its own because another application reads it.
Words are those of IHE's alert communication profile (PCD ACM) where it has one: delivered,
accepted, declined, escalated.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, RootModel

from streams.events import ChainedEntry, Event, PatientId

__all__ = [
    "Acknowledgement",
    "AlertChange",
    "AlertRaised",
    "AlertResolved",
    "AlertState",
    "AuditEntry",
    "Census",
    "PagedTier",
    "RaisedEvent",
    "Receipt",
    "Silence",
]


def _of_our_time(moment: datetime) -> datetime:
    """Keep out what no clock says: some programs write the year 1 or 9999 for "none"."""
    if not 1970 < moment.year < 2200:
        raise ValueError("the year is not between 1971 and 2199")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_of_our_time)]

PagedTier = Literal["watch", "warning", "urgent"]

AlertState = Literal[
    # of the alert
    "raised",
    "silenced",
    "over_budget",
    "escalated",
    "accepted",
    "declined",
    "unanswered",
    "resolved",
    # of one page to one person
    "queued",
    "sending",
    "sent",
    "delivered",
    "failed",
    "in_doubt",
]


class AlertRaised(Event):
    """Somebody has to know: a patient's episode has reached a tier, or operators are needed."""

    type: Literal["raised"] = "raised"
    alert_id: str = Field(description="Deterministic and opaque: a repeat has the same id.")
    kind: Literal["patient", "operations"]
    tier: PagedTier
    subject: str = Field(description="What it is about, in a few words without a patient.")
    patient_id: PatientId | None = None
    unit_id: str | None = Field(None, max_length=128)
    episode_at: Moment | None = Field(None, description="Begin of the patient's episode.")
    raised_at: Moment = Field(description="Event time of what crossed the line.")
    produced_at: Moment | None = Field(
        None, description="Kafka time of the reading that did, to measure the way to the pager."
    )
    risk: float | None = None
    news2: int | None = None
    reasons: list[str] = Field(default_factory=list, description="Rules that were met.")
    recommendation_id: str | None = None
    policy: str = Field(description="Version of the alert policy.")
    higher: bool = Field(
        False,
        description="An alert that was raised before, under an id of its own: the risk has risen "
        "so far since that it pages over the budget.",
    )


class AlertResolved(Event):
    """A patient's episode has ended: nobody needs to be called for it any more."""

    type: Literal["resolved"] = "resolved"
    patient_id: PatientId
    episode_at: Moment
    at: Moment = Field(description="Event time.")


class Census(Event):
    """How long patients of a unit were watched: what the alert budget is measured by."""

    type: Literal["census"] = "census"
    unit_id: str | None
    partition: int = Field(ge=0, description="Of the recommendations that it was counted on.")
    patient_hours: float = Field(ge=0, description="Since the beginning: it only grows.")
    at: Moment = Field(description="Event time.")


class RaisedEvent(
    RootModel[Annotated[AlertRaised | AlertResolved | Census, Field(discriminator="type")]]
):
    """What is on `alerts.raised`."""


class Acknowledgement(Event):
    """A person's answer to an alert; by SMS, on the command line or from another system."""

    alert: str = Field(max_length=64, description="The alert's id, or its reference.")
    answer: Literal["accepted", "declined", "escalated"]
    by: str = Field(max_length=128, description="Contact of the alert policy, or who else.")
    at: Moment
    channel: Literal["sms", "command", "topic"] = "topic"
    answer_id: str | None = Field(
        None, max_length=64, description="The same answer again has the same; null = by all above."
    )


class Receipt(Event):
    """What a provider says later of a message that it took."""

    provider: str
    provider_id: str = Field(max_length=64, description="The provider's id of the message.")
    status: Literal["queued", "sending", "sent", "delivered", "undelivered", "failed"]
    error_code: int | None = None
    at: Moment


class Silence(Event):
    """For a while nobody is paged about something; a record without a value ends it."""

    silence_id: str = Field(max_length=64)
    kind: Literal["patient", "operations"] | None = Field(None, description="null = both.")
    unit_id: str | None = Field(None, max_length=128, description="null = everywhere.")
    tiers: list[PagedTier] = Field(default_factory=list, description="Empty = all but urgent.")
    starts_at: Moment
    ends_at: Moment
    by: str = Field(max_length=128)
    reason: str = Field(max_length=500)


class AlertChange(Event):
    """One change in the life of an alert, or of a page to one person."""

    change_id: str = Field(description="Deterministic: a repeat has the same id.")
    alert_id: str
    reference: str = Field(description="What the page calls it; answers name it.")
    kind: Literal["patient", "operations"]
    tier: PagedTier
    state: AlertState
    at: Moment = Field(description="Event time.")
    subject: str
    patient_id: PatientId | None = None
    unit_id: str | None = None
    contact: str | None = Field(None, description="Of the alert policy.")
    channel: Literal["sms", "email", "local"] | None = None
    step: int | None = Field(None, description="Of the escalation, from 0.")
    possible_repeat: bool = Field(
        False, description="Whether the person may have got the same page before."
    )
    detail: str = ""


class AuditEntry(ChainedEntry):
    """A change of an alert as it is kept for good: ids and hashes, each entry bound to the last.

    With ``VIGIL_AUDIT_KEY`` its hashes are HMAC-SHA-256 with the key, of ids with ``id/`` before
    them.
    """

    change_id: str = Field(description="With a key its hash.")
    alert_id: str = Field(description="With a key its hash: it is made of the patient's id.")
    state: AlertState
    at: Moment
    contact: str | None = None
    content: str = Field(description="SHA-256 of the change as it went out on `alerts`.")

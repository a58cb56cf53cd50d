"""What the ward's table reads off `recommendations` and `alerts`."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
import numpy as np

from config.clock import to_ms
from models.quality import screen
from models.vitals import MISSING, VITALS
from tables.ward_alerts import AlertStory, Event, PagedTier, number_of
from tables.ward_rows import NOT_MEASURED, TIERS, Factor, Newest, Point, Tier

__all__ = ["read_change", "read_recommendation"]

_Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
_Risk = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Factor(msgspec.Struct, gc=False):
    name: str
    text: str
    contribution: float


class _News2(msgspec.Struct, gc=False):
    total: int
    points: dict[str, int]
    missing: list[str]
    rule: str


class _Quality(msgspec.Struct, gc=False):
    flags: list[str]
    measured: int


class _Processing(msgspec.Struct, gc=False):
    produced_at: _Moment


class _Recommended(msgspec.Struct):
    """What is kept of `streams.events.Recommendation`; the rest is passed over."""

    recommendation_id: str
    patient_id: _Id
    unit_id: Annotated[str, msgspec.Meta(max_length=128)] | None
    observed_at: _Moment
    risk: _Risk
    tier: Tier
    factors: list[_Factor]
    news2: _News2
    next_steps: list[str]
    features: dict[str, float | None]
    data_quality: _Quality
    model_name: str
    model_version: str
    original_data: dict[str, Any]
    processing: _Processing
    disclaimer: str


class _Changed(msgspec.Struct):
    """What is kept of `streams.alert_events.AlertChange`."""

    change_id: str
    alert_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    reference: str
    kind: str
    tier: PagedTier
    state: str
    at: _Moment
    subject: str
    patient_id: _Id | None = None
    unit_id: str | None = None
    contact: str | None = None
    channel: str | None = None
    step: int | None = None
    detail: str = ""


_recommended = msgspec.json.Decoder(_Recommended).decode
_changed = msgspec.json.Decoder(_Changed).decode


def read_recommendation(value: bytes | None) -> tuple[str, Newest, Point]:
    """Read a recommendation: whose, itself, and where the patient stood.

    Implausible values are left out by the rule in `models.quality`, as when it was scored.

    Raises:
        ValueError: it is none; the reason carries no values.
    """
    row = _read(_recommended, value, "a recommendation")
    at_ms = to_ms(row.observed_at)
    newest = Newest(
        recommendation_id=row.recommendation_id,
        observed_ms=at_ms,
        produced_ms=to_ms(row.processing.produced_at),
        unit_id=row.unit_id,
        risk=row.risk,
        tier=row.tier,
        factors=tuple(Factor(one.name, one.text, one.contribution) for one in row.factors),
        news2=row.news2.total,
        news2_points=row.news2.points,
        news2_missing=tuple(row.news2.missing),
        news2_rule=row.news2.rule,
        next_steps=tuple(row.next_steps),
        features=row.features,
        flags=tuple(row.data_quality.flags),
        measured=row.data_quality.measured,
        model_name=row.model_name,
        model_version=row.model_version,
        disclaimer=row.disclaimer,
    )
    values = _hundredths(row.original_data)
    return row.patient_id, newest, Point(
        at_ms, row.risk, row.news2.total, TIERS.index(row.tier), values
    )  # fmt: skip


def read_change(value: bytes | None) -> tuple[AlertStory, Event] | None:
    """Read a change of an alert: the alert as far as this one change tells it, and the change.

    Returns:
        None where the alert is about no patient.

    Raises:
        ValueError: it is no change of an alert; the reason carries no values.
    """
    row = _read(_changed, value, "a change of an alert")
    if row.kind != "patient" or row.patient_id is None:
        return None
    event = Event(
        number=number_of(row.change_id, row.alert_id),
        at_ms=to_ms(row.at),
        state=row.state,
        contact=row.contact,
        channel=row.channel,
        step=row.step,
        detail=row.detail,
    )
    story = AlertStory(
        alert_id=row.alert_id,
        reference=row.reference,
        tier=row.tier,
        subject=row.subject,
        patient_id=row.patient_id,
        unit_id=row.unit_id,
        first=event,
    )
    return story, event


def _read(decode: Any, value: bytes | None, what: str) -> Any:
    if value is None:
        raise ValueError(f"no value: {what} cannot be deleted")
    try:
        return decode(value)
    except msgspec.ValidationError as error:
        # what is said of a place may quote a value
        _, at, place = str(error).rpartition(" - at ")
        raise ValueError(f"wrong type or missing field{at and ' at'}: {place}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("not JSON") from None


def _hundredths(original: dict[str, Any]) -> tuple[int, ...]:
    found = [original.get(vital.wire) for vital in VITALS]
    numbers = [
        float(one) if isinstance(one, int | float) and not isinstance(one, bool) else np.nan
        for one in found
    ]
    values, flags = np.empty((1, len(VITALS)), np.int64), np.empty(1, np.int32)
    screen(np.array([numbers]), values, flags)
    return tuple(NOT_MEASURED if one == MISSING else one for one in values[0].tolist())

"""Recommendations, changes of alerts and claims for tests of the ward and its tools."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from config.clock import iso
from config.guidance import guidance
from models.scores import NEWS2_ITEMS, NEWS2_RULE, news2_item
from models.vitals import VITALS
from rag.tools.claims import Claims
from tables.ward import WardTable
from tests.helpers import HOUR, T0

__all__ = ["NOW_S", "busy_ward", "change", "claims", "feeds", "recommendation", "site", "ward"]

#: Wall clock of the tests; claims end later.
NOW_S = T0 / 1000
_WIRE = {vital.name: vital.wire for vital in VITALS}


def recommendation(
    hour: float,
    *,
    patient: str = "p000123",
    unit: str | None = "ICU-2",
    risk: float = 0.05,
    tier: str = "watch",
    number: int = 0,
    **more: Any,
) -> bytes:
    """Encode what the bedside would send; vital signs by name."""
    at = iso(T0 + round(hour * HOUR))
    vitals = {name: more.pop(name) for name in list(more) if name in _WIRE}
    points = {
        name: news2_item(item, float(vitals[name]))
        for item, name in enumerate(NEWS2_ITEMS)
        if name in vitals
    }
    told: dict[str, Any] = {
        "recommendation_id": f"vitals-0-{number}-{round(hour * HOUR)}",
        "correlation_id": "c",
        "patient_id": patient,
        "unit_id": unit,
        "observed_at": at,
        "prediction_probabilities": [1 - risk, risk],
        "risk": risk,
        "tier": tier,
        "factors": [
            {"name": "heart_rate", "text": "heart rate 112 /min", "contribution": 0.81},
        ],
        "news2": {
            "total": sum(points.values()),
            "points": points,
            "missing": [name for name in NEWS2_ITEMS if name not in points]
            + ["supplemental_oxygen", "consciousness"],
            "rule": NEWS2_RULE,
        },
        "next_steps": guidance().next_steps[tier],
        "features": {},
        "data_quality": {"flags": [], "measured": len(vitals)},
        "model_name": "vigil",
        "model_version": "1.2.3",
        "original_data": {"patient_id": patient, **{_WIRE[k]: v for k, v in vitals.items()}},
        "processing": {"produced_at": at, "scored_at": at, "scoring_us": 1.0},
        "disclaimer": guidance().disclaimer,
    }
    return msgspec.json.encode(told | more)


def change(
    number: int,
    state: str,
    hour: float,
    *,
    alert: str = "a1",
    reference: str = "C7Q2XM",
    patient: str | None = "p000123",
    unit: str | None = "ICU-2",
    tier: str = "urgent",
    kind: str = "patient",
    **more: Any,
) -> bytes:
    """Encode what the pager would tell."""
    told: dict[str, Any] = {
        "change_id": f"{alert}-{number}-{state}",
        "alert_id": alert,
        "reference": reference,
        "kind": kind,
        "tier": tier,
        "state": state,
        "at": iso(T0 + round(hour * HOUR)),
        "subject": f"risk of sepsis: {tier}",
        "patient_id": patient,
        "unit_id": unit,
    }
    return msgspec.json.encode(told | more)


def claims(**more: Any) -> Claims:
    """Claims of a nurse of ICU-2."""
    told = {"sub": "nurse-day", "role": "nurse", "units": ("ICU-2",), "exp": NOW_S + 600}
    return Claims.model_validate(told | more)


def site() -> Claims:
    """Claims of somebody who sees everybody."""
    return claims(sub="head", role="site", units=())


def ward(*values: bytes, changes: tuple[bytes, ...] = ()) -> WardTable:
    """A ward that has taken these in."""
    table = WardTable()
    for value in values:
        table.recommended(value)
    for value in changes:
        table.changed(value)
    return table


def busy_ward() -> WardTable:
    """A ward of three patients, one of whom gets worse and is paged for."""
    normal = {"resp_rate": 16, "spo2": 97, "sbp": 120, "temperature": 37.0}
    sick = {"resp_rate": 24, "spo2": 93, "sbp": 98, "temperature": 38.6}
    return ward(
        recommendation(0, heart_rate=80, risk=0.02, tier="none", **normal),
        recommendation(4, heart_rate=96, risk=0.04, tier="watch", **normal),
        recommendation(8, heart_rate=118, risk=0.3, tier="urgent", **sick),
        recommendation(9, pulse_rate=121, risk=0.35, tier="urgent", data_quality={
            "flags": ["pulse_differs"], "measured": 1}),
        recommendation(1, patient="p000200", heart_rate=70, risk=0.01, tier="none"),
        recommendation(9, patient="p000200", heart_rate=72, risk=0.01, tier="none", **normal),
        recommendation(5, patient="p000300", heart_rate=60, risk=0.03, tier="watch"),
        recommendation(9, patient="p000900", unit="ICU-9", risk=0.9, tier="urgent"),
        changes=(
            change(0, "raised", 8),
            change(1, "queued", 8, contact="nurse-day", channel="sms", step=0),
            change(2, "delivered", 8.01, contact="nurse-day", channel="sms", step=0),
            change(3, "declined", 8.05, contact="nurse-day"),
            change(4, "escalated", 8.05, step=1, detail="step 2"),
            change(5, "queued", 8.05, contact="dr-quill", channel="sms", step=1),
            change(0, "raised", 2, alert="a0", reference="F9J8M7", tier="warning"),
            change(1, "accepted", 2.5, alert="a0", reference="F9J8M7", tier="warning",
                   contact="dr-quill"),
            change(0, "raised", 9, alert="a9", reference="XXXX99", patient="p000900", unit="ICU-9"),
        ),
    )  # fmt: skip


#: States that a person has brought about.
_BY = {"queued", "sent", "delivered", "declined", "accepted"}
_vital = st.sampled_from(["heart_rate", "resp_rate", "temperature", "spo2", "sbp"])
_recommendations = st.builds(
    lambda hour, patient, unit, risk, tier, number, vitals: recommendation(
        hour / 4, patient=patient, unit=unit, risk=risk, tier=tier, number=number, **vitals
    ),
    st.integers(0, 240),
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["u1", "u2", None]),
    st.sampled_from([0.01, 0.05, 0.5]),
    st.sampled_from(["none", "watch", "urgent"]),
    st.integers(0, 12),
    st.dictionaries(_vital, st.integers(30, 45), max_size=5),
)
_changes = st.builds(
    lambda number, state, hour, alert, contact: change(
        number,
        state,
        hour,
        alert=alert,
        reference=f"R{alert}",
        contact=contact if state in _BY else None,
        channel="sms" if state in ("queued", "sent", "delivered") else None,
    ),
    st.integers(0, 20),
    st.sampled_from(
        ["raised", "over_budget", "queued", "sent", "delivered", "declined", "accepted", "resolved"]
    ),
    st.integers(0, 24),
    st.sampled_from(["a1", "a2"]),
    st.sampled_from(["nurse-day", "dr-quill"]),
)
#: Records of both topics.
feeds = st.lists(
    st.tuples(st.just("recommended"), _recommendations) | st.tuples(st.just("changed"), _changes),
    max_size=30,
)

"""Tools about a patient's risk: now, over time, and what stands behind it."""

import math
from typing import Any

from config.clock import HOUR_MS, from_ms
from config.guidance import guidance
from models.anomaly import SENSOR_RULE
from models.vitals import RANGES_RULE
from rag.tools import arguments as args
from rag.tools import results as out
from rag.tools.readings import points
from rag.tools.scene import PatientView, Scene
from rag.tools.wording import about, basis, percent, said, signed, table, when
from streams.plain import plain
from tables.ward_rows import TIERS

__all__ = ["current_risk", "head", "log_odds", "model_behind", "next_steps", "risk_trend"]

#: Leaves a risk of 0 or 1 finite log-odds.
_LEAST = 1e-9
#: Points that a text shows.
_SHOWN = 12


def head(tool: str, view: PatientView, scene: Scene) -> dict[str, Any]:
    """What every result about a patient has."""
    return {
        "tool": tool,
        "as_of": from_ms(scene.now_ms),
        "patient_id": view.patient.patient_id,
        "unit_id": view.patient.newest.unit_id,
        "observed_at": from_ms(view.patient.newest.observed_ms),
    }


def log_odds(risk: float) -> float:
    """Log-odds of a risk."""
    risk = min(max(risk, _LEAST), 1 - _LEAST)
    return math.log(risk / (1 - risk))


def current_risk(_: args.PatientArgs, view: PatientView, scene: Scene) -> out.RiskNow:
    """Say the risk of sepsis of a patient now, its tier and what moved it."""
    newest = view.patient.newest
    text = (
        f"Risk of sepsis in the hours to come for {about(view.patient)}: {percent(newest.risk)}, "
        f"tier {newest.tier}, NEWS2 at least {newest.news2}."
    )
    drivers = [f"{signed(one.contribution)} log-odds: {one.text}" for one in newest.factors]
    flags = f"Data quality: {', '.join(newest.flags).replace('_', ' ')}." if newest.flags else ""
    return out.RiskNow(
        **head("current_risk", view, scene),
        risk=newest.risk,
        tier=newest.tier,
        news2=newest.news2,
        factors=[
            out.Driver(name=one.name, text=one.text, contribution=one.contribution)
            for one in newest.factors
        ],
        model_name=newest.model_name,
        model_version=newest.model_version,
        flags=list(newest.flags),
        text=said(
            text,
            "\n".join(["What moved it most:", *(f"  {plain(one)}" for one in drivers)])
            if drivers
            else "",
            plain(flags),
            basis(view.patient, scene.now_ms),
        ),
    )


def risk_trend(given: args.RiskTrendArgs, view: PatientView, scene: Scene) -> out.RiskTrend:
    """Say how the risk and NEWS2 of a patient went over some hours."""
    patient = view.patient
    kept = points(patient, scene.now_ms - round(given.hours * HOUR_MS))
    kept = kept or points(patient, 0)[-1:]
    risks = [one.risk for one in kept]
    change = log_odds(risks[-1]) - log_odds(risks[0])
    text = (
        f"Risk of {about(patient)} in the last {given.hours:g} h: from {percent(risks[0])} to "
        f"{percent(risks[-1])} ({signed(change)} log-odds), lowest {percent(min(risks))}, highest "
        f"{percent(max(risks))}."
    )
    rows = [
        [when(one.at_ms, scene.now_ms), percent(one.risk), TIERS[one.tier], str(one.news2)]
        for one in kept[-_SHOWN:]
    ]
    return out.RiskTrend(
        **head("risk_trend", view, scene),
        hours=given.hours,
        points=[
            out.RiskPoint(
                at=from_ms(one.at_ms), risk=one.risk, tier=TIERS[one.tier], news2=one.news2
            )
            for one in kept
        ],
        low=min(risks),
        high=max(risks),
        log_odds_change=change,
        text=said(
            text, table(["time", "risk", "tier", "NEWS2"], rows), basis(patient, scene.now_ms)
        ),
    )


def next_steps(_: args.PatientArgs, view: PatientView, scene: Scene) -> out.NextSteps:
    """Say what is suggested for a patient's tier."""
    newest = view.patient.newest
    steps = [f"  - {plain(step)}" for step in newest.next_steps]
    first = (
        f"For {about(view.patient)}, tier {newest.tier}, "
        + ("this is suggested:" if steps else "nothing is suggested beyond the usual care")
        + ("" if steps else ".")
    )
    return out.NextSteps(
        **head("next_steps", view, scene),
        tier=newest.tier,
        steps=list(newest.next_steps),
        text=said(first, "\n".join(steps), basis(view.patient, scene.now_ms)),
    )


def model_behind(_: args.PatientArgs, view: PatientView, scene: Scene) -> out.ModelBehind:
    """Say which model, version and rules a patient's score comes from."""
    newest = view.patient.newest
    rules = [newest.news2_rule, RANGES_RULE, SENSOR_RULE, guidance().version]
    return out.ModelBehind(
        **head("model_behind", view, scene),
        model_name=newest.model_name,
        model_version=newest.model_version,
        recommendation_id=newest.recommendation_id,
        rules=rules,
        text=said(
            f"The risk of {about(view.patient)} comes from model {plain(newest.model_name)}, "
            f"version {plain(newest.model_version)}, as recommendation "
            f"{plain(newest.recommendation_id)}.",
            f"Rules: {plain(', '.join(rules))}.",
            basis(view.patient, scene.now_ms),
        ),
    )

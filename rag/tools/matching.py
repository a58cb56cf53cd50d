"""From a question in words to a tool and its arguments, by rule; None where it is for the corpus.

    question ─→ whom it names or points to ─→ rules of alerts, of the unit, of the patient, of tiers

A question is only for a tool where it is about somebody: it names a patient, unit or alert, or it
points to one ("her", "this ward") that the question or the conversation knows. "What is NEWS2?" is
about nobody. What asks for advice ("should she have antibiotics?") is for no tool either. The rules
stand in `rag.tools.phrases_of_wards` and `rag.tools.phrases_of_patients`; the first that fits
counts. Nothing here looks at the ward or decides who may see what: `rag.tools.registry.call` does.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from zoneinfo import ZoneInfo

from rag.tools import phrases
from rag.tools.durations import hours_back
from rag.tools.names import Named, named
from rag.tools.phrases_of_patients import PATIENT
from rag.tools.phrases_of_wards import ALERT, COUNT, LOWEST, OF_AN_ALERT, OWN_PAGE, UNIT
from rag.tools.registry import catalogue
from rag.tools.vocabulary import number_in, vital_in

__all__ = ["Match", "match"]

Origin = Literal["question", "event", "conversation"]
_UTC = ZoneInfo("UTC")
_LONGEST = 400
#: What telephones write for an apostrophe.
_QUOTES = {0x2018: "'", 0x2019: "'"}


@dataclass(frozen=True, slots=True)
class Match:
    """A tool that answers a question.

    Attributes:
        tool: its name.
        arguments: of it.
        patient_from: where the patient comes from; None = it is about no single patient.
    """

    tool: str
    arguments: dict[str, Any] = field(default_factory=dict)
    patient_from: Origin | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question, read."""

    lower: str
    named: Named
    patient_id: str | None
    origin: Origin | None
    unit_id: str | None
    vital: str | None
    hours: float | None
    week: float | None


def match(
    text: str,
    *,
    now_ms: int,
    patient_id: str | None = None,
    last_patient: str | None = None,
    unit_id: str | None = None,
    units: Sequence[str] = (),
    zone: ZoneInfo = _UTC,
) -> Match | None:
    """Find the tool that answers a question; None where it is none for a tool.

    Args:
        text: the question.
        now_ms: when it was asked, for "since this morning".
        patient_id: of the question's event: whose page it was asked on, or the patient who asks.
        last_patient: whom the conversation is about.
        unit_id: where it was asked, for "this ward".
        units: names that units have, where they look like none ("Nightingale").
        zone: of the wall clock, for "since 8 am".

    >>> match("what is the risk of patient p000123?", now_ms=0)
    Match(tool='current_risk', arguments={'patient_id': 'p000123'}, patient_from='question')
    >>> match("what is NEWS2?", now_ms=0, patient_id="p000123") is None
    True
    """
    if len(text) > _LONGEST:
        return None
    text = " ".join(text.translate(_QUOTES).split())
    lower = text.lower().strip(" ?!.")
    known = [name for name in (patient_id, last_patient) if name]
    found = named(text, lower, known, [*units, *([unit_id] if unit_id else [])])
    subject, origin = _subject(lower, found, patient_id, last_patient)
    asked = _Asked(
        lower=lower,
        named=found,
        patient_id=subject,
        origin=origin,
        unit_id=found.unit_id or unit_id,
        vital=vital_in(lower),
        hours=hours_back(lower, now_ms, zone),
        week=hours_back(lower, now_ms, zone, most=168.0),
    )
    return _alert(asked) or _unit(asked) or _patient(asked) or _tier(asked)


def _subject(
    lower: str, found: Named, patient_id: str | None, last_patient: str | None
) -> tuple[str | None, Origin | None]:
    """The patient that a question is about, and how it says so."""
    if found.patient_id is not None:
        return found.patient_id, "question"
    if patient_id is not None:
        pointed = found.third or found.first or phrases.is_about_the_open_patient(lower)
        return (patient_id, "event") if pointed else (None, None)
    if last_patient is not None and (found.third or phrases.follows_up(lower)):
        return last_patient, "conversation"
    return None, None


# -- by what it is about


def _alert(asked: _Asked) -> Match | None:
    """Why somebody was paged, and who answered."""
    for tool, pattern in ALERT:
        if not pattern.search(asked.lower):
            continue
        if asked.named.reference is not None and asked.named.patient_id is None:
            return Match(tool, {"reference": asked.named.reference})
        if tool == "who_answered" and not OF_AN_ALERT.search(asked.lower):
            continue
        if asked.patient_id is not None and (
            asked.origin == "question" or asked.named.third or not asked.named.first
        ):
            return _made(tool, asked, {"patient_id": asked.patient_id})
        # "her" without anybody whom it could be is not about the last page to me
        own = OWN_PAGE.search(asked.lower) and not asked.named.third
        return Match(tool) if own else None
    return None


def _unit(asked: _Asked) -> Match | None:
    """A ward or unit."""
    if asked.origin == "question":
        return None
    on_unit = asked.named.unit_id is not None or asked.named.here
    for tool, pattern, alone in UNIT:
        if not pattern.search(asked.lower) or not (on_unit or alone):
            continue
        if tool not in phrases.MAY_ASK_FOR_ADVICE and phrases.ADVICE.search(asked.lower):
            return None
        arguments: dict[str, Any] = {}
        if asked.unit_id is not None:
            arguments["unit_id"] = asked.unit_id
        if tool == "unit_vital":
            if asked.vital is None:
                continue
            arguments["vital"] = asked.vital
            arguments["first"] = "lowest" if LOWEST.search(asked.lower) else "highest"
        if tool in ("worsened_on_unit", "silent_patients") and asked.hours is not None:
            arguments["hours"] = asked.hours
        if tool == "sickest_on_unit" and (count := COUNT.search(asked.lower)):
            number = number_in(count[1] or count[2])
            if number is not None and 1 <= number <= 50:
                arguments["count"] = int(number)
        return Match(tool, arguments)
    return None


def _patient(asked: _Asked) -> Match | None:
    """One patient."""
    if asked.patient_id is None:
        return None
    if phrases.DRUGS.search(asked.lower):
        return None
    if asked.origin != "question" and phrases.is_a_report(asked.lower):
        return None
    for tool, pattern in PATIENT:
        # a vital sign and a time are a trend whatever stands between them
        timed = tool == "vital_trend" and asked.hours is not None
        if not timed and not pattern.search(asked.lower):
            continue
        if tool in ("vital_trend", "latest_vitals_of") and asked.vital is None:
            continue
        if tool not in phrases.MAY_ASK_FOR_ADVICE and phrases.ADVICE.search(asked.lower):
            return None
        return _for_patient(tool, asked, {"patient_id": asked.patient_id})
    return None


def _for_patient(tool: str, asked: _Asked, arguments: dict[str, Any]) -> Match:
    if tool == "latest_vitals_of":
        tool = "latest_vitals"
    # one vital sign then and now is its trend
    if tool == "compare" and asked.vital is not None:
        tool = "vital_trend"
    if tool in ("vital_trend", "latest_vitals") and asked.vital is not None:
        arguments["vital"] = asked.vital
    if tool == "alert_history" and asked.week is not None:
        arguments["hours"] = asked.week
    elif "hours" in catalogue()[tool].arguments.model_fields and asked.hours is not None:
        arguments["hours"] = asked.hours
    return _made(tool, asked, arguments)


def _tier(asked: _Asked) -> Match | None:
    """What a tier means."""
    if not phrases.TIER.search(asked.lower):
        return None
    name = re.search(r"\b(watch|warning|urgent)\b", asked.lower)
    return Match("tier_explained", {} if name is None else {"tier": name[1]})


def _made(tool: str, asked: _Asked, arguments: dict[str, Any]) -> Match:
    return Match(tool, arguments, asked.origin)

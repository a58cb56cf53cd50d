"""Tools about a patient's vital signs: newest, over time, missing, and compared with before."""

from config.clock import HOUR_MS, from_ms
from models.vitals import SCALE, VITALS, index_of
from rag.tools import arguments as args
from rag.tools import results as out
from rag.tools.patient_risk import head
from rag.tools.readings import column_of, extremes, latest, measured, then
from rag.tools.scene import PatientView, Scene
from rag.tools.wording import (
    OLD_MS,
    about,
    ago,
    basis,
    moment,
    percent,
    said,
    signed,
    table,
    unit_of,
    value_of,
    when,
)
from streams.plain import plain
from tables.ward_rows import NOT_MEASURED, TIERS, Snapshot

__all__ = [
    "compare",
    "data_quality",
    "last_reading",
    "latest_vitals",
    "vital_now",
    "vital_trend",
]

_SHOWN = 12
#: A value that is older than this at a time does not stand for that time.
_CARRIED_MS = 8 * HOUR_MS


def vital_now(patient: Snapshot, column: int, now_ms: int) -> out.VitalNow:
    """Newest value of a vital sign."""
    vital, found = VITALS[column], latest(patient, column)
    return out.VitalNow(
        vital=vital.name,
        label=vital.label,
        unit=unit_of(vital),
        value=None if found is None else found.value,
        at=None if found is None else from_ms(found.at_ms),
        age_s=None if found is None else (now_ms - found.at_ms) / 1000,
    )


def latest_vitals(given: args.VitalArgs, view: PatientView, scene: Scene) -> out.LatestVitals:
    """Say a patient's newest vital signs, each with its age."""
    patient = view.patient
    columns = list(range(len(VITALS)))
    if given.vital is not None:
        columns = [column_of(patient, given.vital, patient.newest.observed_ms - 24 * HOUR_MS)]
    rows = []
    for column in columns:
        found = latest(patient, column)
        told = "not in the last 24 h" if found is None else when(found.at_ms, scene.now_ms)
        number = None if found is None else found.hundredths
        rows.append([VITALS[column].label, value_of(column, number), told])
    return out.LatestVitals(
        **head("latest_vitals", view, scene),
        vitals=[vital_now(patient, column, scene.now_ms) for column in columns],
        text=said(
            f"Newest vital signs of {about(patient)}:",
            table(["vital sign", "value", "measured"], rows),
            basis(patient, scene.now_ms),
        ),
    )


def vital_trend(given: args.VitalTrendArgs, view: PatientView, scene: Scene) -> out.VitalTrend:
    """Say how a patient's vital sign went over some hours."""
    patient, since_ms = view.patient, scene.now_ms - round(given.hours * HOUR_MS)
    column = column_of(patient, given.vital, since_ms)
    vital, values = VITALS[column], measured(patient, column, since_ms)
    ends = extremes(patient, column, since_ms)
    change = values[-1].value - values[0].value if values else None
    if values and ends is not None and change is not None:
        digits = 1 if vital.name == "temperature" else 0
        text = (
            f"{vital.label.capitalize()} of {about(patient)} in the last {given.hours:g} h: from "
            f"{value_of(column, values[0].hundredths)} at "
            f"{moment(values[0].at_ms, scene.now_ms)} to "
            f"{value_of(column, values[-1].hundredths)} at "
            f"{when(values[-1].at_ms, scene.now_ms)}, {signed(change, digits)}; "
            f"lowest {value_of(column, ends.low)}, highest {value_of(column, ends.high)}."
        )
    else:
        text = f"No {vital.label} of {about(patient)} came in the last {given.hours:g} h."
    rows = [
        [when(one.at_ms, scene.now_ms), value_of(column, one.hundredths)]
        for one in values[-_SHOWN:]
    ]
    return out.VitalTrend(
        **head("vital_trend", view, scene),
        vital=vital.name,
        label=vital.label,
        unit=unit_of(vital),
        hours=given.hours,
        values=[out.Value(at=from_ms(one.at_ms), value=one.value) for one in values],
        low=None if ends is None else ends.low / SCALE,
        high=None if ends is None else ends.high / SCALE,
        change=change,
        text=said(
            text, table(["time", vital.label], rows) if rows else "", basis(patient, scene.now_ms)
        ),
    )


def data_quality(_: args.PatientArgs, view: PatientView, scene: Scene) -> out.Quality:
    """Say which vital signs are missing or old, and what is doubtful about the newest reading."""
    patient, newest = view.patient, view.patient.newest
    missing, old = [], []
    for column, vital in enumerate(VITALS):
        found = latest(patient, column)
        if found is None:
            missing.append(vital.label)
        elif scene.now_ms - found.at_ms >= OLD_MS:
            old.append(f"{vital.label} ({ago(scene.now_ms - found.at_ms)})")
    flags = [flag.replace("_", " ") for flag in newest.flags]
    return out.Quality(
        **head("data_quality", view, scene),
        flags=list(newest.flags),
        measured=newest.measured,
        missing=missing,
        old=old,
        news2_missing=list(newest.news2_missing),
        text=said(
            f"The newest reading of {about(patient)} has {newest.measured} of {len(VITALS)} vital "
            "signs.",
            f"Not in the last 24 h: {', '.join(missing) or 'none'}.",
            f"Older than 2 h: {', '.join(old) or 'none'}.",
            f"Flags: {plain(', '.join(flags)) or 'none'}.",
            f"Not in NEWS2: {plain(', '.join(newest.news2_missing).replace('_', ' ')) or 'none'}.",
            basis(patient, scene.now_ms),
        ),
    )


def last_reading(_: args.PatientArgs, view: PatientView, scene: Scene) -> out.LastReading:
    """Say when there was a reading of a patient last."""
    patient, at_ms = view.patient, view.patient.newest.observed_ms
    values = max(one for one in patient.recent if one.at_ms == patient.recent[-1].at_ms).values
    found = [
        f"{vital.label} {value_of(column, value)}"
        for column, (vital, value) in enumerate(zip(VITALS, values, strict=True))
        if value != NOT_MEASURED
    ]
    return out.LastReading(
        **head("last_reading", view, scene),
        age_s=(scene.now_ms - at_ms) / 1000,
        measured=found,
        text=said(
            f"The last reading of {about(patient)} was at {when(at_ms, scene.now_ms)}: "
            f"{', '.join(found) or 'nothing measured'}.",
            basis(patient, scene.now_ms),
        ),
    )


def compare(given: args.CompareArgs, view: PatientView, scene: Scene) -> out.Comparison:
    """Say how a patient is now against some hours ago."""
    patient, at_ms = view.patient, scene.now_ms - round(given.hours * HOUR_MS)
    before, newest = then(patient, at_ms), view.patient.newest
    first = f"{about(patient).capitalize()} now against {given.hours:g} h ago"
    if before is None or at_ms - before.at_ms > _CARRIED_MS:
        return out.Comparison(
            **head("compare", view, scene),
            hours=given.hours,
            then_at=None,
            tier_before=None,
            tier=newest.tier,
            changes=[],
            text=said(
                f"{first}: nothing is kept from then to compare with. The risk is now "
                f"{percent(newest.risk)}, tier {newest.tier}.",
                basis(patient, scene.now_ms),
            ),
        )
    changes = [
        _change("risk", "risk", "", before.risk, before.at_ms, newest.risk),
        _change("news2", "NEWS2", "", before.news2, before.at_ms, newest.news2),
    ]
    rows = [
        ["risk", percent(before.risk), percent(newest.risk)],
        ["tier", TIERS[before.tier], newest.tier],
        ["NEWS2", str(before.news2), str(newest.news2)],
    ]
    for vital in VITALS:
        column = index_of(vital.name)
        values = measured(patient, column, at_ms - _CARRIED_MS)
        earlier = [one for one in values if one.at_ms <= at_ms]
        old, now = (earlier[-1] if earlier else None), latest(patient, column)
        if old is None and now is None:
            continue
        changes.append(
            _change(
                vital.name,
                vital.label,
                unit_of(vital),
                None if old is None else old.value,
                None if old is None else old.at_ms,
                None if now is None else now.value,
            )
        )
        cells = [value_of(column, None if one is None else one.hundredths) for one in (old, now)]
        rows.append([vital.label, *cells])
    return out.Comparison(
        **head("compare", view, scene),
        hours=given.hours,
        then_at=from_ms(before.at_ms),
        tier_before=TIERS[before.tier],
        tier=newest.tier,
        changes=changes,
        text=said(
            f"{first}:",
            table(["", f"at {moment(before.at_ms, scene.now_ms)}", "now"], rows),
            basis(patient, scene.now_ms),
        ),
    )


def _change(
    name: str, label: str, unit: str, before: float | None, at_ms: int | None, now: float | None
) -> out.Change:
    return out.Change(
        name=name,
        label=label,
        unit=unit,
        before=before,
        before_at=None if at_ms is None else from_ms(at_ms),
        now=now,
        change=None if before is None or now is None else now - before,
    )

"""Tools about a ward or unit: who is sickest, who got worse, who is there, who is silent."""

from collections import Counter

from config.clock import HOUR_MS, from_ms
from models.vitals import VITALS
from rag.tools import arguments as args
from rag.tools import results as out
from rag.tools.patient_risk import log_odds
from rag.tools.readings import Measured, column_of, latest, then
from rag.tools.scene import Scene, UnitView
from rag.tools.wording import OLD_MS, ago, moment, percent, said, table, unit_of, value_of, when
from streams.plain import plain
from tables.ward_rows import TIERS, Point, Snapshot

__all__ = [
    "WORSE_LOG_ODDS",
    "sickest_on_unit",
    "silent_patients",
    "unit_patients",
    "unit_summary",
    "unit_vital",
    "worsened_on_unit",
]

#: A patient whose odds have grown 1.65-fold is worse; less is how a risk moves from hour to hour.
WORSE_LOG_ODDS = 0.5
#: A point that is older than this at a time does not stand for that time.
_CARRIED_MS = 8 * HOUR_MS


def sickest_on_unit(given: args.SickestArgs, view: UnitView, scene: Scene) -> out.UnitPatients:
    """List the patients of a unit at the highest risk, the highest first."""
    found = view.patients[: given.count]
    name = plain(view.unit_id)
    first = f"Nobody is known on {name}."
    if found:
        top = found[0]
        first = (
            f"At the highest risk of {len(view.patients)} on {name}: patient "
            f"{plain(top.patient_id)}, {percent(top.newest.risk)}, tier {top.newest.tier}, at "
            f"{when(top.newest.observed_ms, scene.now_ms)}."
        )
    return _patients("sickest_on_unit", view, found, scene, first)


def unit_patients(_: args.UnitArgs, view: UnitView, scene: Scene) -> out.UnitPatients:
    """List all patients of a unit, by id."""
    found = tuple(sorted(view.patients, key=lambda one: one.patient_id))
    first = f"{_count(len(found))} on {plain(view.unit_id)}."
    return _patients("unit_patients", view, found, scene, first)


def silent_patients(given: args.SilentArgs, view: UnitView, scene: Scene) -> out.UnitPatients:
    """List patients of a unit without a reading for some hours, the longest first."""
    silent_ms = round(given.hours * HOUR_MS)
    found = tuple(
        sorted(
            (p for p in view.patients if scene.now_ms - p.newest.observed_ms >= silent_ms),
            key=lambda one: one.newest.observed_ms,
        )
    )
    first = (
        f"{_count(len(found))} of {len(view.patients)} on {plain(view.unit_id)} had no reading for "
        f"{given.hours:g} h or longer."
    )
    return _patients("silent_patients", view, found, scene, first)


def unit_summary(_: args.UnitArgs, view: UnitView, scene: Scene) -> out.UnitSummary:
    """Count a unit's patients by tier, its open alerts and who is silent."""
    counts = Counter(one.newest.tier for one in view.patients)
    tiers = {tier: counts[tier] for tier in reversed(TIERS)}
    ages = [scene.now_ms - one.newest.observed_ms for one in view.patients]
    alerts, silent = sum(one.is_open for one in view.alerts), sum(age >= OLD_MS for age in ages)
    return out.UnitSummary(
        tool="unit_summary",
        as_of=from_ms(scene.now_ms),
        unit_id=view.unit_id,
        patients=len(view.patients),
        tiers=tiers,
        open_alerts=alerts,
        silent=silent,
        oldest_reading_s=max(ages) / 1000 if ages else None,
        text=said(
            f"{_count(len(view.patients))} on {plain(view.unit_id)}: "
            f"{', '.join(f'{count} {tier}' for tier, count in tiers.items())}. "
            f"{alerts} open alert{'s' * (alerts != 1)}. "
            f"{_count(silent)} without a reading for 2 h or longer.",
            f"The oldest last reading was {ago(max(ages))}." if ages else "",
            _basis(scene),
        ),
    )


def worsened_on_unit(given: args.WorsenedArgs, view: UnitView, scene: Scene) -> out.Worsened:
    """List patients of a unit whose tier is higher than some hours ago, or whose risk has risen."""
    at_ms = scene.now_ms - round(given.hours * HOUR_MS)
    found: list[tuple[float, Snapshot, Point]] = []
    unknown = 0
    for patient in view.patients:
        before = then(patient, at_ms)
        if before is None or at_ms - before.at_ms > _CARRIED_MS:
            unknown += 1
            continue
        rise = log_odds(patient.newest.risk) - log_odds(before.risk)
        if rise >= WORSE_LOG_ODDS or TIERS.index(patient.newest.tier) > before.tier:
            found.append((rise, patient, before))
    found.sort(key=lambda one: (-one[0], one[1].patient_id))
    rows = [
        [
            patient.patient_id,
            f"{percent(before.risk)} to {percent(patient.newest.risk)}",
            f"{TIERS[before.tier]} to {patient.newest.tier}",
            f"{before.news2} to {patient.newest.news2}",
            when(patient.newest.observed_ms, scene.now_ms),
        ]
        for _, patient, before in found
    ]
    return out.Worsened(
        tool="worsened_on_unit",
        as_of=from_ms(scene.now_ms),
        unit_id=view.unit_id,
        hours=given.hours,
        not_comparable=unknown,
        patients=[
            out.WorsenedRow(
                patient_id=patient.patient_id,
                risk_before=before.risk,
                risk=patient.newest.risk,
                tier_before=TIERS[before.tier],
                tier=patient.newest.tier,
                news2_before=before.news2,
                news2=patient.newest.news2,
                before_at=from_ms(before.at_ms),
                log_odds_change=rise,
            )
            for rise, patient, before in found
        ],
        text=said(
            f"{_count(len(found))} of {len(view.patients)} on {plain(view.unit_id)} got worse in "
            f"the last {given.hours:g} h: a higher tier, or a risk risen by {WORSE_LOG_ODDS:g} "
            "log-odds or more.",
            table(["patient", "risk", "tier", "NEWS2", "last reading"], rows) if rows else "",
            f"{_count(unknown)} cannot be compared: nothing is kept from then." if unknown else "",
            _basis(scene),
        ),
    )


def unit_vital(given: args.UnitVitalArgs, view: UnitView, scene: Scene) -> out.UnitVital:
    """List the newest value of one vital sign of everybody on a unit, highest or lowest first."""
    found: list[tuple[Measured, int, str]] = []
    for patient in view.patients:
        column = column_of(patient, given.vital, patient.newest.observed_ms - 24 * HOUR_MS)
        value = latest(patient, column)
        if value is not None:
            found.append((value, column, patient.patient_id))
    sign = -1 if given.first == "highest" else 1
    found.sort(key=lambda one: (sign * one[0].hundredths, one[2]))
    vital = next(one for one in VITALS if one.name == given.vital)
    missing, shown = len(view.patients) - len(found), found[: given.count]
    rows = [
        [name, value_of(column, value.hundredths), when(value.at_ms, scene.now_ms)]
        for value, column, name in shown
    ]
    return out.UnitVital(
        tool="unit_vital",
        as_of=from_ms(scene.now_ms),
        unit_id=view.unit_id,
        vital=vital.name,
        label=vital.label,
        unit=unit_of(vital),
        not_measured=missing,
        patients=[
            out.UnitVitalRow(
                patient_id=name,
                value=value.value,
                at=from_ms(value.at_ms),
                age_s=(scene.now_ms - value.at_ms) / 1000,
            )
            for value, _, name in shown
        ],
        text=said(
            f"Newest {vital.label} on {plain(view.unit_id)}, {given.first} first:",
            table(["patient", vital.label, "measured"], rows) if rows else "",
            f"{_count(missing)} had none in the last 24 h." if missing else "",
            _basis(scene),
        ),
    )


def _patients(
    tool: str, view: UnitView, found: tuple[Snapshot, ...], scene: Scene, first: str
) -> out.UnitPatients:
    rows = [
        [
            one.patient_id,
            percent(one.newest.risk),
            one.newest.tier,
            str(one.newest.news2),
            when(one.newest.observed_ms, scene.now_ms),
            one.newest.factors[0].text if one.newest.factors else "",
        ]
        for one in found
    ]
    return out.UnitPatients(
        tool=tool,
        as_of=from_ms(scene.now_ms),
        unit_id=view.unit_id,
        of=len(view.patients),
        patients=[
            out.UnitRow(
                patient_id=one.patient_id,
                risk=one.newest.risk,
                tier=one.newest.tier,
                news2=one.newest.news2,
                observed_at=from_ms(one.newest.observed_ms),
                age_s=(scene.now_ms - one.newest.observed_ms) / 1000,
                factor=one.newest.factors[0].text if one.newest.factors else "",
            )
            for one in found
        ],
        text=said(
            first,
            table(["patient", "risk", "tier", "NEWS2", "last reading", "main factor"], rows)
            if rows
            else "",
            _basis(scene),
        ),
    )


def _count(number: int) -> str:
    return "1 patient" if number == 1 else f"{number} patients"


def _basis(scene: Scene) -> str:
    return (
        "Basis: the newest recommendation of each patient, as of "
        f"{moment(scene.now_ms, scene.now_ms)}."
    )

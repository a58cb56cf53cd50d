"""Tools about alerts: which are open, which there were, why, and who answered."""

from config.clock import HOUR_MS, from_ms
from models.vitals import SCALE, VITALS
from rag.tools import arguments as args
from rag.tools import results as out
from rag.tools.readings import points, then
from rag.tools.rules import met, words
from rag.tools.scene import AlertView, PatientView, Scene, UnitView
from rag.tools.wording import (
    about,
    moment,
    percent,
    said,
    table,
    unit_of,
    value_of,
    when,
)
from streams.plain import plain
from tables.ward_alerts import AlertStory
from tables.ward_rows import NOT_MEASURED, TIERS, Point

__all__ = ["alert_history", "open_alerts", "unit_open_alerts", "who_answered", "why_paged"]

_NOBODY = "nobody yet"


def line(story: AlertStory) -> out.AlertLine:
    """One alert as data."""
    return out.AlertLine(
        reference=story.reference,
        tier=story.tier,
        state=story.state,
        is_open=story.is_open,
        raised_at=from_ms(story.first.at_ms),
        pages=[
            out.Paged(
                contact=contact, state=page.state, channel=page.channel, at=from_ms(page.at_ms)
            )
            for contact, page in story.pages.items()
        ],
        answers=[
            out.Answered(by=one.contact, answer=one.state, at=from_ms(one.at_ms))
            for one in story.answers
            if one.contact is not None
        ],
    )


def _table(alerts: list[AlertStory], now_ms: int, *, patients: bool = False) -> str:
    if not alerts:
        return ""
    rows = [
        [
            *([one.patient_id] if patients else []),
            one.reference,
            one.tier,
            one.state.replace("_", " "),
            when(one.first.at_ms, now_ms),
            ", ".join(f"{who}: {page.state.replace('_', ' ')}" for who, page in one.pages.items()),
        ]
        for one in alerts
    ]
    head = [*(["patient"] if patients else []), "reference", "tier", "state", "raised", "pages"]
    return table(head, rows)


def open_alerts(_: args.PatientArgs, view: PatientView, scene: Scene) -> out.AlertList:
    """List a patient's open alerts and what became of their pages."""
    found = [one for one in view.alerts if one.is_open]
    first = f"{len(found)} open alert{'s' * (len(found) != 1)} of {about(view.patient)}."
    return _listed("open_alerts", view, found, scene, first)


def alert_history(given: args.HistoryArgs, view: PatientView, scene: Scene) -> out.AlertList:
    """List a patient's alerts of some hours, open or not."""
    since_ms = scene.now_ms - round(given.hours * HOUR_MS)
    found = [one for one in view.alerts if one.first.at_ms >= since_ms]
    first = (
        f"{len(found)} alert{'s' * (len(found) != 1)} of {about(view.patient)} in the last "
        f"{given.hours:g} h."
    )
    return _listed("alert_history", view, found, scene, first)


def _listed(
    tool: str, view: PatientView, found: list[AlertStory], scene: Scene, first: str
) -> out.AlertList:
    return out.AlertList(
        tool=tool,
        as_of=from_ms(scene.now_ms),
        patient_id=view.patient.patient_id,
        unit_id=view.patient.newest.unit_id,
        alerts=[line(one) for one in found],
        patients=[],
        text=said(first, _table(found, scene.now_ms), _basis(scene)),
    )


def unit_open_alerts(_: args.UnitArgs, view: UnitView, scene: Scene) -> out.AlertList:
    """List the open alerts of a unit's patients."""
    found = [one for one in view.alerts if one.is_open]
    return out.AlertList(
        tool="unit_open_alerts",
        as_of=from_ms(scene.now_ms),
        patient_id=None,
        unit_id=view.unit_id,
        alerts=[line(one) for one in found],
        patients=[one.patient_id for one in found],
        text=said(
            f"{len(found)} open alert{'s' * (len(found) != 1)} on {plain(view.unit_id)}.",
            _table(found, scene.now_ms, patients=True),
            _basis(scene),
        ),
    )


def _basis(scene: Scene) -> str:
    return f"Basis: changes on the topic of alerts, as of {moment(scene.now_ms, scene.now_ms)}."


def who_answered(_: args.AlertArgs, view: AlertView, scene: Scene) -> out.AlertAnswers:
    """Say who was paged about an alert, who answered and who accepted."""
    story = view.alert
    accepted = [one.contact for one in story.answers if one.state == "accepted" and one.contact]
    first = (
        f"Alert {plain(story.reference)} about patient {plain(story.patient_id)}, tier "
        f"{story.tier}, raised at {when(story.first.at_ms, scene.now_ms)}, is "
        f"{story.state.replace('_', ' ')}; accepted by {plain(', '.join(accepted)) or _NOBODY}."
    )
    rows = [
        [contact, f"paged by {page.channel or 'no channel'}", page.state.replace("_", " "),
         when(page.at_ms, scene.now_ms)]
        for contact, page in story.pages.items()
    ]  # fmt: skip
    rows += [
        [one.contact or "nobody", "answered" if one.contact else "next step", one.state,
         when(one.at_ms, scene.now_ms)]
        for one in story.answers
    ]  # fmt: skip
    return out.AlertAnswers(
        tool="who_answered",
        as_of=from_ms(scene.now_ms),
        patient_id=story.patient_id,
        alert=line(story),
        text=said(first, table(["who", "", "state", "time"], rows) if rows else "", _basis(scene)),
    )


def why_paged(_: args.AlertArgs, view: AlertView, scene: Scene) -> out.WhyPaged:
    """Explain an alert: the patient's episode, the readings and the rule behind it."""
    story, patient = view.alert, view.patient
    raised_ms = story.first.at_ms
    at = None if patient is None else then(patient, raised_ms)
    exact = at is not None and at.at_ms == raised_ms
    rule = None if scene.rules is None else scene.rules.tiers.get(story.tier)
    told: list[str] = []
    if rule is not None and at is not None and patient is not None:
        before = [one for one in points(patient, 0) if one.at_ms <= raised_ms]
        told = met(rule, at, before)
    because = ""
    if story.first.detail:
        because = f"The pager said: {plain(story.first.detail)}."
    elif told:
        because = f"The rule was met because {'; '.join(told)}."
    elif rule is not None:
        because = f"This tier is raised where {'; or '.join(words(rule))}."
    return out.WhyPaged(
        tool="why_paged",
        as_of=from_ms(scene.now_ms),
        patient_id=story.patient_id,
        unit_id=story.unit_id,
        alert=line(story),
        told=story.first.detail,
        rules=told,
        basis_at=None if at is None else from_ms(at.at_ms),
        exact=exact,
        risk=None if at is None else at.risk,
        tier=None if at is None else TIERS[at.tier],
        news2=None if at is None else at.news2,
        vitals=[] if at is None else _vitals(at, scene.now_ms),
        text=said(
            f"Alert {plain(story.reference)}, {plain(story.subject)}, was raised at "
            f"{when(raised_ms, scene.now_ms)} for patient {plain(story.patient_id)}"
            + (f" on {plain(story.unit_id)}" if story.unit_id else "")
            + f"; it is {story.state.replace('_', ' ')}.",
            because,
            _reading(at, exact, scene),
            _basis(scene),
        ),
    )


def _vitals(at: Point, now_ms: int) -> list[out.VitalNow]:
    return [
        out.VitalNow(
            vital=vital.name,
            label=vital.label,
            unit=unit_of(vital),
            value=value / SCALE,
            at=from_ms(at.at_ms),
            age_s=(now_ms - at.at_ms) / 1000,
        )
        for vital, value in zip(VITALS, at.values, strict=True)
        if value != NOT_MEASURED
    ]


def _reading(at: Point | None, exact: bool, scene: Scene) -> str:
    if at is None:
        return "The readings of that time are not kept any more: they go after a day."
    found = [
        f"{vital.label} {value_of(column, value)}"
        for column, (vital, value) in enumerate(zip(VITALS, at.values, strict=True))
        if value != NOT_MEASURED
    ]
    which = "The reading behind it" if exact else "The reading that is kept nearest before it"
    return (
        f"{which}, {when(at.at_ms, scene.now_ms)}: risk {percent(at.risk)}, tier {TIERS[at.tier]}, "
        f"NEWS2 at least {at.news2}; {', '.join(found) or 'nothing measured'}."
    )

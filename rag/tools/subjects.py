"""From names in arguments to what may be seen: the patient, the unit or the alert, or a refusal.

What may not be seen and what is not there get the same refusal.
"""

import re
from collections.abc import Iterable

from rag.tools.argument_texts import ToolArgumentError, several_units
from rag.tools.arguments import AlertArgs, PatientArgs, UnitArgs
from rag.tools.claims import Claims, Refusal
from rag.tools.rights import Rights
from rag.tools.scene import AlertView, PatientView, UnitView, Ward
from tables.ward_alerts import AlertStory

__all__ = ["Unknown", "alert", "patient", "unit"]

_WORD = re.compile(r"[\W_]+")
_KIND = re.compile(r"^(ward|unit)(?=.)")


class Unknown:
    """Whoever asks may see it, and there is nothing.

    Attributes:
        text: for people.
    """

    def __init__(self, text: str) -> None:
        self.text = text


def patient(
    tool: str, given: PatientArgs, ward: Ward, claims: Claims, rights: Rights
) -> PatientView | Unknown | Refusal:
    """Find the patient of the arguments, who may be seen."""
    names = _spellings(given.patient_id)
    for name in names:
        known = ward.patient(name)
        if known is not None and rights.sees_patient(claims, name, known.newest.unit_id):
            return PatientView(known, tuple(ward.alerts_of(name)))
    # without a snapshot no unit is known: only a right to the patient counts
    if any(rights.sees_patient(claims, n, None) for n in names if ward.patient(n) is None):
        return Unknown(f"Nothing came of patient {given.patient_id} for a day or longer.")
    return rights.refuse("no_right", claims, tool, "patient", given.patient_id)


def unit(
    tool: str, given: UnitArgs, ward: Ward, claims: Claims, rights: Rights
) -> UnitView | Refusal:
    """Find the unit of the arguments, which may be seen.

    Raises:
        ToolArgumentError: no unit was named, and several may be meant.
    """
    if claims.is_patient:
        return rights.refuse("wrong_role", claims, tool, "unit", given.unit_id or "")
    known = ward.units() if rights.all_of(claims) else list(claims.units)
    if given.unit_id is None:
        if not known:
            return rights.refuse("no_right", claims, tool, "unit", "")
        if len(known) > 1:
            raise ToolArgumentError(
                f"{tool}: unit_id: you have the right to several units: name the one you mean",
                several_units(known),
            )
        name: str | None = known[0]
    else:
        name = _same(given.unit_id, known)
        if name is None and rights.all_of(claims):
            name = given.unit_id
    if name is None or not rights.sees_unit(claims, name):
        return rights.refuse("no_right", claims, tool, "unit", given.unit_id or "")
    patients = tuple(ward.unit(name))
    alerts = [story for one in patients for story in ward.alerts_of(one.patient_id)]
    alerts.sort(key=lambda story: (-story.first.at_ms, story.alert_id))
    return UnitView(name, patients, tuple(alerts))


def alert(
    tool: str, given: AlertArgs, ward: Ward, claims: Claims, rights: Rights
) -> AlertView | Unknown | Refusal:
    """Find the alert of the arguments, which may be seen."""
    if given.reference is not None:
        story = ward.alert(given.reference)
        if story is not None and (view := _alert_view(story, ward, claims, rights)):
            return view
        if story is None and rights.all_of(claims):
            return Unknown(f"No alert {given.reference} is known of the last week.")
        return rights.refuse("no_right", claims, tool, "alert", given.reference)
    if given.patient_id is not None:
        found = patient(tool, PatientArgs(patient_id=given.patient_id), ward, claims, rights)
        if isinstance(found, PatientView):
            if not found.alerts:
                return Unknown(
                    f"No alert about patient {found.patient.patient_id} is known of the last week."
                )
            return AlertView(found.alerts[0], found.patient)
        return found
    for story in ward.paged(claims.sub):
        if view := _alert_view(story, ward, claims, rights):
            return view
    return Unknown("No page to you is known of the last week: name the alert's reference.")


def _alert_view(story: AlertStory, ward: Ward, claims: Claims, rights: Rights) -> AlertView | None:
    known = ward.patient(story.patient_id)
    where = story.unit_id if known is None else known.newest.unit_id
    if not rights.sees_patient(claims, story.patient_id, where):
        return None
    return AlertView(story, known)


def _spellings(name: str) -> list[str]:
    """A name as it was given, and as a telephone may have changed it."""
    return list(dict.fromkeys((name, name.lower(), name.upper())))


def _same(given: str, known: Iterable[str]) -> str | None:
    """The one unit that is called so, but for case, spaces and "ward" before it."""
    names = list(known)
    if given in names:
        return given
    for form in (_key, _short):
        found = [name for name in names if form(name) == form(given)]
        if len(found) == 1:
            return found[0]
    return None


def _key(name: str) -> str:
    return _WORD.sub("", name.casefold())


def _short(name: str) -> str:
    return _KIND.sub("", _key(name))

"""Whom a question is about: the patient, the unit and the alert that it names or points to."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from streams.delivery.references import ALPHABET, LENGTH

__all__ = ["Named", "named"]

# possessive: "65" must not become "6" where something after it does not fit
_DIGITS = r"(?=[\w.\-]*\d)[A-Za-z0-9][\w.\-]*+"
#: "patient 3"; not "a patient 65 years old", nor "a patient 2 hours ago".
_PATIENT = re.compile(
    rf"\b(?:patients?|pat|pt|bed|mrn|case)\b\.?\s*(?:id|no\.?|number|nr\.?)?\s*[:#]?\s*({_DIGITS})"
    r"(?!\s*(?:years?|yrs?|yo\b|y/o|hours?|hrs?|h\b|min|days?|weeks?|months?|%|mg|mmhg))",
    re.IGNORECASE,
)
#: What is an id wherever it stands.
_BARE = re.compile(
    r"(?<![\w-])([pP][-_]?\d{3,}|(?:PAT|pat|PT|pt|MRN|mrn)[-_]?\d{2,}|\d{6,})(?![\w-])"
)
_UNIT_WORDS = "icu|itu|ccu|hdu|micu|sicu|nicu|picu|cicu|imc"
_UNIT = re.compile(
    rf"(?<!\ba )(?<!\ban )\b(?:(?:ward|unit|station)\s+)?((?:{_UNIT_WORDS})"
    r"(?:[\s\-_]?[a-z]?\d+[a-z]?\b|[\-_][a-z]\b|\s(?-i:[A-Z])\b)?)(?![\w-])",
    re.IGNORECASE,
)
_WARD = re.compile(
    r"\b((?:[Ww]ard|[Uu]nit|[Ss]tation|WARD|UNIT)[\s\-_]+(?:[a-z]?\d+[A-Za-z]?|[A-Z]{1,2}\d*|"
    r"[A-Z][a-z]{2,}|[a-z]+-[a-z0-9]+))(?![\w-])"
)
#: The unit that the question is asked on.
_HERE = re.compile(
    r"\b(?:this|my|our|the|whole|entire) (?:ward|unit|floor|station|board)\b"
    r"|\b(?:my|our|all|these|the) patients\b|\bhere\b|\bon the floor\b|\bmy list\b"
    r"|\bunder (?:my|our) care\b"
)
_SHORT = rf"[{ALPHABET}]{{{LENGTH}}}"
_REFERENCE = re.compile(
    rf"(?<![\w-])((?-i:{_SHORT})|[a-z]{{1,3}}-\d{{2,}}|[0-9a-f]{{32}})(?![\w-])", re.IGNORECASE
)
_AFTER_REF = re.compile(
    r"\b(?:alert|alarm|page|ref|reference)\s*(?:no\.?|number|ref|reference|id)?\s*[:#]?\s*"
    r"((?=[a-z0-9-]*\d)[a-z0-9][a-z0-9-]{2,63})(?![\w-])",
    re.IGNORECASE,
)
_NO_REFERENCE = re.compile(r"(?:news|covid|ph|icu|itu|ccu|hdu|type|p|pat|pt|mrn)-", re.IGNORECASE)

_THIRD = re.compile(
    r"\b(?:she|she's|her|hers|he|he's|him|his|their|(?:this|that|the|the same|said) patient(?:'s)?"
    r"|(?:are|have|were|had) they|they (?:are|have|were|had|got)|they're|they've)\b"
)
# "I" alone does not make a question one about whoever asks: "do I need to see a doctor for ...?"
_FIRST = re.compile(r"\b(?:my|mine|am i|was i|did i|have i|do i have|i'm|i've)\b")


@dataclass(frozen=True, slots=True)
class Named:
    """What a question names.

    Attributes:
        patient_id: as written; None = no patient is named.
        unit_id: as written; None = no unit is named.
        here: whether it is about the unit that it is asked on.
        reference: of an alert; None = none is named.
        third: whether it points to somebody: "her", "this patient".
        first: whether it is about whoever asks: "my".
    """

    patient_id: str | None
    unit_id: str | None
    here: bool
    reference: str | None
    third: bool
    first: bool


def named(text: str, lower: str, patients: Iterable[str], units: Iterable[str]) -> Named:
    """Find what a question names.

    Args:
        text: as it was asked.
        lower: the same in lower case.
        patients: ids that may stand in it though they look like none.
        units: names of units that may stand in it.
    """
    unit, place = _unit(text, lower, units)
    rest = (
        text if place is None else text[: place[0]] + " " * (place[1] - place[0]) + text[place[1] :]
    )
    patient = _patient(rest, patients)
    return Named(
        patient_id=patient,
        unit_id=unit,
        here=_HERE.search(lower) is not None,
        reference=_reference(rest, patient),
        third=_THIRD.search(lower) is not None,
        first=_FIRST.search(lower) is not None,
    )


def _patient(text: str, known: Iterable[str]) -> str | None:
    for name in known:
        if name and re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text, re.IGNORECASE):
            return name
    found = _PATIENT.search(text) or _BARE.search(text)
    return None if found is None else found[1].rstrip(".-_")


def _unit(text: str, lower: str, known: Iterable[str]) -> tuple[str | None, tuple[int, int] | None]:
    for name in sorted(known, key=len, reverse=True):
        found = re.search(rf"(?<![\w-]){re.escape(name.lower())}(?![\w-])", lower)
        if found:
            return name, found.span()
    for pattern in (_UNIT, _WARD):
        found = pattern.search(text)
        if found:
            return " ".join(found[1].split()), found.span()
    return None, None


def _reference(text: str, patient: str | None) -> str | None:
    for pattern in (_AFTER_REF, _REFERENCE):
        for found in pattern.finditer(text):
            if found[1] != patient and not _NO_REFERENCE.match(found[1]):
                return found[1]
    return None

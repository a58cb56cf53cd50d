"""What people call vital signs and times. Names and labels come from `models.vitals`."""

import re
from functools import cache

from models.vitals import VITALS

__all__ = ["NUMBERS", "SYNONYMS", "number_in", "vital_in"]

#: What else each is called; its name and its label count anyway. "pressure" without more is the
#: systolic one, which scores look at.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "heart_rate": (
        "hr", "heartrate", "heart beat", "heartbeat", "ecg rate", "cardiac rate", "tachycardic",
        "tachycardia", "bradycardic", "bradycardia", "beats per minute", "bpm",
    ),
    "pulse_rate": ("pulse", "pulses", "pulse ox rate"),
    "resp_rate": (
        "rr", "resp", "resps", "resp rate", "respirations", "respiration rate", "respiration",
        "breathing rate", "breathing", "breaths", "breaths per minute", "breath rate",
        "tachypnoeic", "tachypneic", "tachypnoea", "tachypnea",
    ),
    "temperature": (
        "temp", "temps", "fever", "febrile", "feverish", "pyrexia", "pyrexial", "afebrile",
        "body temperature", "core temperature",
    ),
    "spo2": (
        "spo2", "sp02", "sats", "sat", "o2 sat", "o2 sats", "o2", "saturation", "saturations",
        "oxygen sats", "oxygen level", "oxygen levels", "oxygenation", "oxygen", "desaturated",
        "desaturating", "hypoxic", "hypoxia",
    ),
    "sbp": (
        "systolic", "systolic pressure", "systolic bp", "bp", "blood pressure", "blood pressures",
        "pressure", "hypotensive", "hypotension", "hypertensive",
    ),
    "dbp": ("diastolic", "diastolic pressure", "diastolic bp"),
    "map": ("mean pressure", "mean bp", "mean blood pressure", "mean arterial"),
}  # fmt: skip

#: Numbers as words; what "a few" and "a couple" stand for is said in the answer as hours.
NUMBERS: dict[str, float] = {
    "half": 0.5, "half an": 0.5, "a": 1, "an": 1, "one": 1, "a couple of": 2, "couple of": 2,
    "two": 2, "three": 3, "few": 6, "a few": 6, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "twelve": 12, "eighteen": 18, "twenty four": 24,
    "twenty-four": 24,
}  # fmt: skip


@cache
def _words() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Patterns of the names, the longest first: "mean blood pressure" is not "blood pressure"."""
    names = {
        word: vital.name
        for vital in VITALS
        for word in (vital.name, vital.label, *SYNONYMS[vital.name])
    }
    return tuple(
        (re.compile(rf"\b{re.escape(word)}\b"), names[word])
        for word in sorted(names, key=lambda word: (-len(word), word))
    )


def vital_in(text: str) -> str | None:
    """The vital sign that is named first, in lower-case text; None where none is.

    >>> vital_in("how is her mean blood pressure"), vital_in("any fever?"), vital_in("hello")
    ('map', 'temperature', None)
    """
    best: tuple[int, int, str] | None = None
    for pattern, name in _words():
        found = pattern.search(text)
        if found is None:
            continue
        here = found.start(), -len(found[0]), name
        if best is None or here < best:
            best = here
    return None if best is None else best[2]


def number_in(text: str) -> float | None:
    """Number in figures or words.

    >>> number_in("6"), number_in("two"), number_in("1.5"), number_in("x")
    (6.0, 2, 1.5, None)
    """
    if text in NUMBERS:
        return NUMBERS[text]
    try:
        return float(text)
    except ValueError:
        return None

"""A hospital for the pager: its alert policy, patients whose fate is known, people who answer.

Who has to be paged about a patient follows from the fate alone, whatever the pager says of it.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from config.clock import iso, now_ms

__all__ = ["ROLES", "Fate", "Hospital", "calm", "fates", "quiet", "sick"]

#: What becomes of a patient's episode: the first who gets the text accepts; the nurse passes it on
#: and the next one accepts; nobody ever answers; the patient gets better.
Fate = Literal["accepts", "passes_on", "ignored", "resolves"]

#: Who is paged in the steps of the escalation, in each unit.
ROLES = ("nurse", "doctor", "head")

#: Of 10 episodes.
_SHARES: tuple[Fate, ...] = ("accepts",) * 5 + ("passes_on",) + ("ignored",) * 2 + ("resolves",) * 2
assert set(_SHARES) == set(get_args(Fate))

_WIDE = "limits: [{texts: 1000000, minutes: 0.0001}]"


@dataclass(frozen=True)
class Hospital:
    """Units, each with a nurse, a doctor and a head; one operator.

    Attributes:
        units: how many.
        second_s: after so long, event time, the doctor is paged.
        third_s: and the head.
        line: what raises an alert.
        limits: whether people have the limits on texts that they have by default; else none.
    """

    units: int = 8
    second_s: float = 60
    third_s: float = 120
    line: str = "{recommended: urgent}"
    limits: bool = False

    def unit(self, number: int) -> str:
        """Name of a unit."""
        return f"ICU-{number % self.units}"

    @property
    def contacts(self) -> dict[str, str]:
        """Contact → number."""
        people = {
            f"{role}-{unit}": f"+4477009{place}{unit:05}"
            for unit in range(self.units)
            for place, role in enumerate(ROLES, 1)
        }
        return people | {"operator": "+447700900000"}

    def person(self, unit_id: str, step: int) -> str:
        """Contact that a step of a unit's escalation pages."""
        return f"{ROLES[step]}-{unit_id.partition('-')[2]}"

    def write(self, path: Path) -> Path:
        """Write the alert policy."""
        units = range(self.units)
        limits = "" if self.limits else f", {_WIDE}"
        times = (0, self.second_s, self.third_s)
        lines = [
            "version: bench",
            "episodes:",
            "  clear_hours: 0.01",
            f"  tiers: {{urgent: {self.line}}}",
            "budget: {per_patient_day: {}}",
            "routes:",
            *(
                f"  - {{kind: patient, tiers: [urgent], units: [{self.unit(n)}], escalation: u{n}}}"
                for n in units
            ),
            "  - {kind: patient, tiers: [urgent], escalation: u0}",
            "  - {kind: patient, tiers: [warning, watch], escalation: nobody}",
            "  - {kind: operations, tiers: [urgent, warning], escalation: operators}",
            "escalations:",
            "  operators: {steps: [{after_s: 0, notify: [operator], channels: [sms]}]}",
            *(
                line
                for n in units
                for line in (
                    f"  u{n}:",
                    "    steps:",
                    *(
                        f"      - {{after_s: {after:g}, notify: [{role}-{n}], channels: [sms]}}"
                        for role, after in zip(ROLES, times, strict=True)
                    ),
                )
            ),
            "contacts:",
            *(
                f'  {name}: {{name: {name}, sms: "{number}"{limits}}}'
                for name, number in self.contacts.items()
            ),
        ]
        path.write_text("\n".join(lines) + "\n")
        return path


def fates(count: int, seed: int) -> list[Fate]:
    """Draw the fates of so many episodes, in fixed shares."""
    found = [_SHARES[number % len(_SHARES)] for number in range(count)]
    random.Random(seed).shuffle(found)
    return found


# -- recommendations

_RECOMMENDATION = (
    '{"recommendation_id":"%s-%d","patient_id":"%s","unit_id":"%s","observed_at":"%s","risk":%s,'
    '"tier":"%s","news2":{"total":%d},"processing":{"produced_at":"%s"}}'
)


def _one(patient: str, unit: str, at_ms: int, severe: bool, produced: str) -> bytes:
    risk, tier, news2 = ("0.9", "urgent", 9) if severe else ("0.02", "none", 1)
    given = (patient, at_ms, patient, unit, iso(at_ms), risk, tier, news2, produced)
    return (_RECOMMENDATION % given).encode()


def sick(patient: str, unit: str, at_ms: int) -> bytes:
    """A recommendation that crosses the line."""
    return _one(patient, unit, at_ms, True, iso(now_ms()))


def calm(patient: str, unit: str, at_ms: int) -> bytes:
    """A recommendation far below the line."""
    return _one(patient, unit, at_ms, False, iso(now_ms()))


def quiet(patients: Sequence[tuple[str, str]], at_ms: int) -> list[bytes]:
    """Recommendations of patients, with their units, of whom nothing has to be said."""
    at, produced = iso(at_ms), iso(now_ms())
    return [
        (_RECOMMENDATION % (p, at_ms, p, unit, at, "0.02", "none", 1, produced)).encode()
        for p, unit in patients
    ]

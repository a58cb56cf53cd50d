"""What drove a risk, in a clinician's words.

A factor is a group of features with the log-odds it added or took away (see `models.risk`) and one
sentence built from the values a clinician would look at: the current value, its change, how long
ago it was measured. The sentence states measurements; the judgement is the contribution.

A sentence is made from a handful of whole numbers, its `facts`: what a value rounds to, in the
digits that are shown. Readings of the same facts read the same, so a sentence is made once.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.compiled import kernel
from models.features import CURRENT, FEATURES, GROUPS
from models.vitals import VITALS

__all__ = ["MOST", "NOTHING", "sentence", "top_factors"]

#: Factors a reading has at most.
MOST = 3
#: Stands for a fact that is not known.
NOTHING = -(2**62)

_UNIT = {vital.name: vital.unit for vital in VITALS}
#: UCUM is for machines.
_READABLE = {"/min": "/min", "Cel": " °C", "%": " %", "mm[Hg]": " mmHg"}
#: A change worth a word: about the noise of a charted value.
_STEP = np.array((10, 4, 0.5, 2, 10, 8, 8), np.float64)
_STALE_HOURS = 2.0
_TEMPERATURE = CURRENT.index("temperature")

#: For the groups that are no vital sign: features, what each is multiplied by, how it reads.
_OTHER = {
    "circulation": (
        ("shock_index", 100, "shock index {:.2f}"),
        ("pulse_pressure", 1, "pulse pressure {:.0f} mmHg"),
    ),
    "scores": (
        ("news2", 1, "NEWS2 at least {:.0f}"),
        ("qsofa", 1, "qSOFA at least {:.0f}"),
        ("sirs", 1, "SIRS at least {:.0f}"),
    ),
    "monitoring": (
        ("measured_6h", 1, f"{{:.0f}} of {6 * len(CURRENT)} hourly values in the last 6 h"),
    ),
    "patient": (("age", 1, "{:.0f} years"), ("sex", 1, "{:.0f}")),
    "stay": (
        ("icu_hours", 1, "{:.0f} h in intensive care"),
        ("hours_before_icu", 1, "{:.0f} h in hospital before"),
    ),
    "gas": (
        ("ph", 100, "pH {:.2f}"),
        ("paco2", 1, "PaCO2 {:.0f} mmHg"),
        ("bicarbonate", 1, "bicarbonate {:.0f} mmol/L"),
    ),
    "liver": (
        ("bilirubin_total", 10, "bilirubin {:.1f} mg/dL"),
        ("ast", 1, "AST {:.0f} U/L"),
        ("alkaline_phosphatase", 1, "alkaline phosphatase {:.0f} U/L"),
    ),
    "kidney": (
        ("creatinine", 10, "creatinine {:.1f} mg/dL"),
        ("bun", 1, "urea nitrogen {:.0f} mg/dL"),
        ("creatinine_hours_ago", 1, "{:.0f} h ago"),
    ),
    "metabolic": (
        ("lactate", 10, "lactate {:.1f} mmol/L"),
        ("glucose", 1, "glucose {:.0f} mg/dL"),
        ("potassium", 10, "potassium {:.1f} mmol/L"),
    ),
    "blood": (
        ("wbc", 10, "white cells {:.1f} x 10⁹/L"),
        ("platelets", 1, "platelets {:.0f} x 10⁹/L"),
        ("hemoglobin", 10, "haemoglobin {:.1f} g/dL"),
    ),
}
_FACTS = 3
assert (*CURRENT, *_OTHER) == GROUPS, "every group has its sentence"


def _columns() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Feature of each fact of each group (-1 = none), and what it is multiplied by."""
    columns = np.full((len(GROUPS), _FACTS), -1, np.int64)
    factors = np.ones((len(GROUPS), _FACTS))
    for group, name in enumerate(GROUPS):
        if name in CURRENT:
            shown = [(name, 1), (f"{name}_change_24h", 1), (f"{name}_hours_ago", 1)]
            if group == _TEMPERATURE:
                shown[:2] = [(name, 10), (f"{name}_change_24h", 10)]
        else:
            shown = [(feature, factor) for feature, factor, _ in _OTHER[name]]
        for fact, (feature, factor) in enumerate(shown):
            columns[group, fact] = FEATURES.index(feature)
            factors[group, fact] = factor
    return columns, factors


_COLUMN, _FACTOR = _columns()
_VITALS = len(CURRENT)


@kernel
def _fact(group: int, fact: int, features: NDArray[np.float64]) -> int:
    column = _COLUMN[group, fact]
    if column < 0 or math.isnan(features[column]):
        return NOTHING
    value = features[column]
    if group < _VITALS:
        if fact == 1 and abs(value) < _STEP[group]:
            return NOTHING
        if fact == 2 and value < _STALE_HOURS:
            return NOTHING
    return int(np.rint(value * _FACTOR[group, fact]))


@kernel
def top_factors(
    contributions: NDArray[np.float64],
    features: NDArray[np.float64],
    facts: NDArray[np.int64],
    worth: NDArray[np.float64],
) -> None:
    """Find the groups that moved each risk most, the strongest first, equal ones in their order.

    Args:
        contributions: log-odds in the order of `GROUPS`, shape [n, groups].
        features: in the order of `FEATURES`, shape [n, features].
        facts: filled with the column in `GROUPS` and the facts of its `sentence`; the column is -1
            where there are fewer, as groups that moved nothing are left out, shape [n, MOST, 4].
        worth: filled with their contributions, shape [n, MOST].
    """
    for i in range(len(contributions)):
        for rank in range(MOST):
            best = -1
            for group in range(contributions.shape[1]):
                strength = abs(contributions[i, group])
                if strength == 0 or (best >= 0 and strength <= abs(contributions[i, best])):
                    continue
                taken = False
                for before in range(rank):
                    taken |= facts[i, before, 0] == group
                if not taken:
                    best = group
            facts[i, rank, 0] = best
            worth[i, rank] = 0.0
            for fact in range(_FACTS):
                facts[i, rank, 1 + fact] = NOTHING
            if best >= 0:
                worth[i, rank] = contributions[i, best]
                for fact in range(_FACTS):
                    facts[i, rank, 1 + fact] = _fact(best, fact, features[i])


def sentence(group: int, facts: Sequence[int], names: Mapping[str, str]) -> str:
    """Say in one line what a group of features looks like.

    Args:
        group: column in `GROUPS`.
        facts: of the group, as `top_factors` found them.
        names: what each group is called.
    """
    name = GROUPS[group]
    if name in CURRENT:
        return _vital_text(name, names[name], facts)
    parts = [
        form.format(fact / factor) if feature != "sex" else ("male" if fact == 1 else "female")
        for fact, (feature, factor, form) in zip(facts, _OTHER[name], strict=False)
        if fact != NOTHING
    ]
    return f"{names[name]}: {', '.join(parts) or 'not known'}"


def _vital_text(name: str, label: str, facts: Sequence[int]) -> str:
    now, change, hours_ago = facts
    if now == NOTHING:
        return f"{label} not measured in the last 24 h"
    text = f"{label} {_number(name, now)}{_READABLE[_UNIT[name]]}"
    if change != NOTHING:
        way = "above" if change > 0 else "below"
        text += f", {_number(name, abs(change))} {way} its 24 h mean"
    if hours_ago != NOTHING:
        text += f", measured {hours_ago} h ago"
    return text


def _number(name: str, fact: int) -> str:
    return f"{fact / 10:.1f}" if name == "temperature" else str(fact)

"""What drove a risk, in a clinician's words.

A factor is a group of features with the log-odds it added or took away (see `models.risk`) and one
sentence built from the values a clinician would look at: the current value, its change, how long
ago it was measured. The sentence states measurements; the judgement is the contribution.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.features import CURRENT, FEATURES, GROUPS
from models.vitals import VITALS

__all__ = ["factor_text", "top_factors"]

_AT = {name: column for column, name in enumerate(FEATURES)}
_UNIT = {vital.name: vital.unit for vital in VITALS}
#: UCUM is for machines.
_READABLE = {"/min": "/min", "Cel": " °C", "%": " %", "mm[Hg]": " mmHg"}
#: A change worth a word: about the noise of a charted value.
_STEP = dict(zip(CURRENT, (10, 4, 0.5, 2, 10, 8, 8), strict=True))
_STALE_HOURS = 2.0


def top_factors(contributions: NDArray[np.float64], most: int = 3) -> list[int]:
    """Columns of the groups that moved the risk most, the strongest first.

    Args:
        contributions: log-odds in the order of `GROUPS`, shape [groups].
        most: how many at most; groups that moved nothing are left out.
    """
    order = np.argsort(-np.abs(contributions), kind="stable")[:most]
    return [int(group) for group in order if contributions[group] != 0]


def factor_text(group: int, features: NDArray[np.float64], names: Mapping[str, str]) -> str:
    """Say in one line what a group of features looks like.

    Args:
        group: column in `GROUPS`.
        features: of the reading, in the order of `FEATURES`, shape [features].
        names: what each group is called.
    """
    name = GROUPS[group]
    if name in CURRENT:
        return _vital_text(name, names[name], features)
    return f"{names[name]}: {_other_text(name, features)}"


def _vital_text(name: str, label: str, features: NDArray[np.float64]) -> str:
    now = features[_AT[name]]
    hours_ago = features[_AT[f"{name}_hours_ago"]]
    if math.isnan(now):
        return f"{label} not measured in the last 24 h"
    text = f"{label} {_number(name, now)}{_READABLE[_UNIT[name]]}"
    change = features[_AT[f"{name}_change_24h"]]
    if abs(change) >= _STEP[name]:
        way = "above" if change > 0 else "below"
        text += f", {_number(name, abs(change))} {way} its 24 h mean"
    if hours_ago >= _STALE_HOURS:
        text += f", measured {hours_ago:.0f} h ago"
    return text


def _number(name: str, value: float) -> str:
    return f"{value:.1f}" if name == "temperature" else f"{value:.0f}"


def _other_text(name: str, features: NDArray[np.float64]) -> str:
    def known(feature: str, form: str) -> list[str]:
        value = features[_AT[feature]]
        return [] if math.isnan(value) else [form.format(value)]

    if name == "circulation":
        parts = known("shock_index", "shock index {:.2f}") + known(
            "pulse_pressure", "pulse pressure {:.0f} mmHg"
        )
    elif name == "scores":
        parts = (
            known("news2", "NEWS2 at least {:.0f}")
            + known("qsofa", "qSOFA at least {:.0f}")
            + known("sirs", "SIRS at least {:.0f}")
        )
    elif name == "monitoring":
        parts = known(
            "measured_6h", f"{{:.0f}} of {6 * len(CURRENT)} hourly values in the last 6 h"
        )
    elif name == "patient":
        sex = features[_AT["sex"]]
        parts = known("age", "{:.0f} years") + (
            [] if math.isnan(sex) else ["male" if sex == 1 else "female"]
        )
    else:
        parts = known("icu_hours", "{:.0f} h in intensive care") + known(
            "hours_before_icu", "{:.0f} h in hospital before"
        )
    return ", ".join(parts) or "not known"

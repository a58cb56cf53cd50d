"""Tools about bedside scores: NEWS2 component by component, and criteria of sepsis that are met.

All medicine is that of `models.scores`: points and criteria are asked of its kernels, and the bands
of values are found by trying each value that can be charted.
"""

import math
from dataclasses import dataclass
from functools import cache

from config.clock import HOUR_MS, from_ms
from models.scores import NEWS2_ITEMS, news2_item, qsofa, sirs
from models.vitals import VITALS, index_of
from rag.tools import arguments as args
from rag.tools import results as out
from rag.tools.patient_risk import head
from rag.tools.readings import Measured, column_of, latest
from rag.tools.scene import PatientView, Scene
from rag.tools.wording import about, basis, said, table, unit_of, value_of, when
from streams.plain import plain
from tables.ward_rows import Snapshot

__all__ = ["Band", "bands", "news2_explained", "sepsis_screen"]

_TEMPERATURE, _SPO2 = NEWS2_ITEMS.index("temperature"), NEWS2_ITEMS.index("spo2")
_NONE = math.nan
#: Of qSOFA and SIRS what no sensor on this feed sends, see `models.scores`.
_NOT_ON_THE_FEED = ("altered mentation (qSOFA)", "white-cell count and PaCO2 (SIRS)")


@dataclass(frozen=True, slots=True)
class Band:
    """Charted values of one NEWS2 item that get the same points.

    Attributes:
        points: 0 to 3.
        low: lowest, in whole units; of temperature in tenths.
        high: highest.
        text: for people.
    """

    points: int
    low: int
    high: int
    text: str


@cache
def bands(item: int) -> tuple[Band, ...]:
    """Bands of one NEWS2 item, from low to high.

    Args:
        item: place in `models.scores.NEWS2_ITEMS`.

    >>> [(band.points, band.text) for band in bands(0)]
    [(3, 'up to 8'), (1, '9 to 11'), (0, '12 to 20'), (2, '21 to 24'), (3, '25 and above')]
    """
    vital, steps = VITALS[index_of(NEWS2_ITEMS[item])], _steps(item)
    low, high = (round(limit * steps) for limit in vital.plausible)
    runs: list[list[int]] = []
    for charted in range(low, high + 1):
        points = news2_item(item, charted / steps)
        if runs and runs[-1][0] == points:
            runs[-1][2] = charted
        else:
            runs.append([points, charted, charted])
    digits = 1 if steps > 1 else 0
    found = []
    for points, first, last in runs:
        ends = [f"{end / steps:.{digits}f}" for end in (first, last)]
        if first == low:
            text = f"up to {ends[1]}"
        elif last == high and item != _SPO2:
            text = f"{ends[0]} and above"
        else:
            text = " to ".join(dict.fromkeys(ends))
        found.append(Band(points, first, last, text))
    return tuple(found)


def _steps(item: int) -> int:
    return 10 if item == _TEMPERATURE else 1


def _band(item: int, points: int, value: float | None) -> str:
    """The band of a value; those of the points where the value is not in one of them."""
    fitting = [band for band in bands(item) if band.points == points]
    if value is not None:
        charted = math.floor(value * _steps(item) + 0.5)
        inside = [band for band in fitting if band.low <= charted <= band.high]
        fitting = inside or fitting
    return " or ".join(band.text for band in fitting)


def news2_explained(_: args.PatientArgs, view: PatientView, scene: Scene) -> out.News2Explained:
    """Explain a patient's NEWS2 component by component."""
    patient, newest = view.patient, view.patient.newest
    items, rows, differs = [], [], False
    for item, name in enumerate(NEWS2_ITEMS):
        found, column = _newest(patient, name)
        points = newest.news2_points.get(name)
        value = None if found is None else found.value
        band = "" if points is None else _band(item, points, value)
        if points is not None and value is not None and news2_item(item, value) != points:
            differs = True
        vital = VITALS[column]
        items.append(
            out.News2Item(
                vital=vital.name,
                label=vital.label,
                points=points,
                value=value,
                unit=unit_of(vital),
                at=None if found is None else from_ms(found.at_ms),
                band=band,
            )
        )
        rows.append(
            [
                vital.label,
                value_of(column, None if found is None else found.hundredths),
                "not known" if points is None else str(points),
                band and f"{band} {unit_of(vital)}",
                "" if found is None else when(found.at_ms, scene.now_ms),
            ]
        )
    missing = ", ".join(newest.news2_missing).replace("_", " ")
    return out.News2Explained(
        **head("news2_explained", view, scene),
        total=newest.news2,
        items=items,
        missing=list(newest.news2_missing),
        rule=newest.news2_rule,
        text=said(
            f"NEWS2 of {about(patient)} is at least {newest.news2}:",
            table(["component", "value", "points", "band of these points", "measured"], rows),
            "Points are of the mean of the five minutes up to a measurement, so they may differ "
            "from those of its last value."
            if differs
            else "",
            f"Not in the sum: {plain(missing)}. Add them at the bedside." if missing else "",
            f"Rule: {plain(newest.news2_rule)}; Royal College of Physicians, NEWS2, 2017, "
            "SpO2 scale 1.",
            basis(patient, scene.now_ms),
        ),
    )


def sepsis_screen(_: args.PatientArgs, view: PatientView, scene: Scene) -> out.Screening:
    """Say which criteria of qSOFA and SIRS a patient meets, and NEWS2. Not a diagnosis."""
    patient, newest = view.patient, view.patient.newest
    values = {name: _newest(patient, name) for name in NEWS2_ITEMS}

    def number(name: str) -> float:
        found, _ = values[name]
        return _NONE if found is None else found.value

    resp, sbp = number("resp_rate"), number("sbp")
    temperature, heart = number("temperature"), number("heart_rate")
    # each criterion is asked of the score alone, with the others not known
    asked = [
        ("qSOFA", "resp_rate", "respiratory rate at least 22 /min", qsofa(resp, _NONE)),
        ("qSOFA", "sbp", "systolic blood pressure at most 100 mmHg", qsofa(_NONE, sbp)),
        ("SIRS", "temperature", "temperature above 38 or below 36 °C",
         sirs(temperature, _NONE, _NONE)),
        ("SIRS", "heart_rate", "heart rate above 90 /min", sirs(_NONE, heart, _NONE)),
        ("SIRS", "resp_rate", "respiratory rate above 20 /min", sirs(_NONE, _NONE, resp)),
    ]  # fmt: skip
    criteria, rows = [], []
    for score, name, text, points in asked:
        found, column = values[name]
        met = None if found is None else points > 0
        criteria.append(
            out.Criterion(
                score=score,
                text=text,
                met=met,
                value=None if found is None else found.value,
                at=None if found is None else from_ms(found.at_ms),
            )
        )
        rows.append(
            [
                score,
                text,
                value_of(column, None if found is None else found.hundredths),
                {True: "met", False: "not met", None: "not known"}[met],
                "" if found is None else when(found.at_ms, scene.now_ms),
            ]
        )
    first, second = qsofa(resp, sbp), sirs(temperature, heart, resp)
    return out.Screening(
        **head("sepsis_screen", view, scene),
        qsofa=first,
        sirs=second,
        news2=newest.news2,
        criteria=criteria,
        not_on_the_feed=list(_NOT_ON_THE_FEED),
        text=said(
            f"Screening of {about(patient)}: qSOFA at least {first}, SIRS at least {second}, NEWS2 "
            f"at least {newest.news2}. These are criteria, not a diagnosis.",
            table(["score", "criterion", "value", "", "measured"], rows),
            f"Not on the feed: {'; '.join(_NOT_ON_THE_FEED)}. Without them each score is a lower "
            "bound.",
            "Sources: qSOFA, Singer et al., JAMA 2016; SIRS, Bone et al., Chest 1992.",
            basis(patient, scene.now_ms),
        ),
    )


def _newest(patient: Snapshot, name: str) -> tuple[Measured | None, int]:
    """Newest value of the last day, and its column."""
    column = column_of(patient, name, patient.newest.observed_ms - 24 * HOUR_MS)
    return latest(patient, column), column

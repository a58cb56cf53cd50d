"""A risk model beside the rules of the bedside and the clock, and its predictions as files.

The rules see the very features the model sees, so that nobody has better data. The clock, an alarm
on everyone from ICU hour 53 on, shows how much of a utility says nothing about the patient.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset
from models.features import FEATURES
from models.metrics import RiskReport, risk_report
from models.progress import track
from models.risk import RiskModel
from models.stay import FEMALE, MALE, Stay

__all__ = [
    "CLOCK_HOUR",
    "Row",
    "hospital_of",
    "model_row",
    "probabilities",
    "rule_rows",
    "subgroup_rows",
    "write_predictions",
]

#: The hour of the ICU clock, of those that were tried the one with the highest utility.
CLOCK_HOUR = 53
#: Name, feature and first positive value of each rule.
_RULES = (("qSOFA ≥ 2", "qsofa", 2), ("SIRS ≥ 2", "sirs", 2), ("NEWS2 ≥ 5", "news2", 5))
#: Groups of patients in the order in which they are shown.
_AGES = ((50, "age under 50"), (65, "age 50 to 64"), (80, "age 65 to 79"))
_OLDEST = "age 80 and over"
_GROUPS = ("hospital A", "hospital B", "women", "men", *(name for _, name in _AGES), _OLDEST)
_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a comparison.

    Attributes:
        name: what was measured.
        report: its figures; those of a probability are NaN where it gives none.
    """

    name: str
    report: RiskReport


def probabilities(model: RiskModel, data: Dataset, stays: int) -> list[NDArray[np.float64]]:
    """The risk at every reading.

    Args:
        model: scores.
        data: features of the stays.
        stays: number of stays the data set was made of.

    Returns:
        One array a stay.
    """
    return data.per_stay(model.score(data.X).probability, stays)


def model_row(
    name: str, stays: Sequence[Stay], data: Dataset, model: RiskModel, *, resamples: int = 0
) -> Row:
    """Measure a model at its own threshold.

    Args:
        name: what to show.
        stays: the patients, outcomes known.
        data: their features.
        model: scores.
        resamples: bootstrap resamples for the intervals; see `models.metrics.risk_report`.

    Returns:
        The line.

    Raises:
        ValueError: a stay has no labels.
    """
    risk = probabilities(model, data, len(stays))
    return Row(name, risk_report(stays, risk, model.threshold, resamples=resamples))


def rule_rows(stays: Sequence[Stay], data: Dataset, *, resamples: int = 0) -> list[Row]:
    """Measure the rules and the clock on the same patients, each at its own threshold.

    Args:
        stays: the patients, outcomes known.
        data: their features.
        resamples: bootstrap resamples for the intervals; see `models.metrics.risk_report`.

    Returns:
        The rules, then the clock.

    Raises:
        ValueError: a stay has no labels.
    """
    scores = [
        (name, data.X[:, FEATURES.index(feature)], threshold) for name, feature, threshold in _RULES
    ]
    scores.append((f"ICU clock ≥ {CLOCK_HOUR} h", data.seconds / 3600, CLOCK_HOUR))
    rows = []
    for name, score, threshold in scores:
        split = data.per_stay(score, len(stays))
        report = risk_report(stays, split, threshold, resamples=resamples)
        # points and hours are no probabilities
        rows.append(Row(name, replace(report, calibration_error=_NAN, brier=_NAN)))
    return rows


def subgroup_rows(
    stays: Sequence[Stay], data: Dataset, model: RiskModel, *, resamples: int = 0
) -> list[Row]:
    """Measure a model on groups of the patients.

    Args:
        stays: the patients, outcomes known.
        data: their features.
        model: scores.
        resamples: bootstrap resamples for the intervals; see `models.metrics.risk_report`.

    Returns:
        One row a group: hospital A and B by the challenge's numbering of its patients, sex, and
        age; groups without a patient are left out.
    """
    risk = probabilities(model, data, len(stays))
    groups: dict[str, list[int]] = {}
    for index, stay in enumerate(stays):
        for name in (hospital_of(stay.patient_id), _sex(stay.sex), _age(stay.age)):
            if name is not None:
                groups.setdefault(name, []).append(index)
    return [
        Row(
            name,
            risk_report(
                [stays[i] for i in members],
                [risk[i] for i in members],
                model.threshold,
                resamples=resamples,
            ),
        )
        for name, members in sorted(groups.items(), key=lambda group: _GROUPS.index(group[0]))
    ]


def write_predictions(
    stays: Sequence[Stay],
    probabilities: Sequence[NDArray[np.float64]],
    threshold: float,
    folder: Path,
) -> None:
    """Write one file a patient as the challenge's scorer wants it: ``<patient_id>.psv``.

    Args:
        stays: the patients.
        probabilities: the risk at each reading, one array a stay; written with all their digits.
        threshold: probability from which the predicted label is 1.
        folder: created where it is missing.

    Raises:
        ValueError: a patient's id cannot be a file name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for stay, risk in track(list(zip(stays, probabilities, strict=True)), "Writing predictions"):
        if Path(stay.patient_id).name != stay.patient_id:
            raise ValueError(f"patient id {stay.patient_id!r} cannot be the name of a file")
        lines = [f"{p!r}|{int(p >= threshold)}" for p in risk.tolist()]
        text = "\n".join(["PredictedProbability|PredictedLabel", *lines, ""])
        (folder / f"{stay.patient_id}.psv").write_text(text)


def hospital_of(patient_id: str) -> str | None:
    """Hospital A or B by the challenge's numbering of its patients; None = another numbering.

    >>> hospital_of("p100123")
    'hospital B'
    """
    digits = patient_id.removeprefix("p")
    if len(digits) != 6 or not digits.isdecimal() or digits == patient_id:
        return None
    return {"0": "hospital A", "1": "hospital B"}.get(digits[0])


def _sex(sex: int | None) -> str | None:
    return {FEMALE: "women", MALE: "men"}.get(sex) if sex is not None else None


def _age(years: float) -> str | None:
    for below, name in _AGES:
        if years < below:
            return name
    return _OLDEST if years >= _AGES[-1][0] else None

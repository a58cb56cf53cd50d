"""Two models on the same patients, whom neither has seen, and the clock beside them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from models.dataset import Dataset, featurise
from models.evaluation import Row, model_row, probabilities, rule_rows
from models.metrics import earned_by_stay
from models.promotion import Evidence, PairedBootstrap, SeenError, require_unseen, unseen
from models.risk import RiskModel
from models.stay import Stay

__all__ = ["Candidate", "Comparison", "compare", "paired"]


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A model and what is known of how it came about.

    Attributes:
        model: scores.
        facts: of its manifest; they say whom it has seen.
    """

    model: RiskModel
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What a comparison found.

    Attributes:
        rows: figures of the model before, of the one after, and of the ICU clock.
        evidence: for `models.promotion.judge`.
        left_out: patients of known outcome that a model may have seen.
    """

    rows: list[Row]
    evidence: Evidence
    left_out: int


def compare(
    stays: Sequence[Stay],
    before: Candidate,
    after: Candidate,
    *,
    resamples: int = 200,
    began_ms: Mapping[str, int] | None = None,
    featurise: Callable[[Sequence[Stay]], Dataset] = featurise,
) -> Comparison:
    """Compare two models on those patients that neither has seen.

    Args:
        stays: the patients; those of unknown outcome are left out.
        before: the model that scores.
        after: the one that may take over.
        resamples: bootstrap resamples for the intervals of the figures.
        began_ms: first reading of a stay, ms since 1970, by patient; where it is known.
        featurise: makes the features of stays.

    Raises:
        SeenError: no patient of known outcome is new to both.
    """
    known = [stay for stay in stays if stay.labels is not None and len(stay.seconds)]
    began = {} if began_ms is None else began_ms
    new = [
        stay
        for stay in known
        if all(
            unseen(stay.patient_id, one.facts, began.get(stay.patient_id))
            for one in (before, after)
        )
    ]
    if not new:
        raise SeenError(
            f"none of {len(known)} patients of known outcome can be shown to be new to both "
            f"{before.model.version} and {after.model.version}: give held-out patients, another "
            "side of the split that they were trained on, or later stays"
        )
    require_unseen(
        [(stay.patient_id, began.get(stay.patient_id)) for stay in new],
        {before.model.version: before.facts, after.model.version: after.facts},
    )
    data = featurise(new)
    rows = [
        model_row(one.model.version, new, data, one.model, resamples=resamples)
        for one in (before, after)
    ]
    (clock,) = rule_rows(new, data, resamples=resamples)[-1:]
    evidence = paired(new, data, before.model, after.model)
    return Comparison([*_apart(rows), clock], evidence, len(known) - len(new))


def paired(stays: Sequence[Stay], data: Dataset, before: RiskModel, after: RiskModel) -> Evidence:
    """What shows whether a model is better than another; for `models.promotion.judge`.

    Args:
        stays: patients of known outcome that neither has seen.
        data: their features.
        before: the model that scores.
        after: the one that may take over.
    """
    earned = [
        earned_by_stay(stays, probabilities(model, data, len(stays)), model.threshold)
        for model in (before, after)
    ]
    bootstrap = PairedBootstrap()
    for i, stay in enumerate(stays):
        bootstrap.add(
            stay.patient_id,
            float(earned[0][0][i]),
            float(earned[1][0][i]),
            float(earned[0][1][i]),
            stay.septic is True,
        )
    return bootstrap.evidence()


def _apart(rows: list[Row]) -> list[Row]:
    """Names that tell the two rows apart, even where a model is compared with itself."""
    return [
        replace(row, name=f"{letter}: {row.name}") for letter, row in zip("AB", rows, strict=True)
    ]

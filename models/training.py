"""Training: patients in, a risk model and what it is worth out.

1. About one patient in five is held out by id (`models.cohort.held_out`): nothing below looks at
   them but the last step. No split ever cuts through a patient.
2. Four kinds of model are searched on a sample of the training patients, each behind a scaler
   (``RandomizedSearchCV``, three folds of whole patients), on the features that at least a tenth of
   the patients have. The score is log loss: proper, and the least noisy one here. The kind with the
   lowest log loss wins.
3. The winner is fitted on all training patients. A sixth of them are shown to it a second time with
   nothing known of their admission, because a feed may come without admissions; the trees would
   otherwise take what they never saw for a statement.
4. Thresholds come from the predictions of three more fits, each on the patients it has not seen.
   The alarm threshold has the highest utility of the challenge, and there the tier *watch* begins;
   *warning* and *urgent* spend `WARNING_BUDGET` and `URGENT_BUDGET` with a lock-out of 12 hours.
   Where the highest utility needs fewer alerts than *warning* may spend, *watch* begins with it.
5. The same settings on the smaller feature sets go through 3 and 4, to show what the laboratory and
   the clock are worth; then all are measured on the held-out patients.
"""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.alarms import URGENT_BUDGET, WARNING_BUDGET, threshold_for_budget
from models.candidates import CANDIDATES, TITLES, candidate, constrain
from models.cohort import data_hash, held_out
from models.dataset import Dataset, featurise
from models.evaluation import Row, model_row, rule_rows, subgroup_rows
from models.features import CONTEXT_FEATURES, FEATURE_SETS, FEATURES
from models.registry import REGISTERED
from models.risk import RiskModel, Tiers, from_pipeline
from models.search import (
    FOLDS,
    Searched,
    folds,
    labels_of,
    matrix_of,
    sample,
    search,
    stay_labels,
)
from models.stay import Stay
from models.utility import best_threshold

__all__ = [
    "URGENT_BUDGET",
    "WARNING_BUDGET",
    "Options",
    "Trained",
    "TrainingError",
    "code_version",
    "fit",
    "known_features",
    "stage_count",
    "train",
]

_WITHOUT_CONTEXT = 1 / 6
_TITLES = {
    "vitals": "vital signs only",
    "context": "vital signs and admission",
    "labs": "vital signs, admission and laboratory",
}
_RARE = 0.1


class TrainingError(ValueError):
    """These patients are not enough to train on; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to train.

    Attributes:
        features: of `models.features.FEATURE_SETS`: ``vitals``, ``context`` = with the admission
            and its clock, ``labs`` = with laboratory results, too.
        candidates: kinds of model to try.
        iterations: settings tried of each kind.
        search_patients: training patients that the search looks at.
        resamples: bootstrap resamples for the intervals of the figures.
        seed: of everything that is drawn.
        threads: of the fits; the result does not depend on it.
    """

    features: Literal["vitals", "context", "labs"] = "context"
    candidates: tuple[str, ...] = CANDIDATES
    iterations: int = 4
    search_patients: int = 3_000
    resamples: int = 200
    seed: int = 1
    threads: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A model and how it came about.

    Attributes:
        model: ready to score.
        pipeline: the same as a scikit-learn pipeline.
        searched: every kind of model that was tried.
        winner: the kind that won.
        rows: figures on the held-out patients: the model, the same without admissions, the one
            without context, the rules and the clock.
        groups: figures of the model on groups of the held-out patients.
        stays: the held-out patients.
        data: their features.
        facts: data, settings and code, as JSON can hold them.
    """

    model: RiskModel
    pipeline: Any
    searched: list[Searched]
    winner: str
    rows: list[Row]
    groups: list[Row]
    stays: list[Stay]
    data: Dataset
    facts: dict[str, Any]


def stage_count(options: Options) -> int:
    """How often `train` will say what it does next."""
    return len(options.candidates) + 3


def train(
    stays: Sequence[Stay],
    options: Options | None = None,
    stage: Callable[[str], None] = lambda name: None,
    *,
    featurise: Callable[[Sequence[Stay]], Dataset] = featurise,
    data: Mapping[str, Any] | None = None,
) -> Trained:
    """Train a risk model.

    Args:
        stays: the patients; those without a known outcome are left out.
        options: how to train.
        stage: called with the name of each step as it begins.
        featurise: makes the features of stays; those of a collected set are known.
        data: where the patients are from, as JSON can hold it; for the facts. `models.promotion`
            reads from it whom the model has seen.

    Returns:
        The model and its figures.

    Raises:
        TrainingError: too few patients, or too few of them septic.
    """
    options = options or Options()
    with threadpool_limits(options.threads):
        return _train(stays, options, stage, featurise, dict(data or {}))


def _train(
    stays: Sequence[Stay],
    options: Options,
    stage: Callable[[str], None],
    featurise: Callable[[Sequence[Stay]], Dataset],
    source: dict[str, Any],
) -> Trained:
    known = [stay for stay in stays if stay.labels is not None and len(stay.seconds)]
    learning = [stay for stay in known if not held_out(stay.patient_id)]
    unseen = [stay for stay in known if held_out(stay.patient_id)]
    _require_enough(learning, unseen)
    data = featurise(learning)
    drawn = sample(learning, options.search_patients, options.seed)
    pilot = data.take(drawn)
    features = known_features(pilot, FEATURE_SETS[options.features])
    searched = []
    for name in options.candidates:
        stage(f"Searching {TITLES[name]}")
        searched.append(
            search(
                candidate(name, seed=options.seed, threads=options.threads),
                [learning[i] for i in drawn],
                pilot,
                features,
                iterations=options.iterations,
                seed=options.seed,
            )
        )
    best = min(searched, key=lambda found: found.metrics["log_loss"])

    kind = TITLES[best.name]
    stage(f"Fitting {kind} on {len(learning):,} patients")
    model, pipeline = fit(best.pipeline, learning, data, features, options.seed)
    stage("Fitting on the smaller feature sets")
    smaller: list[tuple[str, RiskModel]] = []
    for name in reversed(list(FEATURE_SETS)[: list(FEATURE_SETS).index(options.features)]):
        kept = tuple(feature for feature in features if feature in FEATURE_SETS[name])
        if kept != features and (not smaller or kept != smaller[-1][1].features):
            smaller.append((name, fit(best.pipeline, learning, data, kept, options.seed)[0]))

    stage(f"Measuring on {len(unseen):,} held-out patients")
    test = featurise(unseen)
    measured = [(f"{kind}, {_TITLES[options.features]}", test, model)]
    if any(name in CONTEXT_FEATURES for name in features):
        measured.append((f"{kind}, the same, admission unknown", _without_context(test), model))
    measured += [(f"{kind}, {_TITLES[name]}", test, other) for name, other in smaller]
    resamples = options.resamples
    rows = [model_row(name, unseen, X, m, resamples=resamples) for name, X, m in measured]
    return Trained(
        model=model,
        pipeline=pipeline,
        searched=searched,
        winner=best.name,
        rows=rows + rule_rows(unseen, test, resamples=resamples),
        groups=subgroup_rows(unseen, test, model, resamples=resamples),
        stays=unseen,
        data=test,
        facts={
            "algorithm": best.name,
            "settings": best.params,
            "options": asdict(options) | {"candidates": list(options.candidates)},
            "trained_on": _describe(learning),
            "held_out": _describe(unseen),
            "data": source,
            "code": code_version(),
        },
    )


def _require_enough(learning: Sequence[Stay], unseen: Sequence[Stay]) -> None:
    for what, patients, needed in (("training", learning, FOLDS), ("held-out", unseen, 1)):
        septic = sum(stay.septic is True for stay in patients)
        if septic < needed or len(patients) - septic < needed:
            raise TrainingError(
                f"{septic} septic and {len(patients) - septic} other {what} patients of known "
                f"outcome: at least {needed} of each are needed. Patients are held out by their "
                "id; give more patients"
            )


def known_features(data: Dataset, features: Sequence[str]) -> tuple[str, ...]:
    """The features that a tenth of the patients have: a feed may lack pressures or admissions.

    Args:
        data: features of the patients.
        features: which of them may be taken.
    """
    matrix = matrix_of(data, features)
    starts = np.flatnonzero(np.diff(data.patient, prepend=-1))
    share = np.logical_or.reduceat(~np.isnan(matrix), starts).mean(axis=0)
    return tuple(name for name, part in zip(features, share, strict=True) if part >= _RARE)


def fit(
    pipeline: Any, stays: Sequence[Stay], data: Dataset, features: tuple[str, ...], seed: int
) -> tuple[RiskModel, Any]:
    """Fit on all patients, with thresholds from fits that had not seen the patient they predict.

    Args:
        pipeline: what to fit; it is not changed.
        stays: the patients, outcomes known.
        data: their features.
        features: the features it may look at.
        seed: of the folds, and of who is shown a second time.

    Returns:
        The model, and the fitted pipeline.
    """
    matrix, labels = matrix_of(data, features), labels_of(data)
    said = np.empty(len(matrix))
    for known, unknown in folds(stays, data.patient, seed):
        fold = constrain(clone(pipeline), features)
        fold.fit(
            *_with_bare_feeds(matrix[known], labels[known], data.patient[known], features, seed)
        )
        said[unknown] = fold.predict_proba(matrix[unknown])[:, 1]
    per_stay = data.per_stay(said, len(stays))
    threshold, _ = best_threshold(stay_labels(stays), per_stay)
    final = constrain(clone(pipeline), features)
    final.fit(*_with_bare_feeds(matrix, labels, data.patient, features, seed))
    model = from_pipeline(
        final,
        medians=_medians(matrix),
        name=REGISTERED,
        features=features,
        threshold=threshold,
        tiers=_tiers(stays, per_stay, threshold),
    )
    return model, final


def _tiers(
    stays: Sequence[Stay], probabilities: Sequence[NDArray[np.float64]], threshold: float
) -> Tiers:
    urgent = threshold_for_budget(stays, probabilities, URGENT_BUDGET)
    warning = min(urgent, threshold_for_budget(stays, probabilities, WARNING_BUDGET))
    return Tiers(watch=min(threshold, warning), warning=warning, urgent=urgent)


def _with_bare_feeds(
    matrix: NDArray[np.float64],
    labels: NDArray[np.int8],
    patient: NDArray[np.int64],
    features: Sequence[str],
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Add some patients a second time, as they look to a feed without admissions."""
    context = [features.index(name) for name in CONTEXT_FEATURES if name in features]
    if not context:
        return matrix, labels
    chosen = np.random.default_rng(seed).random(patient.max() + 1) < _WITHOUT_CONTEXT
    again = chosen[patient]
    bare = matrix[again]
    bare[:, context] = np.nan
    return np.concatenate([matrix, bare]), np.concatenate([labels, labels[again]])


def _without_context(data: Dataset) -> Dataset:
    bare = data.X.copy()
    bare[:, [FEATURES.index(name) for name in CONTEXT_FEATURES]] = np.nan
    return replace(data, X=bare)


def _describe(stays: Sequence[Stay]) -> dict[str, Any]:
    hours = [stay.seconds[[0, -1]] / 3600 for stay in stays]
    return {
        "patients": len(stays),
        "septic_patients": sum(stay.septic is True for stay in stays),
        "readings": sum(len(stay.seconds) for stay in stays),
        "first_icu_hour": float(min(first for first, _ in hours)),
        "last_icu_hour": float(max(last for _, last in hours)),
        "data_hash": data_hash(stays),
    }


def code_version() -> str | None:
    """Commit of the code, with ``-dirty`` where files differ from it; None outside git."""
    git = [
        "git",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=40",
    ]
    try:
        found = subprocess.run(git, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return None
    return found.stdout.strip() or None


def _medians(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    known = (column[~np.isnan(column)] for column in matrix.T)
    return np.array([np.median(values) if len(values) else np.nan for values in known])

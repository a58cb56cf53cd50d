"""The search for settings, on a sample of patients, by folds of whole patients."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import RandomizedSearchCV, StratifiedKFold, cross_val_predict

from models.candidates import Candidate, constrain
from models.dataset import Dataset
from models.features import FEATURES
from models.metrics import auprc, auroc
from models.stay import Stay
from models.utility import best_threshold

__all__ = [
    "FOLDS",
    "Searched",
    "folds",
    "labels_of",
    "matrix_of",
    "sample",
    "search",
    "stay_labels",
]

FOLDS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Searched:
    """What the search found for one kind of model.

    Attributes:
        name: the kind.
        pipeline: with the best settings, fitted on the sample.
        params: the best settings.
        trials: settings and mean log loss of every try.
        metrics: over the patients of the sample, each predicted by a fit that had not seen it.
        stays: the patients of the sample.
        probabilities: those predictions, one array a stay.
    """

    name: str
    pipeline: Any
    params: dict[str, Any]
    trials: list[dict[str, Any]]
    metrics: dict[str, float]
    stays: list[Stay]
    probabilities: list[NDArray[np.float64]]


def sample(stays: Sequence[Stay], patients: int, seed: int) -> NDArray[np.int64]:
    """Draw patients, the same share of them septic as in all.

    Args:
        stays: the patients, outcomes known.
        patients: how many to draw; at least `FOLDS` septic and as many others are drawn.
        seed: of the drawing.

    Returns:
        Indices of the stays, ascending.
    """
    rng = np.random.default_rng(seed)
    septic = np.array([stay.septic is True for stay in stays])
    share = min(1.0, patients / len(stays))
    sides = (np.flatnonzero(septic), np.flatnonzero(~septic))
    drawn = [rng.permutation(side)[: max(FOLDS, round(share * len(side)))] for side in sides]
    return np.sort(np.concatenate(drawn))


def folds(
    stays: Sequence[Stay], patient: NDArray[np.int64], seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Split rows by whole patients, septic ones evenly.

    Args:
        stays: the patients, outcomes known.
        patient: index of each row's stay, shape [n].
        seed: of the shuffling.

    Returns:
        `FOLDS` pairs of the rows to fit on and the rows to predict.
    """
    septic = [stay.septic is True for stay in stays]
    split = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    masks = (np.isin(patient, test) for _, test in split.split(septic, septic))
    return [(np.flatnonzero(~mask), np.flatnonzero(mask)) for mask in masks]


def search(
    kind: Candidate,
    stays: list[Stay],
    data: Dataset,
    features: Sequence[str],
    *,
    iterations: int,
    seed: int,
) -> Searched:
    """Search the settings of one kind of model for the lowest log loss.

    Args:
        kind: the kind and where to look.
        stays: the patients, outcomes known.
        data: their features.
        features: the features it may look at.
        iterations: settings to try.
        seed: of the folds and the settings.

    Returns:
        The best settings and what they are worth.
    """
    matrix, labels = matrix_of(data, features), labels_of(data)
    splits = folds(stays, data.patient, seed)
    tried = RandomizedSearchCV(
        constrain(clone(kind.pipeline), features),
        kind.space,
        n_iter=iterations,
        scoring="neg_log_loss",
        cv=splits,
        random_state=seed,
        error_score="raise",
    ).fit(matrix, labels)
    best, results = tried.best_estimator_, tried.cv_results_
    said = cross_val_predict(best, matrix, labels, cv=splits, method="predict_proba")[:, 1]
    per_stay = data.per_stay(said, len(stays))
    return Searched(
        name=kind.name,
        pipeline=best,
        params=_plain(tried.best_params_),
        trials=[
            {**_plain(params), "log_loss": -float(score)}
            for params, score in zip(results["params"], results["mean_test_score"], strict=True)
        ],
        metrics={
            "auroc": auroc(labels, said),
            "auprc": auprc(labels, said),
            "log_loss": float(log_loss(labels, said)),
            "utility": best_threshold(stay_labels(stays), per_stay)[1],
        },
        stays=stays,
        probabilities=per_stay,
    )


def matrix_of(data: Dataset, features: Sequence[str]) -> NDArray[np.float64]:
    """The columns of some features, in their order, shape [n, features]."""
    if len(features) == len(FEATURES):
        return data.X
    return data.X[:, [FEATURES.index(name) for name in features]]


def labels_of(data: Dataset) -> NDArray[np.int8]:
    """The labels, shape [n].

    Raises:
        ValueError: a patient's outcome is not known.
    """
    if data.labels is None:
        raise ValueError("a patient's outcome is not known; leave such patients out")
    return data.labels


def stay_labels(stays: Sequence[Stay]) -> list[NDArray[np.int8]]:
    """The labels of each stay of known outcome."""
    return [stay.labels for stay in stays if stay.labels is not None]


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    """Settings without the name of the step, as plain numbers."""
    return {
        key.removeprefix("model__"): value.item() if isinstance(value, np.generic) else value
        for key, value in params.items()
    }

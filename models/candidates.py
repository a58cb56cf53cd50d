"""The kinds of model that training tries, and where it looks for their settings.

Every one is a pipeline whose last two steps are ``scaler`` and ``model``. The three kinds of trees
take missing values as they come; logistic regression needs them filled in, and is told where.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from lightgbm import LGBMClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

__all__ = ["CANDIDATES", "TITLES", "Candidate", "candidate", "constrain"]

#: Features with which a risk must not fall, whatever the data of a hospital say: organ failure by
#: SOFA (Vincent et al., Intensive Care Med 1996;22:707-710), lactate, and the bedside scores.
RISING = frozenset(
    ("news2", "qsofa", "sirs", "shock_index", "lactate", "bilirubin_total", "creatinine", "bun")
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kind of model.

    Attributes:
        name: one of `CANDIDATES`.
        pipeline: not fitted.
        space: values or distributions of each setting that is searched.
    """

    name: str
    pipeline: Pipeline
    space: Mapping[str, Any]


def candidate(name: str, *, seed: int, threads: int) -> Candidate:
    """Make a kind of model.

    Args:
        name: one of `CANDIDATES`.
        seed: of whatever it draws.
        threads: how many it may use; the result does not depend on it.

    Returns:
        The candidate.
    """
    model, settings = _MAKERS[name](seed, threads)
    steps = [("scaler", StandardScaler()), ("model", model)]
    if name == "logistic_regression":
        steps.insert(
            0,
            (
                "imputer",
                SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
            ),
        )
    return Candidate(
        name, Pipeline(steps), {f"model__{key}": value for key, value in settings.items()}
    )


def constrain(pipeline: Any, features: Sequence[str]) -> Any:
    """Forbid a kind of model that can be told so to let the risk fall with `RISING` features.

    Args:
        pipeline: of a candidate; changed, and returned.
        features: of the columns that it will be fitted on.
    """
    model = pipeline.named_steps["model"]
    if isinstance(model, LGBMClassifier):
        model.set_params(monotone_constraints=[int(name in RISING) for name in features])
    return pipeline


def _logistic_regression(seed: int, threads: int) -> tuple[Any, dict[str, Any]]:
    # a penalty that keeps some hundred correlated features apart, and with it few steps
    model = LogisticRegression(max_iter=500, tol=1e-3, random_state=seed)
    return model, {"C": np.logspace(-4, -2, 21)}


def _random_forest(seed: int, threads: int) -> tuple[Any, dict[str, Any]]:
    model = RandomForestClassifier(30, max_samples=0.2, n_jobs=threads, random_state=seed)
    return model, {"min_samples_leaf": [20, 50, 100], "max_features": [0.1, 0.2]}


def _hist_gradient_boosting(seed: int, threads: int) -> tuple[Any, dict[str, Any]]:
    model = HistGradientBoostingClassifier(
        early_stopping=False, max_features=0.2, random_state=seed
    )
    return model, {
        "max_iter": [100, 150, 200],
        "learning_rate": [0.03, 0.05],
        "max_leaf_nodes": [15, 31],
        "min_samples_leaf": [100, 200, 500],
        "l2_regularization": [1, 10, 50],
    }


def _lightgbm(seed: int, threads: int) -> tuple[Any, dict[str, Any]]:
    model = LGBMClassifier(
        # 150 trees of 15 leaves say what 240 of 31 say to .001 AUROC, at a third of the size and
        # half the time
        n_estimators=150,
        num_leaves=15,
        learning_rate=0.06,
        random_state=seed,
        n_jobs=threads,
        # the same trees with any number of threads
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )
    return model, {
        "min_child_samples": [200, 500],
        "colsample_bytree": [0.2, 0.3, 0.4],
        "reg_lambda": [20, 50, 100],
    }


_MAKERS = {
    "logistic_regression": _logistic_regression,
    "random_forest": _random_forest,
    "hist_gradient_boosting": _hist_gradient_boosting,
    "lightgbm": _lightgbm,
}
#: Names of the kinds of model.
CANDIDATES = tuple(_MAKERS)
#: What people call them.
TITLES = dict(
    zip(
        CANDIDATES,
        ("logistic regression", "random forest", "histogram gradient boosting", "LightGBM"),
        strict=True,
    )
)

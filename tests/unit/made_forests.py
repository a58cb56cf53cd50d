"""A small forest over some of the features, trained on patients that were made up."""

from functools import cache

import lightgbm
import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset, featurise
from models.features import FEATURES
from models.learner import LabelledStay
from models.risk import ForestModel, Tiers
from models.stay import Stay
from tests.unit.made_patients import made_patients

__all__ = ["LOOKED_AT", "made_champion", "made_labelled", "made_rows"]

LOOKED_AT = ("heart_rate", "resp_rate", "spo2", "resp_rate_mean_6h", "age", "icu_hours")
HOUR_MS = 3_600_000


@cache
def _stays(count: int) -> tuple[list[Stay], Dataset]:
    stays = made_patients(count, septic_every=4)
    return stays, featurise(stays)


def made_rows(count: int = 40) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Features and labels of made-up patients."""
    data = _stays(count)[1]
    assert data.labels is not None
    return data.X, data.labels


@cache
def made_champion(trees: int = 8, leaves: int = 6) -> ForestModel:
    """A model of a few trees."""
    rows, labels = made_rows()
    settings = {"objective": "binary", "num_leaves": leaves, "num_threads": 1, "verbose": -1}
    columns = [FEATURES.index(name) for name in LOOKED_AT]
    data = lightgbm.Dataset(rows[:, columns], labels, feature_name=list(LOOKED_AT))
    scaler = b'{"mean": [0, 0, 0, 0, 0, 0], "scale": [1, 1, 1, 1, 1, 1]}'
    return ForestModel.from_files(
        {
            "model.txt": lightgbm.train(settings, data, trees).model_to_string().encode(),
            "scaler.json": scaler,
        },
        name="made",
        version="1-abc",
        features=LOOKED_AT,
        threshold=0.2,
        tiers=Tiers(0.2, 0.3, 0.6),
    )


def made_labelled(count: int = 40, *, every_ms: int = 2 * HOUR_MS) -> list[LabelledStay]:
    """Stays that begin one after another and overlap; labels are due 12 hours after each."""
    stays, data = _stays(count)
    assert data.labels is not None
    made = []
    for number, stay in enumerate(stays):
        mine = data.patient == number
        at_ms = number * every_ms + stay.seconds * 1000
        due_ms = int(at_ms[-1]) + 12 * HOUR_MS
        made.append(LabelledStay(stay.patient_id, at_ms, data.X[mine], data.labels[mine], due_ms))
    return made

"""The online layer: a logistic regression over a champion's leaves, as a River classifier.

A forest's log-odds are the sum of one leaf a tree, which is a logistic regression on one-hot leaves
whose weights are the leaf values. Started there, it goes on learning where training ended. What it
yields are other leaf values for the same trees (`models.risk.ForestModel.with_leaves`), so scoring
costs what it cost and stays explainable.

The steps are AdaGrad's (Duchi, Hazan & Singer, JMLR 2011;12:2121-2159) with accumulators that start
high: a forest that is already good must not be thrown about by its first labels. The values to
score with are an average of the weights (Polyak & Juditsky, SIAM J Control Optim 1992;30:838-855).
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river import base
from typing_extensions import override

from models.compiled import kernel
from models.forest import Forest

__all__ = ["LeafLogistic", "leaf_logits"]

#: What River's AdaGrad adds to an accumulator, so that none is zero.
_EPS = 1e-8


@kernel
def _logits(
    leaves: NDArray[np.int32], values: NDArray[np.float64], logits: NDArray[np.float64]
) -> None:
    for i in range(leaves.shape[0]):
        logit = 0.0  # then tree by tree, as the forest adds up
        for tree in range(leaves.shape[1]):
            logit += values[leaves[i, tree]]
        logits[i] = logit


@kernel
def _learn(
    leaves: NDArray[np.int32],
    labels: NDArray[np.int8],
    offset: float,
    rate: float,
    weights: NDArray[np.float64],
    accumulators: NDArray[np.float64],
) -> None:
    """One step of AdaGrad on the log loss for each row, in their order."""
    for i in range(leaves.shape[0]):
        logit = offset
        for tree in range(leaves.shape[1]):
            logit += weights[leaves[i, tree]]
        gradient = 1.0 / (1.0 + math.exp(-logit)) - labels[i]
        square = gradient * gradient
        for tree in range(leaves.shape[1]):
            leaf = leaves[i, tree]
            accumulators[leaf] += square
            weights[leaf] -= rate / math.sqrt(accumulators[leaf] + _EPS) * gradient


def leaf_logits(leaves: NDArray[np.int32], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds of rows whose leaves are known: bit for bit those of a forest with these values.

    Args:
        leaves: from `models.forest.Forest.leaves`, shape [n, trees].
        values: log-odds of each leaf, shape [leaves].

    Returns:
        Log-odds, shape [n].
    """
    logits = np.empty(len(leaves))
    _logits(leaves, values, logits)
    return logits


class LeafLogistic(base.Classifier):
    """Logistic regression over the leaves of a forest, started at the leaf values.

    An instance is ``{tree: leaf}``, a leaf being an index into `Forest.values`. The steps are those
    of River's ``linear_model.LogisticRegression`` on the one-hot leaves, with ``optim.AdaGrad`` and
    no intercept of its own: the leaves of any one tree can do what an intercept does.

    Args:
        forest: where to start.
        rate: learning rate.
        accumulator: sum of squared gradients that each leaf starts with.
        window: over how many calls of `learn` the weights are averaged: all of them until there
            are so many, then with exponentially falling weight; 1 = no averaging.
        head_start: calls for which the values of the start count in the average.

    Attributes:
        weights: as the last step left them, shape [leaves].
        accumulators: sum of squared gradients of each leaf, shape [leaves].
        values: averaged weights, the leaf values to score with, shape [leaves].
        batches: calls of `learn`.

    >>> import lightgbm
    >>> rows, labels = np.arange(200.0).reshape(-1, 1), np.arange(200) % 7 > 3
    >>> settings = {"objective": "binary", "verbose": -1, "num_threads": 1}
    >>> booster = lightgbm.train(settings, lightgbm.Dataset(rows, labels), 2)
    >>> forest = Forest.from_text(booster.model_to_string())
    >>> layer = LeafLogistic(forest)
    >>> leaves = dict(enumerate(forest.leaves(rows[:1])[0]))
    >>> before = layer.predict_proba_one(leaves)[True]
    >>> layer.learn_one(leaves, True)
    >>> layer.predict_proba_one(leaves)[True] > before
    True
    """

    def __init__(
        self,
        forest: Forest,
        rate: float = 0.01,
        accumulator: float = 10.0,
        window: int = 1,
        head_start: int = 0,
    ) -> None:
        self.forest = forest
        self.rate = rate
        self.accumulator = accumulator
        self.window = window
        self.head_start = head_start
        self.weights: NDArray[np.float64] = forest.values.copy()
        self.accumulators: NDArray[np.float64] = np.full(len(self.weights), float(accumulator))
        self.values: NDArray[np.float64] = forest.values.copy()
        self.batches = 0

    def learn(
        self, leaves: NDArray[np.int32], labels: NDArray[np.int8], offset: float = 0.0
    ) -> None:
        """Take a step for each row, then move the average.

        Args:
            leaves: from `models.forest.Forest.leaves`, shape [n, trees].
            labels: 0 or 1, shape [n].
            offset: added to the log-odds of a row before they are compared with its label. Where
                only a share s of the negatives is learned, their prior odds are too high by 1 / s:
                an offset of -log(s) takes that up, and the weights stay log-odds of the whole
                (King & Zeng, Polit Anal 2001;9:137-163).
        """
        _learn(leaves, labels, offset, self.rate, self.weights, self.accumulators)
        self.batches += 1
        # a new array each time: what somebody scores with does not change under them
        share = 1 / min(self.batches + self.head_start, self.window)
        self.values = self.values + (self.weights - self.values) * share

    @override
    def learn_one(self, x: dict[Any, Any], y: Any) -> None:
        self.learn(self._row(x), np.array([bool(y)], np.int8))

    @override
    def predict_proba_one(self, x: dict[Any, Any], **kwargs: Any) -> dict[Any, float]:
        probability = 1.0 / (1.0 + math.exp(-leaf_logits(self._row(x), self.values)[0]))
        return {False: 1.0 - probability, True: probability}

    @staticmethod
    def _row(x: dict[Any, Any]) -> NDArray[np.int32]:
        return np.fromiter(x.values(), np.int32, len(x)).reshape(1, -1)

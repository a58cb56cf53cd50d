"""Gradient-boosted trees, evaluated by a kernel.

`Forest` gives bit for bit what ``lightgbm.Booster.predict(raw_score=True)`` gives, for a batch of
any size. It also says which features moved a row's log-odds, by the path method (Saabas,
*Interpreting random forests*, 2014): a step from a node to its child is worth the difference of the
two nodes' expectations, the expectation of a node being the mean of the leaves below it, weighted
by the training rows in them. What a path is worth depends on its leaf alone, so it is added up
once, when the forest is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.compiled import kernel
from models.trees import Tree, parse

__all__ = ["Forest"]

#: Rows that go through a tree together, so that both stay in the cache.
_BLOCK = 64
#: What LightGBM takes for zero where zero is missing: ``kZeroThreshold``, single precision.
_ZERO = float(np.float32(1e-35))


@kernel
def _leaf(
    row: NDArray[np.float64],
    root: int,
    feature: NDArray[np.int32],
    threshold: NDArray[np.float64],
    nan_left: NDArray[np.bool_],
    child: NDArray[np.int32],
) -> int:
    """Leaf of a tree that a row falls into. A child below zero is ``~leaf``."""
    node = root
    while node >= 0:
        x = row[feature[node]]
        # an index instead of a branch, which the processor would guess wrong every other time
        goes_left = (x <= threshold[node]) | ((x != x) & nan_left[node])
        node = child[node, 1 - goes_left]
    return ~node


@kernel
def _standardise(
    features: NDArray[np.float64],
    start: int,
    stop: int,
    columns: NDArray[np.int32],
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    zero_missing: NDArray[np.bool_],
    out: NDArray[np.float64],
) -> None:
    for i in range(start, stop):
        for f in range(len(columns)):
            x = (features[i, columns[f]] - mean[f]) / scale[f]
            if zero_missing[f] and abs(x) <= _ZERO:
                x = np.nan
            out[i - start, f] = x


@kernel
def _leaves(
    features: NDArray[np.float64],
    columns: NDArray[np.int32],
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    zero_missing: NDArray[np.bool_],
    roots: NDArray[np.int32],
    feature: NDArray[np.int32],
    threshold: NDArray[np.float64],
    nan_left: NDArray[np.bool_],
    child: NDArray[np.int32],
    found: NDArray[np.int32],
) -> None:
    """Fill in the leaf of every row in every tree."""
    rows = np.empty((_BLOCK, len(columns)))
    for start in range(0, len(features), _BLOCK):
        stop = min(start + _BLOCK, len(features))
        _standardise(features, start, stop, columns, mean, scale, zero_missing, rows)
        for tree in range(len(roots)):
            for i in range(stop - start):
                found[start + i, tree] = _leaf(
                    rows[i], roots[tree], feature, threshold, nan_left, child
                )


@kernel
def _explain(
    features: NDArray[np.float64],
    columns: NDArray[np.int32],
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    zero_missing: NDArray[np.bool_],
    roots: NDArray[np.int32],
    feature: NDArray[np.int32],
    threshold: NDArray[np.float64],
    nan_left: NDArray[np.bool_],
    child: NDArray[np.int32],
    values: NDArray[np.float64],
    effects: NDArray[np.float64],
    logits: NDArray[np.float64],
    contributions: NDArray[np.float64],
) -> None:
    """Add every tree's leaf to the log-odds and contributions; a row's order is the trees'."""
    rows = np.empty((_BLOCK, len(columns)))
    for start in range(0, len(features), _BLOCK):
        stop = min(start + _BLOCK, len(features))
        _standardise(features, start, stop, columns, mean, scale, zero_missing, rows)
        for tree in range(len(roots)):
            for i in range(stop - start):
                leaf = _leaf(rows[i], roots[tree], feature, threshold, nan_left, child)
                logits[start + i] += values[leaf]
                for group in range(effects.shape[1]):
                    contributions[start + i, group] += effects[leaf, group]


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """A binary LightGBM model over columns of a matrix.

    Attributes:
        names: features, in the order of the model.
        columns: column of the matrix that holds each feature, shape [features].
        mean: subtracted from each feature, shape [features].
        scale: then divides it, shape [features].
        zero_missing: features of which the model takes zero for missing, shape [features].
        roots: first node of each tree, or ``~leaf`` of a tree of one leaf, shape [trees].
        feature: feature each node looks at, shape [nodes].
        threshold: values up to it go left, shape [nodes].
        nan_left: whether a missing value goes left, shape [nodes].
        child: where a row goes on, left and right: a node or ``~leaf``, shape [nodes, 2].
        values: log-odds of each leaf, shape [leaves].
        effects: what a leaf's path is worth to each group of features, shape [leaves, groups].
        baseline: mean log-odds; baseline and contributions add up to a row's log-odds.
    """

    names: tuple[str, ...]
    columns: NDArray[np.int32]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    zero_missing: NDArray[np.bool_]
    roots: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    nan_left: NDArray[np.bool_]
    child: NDArray[np.int32]
    values: NDArray[np.float64]
    effects: NDArray[np.float64]
    baseline: float

    @classmethod
    def from_text(
        cls,
        text: str,
        *,
        columns: Sequence[int] | None = None,
        group_of: Sequence[int] | None = None,
        groups: int | None = None,
        mean: NDArray[np.float64] | None = None,
        scale: NDArray[np.float64] | None = None,
    ) -> Self:
        """Read a model that LightGBM saved.

        Args:
            text: what ``lightgbm.Booster.model_to_string`` or ``save_model`` wrote.
            columns: column of the matrix that holds each feature of the model; None = in order.
            group_of: group each feature of the model belongs to; None = each is a group.
            groups: number of groups; None = as many as features.
            mean: see `Forest`; None = zero.
            scale: see `Forest`; None = one.

        Returns:
            The forest.

        Raises:
            models.trees.ForestError: the text is not a binary model of numerical features.
        """
        names, trees = parse(text)
        owner = np.arange(len(names)) if group_of is None else np.array(group_of)
        nodes = np.cumsum([0, *(len(tree.feature) for tree in trees)])[:-1]
        leaves = np.cumsum([0, *(len(tree.value) for tree in trees)])[:-1]
        paths = [_paths(tree, owner, groups or len(names)) for tree in trees]
        feature = np.concatenate([tree.feature for tree in trees])
        zero_missing = np.concatenate([tree.zero_missing for tree in trees])
        at = list(zip(trees, nodes, leaves, strict=True))
        return cls(
            names=names,
            columns=np.array(range(len(names)) if columns is None else columns, np.int32),
            mean=np.zeros(len(names)) if mean is None else mean,
            scale=np.ones(len(names)) if scale is None else scale,
            zero_missing=np.isin(np.arange(len(names)), feature[zero_missing]),
            roots=np.array([t.root - leaf if t.root else node for t, node, leaf in at], np.int32),
            feature=feature,
            threshold=np.concatenate([tree.threshold for tree in trees]),
            nan_left=np.concatenate([tree.nan_left for tree in trees]),
            child=np.concatenate(
                [np.where(t.child < 0, t.child - leaf, t.child + node) for t, node, leaf in at]
            ).astype(np.int32),
            values=np.concatenate([tree.value for tree in trees]),
            effects=np.concatenate([effects for _, effects in paths]),
            baseline=sum(baseline for baseline, _ in paths),
        )

    def score(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-odds of each row.

        Args:
            features: NaN = not known, shape [n, columns].

        Returns:
            Log-odds, shape [n].
        """
        return self._run(features, self.effects[:, :0])[0]

    def explain(
        self, features: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Log-odds of each row and what each group of features added to them.

        Args:
            features: NaN = not known, shape [n, columns].

        Returns:
            Log-odds, shape [n], and contributions in log-odds, shape [n, groups].
        """
        return self._run(features, self.effects)

    def leaves(self, features: NDArray[np.float64]) -> NDArray[np.int32]:
        """Which leaf each row falls into, tree by tree.

        Args:
            features: NaN = not known, shape [n, columns].

        Returns:
            Indices into `values`, shape [n, trees].
        """
        found = np.empty((len(features), len(self.roots)), np.int32)
        _leaves(features, *self._arrays(), found)
        return found

    def _run(
        self, features: NDArray[np.float64], effects: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        logits = np.zeros(len(features))
        contributions = np.zeros((len(features), effects.shape[1]))
        _explain(features, *self._arrays(), self.values, effects, logits, contributions)
        return logits, contributions

    def _arrays(self) -> tuple[NDArray[Any], ...]:
        return (
            *(self.columns, self.mean, self.scale, self.zero_missing),
            *(self.roots, self.feature, self.threshold, self.nan_left, self.child),
        )


def _paths(tree: Tree, owner: NDArray[Any], groups: int) -> tuple[float, NDArray[np.float64]]:
    """Expectation of a tree and what the path to each leaf is worth, shape [leaves, groups]."""
    expectation: dict[int, float] = {}
    effects = np.zeros((len(tree.value), groups))

    def below(node: int) -> tuple[float, float]:
        """Training rows below a node, and the sum of their leaves."""
        if node < 0:
            rows = tree.cover[~node]
            total = rows * tree.value[~node]
            expectation[node] = tree.value[~node]  # not total / rows, which may round
        else:
            (left, left_total), (right, right_total) = (below(child) for child in tree.child[node])
            rows, total = left + right, left_total + right_total
            expectation[node] = total / rows
        return rows, total

    def descend(node: int, worth: NDArray[np.float64]) -> None:
        if node < 0:
            effects[~node] = worth
            return
        for child in tree.child[node]:
            step = worth.copy()
            step[owner[tree.feature[node]]] += expectation[child] - expectation[node]
            descend(child, step)

    below(tree.root)
    descend(tree.root, np.zeros(groups))
    return float(expectation[tree.root]), effects

"""Gradient-boosted trees, evaluated by a kernel.

`Forest` gives bit for bit what ``lightgbm.Booster.predict(raw_score=True)`` gives, for a batch of
any size. It also says which features moved a row's log-odds, by the path method (Saabas,
*Interpreting random forests*, 2014): a step from a node to its child is worth the difference of the
two nodes' expectations, the expectation of a node being the mean of the leaves below it, weighted
by the training rows in them. What a path is worth depends on its leaf alone, so it is added up
once, when the forest is made or is given other leaf values.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    """Fill in what nodes look at, twice: where a missing value goes left, and where right."""
    width = len(columns)
    for i in range(start, stop):
        for f in range(width):
            x = (features[i, columns[f]] - mean[f]) / scale[f]
            if zero_missing[f] and abs(x) <= _ZERO:
                x = np.nan
            out[i - start, f] = -np.inf if x != x else x
            out[i - start, width + f] = x


@kernel
def _descend(
    rows: NDArray[np.float64],
    count: int,
    root: int,
    depth: int,
    looks_at: NDArray[np.int32],
    threshold: NDArray[np.float64],
    left: NDArray[np.int32],
    node: NDArray[np.int32],
) -> None:
    """Fill in the node of each row that has gone down a tree; a leaf leads to itself.

    All rows go a step before any goes the next: the processor works on many at once, where one row
    after the other it would wait for each comparison.
    """
    for i in range(count):
        node[i] = root
    for _ in range(depth):
        for i in range(count):
            at = node[i]
            # a number instead of a branch, which the processor would guess wrong every other time
            node[i] = left[at] + (1 - (rows[i, looks_at[at]] <= threshold[at]))


@kernel
def _leaves(
    features: NDArray[np.float64],
    columns: NDArray[np.int32],
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    zero_missing: NDArray[np.bool_],
    roots: NDArray[np.int32],
    depths: NDArray[np.int32],
    looks_at: NDArray[np.int32],
    threshold: NDArray[np.float64],
    left: NDArray[np.int32],
    leaf: NDArray[np.int32],
    found: NDArray[np.int32],
) -> None:
    """Fill in the leaf of every row in every tree."""
    rows = np.empty((_BLOCK, 2 * len(columns)))
    node = np.empty(_BLOCK, np.int32)
    for start in range(0, len(features), _BLOCK):
        count = min(_BLOCK, len(features) - start)
        _standardise(features, start, start + count, columns, mean, scale, zero_missing, rows)
        for tree in range(len(roots)):
            _descend(rows, count, roots[tree], depths[tree], looks_at, threshold, left, node)
            for i in range(count):
                found[start + i, tree] = leaf[node[i]]


@kernel
def _explain(
    features: NDArray[np.float64],
    columns: NDArray[np.int32],
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    zero_missing: NDArray[np.bool_],
    roots: NDArray[np.int32],
    depths: NDArray[np.int32],
    looks_at: NDArray[np.int32],
    threshold: NDArray[np.float64],
    left: NDArray[np.int32],
    leaf: NDArray[np.int32],
    values: NDArray[np.float64],
    effects: NDArray[np.float64],
    logits: NDArray[np.float64],
    contributions: NDArray[np.float64],
) -> None:
    """Add every tree's leaf to the log-odds and contributions; a row's order is the trees'."""
    rows = np.empty((_BLOCK, 2 * len(columns)))
    node = np.empty(_BLOCK, np.int32)
    for start in range(0, len(features), _BLOCK):
        count = min(_BLOCK, len(features) - start)
        _standardise(features, start, start + count, columns, mean, scale, zero_missing, rows)
        for tree in range(len(roots)):
            _descend(rows, count, roots[tree], depths[tree], looks_at, threshold, left, node)
            for i in range(count):
                reached = leaf[node[i]]
                logits[start + i] += values[reached]
                for group in range(effects.shape[1]):
                    contributions[start + i, group] += effects[reached, group]


@kernel
def _paths(
    roots: NDArray[np.int32],
    node_group: NDArray[np.int32],
    left: NDArray[np.int32],
    leaf: NDArray[np.int32],
    cover: NDArray[np.float64],
    values: NDArray[np.float64],
    effects: NDArray[np.float64],
) -> float:
    """Fill in what the path to each leaf is worth to each group; returns the mean log-odds."""
    nodes = len(left)
    rows = np.empty(nodes)
    total = np.empty(nodes)
    expectation = np.empty(nodes)
    for node in range(nodes - 1, -1, -1):  # a tree's children come after their parent
        if leaf[node] >= 0:
            rows[node] = cover[leaf[node]]
            total[node] = rows[node] * values[leaf[node]]
            expectation[node] = values[leaf[node]]  # not total / rows, which may round
        else:
            first = left[node]
            rows[node] = rows[first] + rows[first + 1]
            total[node] = total[first] + total[first + 1]
            expectation[node] = total[node] / rows[node]
    worth = np.zeros((nodes, effects.shape[1]))
    for node in range(nodes):
        if leaf[node] >= 0:
            effects[leaf[node]] = worth[node]
            continue
        for child in range(left[node], left[node] + 2):
            worth[child] = worth[node]
            worth[child, node_group[node]] += expectation[child] - expectation[node]
    baseline = 0.0
    for root in roots:
        baseline += expectation[root]
    return baseline


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """A binary LightGBM model over columns of a matrix.

    Attributes:
        names: features, in the order of the model.
        columns: column of the matrix that holds each feature, shape [features].
        mean: subtracted from each feature, shape [features].
        scale: then divides it, shape [features].
        zero_missing: features of which the model takes zero for missing, shape [features].
        roots: first node of each tree, shape [trees].
        depths: steps to its deepest leaf, shape [trees].
        looks_at: feature each node looks at, plus the number of features where a missing value
            goes right, shape [nodes].
        threshold: values up to it go left; infinity for a leaf, shape [nodes].
        left: where a row goes on; right is the node after it; a leaf is its own, shape [nodes].
        leaf: index of a node that is a leaf, else -1, shape [nodes].
        node_group: group of the feature each node looks at, shape [nodes].
        cover: training rows in each leaf, shape [leaves].
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
    depths: NDArray[np.int32]
    looks_at: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    leaf: NDArray[np.int32]
    node_group: NDArray[np.int32]
    cover: NDArray[np.float64]
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
        owner = np.array(range(len(names)) if group_of is None else group_of, np.int32)
        values = np.concatenate([tree.value for tree in trees])
        layout = _lay_out(trees, len(names))
        feature = np.concatenate([tree.feature for tree in trees])
        zero_missing = np.concatenate([tree.zero_missing for tree in trees])
        forest = cls(
            names=names,
            columns=np.array(range(len(names)) if columns is None else columns, np.int32),
            mean=np.zeros(len(names)) if mean is None else mean,
            scale=np.ones(len(names)) if scale is None else scale,
            zero_missing=np.isin(np.arange(len(names)), feature[zero_missing]),
            **layout,
            node_group=owner[layout["looks_at"] % len(names)],
            cover=np.concatenate([tree.cover for tree in trees]),
            values=values,
            effects=np.empty((len(values), groups or len(names))),
            baseline=0.0,
        )
        return forest.with_values(values)

    def with_values(self, values: NDArray[np.float64]) -> Self:
        """The same trees with other leaves.

        Args:
            values: log-odds of each leaf, shape [leaves].

        Returns:
            A forest whose baseline and contributions add up to its own log-odds.

        Raises:
            ValueError: there is not one finite value a leaf.
        """
        if values.shape != self.values.shape or not np.isfinite(values).all():
            raise ValueError(
                f"values of shape {values.shape} for {len(self.values)} leaves; give a finite one "
                "for each"
            )
        effects = np.empty_like(self.effects)
        trees = (self.roots, self.node_group, self.left, self.leaf, self.cover)
        baseline = _paths(*trees, values, effects)
        return replace(self, values=values, effects=effects, baseline=baseline)

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
            *(self.roots, self.depths, self.looks_at, self.threshold, self.left, self.leaf),
        )


def _lay_out(trees: Sequence[Tree], features: int) -> dict[str, NDArray[Any]]:
    """Nodes and leaves of all trees in one row, level by level, the two children side by side."""
    roots: list[int] = []
    depths: list[int] = []
    looks_at: list[int] = []
    threshold: list[float] = []
    left: list[int] = []
    leaf: list[int] = []
    leaves = 0
    for tree in trees:
        first = len(left)
        roots.append(first)
        nodes, levels = [tree.root], [0]
        for at, node in enumerate(nodes):  # grows on the way
            if node < 0:
                looks_at.append(0)
                threshold.append(np.inf)
                left.append(first + at)
                leaf.append(leaves + ~node)
                continue
            looks_at.append(tree.feature[node] + (0 if tree.nan_left[node] else features))
            threshold.append(tree.threshold[node])
            left.append(first + len(nodes))
            leaf.append(-1)
            nodes += tree.child[node].tolist()
            levels += 2 * [levels[at] + 1]
        depths.append(levels[-1])
        leaves += len(tree.value)
    return {
        "roots": np.array(roots, np.int32),
        "depths": np.array(depths, np.int32),
        "looks_at": np.array(looks_at, np.int32),
        "threshold": np.array(threshold, np.float64),
        "left": np.array(left, np.int32),
        "leaf": np.array(leaf, np.int32),
    }

"""The text in which LightGBM saves a model, read without LightGBM.

Its import alone takes longer than a worker may take to start. Nothing in the text is code.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ForestError", "Tree", "parse", "slim"]

# decision_type of a node: bit 0 categorical, bit 1 missing values go left, bits 2 and 3 what counts
# as missing: nothing (then NaN is taken for zero), zero and NaN, or NaN
_DEFAULT_LEFT = 2
_NOTHING, _ZERO_TOO = 0, 1
#: What only LightGBM's own training looks at; and the sizes of the trees in bytes, which would be
#: wrong after a line is left out, and without which LightGBM reads one tree after another.
_SPARE = (
    "split_gain=",
    "leaf_weight=",
    "internal_value=",
    "internal_weight=",
    "tree_sizes=",
    "[num_threads:",
)


class ForestError(ValueError):
    """The text is not a model that `models.forest.Forest` can evaluate."""


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """One tree.

    Attributes:
        feature: feature each node looks at, shape [nodes].
        threshold: values up to it go left, shape [nodes].
        nan_left: whether a missing value goes left, shape [nodes].
        zero_missing: whether zero counts as missing, shape [nodes].
        child: where a row goes on, left and right: a node or ``~leaf``, shape [nodes, 2].
        value: log-odds of each leaf, shape [leaves].
        cover: training rows in each leaf, shape [leaves].
    """

    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    nan_left: NDArray[np.bool_]
    zero_missing: NDArray[np.bool_]
    child: NDArray[np.int32]
    value: NDArray[np.float64]
    cover: NDArray[np.float64]

    @property
    def root(self) -> int:
        """The first node, or the only leaf as ``~0``."""
        return 0 if len(self.feature) else ~0


def parse(text: str) -> tuple[tuple[str, ...], list[Tree]]:
    """Read a model.

    Args:
        text: what ``lightgbm.Booster.model_to_string`` or ``save_model`` wrote.

    Returns:
        Names of the features and the trees.

    Raises:
        ForestError: the text is not a whole binary model of numerical features.
    """
    head, *parts = text.split("\nTree=")
    header = _fields(head)
    if "feature_names" not in header or "objective" not in header:
        raise ForestError("not the text of a LightGBM model; save it with Booster.save_model")
    if header["objective"] != "binary sigmoid:1":
        raise ForestError(
            f"objective {header['objective']!r}: only 'binary sigmoid:1' can be evaluated"
        )
    if not parts or "end of trees" not in parts[-1]:
        raise ForestError("the text of the LightGBM model is cut short; save it again")
    return tuple(header["feature_names"].split()), [_tree(_fields(part)) for part in parts]


def slim(text: str) -> str:
    """Leave out of a model's text what only its training needed; LightGBM reads the rest as well.

    Args:
        text: what ``lightgbm.Booster.model_to_string`` or ``save_model`` wrote.

    Returns:
        The same model in about half the characters.
    """
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(_SPARE))


def _fields(lines: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in lines.splitlines())
    return {key: value for key, equals, value in pairs if equals}


def _tree(fields: Mapping[str, str]) -> Tree:
    if fields.get("is_linear", "0") != "0" or fields.get("num_cat", "0") != "0":
        raise ForestError("linear trees and categorical features cannot be evaluated")

    def floats(key: str) -> NDArray[np.float64]:
        return np.array(fields.get(key, "").split(), np.float64)

    def integers(key: str) -> NDArray[np.int32]:
        return np.array(fields.get(key, "").split(), np.int32)

    threshold, value, cover = floats("threshold"), floats("leaf_value"), floats("leaf_count")
    child = np.ascontiguousarray([integers("left_child"), integers("right_child")]).T
    if not len(value) == len(threshold) + 1 == len(child) + 1:
        raise ForestError("a tree of the LightGBM model is cut short; save it again")
    decision = integers("decision_type")
    missing = decision >> 2 & 3
    return Tree(
        feature=integers("split_feature"),
        threshold=threshold,
        nan_left=np.where(missing == _NOTHING, threshold >= 0, decision & _DEFAULT_LEFT != 0),
        zero_missing=missing == _ZERO_TOO,
        child=child,
        value=value,
        # a tree of one leaf comes without the count
        cover=cover if len(cover) == len(value) > 1 else np.ones(len(value)),
    )

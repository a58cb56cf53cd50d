"""Figures of rankings, against values that were computed by hand and scikit-learn's."""

import random

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from rag.evaluation import (
    abstention_curve,
    average_precision,
    figures,
    ndcg,
    quantile,
    recall_at,
    reciprocal_rank,
)

pytestmark = pytest.mark.unit


def test_average_precision_is_the_mean_precision_at_the_right_documents() -> None:
    assert average_precision(["a", "x", "b"], {"a", "b"}) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(["x", "a"], {"a", "b", "c"}) == pytest.approx(0.5 / 3)
    assert average_precision(["x"], {"a"}) == 0
    assert average_precision([], set()) == 0


def test_average_precision_can_reach_one_where_more_is_right_than_there_are_places() -> None:
    assert average_precision(["a", "b"], {"a", "b", "c"}, k=2) == 1


def test_a_document_that_is_found_twice_counts_once() -> None:
    assert average_precision(["a", "a"], {"a", "b"}) == 0.5
    assert ndcg(["a", "a"], {"a": 1.0, "b": 1.0}) < ndcg(["a", "b"], {"a": 1.0, "b": 1.0}) == 1


def test_the_reciprocal_rank_is_of_the_first_right_document_within_k() -> None:
    assert reciprocal_rank(["x", "y", "a", "b"], {"a", "b"}) == pytest.approx(1 / 3)
    assert reciprocal_rank(["x", "y", "a"], {"a"}, k=2) == 0


def test_recall_is_the_share_of_the_right_ones_within_k() -> None:
    assert recall_at(["a", "x", "b"], {"a", "b"}, k=2) == 0.5


def test_ndcg_is_that_of_scikit_learn() -> None:
    drawn = random.Random(1)
    names = [f"d{number}" for number in range(20)]
    for _ in range(20):
        grades = {name: float(drawn.randint(0, 4)) for name in names}
        found = drawn.sample(names, len(names))
        scores = [len(names) - found.index(name) for name in names]
        theirs = ndcg_score(np.array([list(grades.values())]), np.array([scores]), k=10)
        relevant = {name: grade for name, grade in grades.items() if grade}
        assert ndcg(found, relevant) == pytest.approx(theirs)


def test_questions_without_a_right_document_do_not_count() -> None:
    found = figures([["a"], ["b"]], [{"a": 1.0}, {}])
    assert (found.questions, found.map, found.mrr, found.ndcg, found.recall) == (1, 1, 1, 1, 1)


def test_so_many_rankings_for_other_many_questions_are_refused() -> None:
    with pytest.raises(ValueError, match="argument"):
        figures([["a"]], [{"a": 1.0}, {"b": 1.0}])


def test_a_higher_threshold_answers_less_and_declines_more() -> None:
    curve = abstention_curve([0.9, 0.5], [0.4, 0.6], [0.55, 0.0, 0.95])
    assert curve.thresholds == (0.0, 0.55, 0.95)
    assert curve.answered == (1.0, 0.5, 0.0)
    assert curve.declined == (0.0, 0.5, 1.0)


def test_a_quantile_is_a_value_that_was_measured() -> None:
    assert quantile([3.0, 1.0, 2.0, 4.0], 0.5) == 2.0
    assert quantile([3.0, 1.0, 2.0, 4.0], 0.99) == 4.0
    with pytest.raises(ValueError, match="at least one"):
        quantile([], 0.5)

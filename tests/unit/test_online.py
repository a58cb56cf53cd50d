"""The online layer is River's logistic regression over the leaves, at a hundredth of the price."""

import time
from collections import defaultdict

import numpy as np
import pytest
from river import linear_model, optim
from river.utils.vectordict import VectorDict

from models import online
from models.online import LeafLogistic, leaf_logits
from models.risk import ForestModel
from tests.unit.made_forests import made_champion, made_rows

pytestmark = pytest.mark.unit

RATE, ACCUMULATOR = 0.01, 10.0


def river_twin(model: ForestModel) -> linear_model.LogisticRegression:
    """River's own, started at the leaf values."""
    adagrad = optim.AdaGrad(RATE)
    adagrad.g2 = defaultdict(lambda: ACCUMULATOR)
    twin = linear_model.LogisticRegression(adagrad, intercept_lr=0.0)
    values = dict(enumerate(model.forest.values.tolist()))
    twin._weights = VectorDict(values, twin.initializer)
    return twin


def test_every_step_is_that_of_rivers_logistic_regression_on_one_hot_leaves() -> None:
    model, (rows, labels) = made_champion(), made_rows()
    twin, layer = river_twin(model), LeafLogistic(model.forest, RATE, ACCUMULATOR, window=1)
    for leaves, label in zip(model.forest.leaves(rows).tolist(), labels.tolist(), strict=True):
        one_hot = dict.fromkeys(leaves, 1)
        instance = dict(enumerate(leaves))
        said = layer.predict_proba_one(instance)
        assert said[True] == pytest.approx(twin.predict_proba_one(one_hot)[True], abs=1e-12)
        assert said[True] + said[False] == 1
        twin.learn_one(one_hot, bool(label))
        layer.learn_one(instance, bool(label))
    wanted = [twin.weights[leaf] for leaf in range(len(layer.weights))]
    np.testing.assert_allclose(layer.weights, wanted, rtol=0, atol=1e-12)
    assert np.abs(layer.weights - model.forest.values).max() > 0.01


def test_a_batch_is_learned_as_its_rows_one_by_one() -> None:
    model, (rows, labels) = made_champion(), made_rows(10)
    leaves = model.forest.leaves(rows)
    batch, single = LeafLogistic(model.forest), LeafLogistic(model.forest)
    batch.learn(leaves, labels)
    for instance, label in zip(leaves.tolist(), labels.tolist(), strict=True):
        single.learn_one(dict(enumerate(instance)), bool(label))
    np.testing.assert_array_equal(batch.weights, single.weights)
    np.testing.assert_array_equal(batch.accumulators, single.accumulators)


def test_compiled_and_interpreted_steps_agree_to_the_last_bit() -> None:
    model, (rows, labels) = made_champion(), made_rows(5)
    leaves = model.forest.leaves(rows)
    layer = LeafLogistic(model.forest)
    layer.learn(leaves, labels, 1.5)
    weights = model.forest.values.copy()
    accumulators = np.full(len(weights), 10.0)
    online._learn.py_func(leaves, labels, 1.5, 0.01, weights, accumulators)
    np.testing.assert_array_equal(weights, layer.weights)
    np.testing.assert_array_equal(accumulators, layer.accumulators)


def test_the_log_odds_are_bit_for_bit_those_of_the_forest() -> None:
    model, (rows, _) = made_champion(), made_rows()
    leaves = model.forest.leaves(rows)
    np.testing.assert_array_equal(
        leaf_logits(leaves, model.forest.values), model.forest.score(rows)
    )


def test_the_average_is_over_all_batches_until_the_window_is_full() -> None:
    model, (rows, labels) = made_champion(), made_rows(6)
    leaves = model.forest.leaves(rows)
    layer, seen = LeafLogistic(model.forest, window=3), []
    for at in range(0, len(rows), 36):
        layer.learn(leaves[at : at + 36], labels[at : at + 36])
        seen.append(layer.weights.copy())
    np.testing.assert_allclose(
        layer.values, (2 * np.mean(seen[:3], axis=0) + seen[3]) / 3, atol=1e-14
    )


def test_with_a_head_start_the_champions_values_count_as_if_they_had_been_learned() -> None:
    model, (rows, labels) = made_champion(), made_rows(6)
    layer = LeafLogistic(model.forest, window=100, head_start=3)
    layer.learn(model.forest.leaves(rows), labels)
    np.testing.assert_allclose(
        layer.values, (3 * model.forest.values + layer.weights) / 4, atol=1e-14
    )


def test_the_values_that_somebody_scores_with_do_not_change_under_them() -> None:
    model, (rows, labels) = made_champion(), made_rows(5)
    layer = LeafLogistic(model.forest)
    held = layer.values
    before = held.copy()
    layer.learn(model.forest.leaves(rows), labels)
    np.testing.assert_array_equal(held, before)
    np.testing.assert_array_equal(model.forest.values, before)


def test_with_the_offset_a_sample_of_the_negatives_gives_the_odds_of_the_whole() -> None:
    model = made_champion()
    rng = np.random.default_rng(0)
    share, odds = 0.15, 0.02
    labels = (rng.random(200_000) < odds).astype(np.int8)
    labels = labels[(labels == 1) | (rng.random(len(labels)) < share)]
    leaves = np.repeat(model.forest.leaves(made_rows(1)[0][:1]), len(labels), axis=0)
    layer = LeafLogistic(model.forest, 0.05, window=10)
    for part in np.array_split(np.arange(len(labels)), 200):
        layer.learn(leaves[part], labels[part], -np.log(share))
    said = 1 / (1 + np.exp(-leaf_logits(leaves[:1], layer.values)[0]))
    assert said == pytest.approx(odds, rel=0.1)


def test_a_label_costs_far_less_than_100_microseconds() -> None:
    model, (rows, labels) = made_champion(150, 15), made_rows()
    leaves = model.forest.leaves(rows)
    layer = LeafLogistic(model.forest)
    layer.learn(leaves[:1], labels[:1])  # compiles
    began = time.perf_counter()
    for _ in range(3):
        layer.learn(leaves, labels)
    assert (time.perf_counter() - began) / (3 * len(labels)) < 100e-6

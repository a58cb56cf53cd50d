"""The kernel's trees are LightGBM's, to the last bit."""

from typing import Any

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray

from models.forest import Forest
from models.trees import ForestError, slim

pytestmark = pytest.mark.unit

Matrix = NDArray[np.float64]


def made_rows(count: int = 1_500, seed: int = 0) -> tuple[Matrix, NDArray[np.int64]]:
    """Rows of six features; the first always known, the last mostly zero."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, 6)).round(2)
    rows[:, 5] *= rng.random(count) < 0.3
    labels = (rows[:, 0] + rows[:, 1] * rows[:, 5] + rng.normal(size=count) > 0.5).astype(int)
    rows[:, 1:][rng.random((count, 5)) < 0.25] = np.nan
    return rows, labels


def trained(rounds: int = 25, **settings: Any) -> lightgbm.Booster:
    rows, labels = made_rows()
    chosen = {"objective": "binary", "num_leaves": 12, "num_threads": 1, "verbose": -1} | settings
    return lightgbm.train(chosen, lightgbm.Dataset(rows, labels), rounds)


@pytest.fixture(scope="module")
def booster() -> lightgbm.Booster:
    return trained()


def odd_rows() -> Matrix:
    """Rows the model has not seen: unknown where nothing was, tiny, huge and infinite values."""
    rows = made_rows(300, seed=9)[0]
    rows[:50, 0] = np.nan
    rows[50:60] = np.nan
    rows[60:80] = 1e-36
    rows[80:100] = -1e-36
    rows[100:110] = 0.0
    rows[110:120] = -0.0
    rows[120:130] = np.inf
    rows[130:140] = -np.inf
    rows[140:150] = 1e300
    return rows


@pytest.mark.parametrize(
    "settings",
    [{}, {"zero_as_missing": True}, {"use_missing": False}, {"boost_from_average": False}],
    ids=str,
)
def test_the_log_odds_are_bit_for_bit_those_of_lightgbm(settings: dict[str, Any]) -> None:
    model = trained(**settings)
    rows = np.concatenate([made_rows()[0], odd_rows()])
    wanted = model.predict(rows, raw_score=True, num_threads=1)
    np.testing.assert_array_equal(Forest.from_text(model.model_to_string()).score(rows), wanted)


def test_values_on_a_threshold_go_where_lightgbm_sends_them(booster: lightgbm.Booster) -> None:
    forest = Forest.from_text(booster.model_to_string())
    inner = forest.leaf < 0
    threshold, feature = forest.threshold[inner], forest.looks_at[inner] % 6
    rows = np.zeros((len(threshold) * 3, 6))
    near = [threshold, *(np.nextafter(threshold, side) for side in (-np.inf, np.inf))]
    rows[np.arange(len(rows)), np.tile(feature, 3)] = np.concatenate(near)
    wanted = booster.predict(rows, raw_score=True, num_threads=1)
    np.testing.assert_array_equal(forest.score(rows), wanted)


@pytest.mark.parametrize("size", [1, 2, 63, 64, 65, 300])
def test_a_row_scores_the_same_in_a_batch_of_any_size(booster: lightgbm.Booster, size: int) -> None:
    forest, rows = Forest.from_text(booster.model_to_string()), odd_rows()
    logits, contributions = forest.explain(rows)
    parts = [forest.explain(rows[at : at + size]) for at in range(0, len(rows), size)]
    np.testing.assert_array_equal(np.concatenate([part[0] for part in parts]), logits)
    np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), contributions)


def test_compiled_and_interpreted_trees_agree_to_the_last_bit(booster: lightgbm.Booster) -> None:
    from models import forest as module

    model, rows = Forest.from_text(booster.model_to_string()), odd_rows()[::5]
    logits, contributions = np.zeros(len(rows)), np.zeros((len(rows), 6))
    arrays = (*model._arrays(), model.values, model.effects)
    module._explain.py_func(rows, *arrays, logits, contributions)
    compiled = model.explain(rows)
    np.testing.assert_array_equal(logits, compiled[0])
    np.testing.assert_array_equal(contributions, compiled[1])


def test_baseline_and_contributions_add_up_to_the_log_odds(booster: lightgbm.Booster) -> None:
    forest = Forest.from_text(booster.model_to_string(), group_of=[0, 0, 1, 1, 2, 2], groups=3)
    logits, contributions = forest.explain(odd_rows())
    assert contributions.shape == (300, 3)
    np.testing.assert_allclose(forest.baseline + contributions.sum(axis=1), logits, atol=1e-12)


def test_the_baseline_is_the_mean_of_the_log_odds_in_training(booster: lightgbm.Booster) -> None:
    forest = Forest.from_text(booster.model_to_string())
    assert forest.baseline == pytest.approx(forest.score(made_rows()[0]).mean(), abs=1e-9)


def test_with_other_leaves_baseline_and_contributions_add_up_to_the_new_log_odds(
    booster: lightgbm.Booster,
) -> None:
    forest = Forest.from_text(booster.model_to_string(), group_of=[0, 0, 1, 1, 2, 2], groups=3)
    values = np.random.default_rng(3).normal(size=len(forest.values))
    other = forest.with_values(values)
    logits, contributions = other.explain(odd_rows())
    np.testing.assert_allclose(values[forest.leaves(odd_rows())].sum(axis=1), logits, atol=1e-12)
    np.testing.assert_allclose(other.baseline + contributions.sum(axis=1), logits, atol=1e-12)
    assert other.baseline == pytest.approx(other.score(made_rows()[0]).mean(), abs=1e-9)
    back = other.with_values(forest.values)
    np.testing.assert_array_equal(back.effects, forest.effects)
    assert back.baseline == forest.baseline


def test_compiled_and_interpreted_paths_agree_to_the_last_bit(booster: lightgbm.Booster) -> None:
    from models import forest as module

    model = Forest.from_text(booster.model_to_string())
    effects = np.empty_like(model.effects)
    trees = (model.roots, model.node_group, model.left, model.leaf, model.cover)
    assert module._paths.py_func(*trees, model.values, effects) == model.baseline
    np.testing.assert_array_equal(effects, model.effects)


@pytest.mark.parametrize("values", [np.zeros(3), np.full(25 * 12, np.nan)], ids=["few", "NaN"])
def test_leaves_that_do_not_fit_the_trees_are_refused(
    booster: lightgbm.Booster, values: Matrix
) -> None:
    with pytest.raises(ValueError, match="a finite one for each"):
        Forest.from_text(booster.model_to_string()).with_values(values)


def test_a_split_is_credited_to_the_feature_it_looks_at() -> None:
    rows, labels = made_rows()
    stump = {"objective": "binary", "num_leaves": 2, "num_threads": 1, "verbose": -1}
    model = lightgbm.train(stump, lightgbm.Dataset(rows, labels), 1)
    forest = Forest.from_text(model.model_to_string())
    logits, contributions = forest.explain(rows)
    looked_at = int(forest.looks_at[0]) % 6
    np.testing.assert_allclose(contributions[:, looked_at], logits - forest.baseline, atol=1e-15)
    assert not np.delete(contributions, looked_at, axis=1).any()


def test_the_leaves_are_those_lightgbm_names(booster: lightgbm.Booster) -> None:
    forest, rows = Forest.from_text(booster.model_to_string()), odd_rows()
    found = forest.leaves(rows)
    np.testing.assert_allclose(forest.values[found].sum(axis=1), forest.score(rows), atol=1e-12)
    first_leaf = np.cumsum([0, *(tree["num_leaves"] for tree in booster.dump_model()["tree_info"])])
    wanted = booster.predict(rows, pred_leaf=True, num_threads=1)
    np.testing.assert_array_equal(found - first_leaf[:-1], wanted)


def test_features_are_taken_from_their_columns_and_scaled(booster: lightgbm.Booster) -> None:
    rows = made_rows()[0]
    mean, scale = np.arange(6) / 7, np.arange(1, 7) / 3
    wide = np.full((len(rows), 9), 1e9)
    columns = [8, 1, 0, 7, 3, 5]
    wide[:, columns] = rows
    forest = Forest.from_text(booster.model_to_string(), columns=columns, mean=mean, scale=scale)
    wanted = booster.predict((rows - mean) / scale, raw_score=True, num_threads=1)
    np.testing.assert_array_equal(forest.score(wide), wanted)


def test_a_tree_of_a_single_leaf_adds_its_value() -> None:
    rows, labels = made_rows()
    flat = {"objective": "binary", "min_data_in_leaf": len(rows), "verbose": -1, "num_threads": 1}
    model = lightgbm.train(flat, lightgbm.Dataset(rows, labels), 3)
    forest = Forest.from_text(model.model_to_string())
    np.testing.assert_array_equal(forest.score(rows), model.predict(rows, raw_score=True))
    assert forest.baseline == forest.score(rows[:1])[0]
    assert not forest.explain(rows)[1].any()


def test_the_slim_text_is_half_as_long_and_the_same_model_to_lightgbm(
    booster: lightgbm.Booster,
) -> None:
    text = booster.model_to_string()
    assert len(slim(text)) < 0.7 * len(text)
    again = lightgbm.Booster(model_str=slim(text))
    rows = odd_rows()
    np.testing.assert_array_equal(
        again.predict(rows, raw_score=True), booster.predict(rows, raw_score=True)
    )


def test_a_text_that_is_cut_short_is_refused(booster: lightgbm.Booster) -> None:
    text = booster.model_to_string()
    with pytest.raises(ForestError, match="cut short"):
        Forest.from_text(text[: len(text) // 3])


def test_something_else_than_a_model_is_refused() -> None:
    with pytest.raises(ForestError, match=r"Booster\.save_model"):
        Forest.from_text("<html>")


def test_an_objective_whose_log_odds_mean_something_else_is_refused() -> None:
    rows, labels = made_rows()
    model = lightgbm.train(
        {"objective": "regression", "verbose": -1}, lightgbm.Dataset(rows, labels), 1
    )
    with pytest.raises(ForestError, match="regression"):
        Forest.from_text(model.model_to_string())


def test_categorical_features_are_refused() -> None:
    rows, labels = made_rows()
    rows[:, 2] = np.arange(len(rows)) % 4
    data = lightgbm.Dataset(rows, (labels + rows[:, 2] > 2).astype(int), categorical_feature=[2])
    model = lightgbm.train({"objective": "binary", "verbose": -1}, data, 3)
    with pytest.raises(ForestError, match="categorical"):
        Forest.from_text(model.model_to_string())

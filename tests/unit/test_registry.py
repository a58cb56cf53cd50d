"""Model folders, the shipped model, and which model scores where there is no MLflow."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.dataset import featurise
from models.features import FEATURES
from models.publish import write_model
from models.registry import SHIPPED, ModelError, load_champion, load_model, save_model
from models.risk import ForestModel, LinearModel, RiskModel
from models.training import Options, Trained, train
from tests.unit.made_patients import made_patients

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def trained() -> Trained:
    quick = Options(candidates=("logistic_regression",), iterations=1, resamples=0)
    return train(made_patients(90), quick)


def same(one: RiskModel, other: RiskModel) -> bool:
    rows = featurise(made_patients(3)).X
    return bool(np.array_equal(one.score(rows).probability, other.score(rows).probability))


# --- folders -------------------------------------------------------------------------------------


def test_a_model_folder_gives_the_model_back(trained: Trained, tmp_path: Path) -> None:
    write_model(trained, tmp_path / "new" / "model")
    again = load_model(tmp_path / "new" / "model")
    for name in ("name", "version", "features", "threshold", "tiers", "kind"):
        assert getattr(again, name) == getattr(trained.model, name), name
    assert same(again, trained.model)
    assert (tmp_path / "new" / "model" / "MODEL_CARD.md").read_text().startswith("# vigil-sepsis")


def test_a_model_of_another_kind_leaves_nothing_of_the_one_before(
    trained: Trained, tmp_path: Path
) -> None:
    save_model(load_model(SHIPPED["context"]), tmp_path)
    save_model(trained.model, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["linear.json", "manifest.json"]
    assert isinstance(load_model(tmp_path), LinearModel)


def test_a_forest_keeps_its_leaves_in_the_folder_and_loses_them_with_another_model(
    tmp_path: Path,
) -> None:
    shipped = load_model(SHIPPED["context"])
    assert isinstance(shipped, ForestModel)
    values = shipped.forest.values * 1.1
    tiers = shipped.tiers
    other = shipped.with_leaves(values, version="1+1", threshold=0.1, tiers=tiers)
    save_model(other, tmp_path)
    again = load_model(tmp_path)
    assert again.version == "1+1"
    assert same(again, other)
    assert not same(again, shipped)
    save_model(shipped, tmp_path)
    assert not (tmp_path / "leaves.f64").exists()
    assert same(load_model(tmp_path), shipped)


def test_a_folder_without_a_model_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"manifest\.json is missing.*vigil train"):
        load_model(tmp_path)


def test_a_file_that_was_changed_is_refused(trained: Trained, tmp_path: Path) -> None:
    save_model(trained.model, tmp_path)
    file = tmp_path / "linear.json"
    file.write_text(file.read_text().replace("1", "2", 1))
    with pytest.raises(ModelError, match=r"linear\.json is not the file that was saved"):
        load_model(tmp_path)


@pytest.mark.parametrize("spoil", ["format", "kind", "tiers", "features"])
def test_a_manifest_of_another_make_is_refused(
    trained: Trained, tmp_path: Path, spoil: str
) -> None:
    save_model(trained.model, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest[spoil] = {"no": "such"} if spoil == "tiers" else ["no such"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="vigil train"):
        load_model(tmp_path)


def test_a_folder_cut_short_while_it_was_written_does_not_load(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(trained.model, tmp_path)

    def fail(*_: object, **__: object) -> str:
        raise OSError("disk full")

    monkeypatch.setattr(json, "dumps", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(trained.model, tmp_path)
    monkeypatch.undo()
    with pytest.raises(ModelError, match="is missing"):
        load_model(tmp_path)


# --- the shipped model ---------------------------------------------------------------------------


def test_the_shipped_model_loads_without_lightgbm_scikit_learn_mlflow_or_pickle() -> None:
    heavy = ["lightgbm", "sklearn", "mlflow", "joblib", "skops", "pandas", "matplotlib"]
    code = f"""
import sys
from models.registry import SHIPPED, load_model
model = load_model(SHIPPED["context"])
print([name for name in {heavy} if name in sys.modules], model.name, model.version)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    manifest = json.loads((SHIPPED["context"] / "manifest.json").read_text())
    assert found.stdout.split() == ["[]", manifest["name"], manifest["version"]]


def test_the_shipped_model_is_small_and_its_card_is_of_the_same_version() -> None:
    assert sum(path.stat().st_size for path in SHIPPED["context"].iterdir()) < 1_000_000
    model = load_model(SHIPPED["context"])
    assert model.version == model.fingerprint()
    assert model.version in (SHIPPED["context"] / "MODEL_CARD.md").read_text().splitlines()[0]


def test_the_shipped_models_text_is_read_by_lightgbm_to_the_same_log_odds() -> None:
    import lightgbm

    model = load_model(SHIPPED["context"])
    scaler = json.loads((SHIPPED["context"] / "scaler.json").read_text())
    rows = featurise(made_patients(20)).X
    rows[::7, FEATURES.index("age") : FEATURES.index("icu_hours") + 1] = np.nan
    looked_at = rows[:, [FEATURES.index(name) for name in model.features]]
    scaled = (looked_at - np.array(scaler["mean"])) / np.array(scaler["scale"])
    booster = lightgbm.Booster(model_file=SHIPPED["context"] / "model.txt")
    wanted = booster.predict(scaled, raw_score=True, num_threads=1)
    np.testing.assert_array_equal(model.score(rows).logit, wanted)


# --- which model scores --------------------------------------------------------------------------


def test_without_a_store_the_shipped_model_scores_and_no_store_is_made(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/home/mlflow.db"
    assert load_champion(uri).version == load_model(SHIPPED["context"]).version
    assert (
        load_champion(f"file://{tmp_path}/runs").version == load_model(SHIPPED["context"]).version
    )
    assert list(tmp_path.iterdir()) == []


def test_a_named_folder_comes_before_everything_else(trained: Trained, tmp_path: Path) -> None:
    save_model(trained.model, tmp_path)
    assert load_champion("http://nobody.invalid", tmp_path).version == trained.model.version

"""The registry with a real MLflow: what training leaves there, and which model scores."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from models.dataset import featurise
from models.promotion import Verdict
from models.publish import Published, publish
from models.registry import ModelError, load_champion, load_model
from models.search import matrix_of
from models.tracking import EXPERIMENT, connect, session
from models.training import Options, Trained, train
from streams.commands.train import train as train_command
from tests.unit.made_patients import made_patients, write_charts

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def trained() -> Trained:
    quick = Options(candidates=("logistic_regression",), iterations=1, resamples=0)
    return train(made_patients(90), quick)


@pytest.fixture(scope="module")
def store(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Published]:
    """A store into which one training went."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('store')}/home/mlflow.db"
    return uri, publish(trained, uri)


def test_the_first_model_becomes_the_champion_and_scores(
    trained: Trained, store: tuple[str, Published]
) -> None:
    uri, published = store
    assert (published.version, published.champion, published.champion_utility) == ("1", True, None)
    champion = load_champion(uri)
    assert champion.version == f"1-{trained.model.version}"
    rows = featurise(made_patients(3)).X
    np.testing.assert_array_equal(
        champion.score(rows).probability, trained.model.score(rows).probability
    )


def test_mlflow_loads_the_champion_as_a_pipeline_that_says_the_same(
    trained: Trained, store: tuple[str, Published]
) -> None:
    with connect(store[0]):
        import mlflow

        mlflow.set_tracking_uri(store[0])
        pipeline = mlflow.sklearn.load_model("models:/vigil-sepsis@champion")
    assert list(pipeline.named_steps) == ["imputer", "scaler", "model"]
    found = pipeline.predict_proba(matrix_of(trained.data, trained.model.features))[:, 1]
    wanted = trained.model.score(trained.data.X).probability
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_runs_hold_settings_figures_plots_data_and_code(
    trained: Trained, store: tuple[str, Published]
) -> None:
    with connect(store[0]) as client:
        experiment = client.get_experiment_by_name(EXPERIMENT)
        runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
        parent = runs.pop("logistic_regression on all patients")
        kept = {file.path for file in client.list_artifacts(parent.info.run_id)}
        drawn = {file.path for file in client.list_artifacts(parent.info.run_id, "plots")}
        version = client.get_model_version_by_alias("vigil-sepsis", "champion")
    assert EXPERIMENT == "sepsis_observation_sample_experiment"
    assert parent.data.metrics["auroc"] == pytest.approx(trained.rows[0].report.auroc)
    assert {"log_loss", "auprc", "utility"} <= set(runs["logistic_regression"].data.metrics)
    assert runs["logistic_regression"].data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert {"C"} <= set(runs["logistic_regression"].data.params)
    assert {"plots", "vigil", "features.json"} <= kept
    assert drawn == {
        f"plots/{n}.png" for n in ("roc", "precision_recall", "calibration", "utility")
    }
    assert version.tags["data_hash"] == trained.facts["trained_on"]["data_hash"]
    assert version.tags["data_span"] == "ICU hours 1 to 24"


def test_everything_in_the_store_lies_beside_it(store: tuple[str, Published]) -> None:
    home = Path(store[0].removeprefix("sqlite:///")).parent
    assert {path.name for path in home.iterdir()} == {"mlflow.db", "mlartifacts"}
    assert not Path("mlruns").exists()


def test_a_model_becomes_the_champion_by_the_rule_of_promotion_and_no_other(
    trained: Trained, store: tuple[str, Published], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, first = store

    def worth(utility: float) -> Trained:
        row = trained.rows[0]
        return replace(trained, rows=[replace(row, report=replace(row.report, utility=utility))])

    second = publish(worth(1.0), uri)  # of so few patients nothing can be told
    assert not second.champion
    assert second.champion_utility == pytest.approx(first.utility)
    assert load_champion(uri).version == f"1-{trained.model.version}"
    monkeypatch.setattr("models.publish.judge", lambda evidence: Verdict(True, ("it is better",)))
    assert not publish(trained, uri, promote=False).champion
    third = publish(trained, uri)
    assert third.champion
    assert load_champion(uri).version.startswith(f"{third.version}-")


def test_a_version_registered_by_other_means_is_named_and_not_replaced_by_another_model(
    trained: Trained, tmp_path: Path
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with session(uri) as client:
        client.create_registered_model("vigil-sepsis")
        client.create_model_version("vigil-sepsis", source=str(tmp_path))
        client.set_registered_model_alias("vigil-sepsis", "champion", "1")
    with pytest.raises(ModelError, match="was not made by `vigil train`"):
        load_champion(uri)


def test_mlflow_says_nothing(
    trained: Trained, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    publish(trained, f"sqlite:///{tmp_path}/mlflow.db")
    assert capfd.readouterr() == ("", "")


def test_the_command_trains_writes_the_folder_and_registers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGIL_HOME", str(tmp_path / "home"))
    folder = write_charts(tmp_path / "in", made_patients(90))
    given = ["--data", str(folder), "--out", str(tmp_path / "model"), "--iterations", "1"]
    given += ["--candidate", "lightgbm", "--resamples", "0", "--threads", "1", "--json"]
    found = CliRunner().invoke(train_command, given, catch_exceptions=False)
    summary = json.loads(found.stdout)
    assert (summary["algorithm"], summary["version"], summary["champion"]) == (
        "lightgbm",
        "1",
        True,
    )
    model = load_model(tmp_path / "model")
    assert model.threshold == summary["threshold"]
    champion = load_champion(f"sqlite:///{tmp_path}/home/mlflow.db")
    assert champion.version == f"1-{model.version}"
    assert (tmp_path / "model" / "MODEL_CARD.md").is_file()


def test_a_server_that_does_not_answer_is_an_error_within_seconds() -> None:
    with pytest.raises(ModelError, match=r"VIGIL_MLFLOW_TRACKING_URI"):
        load_champion("http://127.0.0.1:9", timeout_s=1)


class _Silent(BaseHTTPRequestHandler):
    released = threading.Event()

    def do_GET(self) -> None:
        self.released.wait(20)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def silent_server() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    _Silent.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_that_takes_a_connection_and_says_nothing_is_an_error_within_seconds(
    silent_server: str,
) -> None:
    with pytest.raises(ModelError, match="cannot be used"):
        load_champion(silent_server, timeout_s=1)


def test_a_store_that_is_no_database_is_an_error_and_not_another_model(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database, but long enough to be taken for one" * 9)
    with pytest.raises(ModelError, match="not a database"):
        load_champion(f"sqlite:///{tmp_path}/mlflow.db")

"""MLflow: runs of training, the registry, and which version is the champion.

MLflow is imported inside the functions: it takes seconds, and its settings must be in the
environment before.
"""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.registry import ALIAS, ARTIFACT, REGISTERED, ModelError
from models.risk import TRUSTED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "EXPERIMENT",
    "all_versions",
    "champion_version",
    "connect",
    "download",
    "log_figures",
    "log_folder",
    "log_json",
    "log_pipeline",
    "numbered_version",
    "register",
    "run",
    "session",
    "tagged_runs",
]

EXPERIMENT = "sepsis_observation_sample_experiment"

_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Set environment variables that the operator has not set, for a while."""
    added = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow's emojis, progress bars and advice off the terminal; errors are raised."""
    with _environment(**_QUIET), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow  # noqa: F401 - sets up its loggers, whose level is then changed

        loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
        levels = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def connect(tracking_uri: str, timeout_s: int = 30) -> Iterator[Any]:
    """Talk to a store that exists.

    Args:
        tracking_uri: of the MLflow store.
        timeout_s: how long a server may take to answer one request.

    Yields:
        A ``mlflow.MlflowClient``.

    Raises:
        ModelError: the store does not answer or is not one.
    """
    patience = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(timeout_s),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    with _environment(**patience), _quiet():
        from alembic.util import CommandError
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
        # alembic's: two processes that make one store at the same time
        except (MlflowException, SQLAlchemyError, CommandError) as error:
            raise ModelError(
                f"the model registry {tracking_uri} cannot be used: {_first_line(error)}. Start "
                "it, name another one in VIGIL_MLFLOW_TRACKING_URI, or a model folder that needs "
                "none in VIGIL_MODEL_DIR."
            ) from error


def champion_version(client: Any) -> Any | None:
    """The registered version that has the alias ``champion``, or None.

    Args:
        client: from `connect`.

    Returns:
        A ``mlflow.entities.model_registry.ModelVersion``.
    """
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(REGISTERED, ALIAS)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def numbered_version(client: Any, number: str) -> Any:
    """A registered version by its number.

    Args:
        client: from `connect`.
        number: such as "7".

    Raises:
        ModelError: there is none.
    """
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version(REGISTERED, number)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise ModelError(f"the registry has no version {number} of {REGISTERED}") from None


def all_versions(client: Any) -> list[Any]:
    """All registered versions, the newest first.

    Args:
        client: from `connect`.
    """
    found = client.search_model_versions(f"name='{REGISTERED}'", max_results=1000)
    return sorted(found, key=lambda version: int(version.version), reverse=True)


def download(client: Any, version: Any, scratch: Path) -> Path:
    """Fetch the model folder of a registered version.

    Args:
        client: from `connect`.
        version: from `champion_version`.
        scratch: folder to copy it into.

    Returns:
        The model folder.

    Raises:
        ModelError: the version was registered without one.
    """
    if not version.run_id or not client.list_artifacts(version.run_id, ARTIFACT):
        raise ModelError(
            f"version {version.version} of {REGISTERED} was not made by `vigil train`: there is no "
            f"folder {ARTIFACT!r} in its run; train one, or name a model in VIGIL_MODEL_DIR"
        )
    return Path(client.download_artifacts(version.run_id, ARTIFACT, str(scratch)))


@contextmanager
def session(tracking_uri: str) -> Iterator[Any]:
    """Log runs to a store, which is created where it is a local one and does not exist.

    Args:
        tracking_uri: of the MLflow store.

    Yields:
        A ``mlflow.MlflowClient``.

    Raises:
        ModelError: the store does not answer.
    """
    artifacts = None
    if tracking_uri.startswith("sqlite:///"):
        home = Path(tracking_uri.removeprefix("sqlite:///")).absolute().parent
        home.mkdir(parents=True, exist_ok=True)
        # a database holds no files; MLflow would put them where the command happened to be run
        artifacts = str(home / "mlartifacts")
    with connect(tracking_uri) as client:
        import mlflow

        mlflow.set_tracking_uri(tracking_uri)
        mlflow.set_registry_uri(tracking_uri)
        if client.get_experiment_by_name(EXPERIMENT) is None:
            client.create_experiment(EXPERIMENT, artifact_location=artifacts)
        mlflow.set_experiment(EXPERIMENT)
        yield client


@contextmanager
def run(
    name: str,
    *,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    tags: Mapping[str, str] | None = None,
    nested: bool = False,
) -> Iterator[Any]:
    """A run of the session.

    Args:
        name: shown in MLflow.
        params: what was chosen.
        metrics: what came of it; NaN is left out.
        tags: what it was made from.
        nested: whether it belongs to the run around it.

    Yields:
        The ``mlflow.ActiveRun``.
    """
    import mlflow

    with mlflow.start_run(run_name=name, nested=nested, tags=dict(tags or {})) as active:
        mlflow.log_params(dict(params))
        mlflow.log_metrics({key: value for key, value in metrics.items() if value == value})
        yield active


def tagged_runs(client: Any, tag: str, value: str, wanted: str) -> set[str]:
    """Values of a tag in the runs that have another one.

    Args:
        client: from `session`.
        tag: that the runs have.
        value: of it.
        wanted: the tag whose values are returned.
    """
    experiment = client.get_experiment_by_name(EXPERIMENT)
    found, token = set(), None
    while True:
        runs = client.search_runs(
            [experiment.experiment_id], f"tags.{tag} = '{value}'", page_token=token
        )
        found |= {run.data.tags[wanted] for run in runs if wanted in run.data.tags}
        token = runs.token
        if not token:
            return found


def log_figures(figures: "Mapping[str, Figure]") -> None:
    """Log plots with the current run, as ``plots/<name>.png``."""
    import mlflow

    for name, figure in figures.items():
        mlflow.log_figure(figure, f"plots/{name}.png")


def log_json(content: Mapping[str, Any], name: str) -> None:
    """Log what JSON can hold with the current run."""
    import mlflow

    mlflow.log_dict(dict(content), name)


def log_folder(folder: Path, name: str) -> None:
    """Log the files of a folder with the current run."""
    import mlflow

    mlflow.log_artifacts(str(folder), name)


def log_pipeline(pipeline: Any, features: int) -> str:
    """Log a fitted pipeline, and its scaler by itself, with the current run.

    Both are kept in the format of skops, which ``mlflow.sklearn.load_model`` reads.

    Args:
        pipeline: with a step ``scaler``.
        features: number of columns it takes.

    Returns:
        The URI of the pipeline.
    """
    import mlflow
    import numpy as np
    from mlflow.models import infer_signature

    row = np.zeros((1, features))
    parts = (
        ("scaler", pipeline.named_steps["scaler"], "transform"),
        ("model", pipeline, "predict_proba"),
    )
    for name, part, method in parts:
        logged = mlflow.sklearn.log_model(
            part,
            name=name,
            serialization_format="skops",
            skops_trusted_types=list(TRUSTED),
            pyfunc_predict_fn=method,
            signature=infer_signature(row),
            # asking pip what is installed would take seconds each time
            pip_requirements=["vigil"],
        )
    return str(logged.model_uri)


def register(
    client: Any, run: Any, model_uri: str, tags: Mapping[str, str], *, champion: bool
) -> str:
    """Register a model of a run, and make it the champion or not.

    Args:
        client: from `session`.
        run: from `run`; it holds the model folder, too.
        model_uri: from `log_pipeline`.
        tags: kept with the version.
        champion: whether it takes over the alias ``champion``.

    Returns:
        The number of the version.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(REGISTERED)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.create_model_version(
        REGISTERED,
        source=model_uri,
        run_id=run.info.run_id,
        model_id=model_uri.removeprefix("models:/"),
        tags=dict(tags),
    )
    if champion:
        client.set_registered_model_alias(REGISTERED, ALIAS, version.version)
    return str(version.version)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]

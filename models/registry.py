"""Model folders, and which model a worker scores with.

A model folder holds ``manifest.json`` and the files that the manifest names with their SHA-256.
Loading one parses numbers and runs nothing that is in it. `models/shipped` holds the models
that come with the project, one for each feature set; `models.tracking` puts the same folder beside
every model in MLflow.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from models.features import FEATURE_SETS
from models.risk import ForestModel, LinearModel, PipelineModel, RiskModel, Tiers

__all__ = [
    "ALIAS",
    "ARTIFACT",
    "REGISTERED",
    "SHIPPED",
    "ModelError",
    "facts_of",
    "load_champion",
    "load_files",
    "load_model",
    "load_registered",
    "model_files",
    "read_folder",
    "registered_versions",
    "save_model",
    "store_exists",
]

log = logging.getLogger(__name__)

#: Name in the MLflow registry, the alias of the model that scores, and the folder in its run.
REGISTERED, ALIAS, ARTIFACT = "vigil-sepsis", "champion", "vigil"
#: The models that come with the project, by feature set (`models.features.FEATURE_SETS`).
SHIPPED = {name: Path(__file__).parent / "shipped" / name for name in FEATURE_SETS}

_FORMAT = "vigil-model/1"
_MANIFEST = "manifest.json"
_KINDS: Mapping[str, type[RiskModel]] = {
    kind.kind: kind for kind in (ForestModel, LinearModel, PipelineModel)
}


class ModelError(RuntimeError):
    """A model cannot be had; the message says what would do."""


def save_model(model: RiskModel, folder: Path, facts: Mapping[str, Any] | None = None) -> None:
    """Write a model folder; the manifest comes last, so that a folder cut short does not load.

    Args:
        model: the model.
        folder: created where it is missing; a model that is there is replaced.
        facts: what else the manifest tells of the model, such as its data; JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MANIFEST).unlink(missing_ok=True)
    files = model_files(model, facts)
    for kind in _KINDS.values():
        for stale in {*kind.FILES, *kind.OPTIONAL} - set(files):
            (folder / stale).unlink(missing_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def model_files(model: RiskModel, facts: Mapping[str, Any] | None = None) -> dict[str, bytes]:
    """The files of a model folder, the manifest last; see `save_model`."""
    files = model.files()
    manifest = {
        "format": _FORMAT,
        "kind": model.kind,
        "name": model.name,
        "version": model.version,
        "threshold": model.threshold,
        "tiers": model.tiers._asdict(),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "facts": dict(facts or {}),
        "features": model.features,
    }
    files[_MANIFEST] = (json.dumps(manifest, indent=1, allow_nan=False) + "\n").encode()
    return files


def load_model(folder: Path) -> RiskModel:
    """Read a model folder.

    Args:
        folder: written by `save_model`.

    Returns:
        The model.

    Raises:
        ModelError: there is no whole model of a format known here.
    """
    try:
        return _load(lambda name: (folder / name).read_bytes())
    except FileNotFoundError as error:
        raise ModelError(
            f"{folder} holds no model ({Path(error.filename).name} is missing); make one with "
            f"`vigil train --data PATH --out {folder}`"
        ) from None
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(
            f"the model in {folder} cannot be used: {error}; make it again with "
            f"`vigil train --data PATH --out {folder}`"
        ) from error


def read_folder(folder: Path) -> dict[str, bytes]:
    """Read the files of a model folder, to send them somewhere.

    Args:
        folder: written by `save_model`.

    Returns:
        The manifest and the files that it names, by name.

    Raises:
        ModelError: there is no whole model of a format known here.
    """
    load_model(folder)
    manifest = (folder / _MANIFEST).read_bytes()
    names = json.loads(manifest)["files"]
    return {_MANIFEST: manifest, **{name: (folder / name).read_bytes() for name in names}}


def load_files(files: Mapping[str, bytes]) -> RiskModel:
    """Make the model of a model folder's files.

    Args:
        files: from `read_folder`.

    Returns:
        The model.

    Raises:
        ModelError: they are no whole model of a format known here.
    """
    try:
        return _load(files.__getitem__)
    except (KeyError, ValueError, TypeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ModelError(f"the model cannot be used: {what}") from error


def facts_of(files: Mapping[str, bytes]) -> dict[str, Any]:
    """What the manifest among a model folder's files tells of the model, such as its data.

    Raises:
        ModelError: there is no manifest that can be read.
    """
    try:
        facts: dict[str, Any] = json.loads(files[_MANIFEST]).get("facts", {})
    except (KeyError, ValueError, AttributeError) as error:
        raise ModelError(f"the model has no manifest that can be read: {error}") from error
    return facts


def _load(read: Callable[[str], bytes]) -> RiskModel:
    manifest = json.loads(read(_MANIFEST))
    if manifest["format"] != _FORMAT:
        raise ValueError(f"format {manifest['format']}, not {_FORMAT}")
    kind = _KINDS[manifest["kind"]]
    names = (*kind.FILES, *(name for name in kind.OPTIONAL if name in manifest["files"]))
    files = {name: read(name) for name in names}
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != manifest["files"][name]:
            raise ValueError(f"{name} is not the file that was saved")
    return kind.from_files(
        files,
        name=str(manifest["name"]),
        version=str(manifest["version"]),
        features=tuple(manifest["features"]),
        threshold=float(manifest["threshold"]),
        tiers=Tiers(**manifest["tiers"]),
    )


def load_champion(
    tracking_uri: str,
    model_dir: Path | None = None,
    *,
    feature_set: str = "context",
    timeout_s: int = 5,
) -> RiskModel:
    """Load the model to score with: the one that is named, else the champion, else the shipped one.

    A local store that does not exist is not created. A registry that is there and does not answer,
    or a champion that cannot be read, is an error: to score with another model than the one that
    was chosen would go unnoticed.

    Args:
        tracking_uri: of the MLflow store.
        model_dir: a model folder to use whatever the registry holds.
        feature_set: what the site sends: which of the shipped models it gets.
        timeout_s: how long a server may take to answer.

    Returns:
        The model. The version of a registered one begins with its number in the registry.

    Raises:
        ModelError: the model that was chosen cannot be loaded.
    """
    if model_dir is not None:
        return load_model(model_dir)
    store = _local_store(tracking_uri)
    if store is None or store.exists():
        # imported here: MLflow takes seconds to load, and most workers have no registry
        from models.tracking import connect

        with connect(tracking_uri, timeout_s) as client:
            registered = load_registered(client)
        if registered is not None:
            return registered
    log.info("no champion in the registry: the shipped model for %r scores", feature_set)
    return load_model(SHIPPED[feature_set])


def load_registered(client: Any) -> RiskModel | None:
    """Load the champion of a registry.

    Args:
        client: from `models.tracking.connect`.

    Returns:
        The model, or None where there is no champion.

    Raises:
        ModelError: it cannot be loaded.
    """
    from models.tracking import champion_version, download

    version = champion_version(client)
    if version is None:
        return None
    with TemporaryDirectory(prefix="vigil-model-") as scratch:
        model = load_model(download(client, version, Path(scratch)))
    return replace(model, version=f"{version.version}-{model.version}")


def store_exists(tracking_uri: str) -> bool:
    """Whether there is a registry to ask; a server is taken to be there."""
    store = _local_store(tracking_uri)
    return store is None or store.exists()


def registered_versions(tracking_uri: str, timeout_s: int = 5) -> list[dict[str, Any]]:
    """What the registry holds, the newest version first.

    Args:
        tracking_uri: of an MLflow store that exists.
        timeout_s: how long a server may take to answer.

    Returns:
        ``version``, ``fingerprint``, ``data_hash`` and ``data_span`` of each version, and whether
        it is the ``champion``.

    Raises:
        ModelError: the registry does not answer.
    """
    from models.tracking import all_versions, champion_version, connect

    with connect(tracking_uri, timeout_s) as client:
        champion = champion_version(client)
        return [
            {
                "version": str(version.version),
                **{
                    name: version.tags.get(name)
                    for name in ("fingerprint", "data_hash", "data_span")
                },
                "champion": champion is not None and version.version == champion.version,
            }
            for version in all_versions(client)
        ]


def _local_store(tracking_uri: str) -> Path | None:
    """File or folder of a store on this machine; None for a server."""
    scheme, separator, rest = tracking_uri.partition(":")
    if not separator:
        return Path(tracking_uri)
    if scheme.startswith("sqlite"):
        return Path(rest.removeprefix("///"))
    return Path(rest.removeprefix("//")) if scheme == "file" else None

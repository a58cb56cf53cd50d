"""Which cluster the data in a folder belongs to: written before the data, kept as long as it."""

import base64
import json
import uuid
from pathlib import Path

from streams.kafka.errors import LocalKafkaError, disk_error

__all__ = ["identify", "nodes_on_disk"]


def identify(home: Path, nodes: int) -> str:
    """Return the id by which the nodes of this cluster know each other, and no others.

    Args:
        home: Vigil's folder.
        nodes: how many nodes shall be started.

    Returns:
        Kafka's cluster id, new where there is no data yet.

    Raises:
        LocalKafkaError: the data is that of a cluster of another size.
        DiskError: the folder cannot be written.
    """
    found = nodes_on_disk(home)
    if found and found != nodes:
        raise LocalKafkaError(
            f"{home / 'kafka'} holds a cluster of {found} node{'s' * (found > 1)}: start it with "
            f"--nodes {found}, or delete {home / 'kafka'} to begin anew without its topics."
        )
    if found:
        return str(_read(home)["cluster_id"])
    # as Kafka writes it; a leading dash would look like an option
    fresh = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "_")
    try:
        _path(home).write_text(json.dumps({"cluster_id": fresh, "nodes": nodes}))
    except OSError as error:
        raise disk_error(error, _path(home).parent) from error
    return fresh


def nodes_on_disk(home: Path) -> int:
    """Return of how many nodes the cluster is whose data ``home`` holds; 0 for none."""
    formatted = any((home / "kafka").glob("node-*/data/meta.properties"))
    return int(_read(home)["nodes"]) if formatted else 0


def _read(home: Path) -> dict[str, str | int]:
    try:
        found: dict[str, str | int] = json.loads(_path(home).read_text())
        return found
    except (OSError, ValueError) as error:
        raise LocalKafkaError(
            f"{_path(home)} is lost, and with it what the data belongs to: delete "
            f"{home / 'kafka'} to begin anew without its topics."
        ) from error


def _path(home: Path) -> Path:
    return home / "kafka" / "identity.json"

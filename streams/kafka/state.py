"""What is written down of a running cluster, so that any later command finds it and can end it."""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from streams.kafka.errors import disk_error
from streams.kafka.probe import view
from streams.kafka.waiting import until

__all__ = [
    "Cluster",
    "Member",
    "Process",
    "forget",
    "load",
    "processes_of",
    "running",
    "stop",
    "too_few",
]

#: How long nodes may take to shut down in order, seconds. One takes 0.2 s.
GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class Process:
    """A process that no other can be taken for.

    Attributes:
        pid: its number, which the operating system will use again.
        started: when it started, seconds since 1970, which makes the two unique.
    """

    pid: int
    started: float

    def find(self) -> psutil.Process | None:
        """Return the process, or None where it has ended."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 0.1
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


@dataclass(frozen=True, slots=True)
class Member:
    """A node of a running cluster.

    Attributes:
        id: its number.
        port: where clients reach it.
        processes: the supervisor first, then Java; none while the node is down.
    """

    id: int
    port: int
    processes: tuple[Process, ...]

    @property
    def alive(self) -> bool:
        """Whether any of its processes runs."""
        return any(process.find() for process in self.processes)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster, as written to ``<home>/kafka/cluster.json``.

    Attributes:
        bootstrap: addresses for clients, ``host:port`` with commas.
        version: of Kafka.
        nodes: its members.
    """

    bootstrap: str
    version: str
    nodes: tuple[Member, ...]

    def save(self, home: Path) -> None:
        """Write it, whole or not at all.

        Raises:
            DiskError: it cannot be written.
        """
        path = _path(home)
        fresh = path.with_suffix(".part")
        try:
            fresh.write_text(json.dumps(asdict(self), indent=2) + "\n")
            fresh.replace(path)
        except OSError as error:
            raise disk_error(error, path.parent) from error


def load(home: Path) -> Cluster | None:
    """Read the cluster last started in ``home``, whether it still runs or not.

    Returns:
        The cluster, or None where none was started, it was stopped, or the file is damaged.
    """
    try:
        found = json.loads(_path(home).read_text())
        nodes = tuple(
            Member(node["id"], node["port"], tuple(Process(**p) for p in node["processes"]))
            for node in found["nodes"]
        )
        return Cluster(found["bootstrap"], found["version"], nodes)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def running(home: Path) -> str | None:
    """Return the bootstrap address of the live cluster of ``home``.

    Args:
        home: Vigil's folder, ``.vigil`` by default.

    Returns:
        Addresses for clients if a node of it lives and answers, else None.
    """
    cluster = load(home)
    if cluster and any(node.alive and view(node.port) for node in cluster.nodes):
        return cluster.bootstrap
    return None


def stop(home: Path, grace: float = GRACE_S) -> bool:
    """End every process of the cluster of ``home``, whoever started it.

    Args:
        home: Vigil's folder.
        grace: seconds that it has for an orderly shutdown; what is left then is killed.

    Returns:
        Whether anything had to be ended.
    """
    cluster = load(home)
    members = cluster.nodes if cluster else ()
    live = [process for node in members for p in node.processes if (process := p.find())]
    for process in live:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    until(lambda: too_few(sum(node.alive for node in members), len(members)), grace)
    for process in live:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    # not psutil's wait: it waits for the zombie to be buried as well
    until(lambda: not any(node.alive for node in members), grace)
    forget(home)
    return bool(live)


def too_few(alive: int, nodes: int) -> bool:
    """Whether waiting for an orderly shutdown is over.

    It is when no node is left. It is too when the nodes left have no majority: they find nobody to
    hand over to and would wait for minutes. What they acknowledged is on disk.
    """
    return alive <= nodes // 2


def forget(home: Path) -> None:
    """Remove what is written down."""
    _path(home).unlink(missing_ok=True)


def _path(home: Path) -> Path:
    return home / "kafka" / "cluster.json"


def processes_of(supervisor: int | None) -> tuple[Process, ...]:
    """Return the supervisor and its Java."""
    if supervisor is None:
        return ()
    try:
        top = psutil.Process(supervisor)
        family: Iterable[psutil.Process] = [top, *top.children(recursive=True)]
        return tuple(Process(process.pid, process.create_time()) for process in family)
    except psutil.NoSuchProcess:
        return ()

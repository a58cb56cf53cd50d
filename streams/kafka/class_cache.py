"""Java's cache of loaded classes (JEP 483, 514): a broker is up in a quarter of the time.

The runtime from PyPI brings no class archive at all. So a broker is started once, right after the
download, only to have Java write down what it loaded.
"""

import logging
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from streams.kafka.errors import NodeDiedError, disk_error
from streams.kafka.java import Java
from streams.kafka.lock import locked, scratch
from streams.kafka.node import Node
from streams.kafka.ports import free_ports
from streams.kafka.probe import view
from streams.kafka.properties import Ports
from streams.kafka.waiting import until

__all__ = ["class_cache"]

log = logging.getLogger(__name__)

_START_S = 60
#: Java writes the cache while it ends: 5 s on 2 cores.
_WRITE_S = 120
_ANY_ID = "AAAAAAAAAAAAAAAAAAAAAA"


def class_cache(folder: Path, classpath: tuple[Path, ...]) -> Path | None:
    """Return the class cache for these jars and this Java; make it the first time.

    A cache that does not fit any more is not an error: Java then loads its classes as ever.

    Args:
        folder: where it is kept.
        classpath: Kafka's jars.

    Returns:
        Its path, or None where Java wrote none.

    Raises:
        LocalKafkaError: Java does not start, or the folder cannot be written.
    """
    path = folder / f"java-{Java.version()}.aot"
    if path.exists():
        return path
    with locked(folder.with_name(f"{folder.name}.lock")):
        if path.exists():
            return path
        try:
            with scratch(folder / "part") as staging:
                fresh = staging / "classes.aot"
                _train(Java(classpath, options=(f"-XX:AOTCacheOutput={fresh}",)), staging)
                if fresh.exists():
                    return fresh.replace(path)
        except OSError as error:
            raise disk_error(error, folder) from error
    log.warning("Java wrote no class cache: every start of Kafka takes two seconds longer")
    return None


def _train(java: Java, folder: Path) -> None:
    console = Console(stderr=True)
    clients, controller = free_ports(2)
    node = Node(1, folder / "node", java)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        progress.add_task("Making Kafka start fast (once)", total=None)
        try:
            node.launch(_ANY_ID, {1: Ports(clients, controller)})
            until(lambda: view(clients) is not None or not node.alive, _START_S)
            if not node.alive:
                raise node.died()
            node.terminate()
            node.wait(_WRITE_S)
        except NodeDiedError:
            raise
        finally:
            node.kill()

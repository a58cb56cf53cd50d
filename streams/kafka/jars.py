"""The broker's jars: pinned in ``jars.txt``, downloaded once with jgo, checked by SHA-256.

After a change of `KAFKA_VERSION`: ``python -c "from streams.kafka.jars import pin; pin()"``.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from streams.kafka.errors import LocalKafkaError, disk_error
from streams.kafka.lock import locked, scratch

if TYPE_CHECKING:
    from jgo.maven import MavenContext

__all__ = ["KAFKA_VERSION", "MAVEN_CENTRAL", "Jar", "install", "pin", "pinned", "resolve"]

KAFKA_VERSION = "4.1.2"
MAVEN_CENTRAL = "https://repo.maven.apache.org/maven2"

_DOWNLOADS_AT_ONCE = 6
_TRIES = 3
#: A server that says nothing for this long, in seconds, is not there.
_TIMEOUT_S = 15


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar of the broker.

    Attributes:
        sha256: of its bytes, hexadecimal.
        size: bytes.
        coordinate: Maven's ``group:artifact:version``.
    """

    sha256: str
    size: int
    coordinate: str

    @property
    def name(self) -> str:
        """File name."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"

    def is_in(self, folder: Path) -> bool:
        """Whether ``folder`` holds it, whole."""
        try:
            return (folder / self.name).stat().st_size == self.size
        except OSError:
            return False


def pinned() -> tuple[Jar, ...]:
    """Return the jars of `KAFKA_VERSION`, in the order of the class path."""
    lines = files("streams.kafka").joinpath("jars.txt").read_text().splitlines()
    return tuple(
        Jar(sha256, int(size), coordinate) for sha256, size, coordinate in map(str.split, lines)
    )


def install(
    folder: Path, jars: Sequence[Jar] | None = None, repository: str = MAVEN_CENTRAL
) -> tuple[Path, ...]:
    """Put the jars that ``folder`` lacks there.

    A jar appears under its name only when it is whole and its hash is right, so a download that
    was interrupted goes on where it stopped.

    Args:
        folder: where the jars are kept, made if absent.
        jars: the jars, `pinned` by default.
        repository: URL of a Maven repository, Maven Central or a mirror of it.

    Returns:
        Their paths, in the order of ``jars``.

    Raises:
        LocalKafkaError: the repository cannot be reached, lacks a jar or sends another one than
            is pinned, or the folder cannot be written.
    """
    jars = pinned() if jars is None else jars
    if not all(jar.is_in(folder) for jar in jars):
        with locked(folder.with_name(f"{folder.name}.lock")):
            # another process may have brought them while this one waited
            missing = [jar for jar in jars if not jar.is_in(folder)]
            try:
                with scratch(folder / "part") as staging:
                    _download(missing, folder, staging, repository)
            except OSError as error:
                if error.errno is None:
                    raise LocalKafkaError(
                        f"Kafka cannot be downloaded from {repository} "
                        f"({type(error).__name__}). Check the "
                        "network and HTTPS_PROXY, name a mirror with --repository, or copy "
                        f"{folder} from a machine that has it."
                    ) from error
                raise disk_error(error, folder) from error
    return tuple(folder / jar.name for jar in jars)


def _download(jars: Sequence[Jar], folder: Path, staging: Path, repository: str) -> None:
    # imported here: 0.15 s that every other start can do without
    from jgo.maven import MavenContext, PythonResolver

    stop = Event()
    with _bar(sum(jar.size for jar in jars)) as advance:

        def count(size: int) -> None:
            # called for every chunk: the one place where a running download can be told to end
            if stop.is_set():
                raise LocalKafkaError("The download was interrupted; start again to go on.")
            advance(size)

        @contextmanager
        def callback(name: str, size: int) -> Iterator[Callable[[int], None]]:
            yield count

        context = MavenContext(
            resolver=PythonResolver(progress_callback=callback),
            repo_cache=staging,
            remote_repos={"maven": repository.rstrip("/")},
            timeout=_TIMEOUT_S,
        )
        with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
            futures = [pool.submit(_fetch, jar, context, folder) for jar in jars]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _fetch(jar: Jar, context: "MavenContext", folder: Path) -> None:
    artifact = context.create_dependency(jar.coordinate).artifact
    for tries_left in reversed(range(_TRIES)):
        try:
            path: Path = artifact.resolve()
            break
        except OSError as error:
            # errors of the network carry no errno, those of the disk do
            if error.errno is not None or not tries_left:
                raise
            artifact.cached_path.unlink(missing_ok=True)
        except RuntimeError as error:
            if isinstance(error, LocalKafkaError):
                raise
            raise LocalKafkaError(
                f"{next(iter(context.remote_repos.values()))} has no {jar.coordinate}: "
                "name a complete mirror of Maven Central with --repository."
            ) from error
    if (found := _sha256(path)) != jar.sha256:
        raise LocalKafkaError(
            f"{jar.name} is not the file that Vigil pins (SHA-256 {found}, not {jar.sha256}). A "
            "proxy may have changed it: try another network, or a mirror with --repository."
        )
    path.replace(folder / jar.name)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(f"Downloading Kafka {KAFKA_VERSION} (once)", total=total)
        yield lambda size: progress.advance(task, size)


def resolve(version: str = KAFKA_VERSION) -> list[Jar]:
    """Ask Maven Central which jars a broker needs: the contents of ``jars.txt``.

    Args:
        version: of Kafka.

    Returns:
        Kafka's core, everything it needs at run time, and the binding of SLF4J to Log4j, which
        Kafka's POM leaves to its distribution.
    """
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory() as staging:
        context = MavenContext(repo_cache=Path(staging), timeout=_TIMEOUT_S)
        wanted = context.create_dependency(f"org.apache.kafka:kafka_2.13:{version}")
        found, needed = context.resolver.resolve([wanted])
        # apart from the others: as a second input its own dependencies' versions would win
        log4j = next(jar.version for jar in needed if jar.artifactId == "log4j-core")
        binding = f"org.apache.logging.log4j:log4j-slf4j-impl:{log4j}"
        jars = []
        for dependency in [*found, *needed, context.create_dependency(binding)]:
            path: Path = dependency.artifact.resolve()
            coordinate = f"{dependency.groupId}:{dependency.artifactId}:{dependency.version}"
            jars.append(Jar(_sha256(path), os.path.getsize(path), coordinate))
        return jars


def pin() -> None:
    """Write what `resolve` finds to ``jars.txt``."""
    lines = [f"{jar.sha256} {jar.size:>8} {jar.coordinate}\n" for jar in resolve()]
    Path(__file__).with_name("jars.txt").write_text("".join(lines))

"""The small job on Kafka Streams: runs ``KafkaStreamsJob.java`` with a JDK of this machine.

After a change of `streams.kafka.KAFKA_VERSION`: ``python -c "from bench.peers.kafka_streams import
pin; pin()"``.
"""

import os
import shutil
import tempfile
from pathlib import Path

from bench.common import BenchError
from bench.peers.task import Task, run
from config.settings import Settings
from streams.kafka import KAFKA_VERSION
from streams.kafka.jars import Jar, install

__all__ = ["jars", "java", "pin"]

_SOURCE = Path(__file__).with_name("KafkaStreamsJob.java")
_PINNED = Path(__file__).with_name("kafka_streams_jars.txt")
#: Those of Kafka Streams that the job uses, the rest follows.
_WANTED = (
    f"org.apache.kafka:kafka-streams:{KAFKA_VERSION}",
    "com.fasterxml.jackson.core:jackson-core:2.19.4",
)


def java() -> str:
    """Return the ``java`` of a JDK: in JAVA_HOME, or on the PATH with a compiler beside it.

    Raises:
        BenchError: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    given = Path(home) / "bin" / "java" if home else shutil.which("java")
    if given and Path(given).resolve().with_name("javac").exists():
        return str(given)
    raise BenchError(
        "Kafka Streams needs a JDK (17 or later) with a compiler: install one, for instance with "
        "`apt-get install openjdk-17-jdk-headless`, or name yours in JAVA_HOME."
    )


def jars() -> tuple[Path, ...]:
    """Return the jars, downloaded the first time.

    Raises:
        streams.kafka.LocalKafkaError: they cannot be.
    """
    lines = map(str.split, _PINNED.read_text().splitlines())
    pinned = [Jar(sha256, int(size), coordinate) for sha256, size, coordinate in lines]
    return install(Settings().cache / f"kafka-streams-{KAFKA_VERSION}", pinned)


def pin() -> None:
    """Ask Maven Central which jars are needed, and write them down."""
    import hashlib

    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory() as staging:
        context = MavenContext(repo_cache=Path(staging))
        found, needed = context.resolver.resolve([context.create_dependency(w) for w in _WANTED])
        lines = []
        for each in [*found, *needed]:
            data = Path(each.artifact.resolve()).read_bytes()
            coordinate = f"{each.groupId}:{each.artifactId}:{each.version}"
            lines.append(f"{hashlib.sha256(data).hexdigest()} {len(data):>8} {coordinate}\n")
        _PINNED.write_text("".join(lines))


def main(task: Task) -> None:
    """Become Java."""
    classpath = os.pathsep.join(map(str, jars()))
    words = [task.broker, task.input, task.output, task.group, str(task.state)]
    program = java()
    os.execv(
        program,
        [program, "--class-path", classpath, str(_SOURCE), *words, str(task.tuned).lower()],
    )


if __name__ == "__main__":
    run(main)

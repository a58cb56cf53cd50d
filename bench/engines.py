"""The engines that are compared: how each is started, and what it needs to be there."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec

import click

from bench.common import BenchError, Child, Scratch, environment
from streams.kafka.ports import free_ports

__all__ = ["BEDSIDE", "ENGINES", "Engine", "available", "engine_option"]

_INSTALL = "`uv sync --group bench`, or `pip install --group bench` in a checkout"


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine.

    Attributes:
        name: on the command line and in tables.
        module: in `bench.peers`; None = `vigil worker bedside`.
        readings: how many it gets in a run of throughput.
        package: that must be installed.
        below: first version of Python for which there is none.
    """

    name: str
    module: str | None
    readings: int
    package: str | None = None
    below: tuple[int, int] | None = None

    @property
    def bedside(self) -> bool:
        """Whether it is the whole bedside application rather than the small job."""
        return self.module is None

    def require(self) -> None:
        """Check that it can run here.

        Raises:
            BenchError: it cannot; the message says what to install.
        """
        if self.below and sys.version_info >= self.below:
            version = ".".join(map(str, self.below))
            raise BenchError(f"{self.name} has no release for Python {version}: use an older one.")
        if self.package and not find_spec(self.package):
            raise BenchError(f"{self.name} is not installed: {_INSTALL}.")
        if self.module == "kafka_streams":
            # imported here: other engines need no Java
            from bench.peers import kafka_streams

            kafka_streams.java()
            kafka_streams.jars()

    def child(
        self, place: Scratch, group: str, topics: tuple[str, str], *, tuned: bool = False
    ) -> Child:
        """Make its process, not yet started, on the engines' core.

        Args:
            place: broker and folder.
            group: name of the application and prefix of the topics that it makes.
            topics: to read from and to write to; those of the bedside application are `bedside`.
            tuned: for latency.
        """
        log = place.folder / f"{group}.log"
        core = place.cores.engine
        if self.module is None:
            settings = place.settings(group, topic_prefix=f"{group}.", web_port=free_ports(1)[0])
            words = ["python", "-m", "streams.cli", "worker", "bedside", "--loglevel", "warning"]
            return Child(words, log, env=environment(settings), core=core, name=self.name)
        words = ["python", "-m", f"bench.peers.{self.module}", "--broker", place.bootstrap]
        words += ["--input", topics[0], "--output", topics[1], "--group", group]
        words += ["--state", str(place.folder / group), *(["--latency"] if tuned else [])]
        return Child(words, log, core=core, name=self.name)


_MILLION = 1_000_000
#: The whole bedside application, as an operator runs it.
BEDSIDE = Engine("vigil-bedside", None, 500_000)
#: In the order of the tables.
ENGINES = (
    Engine("vigil", "vigil", _MILLION),
    # as slow as it is, the million would take four minutes a round
    Engine("faust", "faust_stock", 50_000),
    Engine("quixstreams", "quix", _MILLION, package="quixstreams"),
    Engine("bytewax", "bytewax", _MILLION, package="bytewax", below=(3, 13)),
    Engine("kafka-streams", "kafka_streams", _MILLION),
    BEDSIDE,
)


def available(names: Iterable[str]) -> tuple[list[Engine], list[str]]:
    """Choose the engines of a run.

    Args:
        names: as given on the command line; none = all that can run here.

    Returns:
        The engines, and why others are left out.

    Raises:
        BenchError: one that was named cannot run here.
    """
    wanted = set(names)
    found, missing = [], []
    for engine in ENGINES:
        if wanted and engine.name not in wanted:
            continue
        try:
            engine.require()
        except RuntimeError as error:
            if wanted:
                raise
            missing.append(f"without {engine.name}: {error}")
        else:
            found.append(engine)
    return found, missing


engine_option = click.option(
    "--engine",
    "names",
    type=click.Choice([engine.name for engine in ENGINES]),
    multiple=True,
    help="Only this one; may be repeated.  [default: all that are installed]",
)

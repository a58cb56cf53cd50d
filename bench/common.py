"""What all measurements share: a broker, cores, watched processes, a table and a line of JSON."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import click
import psutil
from pydantic import SecretStr
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from config.settings import Settings
from streams.kafka import LocalKafka

__all__ = [
    "ROOT",
    "BenchError",
    "Child",
    "Cores",
    "Evidence",
    "Scratch",
    "broker_option",
    "cores",
    "environment",
    "evidence",
    "json_option",
    "on_core",
    "plot_option",
    "progress",
    "report",
    "restart",
    "scratch",
]

#: Folder that has the packages: put on the path of every process that is started.
ROOT = Path(__file__).resolve().parent.parent
#: A table that is not on a terminal is as wide as its readers' screens are.
_WIDTH = 120
_LAST_LINES = 12
#: Exit code after SIGTERM.
_TERMINATED = 128 + signal.SIGTERM
#: A machine that is busier than this before the start gives no figures to go by.
_BUSY, _LOOK_S = 0.15, 0.5

broker_option = click.option(
    "--broker", metavar="HOST:PORT", help="Use this broker.  [default: one of its own]"
)
json_option = click.option("--json", "as_json", is_flag=True, help="One last line of JSON.")


def plot_option(default: Path) -> Any:
    """Make the option ``--plot [FILE]``; given without a file it is ``default``."""
    return click.option(
        "--plot",
        type=click.Path(dir_okay=False, path_type=Path),
        is_flag=False,
        flag_value=default,
        metavar="[FILE]",
        help=f"Draw it.  [without FILE: {default}]",
    )


class BenchError(RuntimeError):
    """A measurement could not be made, or its results are wrong; the message names the remedy."""


# -- cores


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core is whose; None where there is nothing to share out.

    Attributes:
        engine: of the process that is measured.
        broker: of the broker, and of whoever sends and receives.
    """

    engine: int | None
    broker: int | None

    @property
    def note(self) -> str:
        """What a reader of the figures has to know."""
        if self.engine is None:
            return "not pinned: engine, broker and load share what cores there are"
        return f"engine on core {self.engine}; broker and load on core {self.broker}"


def cores() -> Cores:
    """Give the engine the first core of this machine and the broker the last.

    Neither gets one where there is only one core, or where processes cannot be pinned (macOS).
    """
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return Cores(usable[0], usable[-1]) if len(usable) >= 2 else Cores(None, None)


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Run what is inside, and what it starts, on one core; None = wherever it likes."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


# -- broker


@dataclass(frozen=True, slots=True)
class Scratch:
    """A broker and a folder, both gone when the measurement is over.

    Attributes:
        folder: for state and logs; empty at the start.
        bootstrap: addresses for clients.
        cores: who runs where.
        kafka: the broker, where it is one of our own.
        busy: share of this machine that others used before anything was started.
    """

    folder: Path
    bootstrap: str
    cores: Cores
    kafka: LocalKafka | None = None
    busy: float = 0.0

    @property
    def note(self) -> str:
        """What a reader of the figures has to know."""
        if self.busy < _BUSY:
            return self.cores.note
        return (
            f"{self.cores.note}; others used {self.busy:.0%} of it: measure again when it is quiet"
        )

    def settings(self, name: str, **given: Any) -> Settings:
        """Settings of a worker with a folder of its own.

        Args:
            name: of the folder.
            given: further settings.
        """
        return Settings(broker=self.bootstrap, home=self.folder / name, **given)


@dataclass(slots=True)
class Evidence:
    """Folder of a trial's logs and state.

    Attributes:
        folder: of this trial alone.
        good: whether all went well, so that nobody needs it.
    """

    folder: Path
    good: bool = False


@contextmanager
def evidence(name: str) -> Iterator[Evidence]:
    """Make a folder, and keep it where the trial did not end well; people are told where it is.

    Args:
        name: of the bench.
    """
    kept = Evidence(Path(tempfile.mkdtemp(prefix=f"vigil-{name}-")))
    try:
        yield kept
    finally:
        if kept.good:
            shutil.rmtree(kept.folder)
        else:
            click.echo(f"Logs and state are kept in {kept.folder}", err=True)


@contextmanager
def scratch(broker: str | None = None, *, nodes: int = 1, heap: str = "1g") -> Iterator[Scratch]:
    """Start a broker in a temporary folder, on its core; or use one that is there.

    Args:
        broker: address of one that runs; its topics with other names are left alone.
        nodes: 1 or 3, of our own.
        heap: the most memory for objects of each node, as Java writes it.
    """
    busy = psutil.cpu_percent(interval=_LOOK_S) / 100
    folder = Path(tempfile.mkdtemp(prefix="vigil-bench-"))
    shared = cores()
    # as with Ctrl-C: what was started ends with whoever started it
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    try:
        if broker:
            yield Scratch(folder, broker, shared, busy=busy)
            return
        kafka = LocalKafka(folder / "broker", Settings().cache, nodes=nodes, heap=heap)
        try:
            with on_core(shared.broker):
                kafka.start()
            yield Scratch(folder, kafka.bootstrap, shared, kafka, busy)
        finally:
            kafka.stop(grace=0)  # nobody reads it again
    finally:
        signal.signal(signal.SIGTERM, before)
        shutil.rmtree(folder, ignore_errors=True)


def restart(kafka: LocalKafka) -> None:
    """Stop a broker of one node in order, and start it again."""
    (node,) = kafka.nodes
    kafka.stop_node(node)
    kafka.start_node(node)


# -- processes


def environment(settings: Settings | None = None) -> dict[str, str]:
    """Environment for a process: this one's, without its settings but with those given."""
    given = {} if settings is None else settings.model_dump(mode="json", exclude_unset=True)
    for name in given:
        if isinstance(secret := getattr(settings, name), SecretStr):
            given[name] = secret.get_secret_value()
    values = {f"VIGIL_{name.upper()}": str(value) for name, value in given.items()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VIGIL_")}
    path = os.pathsep.join([str(ROOT), *filter(None, [kept.get("PYTHONPATH")])])
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, **values}


class Child:
    """A process that is watched.

        with Child([sys.executable, "-m", "streams.cli", "worker", "bedside"], log, …) as worker:
            worker.cpu_s, worker.rss

    Args:
        command: words of the command line; ``python`` stands for this interpreter.
        log: file for what it writes, appended to; its folder is where the process works.
        env: its environment, `environment` by default.
        core: that it runs on; None = any.
        name: for messages.

    Attributes:
        peak_rss: the largest `rss` that was seen, bytes; looked at with every `check`.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        core: int | None = None,
        name: str = "the engine",
    ) -> None:
        self._command = [sys.executable if word == "python" else word for word in command]
        self.log, self._core, self._name = log, core, name
        self._env = environment() if env is None else dict(env)
        self._process: subprocess.Popen[bytes] | None = None
        self._watched: psutil.Process | None = None
        self.peak_rss = 0

    def start(self) -> Self:
        """Start it; again, after it has ended."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log, on_core(self._core):
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                cwd=self.log.parent,
            )
        self._watched = psutil.Process(self._process.pid)
        return self

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def cpu_s(self) -> float:
        """CPU time since its start, user and system, of all its threads, seconds."""
        assert self._watched is not None, "not started"
        times = self._watched.cpu_times()
        return float(times.user + times.system)

    @property
    def rss(self) -> int:
        """Resident memory, bytes."""
        assert self._watched is not None, "not started"
        return int(self._watched.memory_info().rss)

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def check(self) -> None:
        """Look after it.

        Raises:
            BenchError: it has ended; the message has its last words.
        """
        if not self.running:
            code = None if self._process is None else self._process.returncode
            raise BenchError(f"{self._name} ended with exit code {code}. It said:\n{self.said}")
        self.peak_rss = max(self.peak_rss, self.rss)

    @property
    def said(self) -> str:
        """The last lines of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n".join(f"  {line[:500]}" for line in lines) or "  (nothing)"

    def wait_for(self, condition: Callable[[], bool], timeout: float, every: float = 0.05) -> None:
        """Wait until ``condition`` holds, looking after the process meanwhile.

        Raises:
            BenchError: it ended, or the time is up.
        """
        end = time.monotonic() + timeout
        while not condition():
            self.check()
            if time.monotonic() > end:
                raise BenchError(f"{self._name} is not done after {timeout:.0f} s:\n{self.said}")
            time.sleep(every)

    def stop(self, timeout: float = 30.0) -> int | None:
        """SIGTERM, and SIGKILL where that is not enough; return the exit code."""
        if self._process is None:
            return None
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        return self._process.returncode

    def kill(self) -> None:
        """SIGKILL, as when the power fails; returns when it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()


# -- what people and programs read


def progress(unit: bool = True) -> Progress:
    """Make a progress bar on stderr, only where that is a terminal."""
    console = Console(stderr=True)
    count = [MofNCompleteColumn()] if unit else []
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *count,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def report(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    note: str = "",
    result: Mapping[str, Any] | None = None,
) -> None:
    """Print a table on stdout and, where there is a result, a last line of JSON.

    Args:
        title: of the table.
        columns: their headings; all but the first are numbers.
        rows: text, one cell a column.
        note: what a reader has to know, below the table.
        result: what ``--json`` writes.
    """
    table = Table(title=title, caption=note or None, title_justify="left", caption_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    console.print(table)
    if result is not None:
        click.echo(json.dumps(result))

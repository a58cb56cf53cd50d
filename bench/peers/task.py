"""The command line of every engine, and the moment in which it begins."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

__all__ = ["BEGAN", "Task", "began", "run"]

#: What an engine writes, with the time in ms since 1970, when it gets its first reading.
BEGAN = "bench: began"


@dataclass(frozen=True, slots=True)
class Task:
    """What an engine is to do.

    Attributes:
        broker: address.
        input: topic to read from its beginning.
        output: topic to write to.
        group: name of the application and its consumer group; part of every topic it makes.
        state: folder of its store, which exists.
        tuned: for latency, not as the engine comes.
    """

    broker: str
    input: str
    output: str
    group: str
    state: Path
    tuned: bool


def run(engine: Callable[[Task], None]) -> None:
    """Run an engine with what the command line says, until SIGTERM."""

    @click.command()
    @click.option("--broker", required=True)
    @click.option("--input", required=True)
    @click.option("--output", required=True)
    @click.option("--group", default="bench", show_default=True)
    @click.option("--state", type=click.Path(path_type=Path), required=True)
    @click.option("--latency", "tuned", is_flag=True, help="Tuned for latency.")
    def command(broker: str, input: str, output: str, group: str, state: Path, tuned: bool) -> None:
        state.mkdir(parents=True, exist_ok=True)
        engine(Task(broker, input, output, group, state, tuned))

    command()


def began() -> None:
    """Tell that the first reading is there."""
    sys.stdout.write(f"{BEGAN} {time.time_ns() // 1_000_000}\n")
    sys.stdout.flush()

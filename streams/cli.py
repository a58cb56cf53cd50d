"""The command line: ``vigil COMMAND``.

Commands are imported when they are called, so that ``vigil --help`` answers at once and a worker
does not load what only training needs.
"""

import logging
import sys
from collections.abc import Sequence
from typing import Any

import click
from pydantic import ValidationError
from rich.console import Console

from config.settings import MissingBrokerError
from streams.commands.lazy import LazyGroup

__all__ = ["main"]

#: Command → (module, one line of help). The module has a click command of the command's name.
COMMANDS = {
    "demo": ("streams.commands.demo", "Broker, worker, patients and board together."),
    "watch": ("streams.commands.watch", "A live ward board: patients by risk."),
    "replay": ("streams.commands.replay", "Send recorded patients to the broker."),
    "worker": ("streams.commands.worker", "Run a worker of an application."),
    "kafka": ("streams.commands.kafka", "A local Kafka that needs neither Docker nor Java."),
    "topics": ("streams.commands.topics", "Create and check the topics."),
    "topology": ("streams.commands.topology", "Draw who reads what and writes what."),
    "schemas": ("streams.commands.schemas", "Write the JSON Schema of every topic."),
    "deadletters": ("streams.commands.deadletters", "List dead letters, send them again."),
    "rebuild": ("streams.commands.rebuild", "Compute all patients' states anew."),
    "oncall": ("streams.commands.oncall", "Who is on call; check the alert policy."),
    "silence": ("streams.commands.silence", "Page nobody about something for a while."),
    "train": ("streams.commands.train", "Train a risk model and register it."),
    "model": ("streams.commands.model", "Which model scores: list, promote, rollback, compare."),
    "data": (
        "streams.commands.data",
        "Data sets: split recorded patients, collect what was scored.",
    ),
    "corpus": ("streams.commands.corpus", "Make the documents that answers quote."),
    "retrain": ("streams.commands.retrain", "Train a challenger in a process of its own."),
    "evaluate": (
        "streams.commands.evaluate",
        "Measure the risk model, and the search of documents.",
    ),
    "ack": ("streams.commands.ack", "Answer an alert: accept, decline, pass it on."),
    "page": ("streams.commands.page", "Try the way to a person: send a test page."),
    "audit": ("streams.commands.audit", "Check the record of every alert's life."),
    "ask": ("streams.commands.ask", "Ask a medical question; answered with its sources, or not."),
    "search": ("streams.commands.search", "Find documents for a question, without an answer."),
    "simulate": ("streams.commands.simulate", "People who ask, at human pace."),
    "bench": ("streams.commands.bench", "Measure the engine, beside others and under strain."),
}

#: Exit codes: 0 done, 1 it did not work, 2 the command line was wrong, 3 a rule does not allow it,
#: 130 stopped by Ctrl-C.
FAILED, INTERRUPTED = 1, 130


@click.group(
    cls=LazyGroup, lazy=COMMANDS, epilog="Vigil is not a medical device. Example: vigil demo"
)
@click.option("--debug", is_flag=True, help="Show tracebacks and debug logs.")
@click.version_option(package_name="vigil")
def cli(debug: bool) -> None:
    """Vigil: real-time sepsis early warning on Kafka streams."""
    if debug:
        logging.basicConfig(level=logging.DEBUG)


def _expected() -> tuple[type[BaseException], ...]:
    """Errors whose message is enough for the person at the terminal."""
    from aiokafka.errors import KafkaError

    return (MissingBrokerError, KafkaError, RuntimeError, ValueError, OSError)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; errors are one line unless ``--debug`` is given."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    console = Console(stderr=True)
    try:
        code: Any = cli.main(given, prog_name="vigil", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        console.print("Stopped.", style="yellow")
        sys.exit(INTERRUPTED)
    except Exception as error:
        if "--debug" in given or not isinstance(error, _expected()):
            raise
        console.print(f"vigil: {_message(error)}", style="red", markup=False, highlight=False)
        sys.exit(FAILED)


def _message(error: Exception) -> str:
    if isinstance(error, ValidationError):
        lines = [
            f"VIGIL_{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
            for problem in error.errors()
        ]
        return "settings: " + "; ".join(lines)
    from aiokafka.errors import KafkaConnectionError

    if isinstance(error, KafkaConnectionError):
        return f"The broker does not answer ({error}). Is it running? `vigil kafka status` tells."
    return str(error) or type(error).__name__


if __name__ == "__main__":
    main()

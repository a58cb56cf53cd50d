"""``vigil simulate``: what people do, done by nobody."""

import asyncio
import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.settings import settings
from streams.chat_events import ChatAnswer
from streams.users import Asked, Users

__all__ = ["simulate"]


@click.group(epilog="Example: vigil simulate users --people 20 --for 60")
def simulate() -> None:
    """Simulate people."""


@simulate.command(epilog="Example: vigil simulate users --people 20 --for 60 --pace 4")
@click.argument(
    "questions", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False
)
@click.option(
    "--people", type=click.IntRange(1), default=10, show_default=True, metavar="N", help="At once."
)
@click.option(
    "--for",
    "seconds",
    type=click.FloatRange(1),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How long they ask.",
)
@click.option(
    "--pace",
    type=click.FloatRange(0, min_open=True),
    default=1,
    show_default=True,
    help="How much faster they type and read than people do.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    help="Instead of people: so many questions a second.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of what is asked when.")
@click.option("--show", is_flag=True, help="Show each question with its answer.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.pass_context
def users(
    ctx: click.Context,
    questions: Path | None,
    people: int,
    seconds: float,
    pace: float,
    rate: float | None,
    seed: int,
    show: bool,
    as_json: bool,
) -> None:
    """Ask the running application what it has not seen, as people would.

    QUESTIONS: a file with one question a line. Default: those that the corpus keeps apart for this
    (its production split).

    \b
    Exit codes: 0 every question has an answer; 1 one has not.
    """
    texts = _read(questions)
    console = Console(stderr=True)

    def heard(question: str, answer: ChatAnswer) -> None:
        if show:
            console.print(Text(question, style="bold"))
            console.print(answer.text, markup=False, highlight=False)
            console.print()

    crowd = Users(settings(), texts, heard, seed)
    with console.status("Asking…"):
        if rate is None:
            found = asyncio.run(crowd.live(people, seconds, pace))
        else:
            found = asyncio.run(crowd.flood(rate, seconds))
    _report(found, as_json)
    ctx.exit(1 if found.unanswered or found.different else 0)


def _read(path: Path | None) -> list[str]:
    if path is not None:
        return [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    from streams.answering import unseen

    return unseen(settings())


def _report(found: Asked, as_json: bool) -> None:
    told = {
        "answers": sum(found.outcomes.values()),
        "outcomes": dict(found.outcomes),
        "unanswered": found.unanswered,
        "repeats": found.repeats,
        "different": found.different,
        "p50_ms": found.percentile_ms(50),
        "p99_ms": found.percentile_ms(99),
    }
    if as_json:
        click.echo(json.dumps(told))
        return
    table = Table("", "", show_header=False, box=None)
    for outcome, count in found.outcomes.most_common():
        table.add_row(outcome, str(count))
    table.add_row("without an answer", str(found.unanswered))
    for name in ("p50_ms", "p99_ms"):
        value = told[name]
        if isinstance(value, float):
            table.add_row(f"question to answer, {name[:3]}", f"{value:.0f} ms")
    Console().print(table)

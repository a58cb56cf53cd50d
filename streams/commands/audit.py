"""``vigil audit``: whether the record of all alerts, or of all answers, is whole."""

import asyncio
import json
from typing import Literal

import click
from rich.console import Console
from rich.progress import Progress

from config.settings import settings
from streams.alert_events import AuditEntry
from streams.audit import Break, check
from streams.chat_events import ChatAuditEntry
from streams.topics import catalogue
from streams.whole_topic import read_whole

__all__ = ["audit"]

#: Breaks that are shown to people.
_SHOWN = 20


@click.group(epilog="Example: vigil audit verify --json")
def audit() -> None:
    """Look after the records of every alert's life and of every answer."""


@audit.command(epilog="Example: vigil audit verify --of answers --json")
@click.option(
    "--of",
    type=click.Choice(["alerts", "answers"]),
    default="alerts",
    show_default=True,
    help="Which record.",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.pass_context
def verify(ctx: click.Context, of: Literal["alerts", "answers"], as_json: bool) -> None:
    """Check a whole audit topic: that no entry was changed, taken out or put in.

    \b
    Exit codes: 0 it is whole; 1 it is not, or cannot be read.
    """
    count, breaks = asyncio.run(_verify(of))
    if as_json:
        found = [
            {"partition": partition, "offset": each.offset, "what": each.what}
            for partition, each in breaks
        ]
        click.echo(json.dumps({"entries": count, "breaks": found}))
    else:
        console = Console()
        for partition, each in breaks[:_SHOWN]:
            place = f"partition {partition}, offset {each.offset}"
            console.print(f"{place}: {each.what}", style="red", highlight=False)
        if len(breaks) > _SHOWN:
            console.print(f"and {len(breaks) - _SHOWN} more")
        console.print(
            f"{count} entries, the chain is whole." if not breaks else f"{count} entries."
        )
    ctx.exit(1 if breaks else 0)


async def _verify(of: Literal["alerts", "answers"]) -> tuple[int, list[tuple[int, Break]]]:
    chosen = settings()
    topics = catalogue(chosen)
    topic = topics.audit if of == "alerts" else topics.chat_audit
    kind = AuditEntry if of == "alerts" else ChatAuditEntry
    entries, broken = 0, []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("audit", total=None)
        for partition in range(topic.partitions):
            records = await read_whole(
                chosen,
                topic.name,
                lambda read, whole: progress.update(task, total=whole, completed=read),
                partition,
            )
            count, breaks = check(((r.offset, r.value) for r in records), kind)
            entries += count
            broken += [(partition, each) for each in breaks]
    return entries, broken

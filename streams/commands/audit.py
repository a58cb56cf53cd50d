"""``vigil audit``: whether the record of all alerts is whole."""

import asyncio
import json

import click
from rich.console import Console
from rich.progress import Progress

from config.settings import settings
from streams.audit import check
from streams.topics import catalogue
from streams.whole_topic import read_whole

__all__ = ["audit"]

#: Breaks that are shown to people.
_SHOWN = 20


@click.group(epilog="Example: vigil audit verify --json")
def audit() -> None:
    """Look after the record of every alert's life."""


@audit.command(epilog="Example: vigil audit verify --json")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.pass_context
def verify(ctx: click.Context, as_json: bool) -> None:
    """Check the whole audit topic: that no entry was changed, taken out or put in.

    \b
    Exit codes: 0 it is whole; 1 it is not, or cannot be read.
    """
    entries = asyncio.run(_read())
    count, breaks = check(entries)
    if as_json:
        found = [{"offset": each.offset, "what": each.what} for each in breaks]
        click.echo(json.dumps({"entries": count, "breaks": found}))
    else:
        console = Console()
        for each in breaks[:_SHOWN]:
            console.print(f"offset {each.offset}: {each.what}", style="red", highlight=False)
        if len(breaks) > _SHOWN:
            console.print(f"and {len(breaks) - _SHOWN} more")
        console.print(
            f"{count} entries, the chain is whole." if not breaks else f"{count} entries."
        )
    ctx.exit(1 if breaks else 0)


async def _read() -> list[tuple[int, bytes | None]]:
    chosen = settings()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("audit", total=None)
        records = await read_whole(
            chosen,
            catalogue(chosen).audit.name,
            lambda read, whole: progress.update(task, total=whole, completed=read),
        )
    return [(record.offset, record.value) for record in records]

"""``vigil audit``: whether the record of all alerts, or of all answers, is whole."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import click
from rich.console import Console
from rich.progress import Progress

from config.settings import settings
from streams.alert_events import AuditEntry
from streams.audit import Break, Head, check, cut_off, head
from streams.chat_events import ChatAuditEntry
from streams.topics import catalogue
from streams.whole_topic import read_whole

__all__ = ["audit"]

_Record = Literal["alerts", "answers"]
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
@click.option(
    "--expect",
    "before",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What an earlier check with --json wrote: its newest entries have to be there still.",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.pass_context
def verify(ctx: click.Context, of: _Record, before: Path | None, as_json: bool) -> None:
    """Check a whole audit topic: that no entry was changed, taken out or put in.

    The chain alone does not show that its end was cut off. So keep what --json writes where nobody
    who may write to the broker can change it, and name it in --expect the next time.

    \b
    Exit codes: 0 it is whole; 1 it is not, or cannot be read.
    """
    expected = [] if before is None else _heads(before, of)
    count, breaks, heads = asyncio.run(_verify(of, expected))
    if as_json:
        found = [
            {"partition": partition, "offset": each.offset, "what": each.what}
            for partition, each in breaks
        ]
        told = {"of": of, "entries": count, "breaks": found, "heads": [asdict(h) for h in heads]}
        click.echo(json.dumps(told))
    else:
        console = Console()
        for partition, each in breaks[:_SHOWN]:
            place = f"partition {partition}"
            place += "" if each.offset is None else f", offset {each.offset}"
            console.print(f"{place}: {each.what}", style="red", highlight=False)
        if len(breaks) > _SHOWN:
            console.print(f"and {len(breaks) - _SHOWN} more")
        console.print(
            f"{count} entries, the chain is whole." if not breaks else f"{count} entries."
        )
    ctx.exit(1 if breaks else 0)


def _heads(file: Path, of: _Record) -> list[Head]:
    """Read the newest entries that an earlier check has found."""
    try:
        told = json.loads(file.read_text("utf-8"))
        heads = [Head(int(h["partition"]), int(h["number"]), str(h["hash"])) for h in told["heads"]]
        record = told["of"]
    except (ValueError, KeyError, TypeError):
        raise click.BadParameter(
            f"{file} is not what a check has written: name the output of "
            "`vigil audit verify --json`",
            param_hint="--expect",
        ) from None
    if record != of:
        raise click.BadParameter(f"{file} is of {record}: add --of {record}", param_hint="--expect")
    return heads


async def _verify(
    of: _Record, expected: Sequence[Head]
) -> tuple[int, list[tuple[int, Break]], list[Head]]:
    chosen = settings()
    topics = catalogue(chosen)
    topic = topics.audit if of == "alerts" else topics.chat_audit
    kind = AuditEntry if of == "alerts" else ChatAuditEntry
    entries, broken, heads = 0, [], []
    gone = [(h.partition, cut_off(h)) for h in expected if h.partition >= topic.partitions]
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("audit", total=None)
        for partition in range(topic.partitions):
            records = await read_whole(
                chosen,
                topic.name,
                lambda read, whole: progress.update(task, total=whole, completed=read),
                partition,
            )
            values = [(r.offset, r.value) for r in records]
            seen = [h for h in expected if h.partition == partition]
            count, breaks = check(values, kind, seen)
            entries += count
            broken += [(partition, each) for each in breaks]
            if (newest := head(values, kind, partition)) is not None:
                heads.append(newest)
    return entries, broken + gone, heads

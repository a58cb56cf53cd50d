"""``vigil topics``: create and check the topics."""

import asyncio
import json
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table

from config.settings import settings
from streams.topics import catalogue, ensure

__all__ = ["topics"]


@click.command(epilog="Example: vigil topics --check --json")
@click.option("--check", is_flag=True, help="Only look; exit 1 where something differs.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def topics(check: bool, as_json: bool) -> None:
    """Create the topics that are missing and tell what differs from the catalogue."""
    differences = asyncio.run(ensure(settings(), create=not check))
    if as_json:
        click.echo(json.dumps({"differences": [asdict(d) for d in differences]}))
    else:
        console = Console()
        table = Table("topic", "role", "key", "partitions", "", title="Topics")
        for topic in catalogue(settings()):
            table.add_row(
                topic.name, topic.direction, topic.key or "", str(topic.partitions), topic.about
            )
        console.print(table)
        for d in differences:
            found = "missing" if d.found is None else f"{d.found}, not {d.wanted}"
            console.print(f"{d.topic}: {d.what} is {found}", style="yellow")
    if check and differences:
        raise click.exceptions.Exit(1)

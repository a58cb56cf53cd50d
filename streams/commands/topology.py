"""``vigil topology``: draw who reads what, keeps what and writes what."""

import click

from config.settings import settings
from streams.topology import APPLICATIONS, mermaid

__all__ = ["topology"]


@click.command(epilog="Example: vigil topology > topology.mmd")
def topology() -> None:
    """Draw the topology as a Mermaid flow chart."""
    click.echo(mermaid(sum(APPLICATIONS.values(), ()), settings()))

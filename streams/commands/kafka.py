"""``vigil kafka``: a local Kafka in the background."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import click

from config.settings import settings
from streams.kafka import (
    KAFKA_VERSION,
    LocalKafka,
    LocalKafkaError,
    is_free,
    load,
    nodes_on_disk,
    running,
    stop,
)
from streams.kafka.jars import MAVEN_CENTRAL

__all__ = ["kafka"]

#: Where everybody looks for Kafka.
USUAL_PORT = 9092


@contextmanager
def _told() -> Iterator[None]:
    """Turn the errors whose message names a remedy into exit code 1."""
    try:
        yield
    except LocalKafkaError as error:
        raise click.ClickException(str(error)) from error


@click.group(epilog="Example: vigil kafka start --nodes 3")
def kafka() -> None:
    """A local Kafka that needs neither Docker nor a Java of yours.

    Its data is kept in VIGIL_HOME (.vigil), its program in VIGIL_CACHE (~/.cache/vigil). It
    listens on 127.0.0.1 only, without a password: for development and tests.
    """


@kafka.command(epilog="Example: vigil kafka start --nodes 3 --json")
@click.option(
    "--nodes",
    type=click.Choice(["1", "3"]),
    help="Brokers; 3 keep running when one is lost.  [default: as before, or 1]",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help=f"For clients of the first node.  [default: {USUAL_PORT}, or a free one]",
)
@click.option("--heap", default="512m", show_default=True, help="Memory of each node.")
@click.option(
    "--repository",
    default=MAVEN_CENTRAL,
    show_default=True,
    metavar="URL",
    help="Where Kafka is downloaded, once.",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def start(nodes: str | None, port: int | None, heap: str, repository: str, as_json: bool) -> None:
    """Start Kafka in the background and wait until it answers.

    It runs on after this command, until `vigil kafka stop`. Where it runs already, nothing is
    done.
    """
    home = settings().home
    with _told():
        before = running(home)
        if before is None:
            count = int(nodes) if nodes else nodes_on_disk(home) or 1
            if port is None and is_free(USUAL_PORT):
                port = USUAL_PORT
            cluster = LocalKafka(
                home, settings().cache, count, port, heap=heap, repository=repository
            )
            with cluster:
                cluster.detach()
    found = load(home)
    if found is None:
        raise click.ClickException("Kafka was stopped while it started: start it again.")
    if nodes and int(nodes) != len(found.nodes):
        raise click.ClickException(
            f"Kafka is already running with {_nodes(len(found.nodes))} at {found.bootstrap}: "
            "first `vigil kafka stop`."
        )
    if as_json:
        click.echo(
            json.dumps(
                {
                    "bootstrap": found.bootstrap,
                    "version": found.version,
                    "nodes": len(found.nodes),
                    "started": before is None,
                }
            )
        )
    else:
        is_up = "is up" if before is None else "is already running"
        click.echo(
            f"Kafka {found.version} {is_up} at {found.bootstrap} ({_nodes(len(found.nodes))})."
        )


@kafka.command("stop", epilog="Example: vigil kafka stop")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def stop_command(as_json: bool) -> None:
    """Stop Kafka; its topics stay.

    Ends every process of it: in order first, by force where that takes longer than 5 seconds.
    """
    with _told():
        stopped = stop(settings().home)
    if as_json:
        click.echo(json.dumps({"stopped": stopped}))
    else:
        click.echo("Kafka has stopped." if stopped else "Kafka was not running.")


@kafka.command(epilog="Example: vigil kafka status --json")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def status(as_json: bool) -> None:
    """Tell whether Kafka runs and where; exit 1 where it does not."""
    home = settings().home
    bootstrap = running(home)
    found = load(home)
    nodes = found.nodes if found else ()
    if as_json:
        click.echo(
            json.dumps(
                {
                    "running": bootstrap is not None,
                    "bootstrap": bootstrap,
                    "version": found.version if found else KAFKA_VERSION,
                    "nodes": [
                        {
                            "id": node.id,
                            "port": node.port,
                            "alive": node.alive,
                            "pids": [process.pid for process in node.processes],
                        }
                        for node in nodes
                    ],
                }
            )
        )
    elif bootstrap:
        click.echo(f"Kafka {found.version if found else ''} is running at {bootstrap}.")
        for node in nodes:
            word = "up" if node.alive else "down"
            click.echo(f"  node {node.id}  port {node.port}  {word}  {_log(node.id)}")
    elif any(node.alive for node in nodes):
        click.echo(f"Kafka runs but does not answer; its log: {_log(1)}")
    else:
        click.echo("Kafka is not running. `vigil kafka start` starts it.")
    if bootstrap is None:
        raise click.exceptions.Exit(1)


def _nodes(count: int) -> str:
    return f"{count} node{'s' * (count > 1)}"


def _log(node: int) -> str:
    return str(settings().kafka_home / f"node-{node}" / "server.log")

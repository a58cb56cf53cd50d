"""``vigil bench``: measure the engine, beside its peers and under strain."""

import logging

import click

from streams.commands.lazy import LazyGroup

__all__ = ["bench"]

#: Command → (module, one line of help). The module's click command is called ``command``.
BENCHES = {
    "throughput": ("bench.throughput", "Readings a second, beside other stream engines."),
    "latency": ("bench.latency", "From the device's time stamp to the result, beside others."),
    "scale": ("bench.scale", "Cost a reading and memory, from 1,000 to 1,000,000 patients."),
    "recovery": ("bench.recovery", "How soon a restarted worker goes on."),
    "rebalance": ("bench.rebalance", "Workers that join and leave under load."),
    "paging": ("bench.paging", "Kills at each step of a page; nobody missing or paged twice."),
    "answers": ("bench.answers", "Kills while people ask; every question answered once."),
    "faults": ("bench.faults", "Kills and cuts; nothing lost, doubled or different."),
}


@click.group(
    cls=LazyGroup,
    lazy=BENCHES,
    attribute="command",
    epilog="Example: vigil bench throughput --engine vigil --rounds 1",
)
def bench() -> None:
    """Measure the engine on this machine, against a real Kafka.

    Each command starts a broker of its own in a temporary folder, prints a table and, with --json,
    one last line of JSON. Other engines come with `uv sync --group bench`.
    """
    if not logging.root.handlers:
        # topics come and go here, of which every client tells; --debug shows it
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

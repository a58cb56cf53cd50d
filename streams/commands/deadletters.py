"""``vigil deadletters``: see what could not be used, and send it again once it can be."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import click
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from rich.console import Console
from rich.table import Table

from config.settings import settings
from streams.deadletters import original
from streams.topics import catalogue

__all__ = ["deadletters"]

#: Header of a record that was sent again: where its dead letter stands.
REPLAYED_HEADER = "vigil-dead-letter"


@click.group(epilog="Example: vigil deadletters list --json")
def deadletters() -> None:
    """See what could not be used, and send it again."""


def _pattern(ctx: click.Context, option: click.Parameter, text: str | None) -> re.Pattern[str]:
    try:
        return re.compile(text or "")
    except re.error as error:
        raise click.BadParameter(f"not a regular expression: {error}") from None


_reason = click.option(
    "--reason",
    "reason",
    callback=_pattern,
    help="Only those whose reason matches this regular expression.",
)
_limit = click.option("--limit", type=click.IntRange(1), help="At most so many, the oldest first.")
_json = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")


@deadletters.command("list", epilog="Example: vigil deadletters list --reason 'impossible value'")
@_reason
@_limit
@_json
def list_(reason: re.Pattern[str], limit: int | None, as_json: bool) -> None:
    """List dead letters: a line each with --json, else a count by reason.

    Keys and values stay in the topic: they may name a patient.
    """
    letters = asyncio.run(_collect(reason, limit))
    if as_json:
        for place, letter in letters:
            shown = {k: letter[k] for k in ("topic", "partition", "offset", "reason")}
            click.echo(json.dumps({"dead_letter": place, **shown}))
        return
    console = Console()
    if not letters:
        console.print("No dead letters.")
        return
    counts = Counter((letter["topic"], _kind(letter["reason"])) for _, letter in letters)
    table = Table("topic", "reason", "dead letters", title="Dead letters")
    for (topic, kind), count in counts.most_common():
        table.add_row(topic, kind, str(count))
    console.print(table)


@deadletters.command(
    epilog="Example: vigil deadletters replay --reason 'clock of the device' --yes"
)
@_reason
@_limit
@click.option("--to", "topic", help="Topic to send to instead of the one each came from.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json
def replay(
    reason: re.Pattern[str], limit: int | None, topic: str | None, yes: bool, as_json: bool
) -> None:
    """Send the original records again, byte for byte, to the topic they came from."""
    letters = asyncio.run(_collect(reason, limit))
    if letters and not yes:
        click.confirm(f"Send {len(letters)} records again?", abort=True)
    sent = asyncio.run(_send_again(letters, topic))
    click.echo(json.dumps({"sent": sent}) if as_json else f"{sent} records sent again.")


def _kind(reason: str) -> str:
    """The reason without its numbers, so that alike ones are counted together."""
    return re.sub(r"\d+(\.\d+)?", "N", reason.split(" - at")[0])


async def _collect(reason: re.Pattern[str], limit: int | None) -> list[tuple[str, dict[str, Any]]]:
    letters = []
    async for place, letter in _read():
        if reason.search(letter["reason"]):
            letters.append((place, letter))
            if limit is not None and len(letters) >= limit:
                break
    return letters


async def _read() -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """All dead letters there are now, and where each stands."""
    chosen = settings()
    topic = catalogue(chosen).dead_letters.name
    consumer = AIOKafkaConsumer(
        topic,
        **chosen.kafka_client(),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=8 * 1024 * 1024,
    )
    try:
        await consumer.start()
        partitions = sorted(consumer.assignment())
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            while await consumer.position(partition) < ends[partition]:
                fetched = await consumer.getmany(partition, timeout_ms=1000)
                for record in fetched.get(partition, ()):
                    place = f"{topic}/{record.partition}/{record.offset}"
                    yield place, json.loads(record.value)
    finally:
        await consumer.stop()


async def _send_again(letters: list[tuple[str, dict[str, Any]]], topic: str | None) -> int:
    producer = AIOKafkaProducer(
        **settings().kafka_client(), enable_idempotence=True, max_request_size=8 * 1024 * 1024
    )
    try:
        await producer.start()
        acks = []
        for place, letter in letters:
            record = original(letter)
            record["headers"].append((REPLAYED_HEADER, place.encode()))
            acks.append(await producer.send(topic or letter["topic"], **record))
        await asyncio.gather(*acks)
        return len(acks)
    finally:
        await producer.stop()

"""``vigil watch``: a live ward board in the terminal."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import click
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.live import Live

from config.clock import now_ms
from config.settings import Settings, settings
from streams.board import Board
from streams.tasks import first
from streams.topics import Catalogue, TopicError, catalogue

__all__ = ["Feed", "draw", "watch"]

#: How often the board is drawn, and how often a line of JSON is written, in seconds.
DRAW_S, JSON_S = 0.25, 1.0
#: How often the broker is asked for dead letters, in seconds.
ASK_S = 1.0


class Feed:
    """Brings recommendations from the broker to a board; no consumer group, nothing committed."""

    def __init__(self, settings: Settings, board: Board, since_ms: int | None) -> None:
        """Prepare the feed.

        Args:
            settings: name the broker and the topics.
            board: what is kept up to date.
            since_ms: Kafka time of the first recommendations, ms since 1970; None = all there are.
        """
        self._settings = settings
        self._board = board
        self._since_ms = since_ms
        self._asked = 0.0

    async def run(self, *, once: bool = False) -> None:
        """Read until cancelled, or with ``once`` up to what was there at the start.

        Raises:
            TopicError: a topic is missing.
            aiokafka.errors.KafkaError: the broker does not answer at the start.
        """
        topics = catalogue(self._settings)
        await self._check(topics)
        async with self._consumer(topics) as consumer:
            partitions = consumer.assignment()
            dead_letters = [tp for tp in partitions if tp.topic == topics.dead_letters.name]
            recommendations = [tp for tp in partitions if tp not in dead_letters]
            consumer.pause(*dead_letters)  # they are counted, not read
            for tp, offset in (await self._start(consumer, recommendations)).items():
                consumer.seek(tp, offset)
            dead_before = await self._start(consumer, dead_letters)
            end = await consumer.end_offsets(recommendations)
            while True:
                fetched = await consumer.getmany(timeout_ms=int(DRAW_S * 1000))
                for records in fetched.values():
                    for record in records:
                        self._board.update_json(record.value)
                positions = {tp: await consumer.position(tp) for tp in recommendations}
                if once and all(positions[tp] >= end[tp] for tp in recommendations):
                    await self._ask(consumer, positions, dead_before)
                    return
                if time.monotonic() - self._asked >= ASK_S:
                    with suppress(KafkaError):
                        await self._ask(consumer, positions, dead_before)

    async def _check(self, topics: Catalogue) -> None:
        """Look for the topics: a consumer would look for 40 s, and complain all the time."""
        admin = AIOKafkaAdminClient(**self._settings.kafka_client())
        try:
            await admin.start()
            found = await admin.list_topics()
        finally:
            await admin.close()
        for topic in (topics.recommendations, topics.dead_letters):
            if topic.name not in found:
                raise TopicError(
                    f"There is no topic {topic.name!r}: create the topics with `vigil topics`."
                )

    @asynccontextmanager
    async def _consumer(self, topics: Catalogue) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            topics.recommendations.name,
            topics.dead_letters.name,
            **self._settings.kafka_client(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        try:
            await consumer.start()
            yield consumer
        finally:
            await consumer.stop()

    async def _start(
        self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """Offset in each partition from which on records count."""
        if self._since_ms is None:
            return dict(await consumer.beginning_offsets(partitions))
        found = await consumer.offsets_for_times(dict.fromkeys(partitions, self._since_ms))
        end = await consumer.end_offsets(partitions)
        return {tp: at.offset if (at := found.get(tp)) else end[tp] for tp in partitions}

    async def _ask(
        self,
        consumer: AIOKafkaConsumer,
        positions: dict[TopicPartition, int],
        dead_before: dict[TopicPartition, int],
    ) -> None:
        """Bring the board's status up to date."""
        before, self._asked = self._asked, time.monotonic()
        self._board.measure(self._asked - before)
        end = await consumer.end_offsets([*positions, *dead_before])
        status = self._board.status
        status.lag = sum(max(end[tp] - at, 0) for tp, at in positions.items())
        status.dead_letters = sum(end[tp] - before for tp, before in dead_before.items())


async def draw(board: Board, console: Console) -> None:
    """Draw the board on the whole terminal, until cancelled."""
    # a client's log would be written across the board; what it has to say, the board shows
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(board.render(console.width, console.height), refresh=True)
            await asyncio.sleep(DRAW_S)


async def _write(board: Board) -> None:
    while True:
        await asyncio.sleep(JSON_S)
        click.echo(json.dumps(board.snapshot()))


@click.command(epilog="Example: vigil watch --unit ICU-1 --back 240")
@click.option("--unit", help="Only patients of this unit.")
@click.option(
    "--back",
    type=click.FloatRange(0),
    default=60,
    metavar="MINUTES",
    help="How far to look back.  [default: 60]",
)
@click.option("--from-start", is_flag=True, help="Every recommendation there is, instead.")
@click.option("--once", is_flag=True, help="Print the board as it is now, and end.")
@click.option(
    "--json", "as_json", is_flag=True, help="A line of JSON every second, or with --once one."
)
def watch(unit: str | None, back: float, from_start: bool, once: bool, as_json: bool) -> None:
    """Show patients by risk, highest first, as recommendations come in. Ctrl-C ends it.

    Brackets mark a value that the newest reading did not carry; ages count to the newest reading
    of all. A patient without readings for 12 hours moves to the bottom and is never taken off.
    """
    console = Console()
    if not (once or as_json or console.is_terminal):
        raise click.UsageError("this is not a terminal: add --once or --json")
    board = Board(unit=unit)
    since_ms = None if from_start else now_ms() - round(back * 60_000)
    asyncio.run(_run(Feed(settings(), board, since_ms), board, console, once, as_json))
    if as_json:
        click.echo(json.dumps(board.snapshot()))
    else:
        console.print(board.render(console.width, console.height))


async def _run(feed: Feed, board: Board, console: Console, once: bool, as_json: bool) -> None:
    if once:
        await feed.run(once=True)
    else:
        await first(feed.run(), _write(board) if as_json else draw(board, console))

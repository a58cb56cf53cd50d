"""What agents share: a batch is done when everything that came of it is with the broker."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError

from streams.application import VigilApp
from streams.deadletters import encode
from streams.metrics import metrics
from streams.outbox import Outbox
from streams.producer import RevokedError
from streams.topics import Catalogue
from tables.store import BatchTable

__all__ = ["Work", "dead_letter", "each", "each_apart", "finish", "reason", "settle"]


class Work:
    """A batch in work, in one or more parts; acknowledged when the last part is done."""

    def __init__(self, event: Any) -> None:
        self._event = event
        self._parts = 1

    @property
    def partition(self) -> int:
        """Of the batch."""
        return int(self._event.value.tp.partition)

    @property
    def stale(self) -> bool:
        """Whether the batch's partition was revoked: its next owner does it all again."""
        return bool(self._event.value.stale)

    def split(self) -> None:
        """Count another part."""
        self._parts += 1

    def done(self) -> None:
        """Count a part as done."""
        self._parts -= 1
        if self._parts == 0:
            self._event.ack()


async def finish(
    app: VigilApp, acks: Awaitable[dict[tuple[str, int], int]]
) -> dict[tuple[str, int], int] | None:
    """Wait for the broker; a delivery that failed for good stops the worker.

    Returns:
        What the outbox returned; None where a rebalance came first: the partition's next owner does
        it again, and nothing that follows from it may be acknowledged here.
    """
    try:
        return await acks
    except RevokedError:
        return None
    except Exception as error:
        await app.fail(error)


async def settle(
    app: VigilApp,
    acks: Awaitable[dict[tuple[str, int], int]],
    work: Work,
    table: BatchTable | None = None,
) -> bool:
    """Wait for the broker, note how far the table's local copy has got, and count a part as done.

    Args:
        app: the application.
        acks: from the outbox.
        work: whose part it is.
        table: that was written to; None where nothing is kept.

    Returns:
        False where a rebalance came first, see `finish`.
    """
    delivered = await finish(app, acks)
    if delivered is None:
        return False
    if table is not None and not work.stale:  # of a revoked partition the local copy is closed
        table.stored(work.partition, delivered)
    work.done()
    return True


async def each(app: VigilApp, stream: Any, handle: Callable[[Any], Awaitable[None]]) -> None:
    """Handle a stream's batches, one after the other; a failure stops the worker.

    Args:
        app: the application.
        stream: of batches.
        handle: called with the event of each batch whose partition is still this worker's.
    """
    async for event in stream.noack().events():
        await _handled(app, event, handle)


async def each_apart(app: VigilApp, stream: Any, handle: Callable[[Any], Awaitable[None]]) -> None:
    """Handle a stream's batches, of a partition one after the other, of several side by side.

    For what waits for somebody else: one partition does not wait for another's answers. How many
    batches of a partition wait here, the consumer bounds. A failure stops the worker.

    Args:
        app: the application.
        stream: of batches.
        handle: as of `each`; of several partitions at a time, so that it has to ask whether its
            batch is stale after everything that it has waited for.
    """
    last: dict[Any, asyncio.Task[None]] = {}
    under_way: set[asyncio.Task[None]] = set()

    async def turn(before: asyncio.Task[None] | None, event: Any) -> None:
        if before is not None:
            await asyncio.wait([before])
        await _handled(app, event, handle)

    try:
        async for event in stream.noack().events():
            place = event.value.tp
            last[place] = task = asyncio.create_task(turn(last.get(place), event))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)
    finally:
        for task in under_way:
            task.cancel()


async def _handled(app: VigilApp, event: Any, handle: Callable[[Any], Awaitable[None]]) -> None:
    try:
        if await app.consumer.begin(event.value):
            await handle(event)
    except Exception as error:
        # a bug, or a state that cannot be read: stop before anything is lost
        await app.fail(error)


def dead_letter(app: VigilApp, topics: Catalogue, outbox: Outbox, record: Any, reason: str) -> None:
    """Put a record that cannot be used into the outbox, whole, with the reason."""
    metrics.dead_letters.labels(record.topic).inc()
    name = topics.dead_letters.name
    outbox.add(name, record.partition % app.sizes[name], None, encode(record, reason))


def reason(error: ValueError) -> str:
    """What is wrong with a record, without its values: they may name a patient."""
    if isinstance(error, ValidationError):
        problems = [
            f"{'.'.join(map(str, problem['loc'])) or 'the record'}: {problem['type']}"
            for problem in error.errors(include_input=False, include_url=False)
        ]
        return "; ".join(problems)
    return str(error)

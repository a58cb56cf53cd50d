"""aiokafka's clients, opened and closed without leaving a connection behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from streams.unpacking import accept_any_name

__all__ = ["opened"]

_Client = TypeVar("_Client", bound=Any)

#: Seconds that someone who is cancelled waits for a broker that may be gone.
_PATIENCE_S = 1.0

accept_any_name()


@asynccontextmanager
async def opened(client: _Client) -> AsyncIterator[_Client]:
    """Start a client, and stop it however its user ends.

    aiokafka leaves a connection open where its `start` or `stop` is cancelled: the first knows a
    connection nobody else does, the second closes connections last. So neither is cancelled
    before it has had a second.

    Args:
        client: an ``AIOKafkaProducer`` or ``AIOKafkaConsumer`` that was not started.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    try:
        await _whole(client.start())
        yield client
    except asyncio.CancelledError:
        await _closed(client, _PATIENCE_S)
        raise
    except BaseException:
        await _closed(client, None)
        raise
    await _closed(client, None)


async def _whole(work: Any) -> None:
    """Await something that a cancellation does not interrupt at once."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=_PATIENCE_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise


async def _closed(client: Any, patience_s: float | None) -> None:
    try:
        await asyncio.wait_for(client.stop(), patience_s)
    except (TimeoutError, asyncio.CancelledError) as error:
        # what was not flushed is given up, its connections are not
        connections = client.client if hasattr(client, "client") else client._client
        await connections.close()
        if isinstance(error, asyncio.CancelledError):
            raise

"""Waiting for a broker that is away when a worker starts, or is given partitions.

After a power failure, or when a whole stack is started at once, a worker is often up before its
broker. It tries again for a while rather than ending at once: supervisors give up on what ends too
often.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, TypeVar

from aiokafka.errors import KafkaError, KafkaTimeoutError

__all__ = ["BrokerAwayError", "connected", "patiently"]

log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_SAY_AGAIN_S = 5.0

T = TypeVar("T")


class BrokerAwayError(RuntimeError):
    """No broker answered for as long as was to be waited."""


async def patiently(attempt: Callable[[], Awaitable[T]], broker: str, seconds: float) -> T:
    """Do what needs the broker, again and again while it is away.

    Args:
        attempt: what to do; it must not matter how often it is begun.
        broker: its addresses, for the messages.
        seconds: after which an attempt that fails is the last one.

    Raises:
        BrokerAwayError: it was away for so long.
        aiokafka.errors.KafkaError: it answered, and another try would make no difference.
    """
    began = monotonic()
    pause, said = _FIRST_PAUSE_S, float("-inf")
    while True:
        try:
            return await attempt()
        except KafkaError as error:
            # aiokafka's own time-out is of what it has tried again and again by itself
            if not (error.retriable or isinstance(error, KafkaTimeoutError)):
                raise
            now = monotonic()
            left = began + seconds - now
            if left <= 0:
                tried = f"tried for {now - began:.0f} s: {error}"
                raise BrokerAwayError(
                    f"The broker does not answer at {broker}, {tried}. Start it, or "
                    "correct VIGIL_BROKER and the VIGIL_BROKER_… settings beside it; "
                    "VIGIL_BROKER_WAIT_S says how long a worker waits for it."
                ) from error
            if now - said >= _SAY_AGAIN_S:
                said = now
                log.warning("no broker at %s yet, trying for %.0f s more: %s", broker, left, error)
        await asyncio.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE_S)


async def connected(start: Callable[[], Any], client: Callable[[], Any], app: Any) -> None:
    """Start what connects to the broker, which may have gone since it was last asked."""

    async def attempt() -> None:
        try:
            await start()
        except KafkaError:
            await client().stop()  # the next attempt makes another
            raise

    await patiently(attempt, ",".join(url.authority for url in app.conf.broker), app.broker_wait_s)

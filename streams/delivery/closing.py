"""Letting go of what providers hold open, when nothing is sent any more."""

import asyncio
import logging
from collections.abc import Iterable

from streams.delivery.message import Provider

__all__ = ["close_all"]

log = logging.getLogger(__name__)


async def close_all(providers: Iterable[Provider]) -> None:
    """Close providers, each once, however many channels it serves; none keeps another open."""
    chosen = list({id(provider): provider for provider in providers}.values())
    ends = await asyncio.gather(*(each.close() for each in chosen), return_exceptions=True)
    for provider, error in zip(chosen, ends, strict=True):
        if isinstance(error, Exception):
            # not its words: they may have a number in them
            log.warning("%s was not closed: %s", provider.name, type(error).__name__)

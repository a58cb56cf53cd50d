"""Coroutines side by side."""

import asyncio
from collections.abc import Coroutine
from typing import Any

__all__ = ["first"]


async def first(*work: Coroutine[Any, Any, None]) -> None:
    """Run side by side until one ends or fails; the others are cancelled, and awaited.

    Raises:
        BaseException: what the one that failed raised.
    """
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

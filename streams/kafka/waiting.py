"""Waiting for another process: nothing tells when a broker is ready, one has to ask."""

import time
from collections.abc import Callable

__all__ = ["until"]

_EVERY_S = 0.02


def until(condition: Callable[[], bool], timeout: float) -> bool:
    """Wait at most ``timeout`` seconds until ``condition`` holds; tell whether it does."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(_EVERY_S)
    return True

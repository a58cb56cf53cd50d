"""A progress bar for work that may take longer than two seconds."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track as rich_track

__all__ = ["track"]

T = TypeVar("T")


def track(items: Sequence[T], description: str) -> Iterator[T]:
    """Iterate over ``items`` beside a bar on stderr; without a terminal, no bar is drawn.

    Args:
        items: what to work through.
        description: what is being done, shown left of the bar.

    Returns:
        The items, one by one.
    """
    console = Console(stderr=True)
    yield from rich_track(
        items, description, console=console, transient=True, disable=not console.is_terminal
    )

"""Readings on their way to a topic that an engine then reads."""

from collections.abc import Callable, Iterable
from functools import lru_cache

import msgspec
from rich.progress import Progress

from bench import wire
from bench.job import Feed
from config.clock import iso, now_ms

__all__ = ["admit", "feed_of", "fill_bedside", "fill_small"]

_HOUR_MS = 3_600_000


@lru_cache(maxsize=2)
def feed_of(readings: int, patients: int) -> Feed:
    """Make readings, the last of them observed a minute ago."""
    # the bedside application takes no reading from the future
    start_ms = now_ms() - 1000 * (readings // patients + 60)
    return Feed(readings, patients, start_ms=start_ms)


async def fill_small(bootstrap: str, topic: str, feed: Feed, bar: Progress) -> None:
    """Make the small job's topic and fill it."""
    await _fill(bootstrap, topic, feed, feed.small, bar)


async def fill_bedside(bootstrap: str, prefix: str, feed: Feed, bar: Progress) -> None:
    """Make a bedside application's topics; send patients' admissions, and fill in the readings.

    Args:
        bootstrap: address of the broker.
        prefix: of the application's topics.
        feed: the readings.
        bar: to draw on.
    """
    await admit(bootstrap, prefix, feed)
    await _fill(bootstrap, f"{prefix}vitals", feed, feed.full, bar)


async def admit(bootstrap: str, prefix: str, feed: Feed) -> None:
    """Send the admissions of a feed's patients to a bedside application."""
    topic = f"{prefix}admissions"
    await wire.create(bootstrap, {topic: {"cleanup.policy": "compact"}})
    facts = {"icu_admitted_at": iso(feed.start_ms - _HOUR_MS), "age_years": 64.0, "sex": "female"}

    def admissions(start: int, end: int) -> list[tuple[int, bytes]]:
        return [
            (n, msgspec.json.encode({"patient_id": feed.keys[n].decode(), **facts}))
            for n in range(start, end)
        ]

    await wire.fill(bootstrap, topic, feed.patients, admissions, feed.keys)


async def _fill(
    bootstrap: str,
    topic: str,
    feed: Feed,
    records: Callable[[int, int], Iterable[tuple[int, bytes]]],
    bar: Progress,
) -> None:
    await wire.create(bootstrap, {topic: {}})
    task = bar.add_task("filling the topic", total=len(feed))

    def advance(count: int) -> None:
        bar.advance(task, count)

    await wire.fill(bootstrap, topic, len(feed), records, feed.keys, advance)
    bar.remove_task(task)

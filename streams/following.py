"""Following the topic ``models``: every worker knows all of it, and scores with what it says.

Not an agent: the partitions of an agent's topic are shared out among the workers of a group, and
this topic everybody reads whole, from its beginning. It is small: a few models, and snapshots of
leaf values.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from config.settings import Settings
from models.releases import Releases
from streams.clients import opened
from streams.metrics import metrics

__all__ = ["Follower"]

log = logging.getLogger(__name__)

_WAIT_MS = 1_000
#: After an error; the broker may be away for long.
_TRY_AGAIN_S = 1.0
#: A champion's record is some hundred kilobytes, the broker's limit for the topic 4 MiB.
_MOST_BYTES = 8 * 1024 * 1024


class Follower:
    """Reads the topic and says when another model is to score.

    Args:
        settings: name the broker and the site.
        topic: name of the topic.
        changed: called with the model that is to score, between two batches: whoever is called
            runs in the event loop.

    Attributes:
        releases: what the topic says.
        ready: set when it was read to the end that it had at the start.
    """

    def __init__(
        self, settings: Settings, topic: str, changed: Callable[[Any], None] = lambda model: None
    ) -> None:
        self._settings, self._topic, self._changed = settings, topic, changed
        self.releases = Releases(settings.site)
        self.ready = asyncio.Event()
        self._said = 0

    async def follow(self) -> None:
        """Read until cancelled; a broker that is away is asked again."""
        while True:
            try:
                await self._read()
            except KafkaError as error:
                log.warning("topic %s cannot be read, trying again: %s", self._topic, error)
            await asyncio.sleep(_TRY_AGAIN_S)

    async def _read(self) -> None:
        consumer = AIOKafkaConsumer(
            **self._settings.kafka_client(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # the topic was made anew
            max_partition_fetch_bytes=_MOST_BYTES,
        )
        tp = TopicPartition(self._topic, 0)
        async with opened(consumer):
            consumer.assign([tp])
            await consumer.seek_to_beginning(tp)
            end = (await consumer.end_offsets([tp]))[tp]
            while True:
                # a transaction's marker at the end is never delivered: the position tells
                if not self.ready.is_set() and await consumer.position(tp) >= end:
                    self.ready.set()
                found = await consumer.getmany(
                    tp, timeout_ms=_WAIT_MS if self.ready.is_set() else 50
                )
                self._take(found.get(tp, []))

    def _take(self, records: list[Any]) -> None:
        changed = [self.releases.take(r.key, r.value, r.offset) for r in records]
        if any(changed):
            model = self.releases.active()
            if model is not None:
                self._changed(model)
        problems = self.releases.problems
        for problem in problems[self._said :]:
            log.error("topic %s: %s is not applied: %s", self._topic, problem.key, problem.what)
        self._said = len(problems)
        metrics.release_problems.set(len(problems))

"""Following topics whole: every worker knows all of what they say.

Not an agent: the partitions of an agent's topic are shared out among the workers of a group, and
such a topic everybody reads whole, from its beginning. It is small, or compacted: models,
documents, what is known of the patients of a site.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from config.settings import Settings
from models.releases import Releases
from streams.clients import opened
from streams.metrics import metrics

__all__ = ["Follower", "Following"]

log = logging.getLogger(__name__)

_WAIT_MS = 1_000
#: After an error; the broker may be away for long.
_TRY_AGAIN_S = 1.0
#: A champion's record is some hundred kilobytes, the broker's limit for the topic 4 MiB.
_MOST_BYTES = 8 * 1024 * 1024


class Following:
    """Reads all partitions of a topic from their beginning, and goes on.

    Args:
        settings: name the broker.
        topic: name of the topic.
        take: called with records, in the order of their partition; after an error all of them come
            again.

    Attributes:
        ready: set when it was read to the end that it had at the start.
    """

    def __init__(
        self, settings: Settings, topic: str, take: Callable[[Sequence[Any]], Awaitable[None]]
    ) -> None:
        self._settings, self._topic, self._take = settings, topic, take
        self.ready = asyncio.Event()

    async def follow(self) -> None:
        """Read until cancelled; a broker that is away is asked again."""
        while True:
            try:
                await self._read()
            except KafkaError as error:
                log.warning("topic %s cannot be read, trying again: %s", self._topic, error)
            except Exception as error:
                # what it says cannot be taken in now: a server of vectors is away, or a newer
                # release writes rows that this one cannot read. The text could name a patient.
                name = type(error).__name__
                log.error("topic %s cannot be followed, trying again: %s", self._topic, name)
            await asyncio.sleep(_TRY_AGAIN_S)

    async def _read(self) -> None:
        consumer = AIOKafkaConsumer(
            **self._settings.kafka_client(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # the topic was made anew
            max_partition_fetch_bytes=_MOST_BYTES,
        )
        async with opened(consumer):
            found = await consumer._client._wait_on_metadata(self._topic)
            partitions = [TopicPartition(self._topic, number) for number in sorted(found)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            while True:
                # a transaction's marker at the end is never delivered: the position tells
                if not self.ready.is_set() and not [
                    tp for tp, end in ends.items() if await consumer.position(tp) < end
                ]:
                    self.ready.set()
                fetched = await consumer.getmany(timeout_ms=_WAIT_MS if self.ready.is_set() else 50)
                for records in fetched.values():
                    await self._take(records)


class Follower:
    """Reads the topic of the models, and says when another model is to score.

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
        self._topic, self._changed = topic, changed
        self.releases = Releases(settings.site)
        self._following = Following(settings, topic, self._take)
        self.ready = self._following.ready
        self.follow = self._following.follow
        self._said = 0

    async def _take(self, records: Sequence[Any]) -> None:
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

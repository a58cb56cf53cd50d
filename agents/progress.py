"""How far an agent has got with a topic, for another agent that must not be ahead of it."""

import asyncio
import logging
from contextlib import suppress
from time import monotonic

from aiokafka.errors import KafkaError
from faust.types import TP

from streams.application import VigilApp
from streams.topics import Topic
from streams.transport import Batch

__all__ = ["Progress"]

log = logging.getLogger(__name__)

#: How often who waits looks whether the topic was read to the end.
_LOOK_AGAIN_S = 0.01
#: Looks between two questions to the broker whether it is there.
_LOOKS = 25
#: A broker that takes longer to answer is away. A fetch may be ahead of the question: 1.5 s.
_ANSWER_S = 3.0


class Progress:
    """What of a topic's partitions has been handled.

    Args:
        app: the application.
        topic: spread over the patients as the topics are of those who wait.
    """

    def __init__(self, app: VigilApp, topic: Topic) -> None:
        self._app, self._topic = app, topic
        # assignment and offset: what an earlier assignment has read does not count
        self._read_to: dict[int, tuple[int, int]] = {}
        self._moved = asyncio.Event()

    def note(self, batch: Batch) -> None:
        """Note that a batch of the topic has been handled."""
        self._read_to[batch.tp.partition] = self._app.consumer.assignment_number, batch.end
        self._moved.set()
        self._moved = asyncio.Event()

    async def reach(self, batch: Batch, seconds: float) -> None:
        """Wait until all that the broker holds now for a batch's patients has been handled.

        Time in which the broker does not answer, or this process was stopped, does not count: then
        what is waited for may be there and only cannot be read. Ends when the batch is stale: in a
        rebalance that has begun the partition may be gone before anybody has been told.

        Args:
            batch: of another topic, the same partition.
            seconds: how long at most.
        """
        partition = batch.tp.partition
        tp = TP(self._topic.name, partition)
        consumer = self._app.consumer
        end: int | None = None
        left = seconds
        while not batch.stale:
            if tp not in consumer.assignment():
                if left <= 0:
                    return
                await asyncio.sleep(_LOOK_AGAIN_S)
                left -= _LOOK_AGAIN_S
                continue
            try:
                async with asyncio.timeout(_ANSWER_S):
                    answer = await consumer.end_offset(tp)
            except (KafkaError, TimeoutError):
                await asyncio.sleep(_LOOK_AGAIN_S * _LOOKS)
                continue
            end = answer if end is None else end
            for _ in range(_LOOKS):
                if batch.stale:
                    return
                if consumer.handled(tp, end, self._handled_to(partition)):
                    return
                if left <= 0:
                    log.warning(
                        "%s %d: not read to %d in time; what waited for it goes on",
                        self._topic.role, partition, end,
                    )  # fmt: skip
                    return
                looked = monotonic()
                # a fetch that brings no record tells nobody
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._moved.wait(), _LOOK_AGAIN_S)
                left -= min(monotonic() - looked, _LOOK_AGAIN_S)

    def _handled_to(self, partition: int) -> int:
        assignment, offset = self._read_to.get(partition, (-1, 0))
        return offset if assignment == self._app.consumer.assignment_number else 0

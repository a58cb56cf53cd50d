"""The consumer's thread: its errors are Kafka's, and what seeks in it is alone with the records."""

import asyncio
from collections.abc import Iterator
from threading import Thread, get_ident
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaConnectionError
from faust.types import TP

from streams.fetching import ConsumerThread, _send
from streams.lease import Lease
from streams.producer import Gate
from streams.transport import BatchConsumer

pytestmark = pytest.mark.unit

#: uvloop's words, where asyncio would only log.
CLOSED = "unable to perform operation on <TCPTransport closed=True>; the handler is closed"


async def _closed(*_: Any, **__: Any) -> None:
    raise RuntimeError(CLOSED)


async def test_a_request_on_a_connection_that_was_closed_a_moment_ago_can_be_tried_again() -> None:
    with pytest.raises(KafkaConnectionError, match="closed"):
        await _send(_closed, 1, object())
    client = SimpleNamespace(send=_closed, _get_conn=_closed, _conns={})
    with pytest.raises(KafkaConnectionError, match="closed"):
        await Gate(client, Lease(10)).send(1, object())


class Fetching(ConsumerThread):
    """A thread with a loop, and in it a consumer that notes where it is told to seek."""

    def __init__(self) -> None:
        self.thread_loop = asyncio.new_event_loop()
        self.thread = Thread(target=self.thread_loop.run_forever)
        self.thread.start()
        self.assigned = {TopicPartition("vitals", 0)}
        self.sought: list[tuple[TopicPartition, int, int | None]] = []

    def _ensure_consumer(self) -> Any:
        return self

    def seek(self, tp: Any, offset: int) -> None:
        if tp not in self.assigned:
            raise IllegalStateError(f"Partition {tp} is not assigned")
        self.sought.append((tp, offset, get_ident()))

    def end(self) -> None:
        self.thread_loop.call_soon_threadsafe(self.thread_loop.stop)
        self.thread.join()
        self.thread_loop.close()


@pytest.fixture
def fetching() -> Iterator[Fetching]:
    thread = Fetching()
    yield thread
    thread.end()


async def test_a_seek_is_made_in_the_thread_that_hands_records_over(fetching: Fetching) -> None:
    consumer = SimpleNamespace(_thread=fetching)
    await BatchConsumer._seek(consumer, TP("vitals", 0), 7)
    assert fetching.sought == [(TopicPartition("vitals", 0), 7, fetching.thread.ident)]


async def test_a_partition_that_was_revoked_a_moment_ago_is_not_sought_in(
    fetching: Fetching,
) -> None:
    await fetching.seek_in_thread({TP("vitals", 1): 3, TP("vitals", 0): 7})
    assert [(tp.partition, offset) for tp, offset, _ in fetching.sought] == [(0, 7)]

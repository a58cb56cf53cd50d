"""A slow endpoint holds up the partition whose question is with it, and no other."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError
from faust.types import TP

from agents.work import each_apart
from rag.answering import Ask, Given
from rag.answers import Answer
from streams.audit import check
from streams.chat_events import ChatAuditEntry
from streams.transport import Batch
from tests.topology.desk import until
from tests.topology.driver import Bench, Event
from tests.topology.test_ask import Desk, desk

__all__ = ["desk"]

pytestmark = pytest.mark.topology


class SlowEndpoint:
    """Takes its time over questions that begin with "slow", until it is told to reply."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.pasts: list[list[str]] = []
        self.reply, self.reached, self.quick = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def answer(self, asks: Sequence[Ask]) -> list[Given]:
        self.asked += [ask.text for ask in asks]
        self.pasts += [[turn.question for turn in ask.past.turns] for ask in asks]
        if any(ask.text.startswith("slow") for ask in asks):
            self.reached.set()
            await self.reply.wait()
        elif asks:
            self.quick.set()
        return [Given(Answer("answered", ask.text), "Sepsis") for ask in asks]


def _asks(desk: Desk, partition: int, offset: int, text: str) -> Batch:
    question = desk.question(offset, text, session_id=f"s{partition}")
    question.partition = partition
    return Batch(TP(question.topic, partition), [question])


class Stream:
    """A stream that the test puts batches into, as they come."""

    def __init__(self, *batches: Batch) -> None:
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self.events_of = [self.put(batch) for batch in batches]

    def put(self, batch: Batch) -> Event:
        event = Event(batch)
        self._queue.put_nowait(event)
        return event

    def end(self) -> None:
        self._queue.put_nowait(None)

    def noack(self) -> "Stream":
        return self

    async def events(self) -> Any:
        while (event := await self._queue.get()) is not None:
            yield event


async def test_a_partition_goes_on_while_anothers_question_is_with_a_slow_endpoint(
    desk: Desk,
) -> None:
    desk.echo = slow = SlowEndpoint()  # type: ignore[assignment]
    desk.begin()
    stream = Stream(
        _asks(desk, 0, 0, "slow one"), _asks(desk, 0, 1, "two"), _asks(desk, 1, 0, "three")
    )
    running = asyncio.create_task(desk.agent.run(stream))
    await asyncio.wait_for(asyncio.gather(slow.reached.wait(), slow.quick.wait()), 5)
    await desk.bench.settle()
    assert [event.acked for event in stream.events_of] == [False, False, True]
    assert slow.asked == ["slow one", "three"], "what follows in a partition waits for its turn"

    slow.reply.set()
    stream.end()
    await asyncio.wait_for(running, 5)
    await desk.bench.settle()
    assert all(event.acked for event in stream.events_of)
    assert [answer.text for answer in desk.answers] == ["three", "slow one", "two"]
    assert slow.pasts[-1] == ["slow one"]


async def test_the_state_of_all_partitions_is_read_once_however_many_begin_at_a_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    async def newest(settings: Any, topic: str, kind: Any, partition: int) -> None:
        read.append(partition)
        await asyncio.sleep(0)

    monkeypatch.setattr("agents.questions.newest", newest)
    await desk.bench.feed(desk.agent, _asks(desk, 0, 0, "one"), _asks(desk, 1, 0, "two"))
    assert sorted(read) == [0, 1]
    assert len(desk.answers) == 2


async def test_what_is_stored_is_read_before_anybody_asks_and_again_after_a_rebalance(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    all_read = asyncio.Event()
    away = [KafkaConnectionError("away")]

    async def newest(settings: Any, topic: str, kind: Any, partition: int) -> None:
        if away:
            raise away.pop()  # a broker that blinks is asked again
        read.append(partition)
        if set(read) == {0, 1}:
            all_read.set()

    monkeypatch.setattr("agents.questions.newest", newest)
    monkeypatch.setattr("agents.questions._LOOK_AGAIN_S", 0.001)
    reading = asyncio.create_task(desk.agent.read_ahead())
    for _ in range(2):
        await asyncio.wait_for(all_read.wait(), 5)
        read.clear()
        await desk.bench.feed(desk.agent, _asks(desk, 0, 0, "one"))
        assert read == []
        all_read.clear()
        desk.bench.consumer.assignment_number += 1
    reading.cancel()
    assert len(desk.answers) == 2


@pytest.mark.parametrize("begins", ["while the broker is asked", "while another reads"])
async def test_nothing_stored_is_read_once_a_rebalance_has_begun(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, begins: str
) -> None:
    scanned: list[int] = []
    asked, reply = asyncio.Event(), asyncio.Event()

    async def newest(*_: object) -> None:
        asked.set()
        await reply.wait()

    def scan(partition: int) -> list[tuple[bytes, bytes]]:
        scanned.append(partition)
        return []

    monkeypatch.setattr("agents.questions.newest", newest)
    monkeypatch.setattr(desk.table, "scan", scan)
    monkeypatch.setattr("agents.questions._LOOK_AGAIN_S", 0)
    reading = asyncio.create_task(desk.agent.read_ahead())
    if begins == "while another reads":
        async with desk.agent._resuming:
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # it waits for the other by now
            desk.bench.app.ready = False  # tables are not recovered, say
    else:
        await asyncio.wait_for(asked.wait(), 5)
        desk.bench.app.rebalancing = True
    reply.set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert scanned == []
    desk.bench.app.ready, desk.bench.app.rebalancing = True, False
    await until(lambda: sorted(scanned) == [0, 1])
    reading.cancel()


async def test_an_audit_topic_that_may_not_be_read_stops_the_worker(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: object) -> None:
        raise TopicAuthorizationFailedError

    monkeypatch.setattr("agents.questions.newest", refused)
    reading = asyncio.create_task(desk.agent.read_ahead())
    await until(lambda: desk.bench.failed)
    reading.cancel()
    assert isinstance(desk.bench.failed, TopicAuthorizationFailedError)
    desk.bench.failed = None


async def test_what_comes_back_after_a_rebalance_changes_nothing_of_the_next_assignment(
    desk: Desk,
) -> None:
    desk.echo = slow = SlowEndpoint()  # type: ignore[assignment]
    desk.begin()
    stream = Stream(_asks(desk, 0, 0, "slow one"))
    running = asyncio.create_task(desk.agent.run(stream))
    await asyncio.wait_for(slow.reached.wait(), 5)

    stream.events_of[0].value.stale = True
    desk.bench.consumer.assignment_number += 1
    stream.put(_asks(desk, 1, 0, "two"))  # it reads the state of both partitions anew
    await asyncio.wait_for(slow.quick.wait(), 5)
    slow.reply.set()
    again = stream.put(_asks(desk, 0, 0, "slow one"))
    stream.end()
    await asyncio.wait_for(running, 5)
    await desk.bench.settle()

    assert again.acked
    assert [answer.text for answer in desk.answers] == ["two", "slow one"]
    assert slow.pasts == [[], [], []], "the first try is not part of the conversation"
    sent = desk.bench.sent(desk.bench.topics.chat_audit)
    for partition in (0, 1):
        chain = [each["value"] for each in sent if each["partition"] == partition]
        assert check(enumerate(chain), ChatAuditEntry) == (1, [])


async def test_who_is_cancelled_leaves_no_batch_in_work() -> None:
    bench, begun, ended = Bench(), asyncio.Event(), asyncio.Event()

    async def handle(event: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    running = asyncio.create_task(each_apart(bench.app, Stream(Batch(TP("t", 0), [])), handle))
    await asyncio.wait_for(begun.wait(), 5)
    running.cancel()
    await asyncio.wait_for(ended.wait(), 5)

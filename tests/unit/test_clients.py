"""Clients of aiokafka, opened and closed; against one that does as aiokafka does."""

import asyncio

import pytest

from streams.clients import opened


class Connections:
    def __init__(self) -> None:
        self.open = 0

    async def close(self) -> None:
        self.open = 0


class Client:
    """A client that knows its connection only when the broker has answered, as aiokafka's does."""

    def __init__(self, *, answers: asyncio.Event, flushed: asyncio.Event) -> None:
        self._answers, self._flushed = answers, flushed
        self.client = Connections()
        self.leaked = 0

    async def start(self) -> None:
        self.leaked += 1
        await self._answers.wait()
        self.leaked -= 1
        self.client.open += 1

    async def stop(self) -> None:
        await self._flushed.wait()
        await self.client.close()


async def _use(client: Client) -> None:
    async with opened(client):
        await asyncio.Event().wait()


@pytest.fixture
def answers() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
def flushed() -> asyncio.Event:
    return asyncio.Event()


async def test_one_cancelled_while_it_starts_leaves_no_connection(
    answers: asyncio.Event, flushed: asyncio.Event
) -> None:
    client = Client(answers=answers, flushed=flushed)
    flushed.set()
    using = asyncio.create_task(_use(client))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    using.cancel()
    asyncio.get_running_loop().call_soon(answers.set)

    with pytest.raises(asyncio.CancelledError):
        await using
    assert (client.leaked, client.client.open) == (0, 0)


async def test_one_cancelled_before_a_broker_took_what_was_sent_leaves_no_connection(
    answers: asyncio.Event, flushed: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.clients._PATIENCE_S", 0.01)
    client = Client(answers=answers, flushed=flushed)
    answers.set()
    using = asyncio.create_task(_use(client))
    for _ in range(5):
        await asyncio.sleep(0)
    assert client.client.open == 1
    using.cancel()

    with pytest.raises(asyncio.CancelledError):
        await using
    assert client.client.open == 0


async def test_a_failure_of_its_user_closes_it_and_is_raised(
    answers: asyncio.Event, flushed: asyncio.Event
) -> None:
    answers.set()
    flushed.set()
    client = Client(answers=answers, flushed=flushed)
    with pytest.raises(ZeroDivisionError):
        async with opened(client):
            raise ZeroDivisionError
    assert client.client.open == 0

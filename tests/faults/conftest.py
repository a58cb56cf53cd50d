"""Trials: workers, patients and a ledger; and three brokers behind proxies."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bench.chaos import Trial, quick
from config.settings import Settings
from streams.kafka import LocalKafka

#: A cluster and, where workers find it elsewhere, that address → a trial that has begun.
Begin = Callable[..., Awaitable[Trial]]


@pytest.fixture
async def begin(broker: LocalKafka, tmp_path: Path) -> AsyncIterator[Begin]:
    """Begin a trial; its workers are gone when the test ends, whatever happens.

    It has topics, a group and folders of its own, on the broker of the whole run unless another is
    given.
    """
    async with AsyncExitStack() as stack:

        async def start(
            kafka: LocalKafka = broker, workers_at: str | None = None, **given: object
        ) -> Trial:
            settings = quick(kafka.bootstrap, f"t{uuid.uuid4().hex[:8]}.", **given)
            trial = Trial(settings, tmp_path / "workers", workers_at)
            return await stack.enter_async_context(trial)

        yield start


@pytest.fixture(scope="session")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """Three brokers that keep three copies; workers may come through a proxy to each."""
    folder = tmp_path_factory.mktemp("three")
    with LocalKafka(folder, Settings().cache, nodes=3, proxied=True, heap="256m") as kafka:
        yield kafka

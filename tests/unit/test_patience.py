"""A broker that is away is waited for, but not for ever, and what waiting cannot mend at once."""

import asyncio
import logging
from collections.abc import Callable

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    TopicAuthorizationFailedError,
)

import streams.patience
from streams.patience import BrokerAwayError, patiently

pytestmark = pytest.mark.unit


class Clock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(streams.patience, "monotonic", lambda: made.now)
    monkeypatch.setattr(asyncio, "sleep", made.sleep)
    return made


def failing(times: int, error: KafkaError) -> Callable[[], asyncio.Future[str]]:
    left = [error] * times

    def attempt() -> asyncio.Future[str]:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        if left:
            future.set_exception(left.pop())
        else:
            future.set_result("done")
        return future

    return attempt


async def test_a_broker_that_answers_is_not_waited_for(clock: Clock) -> None:
    assert await patiently(failing(0, KafkaError()), "b:1", 60) == "done"
    assert not clock.pauses


@pytest.mark.parametrize("error", [KafkaConnectionError("refused"), KafkaTimeoutError("refused")])
async def test_a_broker_that_comes_in_time_is_all_that_was_needed(
    clock: Clock, caplog: pytest.LogCaptureFixture, error: KafkaError
) -> None:
    caplog.set_level(logging.WARNING)

    assert await patiently(failing(20, error), "b:1", 60) == "done"

    assert clock.pauses == sorted(clock.pauses), "it asks less and less often"
    assert max(clock.pauses) <= 2
    assert all("b:1" in said and "refused" in said for said in caplog.messages)
    assert len(caplog.messages) == pytest.approx(clock.now / 5, abs=2), "every five seconds"


async def test_after_the_time_is_up_the_settings_to_correct_are_told(clock: Clock) -> None:
    with pytest.raises(BrokerAwayError, match=r"does not answer at b:1.* VIGIL_BROKER .*_WAIT_S"):
        await patiently(failing(10_000, KafkaConnectionError()), "b:1", 60)

    assert clock.now == pytest.approx(60)


async def test_without_time_to_wait_there_is_one_attempt(clock: Clock) -> None:
    with pytest.raises(BrokerAwayError):
        await patiently(failing(1, KafkaConnectionError()), "b:1", 0)

    assert not clock.pauses


async def test_what_waiting_does_not_mend_is_told_at_once(clock: Clock) -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await patiently(failing(1, TopicAuthorizationFailedError()), "b:1", 60)

    assert not clock.pauses

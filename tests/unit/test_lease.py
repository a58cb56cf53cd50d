"""A lease runs from when the broker was asked, and only while nothing has ended it."""

import asyncio
import threading
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError
from aiokafka.protocol.group import HeartbeatRequest, LeaveGroupRequest, SyncGroupRequest

from streams.fetching import ConsumerThread
from streams.lease import Lease

SESSION_S = 60

HEARTBEAT = HeartbeatRequest("group", 1, "me")
SYNC = SyncGroupRequest("group", 1, "me", "", [])
LEAVE = LeaveGroupRequest("group", "me")


@pytest.fixture
def lease() -> Lease:
    return Lease(SESSION_S)


def test_there_is_none_before_the_first_assignment(lease: Lease) -> None:
    lease.renew(monotonic())
    assert not lease.runs
    assert not lease.sends


def test_it_runs_for_a_session_from_when_the_broker_was_asked(lease: Lease) -> None:
    lease.begin(monotonic() - SESSION_S + 1)
    assert lease.runs
    lease.begin(monotonic() - SESSION_S)
    assert not lease.runs


def test_sending_ends_before_it_does(lease: Lease) -> None:
    lease.begin(monotonic() - SESSION_S + lease.margin_s - 1)
    assert lease.runs
    assert not lease.sends
    lease.renew(monotonic())
    assert lease.sends


def test_a_heartbeat_that_comes_after_its_end_renews_nothing(lease: Lease) -> None:
    lease.begin(monotonic())
    lease.end()
    lease.renew(monotonic())
    assert not lease.runs


async def test_who_waits_to_send_is_woken_by_a_heartbeat_of_another_thread(lease: Lease) -> None:
    lease.begin(monotonic() - SESSION_S)
    waiting = asyncio.create_task(lease.sending())
    await asyncio.sleep(0)
    assert not waiting.done()
    thread = threading.Thread(target=lease.renew, args=[monotonic()])
    thread.start()
    async with asyncio.timeout(1):
        await waiting
    thread.join()


# -- what the coordinator of the group says


async def _told(lease: Lease, request: Any, error: int = 0) -> None:
    async def send(_: Any) -> Any:
        return SimpleNamespace(error_code=error)

    thread: Any = SimpleNamespace(app=SimpleNamespace(lease=lease))
    await ConsumerThread._ask_group(thread, send, request)


async def test_an_assignment_begins_it_and_heartbeats_renew_it(lease: Lease) -> None:
    await _told(lease, HEARTBEAT)
    assert not lease.runs
    await _told(lease, SYNC)
    begun = lease.until
    assert lease.runs
    await _told(lease, HEARTBEAT)
    assert lease.until > begun


async def test_a_heartbeat_that_is_told_of_a_rebalance_renews_nothing(lease: Lease) -> None:
    await _told(lease, SYNC)
    begun = lease.until
    await _told(lease, HEARTBEAT, RebalanceInProgressError.errno)
    assert lease.until == begun


@pytest.mark.parametrize("error", [UnknownMemberIdError, IllegalGenerationError])
async def test_who_is_no_member_any_more_has_none(lease: Lease, error: Any) -> None:
    await _told(lease, SYNC)
    await _told(lease, HEARTBEAT, error.errno)
    assert not lease.runs


async def test_it_ends_before_the_worker_says_that_it_leaves(lease: Lease) -> None:
    await _told(lease, SYNC)

    async def send(_: Any) -> Any:
        assert not lease.runs
        return SimpleNamespace(error_code=0)

    thread: Any = SimpleNamespace(app=SimpleNamespace(lease=lease))
    await ConsumerThread._ask_group(thread, send, LEAVE)
    assert not lease.runs

"""The consumer's thread: what a connection that is going says is an error of Kafka's."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from streams.fetching import _send
from streams.lease import Lease
from streams.producer import Gate

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

"""How Twilio's client reaches the network here: one try, one time-out, nothing in the logs.

Twilio's own asynchronous client ignores its time-out, repeats a POST on a 500 when it is told to
retry, and logs addresses with the number in them. What is kept of an exchange is what decides
whether the message can have been taken, and what Twilio's errors leave out.

A request that is given up must not arrive later, when Twilio has been asked for it and did not have
it: it would be sent again as if it were the first. So its connection is reset, not just closed, and
a kernel that cannot deliver it for as long as a request may take gives up by itself, also while
this process is stopped.
"""

import socket
import struct
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from aiohttp import BasicAuth, ClientSession, ClientTimeout, TCPConnector, TraceConfig
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response

__all__ = ["Exchange", "TwilioHttp", "exchange"]

_HOST = "https://api.twilio.com"
#: Closed with this, a socket is reset and what it has not sent is dropped.
_RESET = struct.pack("ii", 1, 0)


@dataclass
class Exchange:
    """One request and its answer.

    Attributes:
        connected: whether there was a connection; without one nothing can have been sent.
        retry_after: header of the answer.
    """

    connected: bool = False
    retry_after: str | None = None


#: The one that the running task is in; Twilio's client, which lies between, does not hand it on.
exchange: ContextVar[Exchange] = ContextVar("exchange")


class TwilioHttp(AsyncTwilioHttpClient):
    """Twilio's HTTP client, built inside a running loop.

    Args:
        base_url: where requests go instead of Twilio's own address.
        timeout_s: after this a request is given up by whoever sends it.
    """

    def __init__(self, base_url: str, timeout_s: float) -> None:
        trace = TraceConfig()
        trace.on_connection_create_end.append(_connected)
        trace.on_connection_reuseconn.append(_connected)
        # without a pool the parent makes no session; the time-out is the caller's
        super().__init__(pool_connections=False)
        self._timeout_s = timeout_s
        self.session = ClientSession(
            connector=TCPConnector(socket_factory=self._socket),
            trace_configs=[trace],
            timeout=ClientTimeout(total=None),
        )
        self._base_url = base_url.rstrip("/")

    def _socket(self, address: Any) -> socket.socket:
        made = socket.socket(*address[:3])
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            milliseconds = max(1, round(1000 * self._timeout_s))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        return made

    async def request(
        self,
        method: str,
        url: str,
        params: dict[str, Any] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 the parent's; it does nothing
        allow_redirects: bool = False,
    ) -> Response:
        """Send one request once."""
        current = exchange.get()
        async with self.session.request(
            method,
            self._base_url + url.removeprefix(_HOST),
            params=params,
            data=data,
            headers=headers,
            auth=BasicAuth(*auth) if auth else None,
            allow_redirects=False,
            trace_request_ctx=current,
        ) as answer:
            current.retry_after = answer.headers.get("Retry-After")
            return Response(answer.status, await answer.text(), answer.headers)


async def _connected(session: ClientSession, context: Any, event: object) -> None:
    context.trace_request_ctx.connected = True

"""The simulator's calls back: signed as Twilio signs, late, repeated or out of order as told."""

import asyncio
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout
from twilio.request_validator import RequestValidator


@dataclass(frozen=True)
class Change:
    """A status that a message gets, and the callback that tells of it.

    Attributes:
        status: Twilio's word.
        error_code: why it was not delivered.
        after_s: since the message was taken.
        forged: signed by somebody who does not have the token.
    """

    status: str
    error_code: int | None = None
    after_s: float = 0.0
    forged: bool = False


@dataclass(frozen=True)
class Delivered:
    """A callback that was made: what was sent, and what was answered (0: nobody)."""

    url: str
    params: dict[str, str]
    status: int
    answer: str


@dataclass
class Caller:
    """Calls back.

    Attributes:
        account: Twilio's id of it.
        token: that callbacks are signed with.
        route: public address -> where it is in the test; signatures are of the public one.
        made: every callback, in order.
    """

    account: str
    token: str
    route: dict[str, str] = field(default_factory=dict)
    made: list[Delivered] = field(default_factory=list)
    _session: ClientSession | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def sign(self, url: str, params: dict[str, str], forged: bool = False) -> str:
        """Header ``X-Twilio-Signature``."""
        token = "of somebody else" if forged else self.token
        return str(RequestValidator(token).compute_signature(url, params))

    async def call(self, url: str, params: dict[str, str], forged: bool = False) -> Delivered:
        """Make one callback; nobody being there is on record like any answer."""
        if self._session is None:
            self._session = ClientSession(timeout=ClientTimeout(total=15))
        target = url
        for public, real in self.route.items():
            if url.startswith(public):
                target = real + url.removeprefix(public)
        headers = {"X-Twilio-Signature": self.sign(url, params, forged)}
        status, text = 0, ""
        with suppress(ClientError, TimeoutError, OSError):
            async with self._session.post(target, data=params, headers=headers) as answer:
                status, text = answer.status, await answer.text()
        self.made.append(Delivered(url, params, status, text))
        return self.made[-1]

    def later(self, calls: Iterable[Coroutine[Any, Any, None]]) -> None:
        """Let calls be made in the background."""
        for call in calls:
            task = asyncio.create_task(call)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def idle(self) -> None:
        """Wait until everything that was to happen later has happened."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """Drop what has not been made yet."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

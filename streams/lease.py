"""Until when a worker's partitions are surely its own, as far as it can know by itself.

A broker gives a worker's partitions to another when it has not heard of it for a session. It counts
from when it heard; the worker counts from when it asked, which is earlier. So for as long as the
worker's count runs, nobody else has its partitions. A process that slept, or whose network was
away, finds that its lease has run out before it can have been told anything.

A heartbeat that is answered with "a rebalance has begun" is no renewal: a worker that does not come
to the rebalance is given up although its heart beats.
"""

import asyncio
from time import monotonic

__all__ = ["Lease"]

#: This part of a session is left for what is on its way: what is sent until it begins has arrived,
#: or never will, when another may have the partitions.
_ON_THE_WAY = 0.25


class Lease:
    """Begun with an assignment, renewed by heartbeats, ended by a rebalance; safe across threads.

    Args:
        session_s: for how long a broker waits for somebody it does not hear of.

    Attributes:
        margin_s: what is left of a session when sending ends.
        until: monotonic time until which the broker cannot have given the partitions away.
        sends_until: monotonic time until which something may be sent on their behalf.
    """

    def __init__(self, session_s: float) -> None:
        self._session_s = session_s
        self.margin_s = session_s * _ON_THE_WAY
        self.until = self.sends_until = 0.0
        self._begun = False
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def runs(self) -> bool:
        """Whether the partitions are surely this worker's."""
        return self._begun and monotonic() < self.until

    @property
    def sends(self) -> bool:
        """Whether what is sent now arrives while they are."""
        return self._begun and monotonic() < self.sends_until

    def begin(self, asked_at: float) -> None:
        """Note an assignment.

        Args:
            asked_at: monotonic time before the broker was asked for it.
        """
        self._begun = True
        self.renew(asked_at)

    def renew(self, asked_at: float) -> None:
        """Note a heartbeat that the broker has accepted; nothing is renewed that has ended.

        Args:
            asked_at: monotonic time before it was sent.
        """
        if not self._begun:
            return
        self.until = asked_at + self._session_s
        self.sends_until = self.until - self.margin_s
        # who begins to wait from here on looks at the new times first
        for waiting in tuple(self._waiting):
            waiting.get_loop().call_soon_threadsafe(_wake, waiting)

    def end(self) -> None:
        """Note that the partitions are, or may be, somebody else's."""
        self._begun = False
        self.until = self.sends_until = 0.0

    async def sending(self) -> None:
        """Wait until something may be sent."""
        while not self.sends:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            try:
                if not self.sends:
                    await waiting
            finally:
                self._waiting.discard(waiting)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)

"""A TCP proxy between clients and a broker, which can be cut, frozen and slowed down.

It looks at no byte of what it passes on. The broker has to advertise the proxy's address:
``LocalKafka(..., proxied=True)``.
"""

import asyncio
from contextlib import suppress

__all__ = ["Proxy"]

_CHUNK = 65_536
#: What a connection may have waiting, bytes. A reader that is full is not read from any more, and
#: nobody hears that its connection was reset: what it holds would be passed on after all.
_BACKLOG = 64 * 1024 * 1024
#: Turns of the loop from an accepted connection to its task, and some to spare.
_ACCEPTING = 16


class Proxy:
    """Passes connections on, both ways, for as long as nothing is wrong.

    Args:
        front: port that clients connect to.
        back: port of the broker.
        host: of both.

    Attributes:
        delay_s: seconds by which every piece of data is held up, each way.
    """

    def __init__(self, front: int, back: int, host: str = "127.0.0.1") -> None:
        self._front, self._back, self._host = front, back, host
        self.delay_s = 0.0
        self._passing = asyncio.Event()
        self._passing.set()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def cut(self) -> None:
        """Break all connections and refuse new ones, as when a cable is pulled."""
        server, self._server = self._server, None
        if server is not None:
            # No more are accepted; those that were a moment ago come to their tasks first: asyncio
            # drops a connection on the floor whose server is closed before it is made.
            for listening in server.sockets:
                asyncio.get_running_loop().remove_reader(listening.fileno())
            for _ in range(_ACCEPTING):
                await asyncio.sleep(0)
            server.close()
        for writer in list(self._open):
            writer.transport.abort()
        self._passing.set()
        while self._open:  # noqa: ASYNC110 - their tasks see it in the next turns of the loop
            await asyncio.sleep(0)

    def freeze(self) -> None:
        """Keep connections, pass nothing on: a network that drops every packet.

        What is on its way passes later, unless its sender has reset the connection since: then its
        kernel does not send it again.
        """
        self._passing.clear()

    async def heal(self) -> None:
        """Pass everything on again, at once."""
        self.delay_s = 0.0
        self._passing.set()
        await self._listen()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._connect, self._host, self._front, limit=_BACKLOG
            )

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        self._open.add(writer)
        try:
            if self._server is None:  # cut while it was accepted
                return
            there, here = await asyncio.open_connection(self._host, self._back)
            ends.append(here)
            self._open.add(here)
            await asyncio.gather(self._pass(reader, writer, here), self._pass(there, here, writer))
        except OSError:
            pass  # the broker is down: what connects there directly is refused as well
        finally:
            for end in ends:
                end.transport.abort()
            self._open.difference_update(ends)

    async def _pass(
        self, source: asyncio.StreamReader, sender: asyncio.StreamWriter, to: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while data := await source.read(_CHUNK):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._passing.wait()
                if sender.transport.is_closing():  # reset; one that has only ended is still open
                    break
                to.write(data)
                await to.drain()
        to.transport.abort()

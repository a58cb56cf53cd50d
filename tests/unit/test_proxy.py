"""The proxy that fault tests cut: what it leaves behind."""

import asyncio
import gc
import socket
import struct

import pytest

from bench.proxy import Proxy
from tests.live import free_port

pytestmark = pytest.mark.unit


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(100):
            writer.write(data)
    except OSError:
        pass
    writer.close()


async def test_connections_that_come_while_it_is_cut_are_closed_and_none_is_left_open() -> None:
    """An unclosed socket is a warning, and a warning is an error here."""
    back = free_port()
    front = free_port()
    async with await asyncio.start_server(_echo, "127.0.0.1", back):
        for turns in range(60):
            proxy = Proxy(front, back)
            await proxy.heal()
            coming = [
                asyncio.create_task(asyncio.open_connection("127.0.0.1", front)) for _ in range(8)
            ]
            for _ in range(turns % 9):
                await asyncio.sleep(0)
            await proxy.cut()
            for each in await asyncio.gather(*coming, return_exceptions=True):
                if not isinstance(each, BaseException):
                    each[1].transport.abort()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", front), timeout=1)
    gc.collect()


async def test_what_was_reset_while_it_was_frozen_never_passes_however_much_it_was() -> None:
    arrived = bytearray()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            arrived.extend(data)
        writer.close()

    back, front = free_port(), free_port()
    async with await asyncio.start_server(keep, "127.0.0.1", back):
        proxy = Proxy(front, back)
        await proxy.heal()
        _, writer = await asyncio.open_connection("127.0.0.1", front)
        async with asyncio.timeout(10):
            while len(proxy._open) < 2:  # noqa: ASYNC110 - both ends
                await asyncio.sleep(0)
            proxy.freeze()
            writer.write(bytes(1_000_000))
            await writer.drain()
            for _ in range(1_000):  # the proxy takes in what it can
                await asyncio.sleep(0)
            socket_ = writer.get_extra_info("socket")
            socket_.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            while not any(each.transport.is_closing() for each in proxy._open):  # noqa: ASYNC110
                await asyncio.sleep(0)
            await proxy.heal()
            while proxy._open:  # noqa: ASYNC110
                await asyncio.sleep(0)
        await proxy.cut()
    assert not arrived

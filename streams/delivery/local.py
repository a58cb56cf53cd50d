"""Delivery to a file of this machine: one JSON line a message, and the terminal where told to.

What stands in for a provider that is not set up: the path to it is the same, so that the demo
shows texts without an account.
"""

import asyncio
import json
import os
import threading
import uuid
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from config.clock import from_ms, iso, now_ms, to_ms
from streams.delivery.message import Accepted, Busy, Channel, FindError, InDoubt, Message, Outcome

__all__ = ["LocalOutbox"]


class LocalOutbox:
    """A provider that takes everything.

    Args:
        path: of the file; readable by its owner alone, as it holds numbers and addresses.
        console: shows texts too.
    """

    channel: Channel = "local"
    name = "local"

    def __init__(self, path: Path, console: Console | None = None) -> None:
        self._path = path
        self._console = console
        self._one_at_a_time = threading.Lock()

    async def send(self, message: Message) -> Outcome:
        """Append the message; it is on the disk when this returns."""
        return await asyncio.to_thread(self._append, message)

    def _append(self, message: Message) -> Outcome:
        provider_id = uuid.uuid4().hex
        row = {"provider_id": provider_id, "at": iso(now_ms()), **asdict(message)}
        line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
        with self._one_at_a_time:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            except OSError as error:
                return Busy(None, f"the local outbox cannot be opened: {error.strerror}")
            try:
                size = os.fstat(file).st_size
                if size and os.pread(file, 1, size - 1) != b"\n":
                    line = b"\n" + line  # whoever wrote last was killed in the middle of it
                while line:
                    line = line[os.write(file, line) :]
                os.fsync(file)
            except OSError as error:
                return InDoubt(f"the local outbox was not written: {error.strerror}")
            finally:
                os.close(file)
            self._show(message)
        return Accepted(provider_id)

    def _show(self, message: Message) -> None:
        if self._console is None:
            return
        text = Text.assemble((f"{message.channel} to {message.to}", "bold"), "\n", message.body)
        try:
            self._console.print(text, soft_wrap=True)
        except OSError:
            self._console = None  # nobody looks any more; the message is delivered all the same

    async def find(self, message: Message, since: datetime) -> str | None:
        """Look the message up in the file."""
        return await asyncio.to_thread(self._find, message, since)

    def _find(self, message: Message, since: datetime) -> str | None:
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise FindError(f"the local outbox cannot be read: {error.strerror}") from None
        # a line has whole milliseconds
        earliest = from_ms(to_ms(since) - 1)
        for line in reversed(lines):
            try:
                row = json.loads(line)
            except ValueError:
                continue  # torn
            if (
                row["to"] == message.to
                and datetime.fromisoformat(row["at"]) >= earliest
                and not set(message.references).isdisjoint(row["references"])
            ):
                return str(row["provider_id"])
        return None

    async def close(self) -> None:
        """Nothing is kept open."""

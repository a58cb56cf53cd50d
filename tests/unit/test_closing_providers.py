"""Providers are closed when the worker stops, after the last request to them."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from config.policy import load_policy
from config.settings import Settings
from streams.apps.paging import build
from streams.delivery.closing import close_all

pytestmark = pytest.mark.unit


class Line:
    """A provider that never answers."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name, self.error = name, error
        self.events: list[str] = []

    async def send(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.events.append("given up")

    async def close(self) -> None:
        self.events.append("closed")
        if self.error is not None:
            raise self.error


async def test_a_worker_that_stops_closes_each_provider_once_after_the_last_request(
    tmp_path: Path,
) -> None:
    texts, rest = Line("texts"), Line("rest")
    given: dict[Any, Any] = {"sms": texts, "email": rest, "local": rest}
    app = build(Settings(broker="nowhere:1", home=tmp_path), load_policy(), given)
    app.add_future(texts.send())
    await asyncio.sleep(0)
    assert texts.events == []

    await app.stop()

    assert texts.events == ["given up", "closed"]
    assert rest.events == ["closed"]


async def test_one_that_cannot_be_closed_keeps_no_other_open_and_its_words_are_not_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    first, second = Line("first", OSError("+447700900101")), Line("second")
    lines: list[Any] = [first, second]
    await close_all(lines)
    assert second.events == ["closed"]
    assert "first was not closed: OSError" in caplog.text
    assert "+44" not in caplog.text

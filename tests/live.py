"""What tests against the real broker have in common: a worker process, and reading topics."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.common import ROOT, environment
from bench.processes import Worker, free_port
from config.settings import Settings
from streams.clients import opened
from streams.topics import catalogue

__all__ = ["ROOT", "Worker", "environment", "free_port", "parsed", "producing", "read"]

#: Records that a failure names: the last ones.
_PLACES = 20


@asynccontextmanager
async def producing(chosen: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """Open a producer as a gateway has one."""
    producer = AIOKafkaProducer(
        **chosen.kafka_client(), enable_idempotence=True, max_request_size=4 * 1024 * 1024
    )
    async with opened(producer):
        yield producer


async def read(
    chosen: Settings,
    topics: Iterable[str],
    enough: Callable[[list[Any]], bool],
    worker: Worker | None = None,
    seconds: float = 90,
) -> list[Any]:
    """Read topics from their beginning until ``enough`` says so.

    Raises:
        AssertionError: the worker died, or the time is up; the message says what was there.
    """
    consumer = AIOKafkaConsumer(
        *topics,
        **chosen.kafka_client(),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=8_000_000,
    )
    records: list[Any] = []
    async with opened(consumer):
        try:
            async with asyncio.timeout(seconds):
                while not enough(records):
                    for fetched in (await consumer.getmany(timeout_ms=200)).values():
                        records += fetched
                    if worker is not None and worker.process is not None:
                        code = worker.process.poll()
                        assert code is None, f"the worker exited with {code}: {worker.said}"
        except TimeoutError:
            said = "" if worker is None else worker.said
            there = _places(records, catalogue(chosen).dead_letters.name)
            raise AssertionError(
                f"only {len(records)} records in {seconds} s: {there}; worker: {said}"
            ) from None
    return records


def _places(records: list[Any], dead_letters: str) -> str:
    """Say where the last records stand and, of a dead letter, where its original does."""
    places = []
    for record in records[-_PLACES:]:
        place = f"{record.topic}/{record.partition}/{record.offset}"
        if record.topic == dead_letters:
            letter = json.loads(record.value)
            place += " of {topic}/{partition}/{offset}".format_map(letter)
        places.append(place)
    return ", ".join(places) or "none"


def parsed(records: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the JSON of records."""
    return [json.loads(record.value) for record in records]

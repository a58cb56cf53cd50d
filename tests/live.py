"""What tests against the real broker have in common: a worker process, and reading topics."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from config.settings import Settings

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(chosen: Settings) -> dict[str, str]:
    """Environment that gives another process the same settings."""
    set_here = chosen.model_dump(mode="json", exclude_unset=True)
    values = {f"VIGIL_{name.upper()}": str(value) for name, value in set_here.items()}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("VIGIL_")}
    return {**inherited, "OMP_NUM_THREADS": "1", **values}


@dataclass
class Worker:
    """A bedside worker in a process of its own, as an operator runs it."""

    settings: Settings
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> "Worker":
        """Start it, or start it again."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", "worker", "bedside"],
                env=environment(self.settings),
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        return self

    def kill(self) -> None:
        """SIGKILL, as when the power fails."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    async def stop(self) -> int:
        """SIGTERM, as when a deployment rolls; return the exit code."""
        assert self.process is not None
        self.process.terminate()
        return await self.exited()

    async def exited(self) -> int:
        """Wait until it has gone by itself; return the exit code."""
        assert self.process is not None
        return await asyncio.to_thread(self.process.wait)

    @property
    def said(self) -> str:
        """What went wrong first and what came last, for a failing test to explain itself."""
        lines = self.log.read_text(errors="replace").splitlines()
        wrong = [line for line in lines if '"info"' not in line]
        return "\n".join([line[:3000] for line in wrong[:3]] + ["…"] + lines[-3:])


@asynccontextmanager
async def producing(chosen: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """Open a producer as a gateway has one."""
    producer = AIOKafkaProducer(
        **chosen.kafka_client(), enable_idempotence=True, max_request_size=4 * 1024 * 1024
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


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
    await consumer.start()
    records: list[Any] = []
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
        raise AssertionError(
            f"only {len(records)} records in {seconds} s; worker: {said}"
        ) from None
    finally:
        await consumer.stop()
    return records


def parsed(records: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the JSON of records."""
    return [json.loads(record.value) for record in records]

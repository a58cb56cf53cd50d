"""Faults on purpose: workers, brokers and the network between them fail while patients come in.

`Trial` has the workers, the patients and the `Ledger`; tests do one fault in it, `vigil bench
faults` does them at random for as long as it is told to.
"""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientError, ClientSession, ClientTimeout
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from bench.common import BenchError
from bench.crew import Crew
from bench.ledger import Ledger, Verdict
from bench.processes import Worker
from bench.proxy import Proxy
from config.settings import Settings
from models.stay import Stay
from streams.kafka import LocalKafka
from streams.replay import Replay
from streams.topics import ensure

__all__ = ["Proxies", "Trial", "quick"]


def quick(bootstrap: str, prefix: str, **given: Any) -> Settings:
    """Settings with which faults are noticed and results committed quickly.

    Args:
        bootstrap: of the broker.
        prefix: of the topics, and of the consumer group.
        given: further settings.
    """
    chosen: dict[str, Any] = {
        "broker": bootstrap,
        "topic_prefix": prefix,
        "commit_interval_s": 0.2,
        "session_timeout_s": 6,
    }
    return Settings(**chosen | given)


class Proxies:
    """A proxy in front of every node of a cluster that was started with ``proxied=True``."""

    def __init__(self, kafka: LocalKafka) -> None:
        self.nodes = {node: Proxy(front, back) for node, (front, back) in kafka.proxies.items()}
        self.bootstrap = ",".join(f"127.0.0.1:{front}" for front, _ in kafka.proxies.values())

    async def __aenter__(self) -> Self:
        await self.heal()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.cut()

    async def cut(self) -> None:
        """Break all connections and refuse new ones."""
        for proxy in self.nodes.values():
            await proxy.cut()

    def freeze(self) -> None:
        """Keep all connections, pass nothing on."""
        for proxy in self.nodes.values():
            proxy.freeze()

    def delay(self, seconds: float) -> None:
        """Hold up everything by so much, each way."""
        for proxy in self.nodes.values():
            proxy.delay_s = seconds

    async def heal(self) -> None:
        """Let everything pass again."""
        for proxy in self.nodes.values():
            await proxy.heal()


class _Halting(Replay):
    """A replay that halts when it has sent so many readings, until it is told to go on."""

    def __init__(self, settings: Settings, stays: Sequence[Stay], halt_at: int, **given: Any):
        super().__init__(settings, stays, **given)
        self._halt_at = halt_at
        self._going_on = asyncio.Event()

    def go_on(self) -> None:
        """Send the rest."""
        self._going_on.set()

    async def _send(self, flow: Any, topic: Any, records: Any) -> Any:
        if self.sent.readings >= self._halt_at:
            await self._going_on.wait()
        return await super()._send(flow, topic, records)


class Trial(Crew):
    """Workers that score patients while things go wrong; use it as an async context.

    Args:
        settings: of those who send and check, and of the workers but for their ``home`` and
            ``web_port``.
        folder: for the workers' homes and logs.
        bootstrap: where workers find the broker, if not where the others do.

    Attributes:
        ledger: what went in and came out.
        workers: those that were started and have not left.
        exits: exit codes other than zero of workers that ended by themselves.
    """

    def __init__(self, settings: Settings, folder: Path, bootstrap: str | None = None) -> None:
        super().__init__(settings, folder, bootstrap)
        self.ledger = Ledger(settings)
        self._group = f"{settings.topic_prefix}bedside"
        self._feeds: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    async def __aenter__(self) -> Self:
        await ensure(self.settings)
        await self.ledger.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for feed in self._feeds:
            feed.cancel()
        await asyncio.gather(*self._feeds, return_exceptions=True)
        await self.ledger.__aexit__(kind, error, trace)
        for worker in self.workers:
            worker.kill()

    # -- workers

    async def has_partitions(self, worker: Worker, seconds: float = 60) -> None:
        """Wait until a worker says that it has partitions and their state.

        Raises:
            BenchError: it has not in time.
        """
        address = f"http://127.0.0.1:{worker.settings.web_port}/ready"
        async with ClientSession(timeout=ClientTimeout(1)) as web:

            async def ready() -> None:
                while True:
                    with suppress(ClientError, TimeoutError):
                        async with web.get(address) as answer:
                            if answer.status == 200:
                                return
                    await asyncio.sleep(0.05)

            await self._within(ready(), seconds)

    async def has_members(self, count: int, seconds: float = 60) -> None:
        """Wait until the group has so many members, and each knows its partitions.

        Raises:
            BenchError: it has not in time.
        """
        admin = AIOKafkaAdminClient(**self.settings.kafka_client())
        await admin.start()

        async def stable() -> None:
            while True:
                with suppress(KafkaError):
                    for answer in await admin.describe_consumer_groups([self._group]):
                        for _, _, state, _, _, members, *_ in answer.groups:
                            if state == "Stable" and len(members) == count:
                                return
                await asyncio.sleep(0.05)

        try:
            await self._within(stable(), seconds)
        finally:
            await admin.close()

    async def leave(self, worker: Worker) -> int:
        """Stop a worker in order, for good; return its exit code."""
        code = await worker.stop()
        self.workers.remove(worker)
        return code

    @staticmethod
    def lose_state(worker: Worker) -> None:
        """Remove what a worker that is down has on its disk."""
        shutil.rmtree(worker.settings.home, ignore_errors=True)  # it may not have got that far

    # -- patients

    def admit(self, stays: Sequence[Stay], rate: float, *, keyed: bool = True) -> None:
        """Begin to send patients.

        Args:
            stays: are admitted all at once.
            rate: readings a second.
            keyed: whether readings carry their patient's key.
        """
        self._feeds.append(asyncio.create_task(self._send(stays, rate, keyed, "")))

    def admit_half(self, stays: Sequence[Stay], rate: float) -> tuple[int, Callable[[], None]]:
        """Begin to send patients, and halt in the middle of their stays.

        Args:
            stays: are admitted all at once.
            rate: readings a second.

        Returns:
            How many readings are sent before the halt, and what ends it.
        """
        half = sum(len(stay.seconds) for stay in stays) // 2
        replay = _Halting(self.settings, stays, half, rate=rate)
        self._feeds.append(asyncio.create_task(self._run(replay, stays)))
        return half, replay.go_on

    def keep_admitting(
        self, stays: Sequence[Stay], rate: float, *, at_once: int = 8, unkeyed_share: int = 0
    ) -> None:
        """Begin to send patients group by group, over and over, until `settled` is called.

        Args:
            stays: to be sent, the second time under other ids.
            rate: readings a second.
            at_once: patients in a group: they are admitted when the group before them has ended.
            unkeyed_share: every so many-th group is sent without keys; 0 = none.
        """
        groups = [stays[at : at + at_once] for at in range(0, len(stays), at_once)]

        async def send() -> None:
            number = 0
            while not self._stopping.is_set():
                turn, group = divmod(number, len(groups))
                keyed = not (unkeyed_share and number % unkeyed_share == unkeyed_share - 1)
                await self._send(groups[group], rate, keyed, f"-{turn}")
                number += 1

        self._feeds.append(asyncio.create_task(send()))

    async def _send(self, stays: Sequence[Stay], rate: float, keyed: bool, suffix: str) -> None:
        replay = Replay(self.settings, stays, rate=rate, keyed=keyed, suffix=suffix)
        await self._run(replay, stays)

    async def _run(self, replay: Replay, stays: Sequence[Stay]) -> None:
        await replay.run()
        self.ledger.expect(replay, stays)

    # -- the end

    async def recommended(self, count: int, seconds: float = 60) -> None:
        """Wait until so many readings have a recommendation.

        Raises:
            BenchError: they have not in time, or a worker ended.
        """
        await self._within(self.ledger.until(count), seconds)

    async def settled(self, seconds: float = 60) -> Verdict:
        """Stop admitting, wait for what is still to come, and hold it against what should be.

        Args:
            seconds: that it may take after the last reading was sent.
        """
        self._stopping.set()
        await asyncio.gather(*self._feeds)
        # what is missing when the time is up is lost, and the verdict says so
        try:
            async with asyncio.timeout(seconds):
                await self.ledger.complete()
        except TimeoutError:
            pass
        return self.ledger.verdict()

    async def _within(self, waiting: Any, seconds: float) -> None:
        task = asyncio.ensure_future(waiting)
        try:
            async with asyncio.timeout(seconds):
                while not task.done():
                    await asyncio.wait([task, *self._feeds], timeout=0.2)
                    for feed in self._feeds:
                        if feed.done():
                            feed.result()
                    for worker in self.workers:
                        if not worker.alive and worker.process is not None:
                            if worker.process.returncode == -9:
                                continue  # that was us
                            raise BenchError(f"a worker ended by itself: {worker.said}")
                await task
        except TimeoutError:
            said = "\n".join(worker.said for worker in self.workers)
            raise BenchError(
                f"only {self.ledger.recommended} recommendations after {seconds} s:\n{said}"
            ) from None
        finally:
            task.cancel()

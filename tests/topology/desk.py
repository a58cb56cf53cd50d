"""The pager beside a table, a telephone that answers when it is told to, and a clock."""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from agents.pager import PagerAgent
from config.clock import from_ms
from config.policy import parse_policy
from config.settings import Settings
from streams.alert_events import AlertRaised
from streams.delivery.message import Accepted, Message
from tables.alert_rows import Page, decode
from tests.paged import POLICY
from tests.topology.driver import NOW_MS, Bench, Event, Table, record

__all__ = ["STEP_S", "Desk", "Phone", "some_looks", "until"]

#: What comes by then does so on the busiest machine.
SOON_S = 20
#: Seconds until the doctor is called.
STEP_S = 1_000


class Phone:
    """A provider that answers at once, or when it is told to."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.asked: list[Message] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def send(self, message: Message) -> Accepted:
        self.sent.append(message)
        await self.answers.wait()
        return Accepted(f"SM{len(self.sent)}")

    async def find(self, message: Message, since: datetime) -> None:
        """It does not have it yet."""
        self.asked.append(message)

    @property
    def called(self) -> list[str]:
        return [message.to for message in self.sent]


class Desk:
    """The agent with its table, a phone and a clock."""

    def __init__(self) -> None:
        self.bench = Bench(Settings(broker="nowhere:1", partitions=1))
        self.topics, self.consumer = self.bench.topics, self.bench.consumer
        self.table, self.phone = Table("pages"), Phone()
        self.now_ms = NOW_MS
        self.policy = parse_policy(POLICY.replace("SECOND", str(STEP_S)))
        self._keeping: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """A worker starts with what the table holds."""
        await self.end()
        providers: dict[Any, Any] = {"sms": self.phone}
        self.agent = PagerAgent(self.bench.app, self.topics, self.table, self.policy, providers)  # type: ignore[arg-type]
        self._keeping = asyncio.create_task(self.agent.keep())

    async def end(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)

    async def takes(self, topic: Any, *values: bytes, offset: int = 0) -> Event:
        batch = [record(topic.name, offset + i, value) for i, value in enumerate(values)]
        (event,) = await self.bench.feed(self.agent, batch)
        return event

    async def raises(self, *values: bytes) -> Event:
        return await self.takes(self.topics.alerts_raised, *(values or [self.alert()]))

    def alert(self, name: str = "a", **given: Any) -> bytes:
        fields: dict[str, Any] = {
            "alert_id": name, "kind": "patient", "tier": "urgent", "subject": "sepsis",
            "patient_id": f"patient-{name}", "unit_id": "ICU-1", "episode_at": from_ms(self.now_ms),
            "raised_at": from_ms(self.now_ms), "policy": "test",
        }  # fmt: skip
        return AlertRaised(**fields | given).model_dump_json().encode()

    def lease(self, sends: bool) -> None:
        self.bench.app.lease.sends = sends

    async def while_away(self, do: Callable[[], Any]) -> None:
        """The lease ends while the broker takes what was handed over."""
        producer = self.bench.producer
        producer.waits = True
        doing = asyncio.create_task(do())
        await until(lambda: producer._waiting)
        self.lease(False)
        producer.waits = False
        producer.deliver()
        await doing

    @property
    def told(self) -> list[dict[str, Any]]:
        return [json.loads(sent["value"]) for sent in self.bench.sent(self.topics.alerts)]

    def states(self, contact: str) -> list[str]:
        return [change["state"] for change in self.told if change["contact"] == contact]

    def stored(self, contact: str) -> str | None:
        """State of a person's page in the table."""
        for key, value in self.table.scan(0):
            row = decode(key, value)
            if isinstance(row, Page) and row.contact == contact:
                return row.state
        return None


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(SOON_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def some_looks() -> None:
    """Let the pager look a few times whether something is due."""
    await asyncio.sleep(0.03)

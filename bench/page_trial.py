"""A paging worker under strain: a hospital's recommendations, Twilio on bad days, SIGKILL on time.

`PageTrial` has the worker, the simulator, the people who answer and the `PageLedger`; tests do one
thing in it, `vigil bench paging` every one of them many times.
"""

import asyncio
import random
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import LeaveGroupRequest

from bench.common import BenchError
from bench.hospital import Fate, Hospital, calm, quiet, sick
from bench.page_ledger import PageLedger, PageVerdict, references
from bench.processes import Worker, free_port
from bench.simulators.callbacks import Change
from bench.simulators.twilio import (
    ERROR_AFTER_ACCEPTING,
    ERROR_BEFORE_ACCEPTING,
    HANG_AFTER_ACCEPTING,
    HANG_BEFORE_ACCEPTING,
    RESET_AFTER_ACCEPTING,
    RESET_BEFORE_ACCEPTING,
    TOO_MANY,
    UNAVAILABLE,
    Fault,
    Request,
    Text,
    TwilioSimulator,
)
from config.clock import now_ms
from config.settings import Settings
from streams.audit import check
from streams.delivery.callbacks import REPLY_PATH
from streams.outbox import Outbox
from streams.partitions import partitions_of
from streams.topics import catalogue, ensure
from streams.whole_topic import read_whole

__all__ = ["CHANGES", "DISTURBANCES", "POINTS", "REQUESTS", "PageTrial"]

#: The worker is killed when such a change is seen on `alerts`,
CHANGES = ("raised", "queued", "sending", "sent", "delivered", "in_doubt", "failed")
#: or when a request is at the provider: not taken yet, taken and not answered, answered.
REQUESTS = ("at the provider", "taken", "answered")
POINTS = CHANGES + REQUESTS

#: A bad day of the provider: what meets the next request, or how it is away for a while.
DISTURBANCES: dict[str, Fault | None] = {
    "error after acceptance": ERROR_AFTER_ACCEPTING,
    "error before acceptance": ERROR_BEFORE_ACCEPTING,
    "time-out after acceptance": HANG_AFTER_ACCEPTING,
    "time-out before acceptance": HANG_BEFORE_ACCEPTING,
    "reset after acceptance": RESET_AFTER_ACCEPTING,
    "reset before acceptance": RESET_BEFORE_ACCEPTING,
    "too many requests": TOO_MANY,
    "unavailable": None,
    "unreachable": None,
}
_DOUBTFUL = (ERROR_AFTER_ACCEPTING, RESET_AFTER_ACCEPTING, RESET_BEFORE_ACCEPTING)

_QUIET_PATIENTS = 2_000
_HOUR_MS = 3_600_000
#: Event time is so far behind the wall clock, because a pager lets no device move it ahead of that.
_BEHIND_MS = 6 * _HOUR_MS
#: A patient who gets better was observed this long ago; calm for longer than the policy asks.
_BETTER_MS = 50_000
#: Of the texts that are taken: how many the carrier does not deliver, and of how many the receipts
#: come late, twice or in the wrong order.
_UNDELIVERED, _ODD = 0.02, 0.3
#: Without a change for so long nothing more is under way.
_STILL_S = 4.0
_CARRIER = 30005
_BURY_S = 3.0


@dataclass(eq=False)
class _Armed:
    """Where the worker is killed next."""

    point: str
    done: asyncio.Event


class PageTrial:
    """A paging worker with all that it needs; use it as an async context.

    Args:
        settings: name the broker and the topics.
        folder: for the policy, the workers' homes and logs.
        hospital: whose policy is in force.
        seed: of all that happens by chance.
        faults: whether texts are lost and receipts come late, twice or in the wrong order.
        people: whether anybody answers.

    Attributes:
        twilio: the provider.
        ledger: what was due and what was told.
        worker: that was started last.
        exits: exit codes of workers that ended by themselves.
        kills: how often the worker was killed.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        hospital: Hospital,
        seed: int = 0,
        *,
        faults: bool = True,
        people: bool = True,
    ) -> None:
        self._given, self._folder, self.hospital = settings, folder, hospital
        self._random = random.Random(seed)
        self._faults, self._people = faults, people
        self.twilio = TwilioSimulator(rule=self._rule, fate=self._fate)
        self.ledger = PageLedger(hospital)
        self.workers: list[Worker] = []
        self.exits: list[int] = []
        self.kills = 0
        self._armed: _Armed | None = None
        self._fail_next = False
        self._admitted = self._sent = 0
        self._better: list[tuple[str, str]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed_at = 0.0
        self._quiet = [(f"quiet-{n}", hospital.unit(n)) for n in range(_QUIET_PATIENTS)]
        self._places: list[int] = []

    async def __aenter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        await self.twilio.start()
        policy = self.hospital.write(self._folder / "policy.yaml")
        given = self._given.model_dump(exclude_unset=True) | self.twilio.settings
        self.settings = Settings(
            **{"provider_timeout_s": 2, "commit_interval_s": 0.2} | given | {"policy": policy}
        )
        await ensure(self.settings)
        self._topics = catalogue(self.settings)
        self._places = self._partitions([patient for patient, _ in self._quiet])
        self._producer = AIOKafkaProducer(**self.settings.kafka_client(), enable_idempotence=True)
        await self._producer.start()
        self._admin = AIOKafkaAdminClient(**self.settings.kafka_client())
        await self._admin.start()
        self._consumer = AIOKafkaConsumer(
            **self.settings.kafka_client(), auto_offset_reset="earliest", enable_auto_commit=False
        )
        await self._consumer.start()
        alerts = self._topics.alerts
        self._consumer.assign([TopicPartition(alerts.name, n) for n in range(alerts.partitions)])
        self._follower = asyncio.create_task(self._follow())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in (self._follower, *self._tasks):
            task.cancel()
        await asyncio.gather(self._follower, *self._tasks, return_exceptions=True)
        for worker in self.workers:
            worker.kill()
        await self._admin.close()
        await self._consumer.stop()
        await self._producer.stop()
        await self.twilio.__aexit__()

    # -- workers

    @property
    def worker(self) -> Worker:
        """The one that was started last."""
        return self.workers[-1]

    def join(self, application: str = "paging") -> Worker:
        """Start another worker; of several that page one does."""
        home = self._folder / f"worker-{len(self.workers) + 1}"
        home.mkdir()
        port = free_port()
        given = self.settings.model_dump(exclude_unset=True) | {
            "home": home / "home",
            "web_port": port,
            # receipts and answers go to whoever was started last
            "public_url": f"http://127.0.0.1:{port}",
        }
        self.workers.append(Worker(Settings(**given), home / "worker.log", application))
        return self.worker.start()

    def revive(self) -> None:
        """Start again what has ended by itself, as an orchestrator does."""
        for worker in self.workers:
            code = None if worker.process is None else worker.process.poll()
            if code is not None and code != -9:
                self.exits.append(code)
                worker.start()

    async def kill_at(self, point: str, seconds: float = 90) -> None:
        """SIGKILL the worker when something happens next, and start it again.

        Raises:
            BenchError: it has not happened in time.
        """
        self._armed = armed = _Armed(point, asyncio.Event())
        if point == "in_doubt":
            self.twilio.script.appendleft(self._random.choice(_DOUBTFUL))
        self._fail_next = point == "failed"
        end = asyncio.get_running_loop().time() + seconds
        while not armed.done.is_set():
            if asyncio.get_running_loop().time() > end:
                raise BenchError(f"{point!r} has not come in {seconds:.0f} s:\n{self.worker.said}")
            with suppress(TimeoutError):
                await asyncio.wait_for(armed.done.wait(), 1)
            self.revive()
        await self.bury()
        await asyncio.sleep(self._random.uniform(0, 0.5))
        self.worker.start()

    async def bury(self) -> None:
        """Take killed workers out of their group; the broker would, a session later.

        So that the next one goes on at once, and a kill costs no six seconds of waiting.
        """
        group = f"{self.settings.topic_prefix}paging"
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(_BURY_S):
                coordinator = await self._admin.find_coordinator(group)
                for answer in await self._admin.describe_consumer_groups([group]):
                    for _, _, _, _, _, members, *_ in answer.groups:
                        for member in members:
                            await self._admin._send_request(
                                LeaveGroupRequest(group, member[0]), coordinator
                            )

    def _kill(self) -> None:
        armed, self._armed = self._armed, None
        if armed is not None:
            self.worker.kill()
            self.kills += 1
            armed.done.set()

    # -- patients

    async def recommend(self, count: int, episodes: Sequence[Fate] = ()) -> None:
        """Send so many recommendations, among which so many patients cross the line."""
        at_ms = now_ms() - _BEHIND_MS
        count -= len(episodes) + 2 * len(self._better)
        chosen = [(self._sent + n) % _QUIET_PATIENTS for n in range(max(0, count))]
        self._sent += len(chosen)
        values = quiet([self._quiet[n] for n in chosen], at_ms)
        places = [self._places[n] for n in chosen]
        # patients who got better first: their line was crossed in the call before
        others: list[tuple[str, bytes]] = []
        for patient, unit in self._better:
            others += [
                (patient, calm(patient, unit, at_ms - _BETTER_MS + 1_000)),
                (patient, calm(patient, unit, at_ms)),
            ]
        self._better = []
        for fate in episodes:
            patient, unit = f"mrn-{self._admitted}", self.hospital.unit(self._admitted)
            self._admitted += 1
            self.ledger.fates[patient] = fate
            back_ms = _BETTER_MS if fate == "resolves" else 0
            others.append((patient, sick(patient, unit, at_ms - back_ms)))
            if fate == "resolves":
                self._better.append((patient, unit))
        every = max(1, len(values) // (len(others) + 1))
        outbox = Outbox(self._producer)
        name = self._topics.recommendations.name
        spots = self._partitions([patient for patient, _ in others])
        for number, ((patient, value), spot) in enumerate(zip(others, spots, strict=True)):
            begin = number * every
            _add(outbox, name, places[begin : begin + every], values[begin : begin + every])
            outbox.add(name, spot, patient.encode(), value)
        _add(outbox, name, places[len(others) * every :], values[len(others) * every :])
        await (await outbox.hand_over())

    async def move_on(self, ms: int) -> None:
        """Let event time pass, by what is told of patients of whom nothing has to be said.

        Args:
            ms: since the trial's own time, which goes with the wall clock; all in all below 6 h.
        """
        patient, unit = f"clock-{self._admitted}-{self._sent}", self.hospital.unit(0)
        self._sent += 1
        (spot,) = self._partitions([patient])
        outbox = Outbox(self._producer)
        # a patient's first brings a census, which has the event time
        value = calm(patient, unit, now_ms() - _BEHIND_MS + ms)
        outbox.add(self._topics.recommendations.name, spot, None, value)
        await (await outbox.hand_over())

    def _partitions(self, patients: Sequence[str]) -> list[int]:
        if not patients:
            return []
        keys = [patient.encode() for patient in patients]
        found: list[int] = partitions_of(keys, self._topics.recommendations.partitions).tolist()
        return found

    # -- the provider

    async def disturb(self, name: str | None = None) -> str:
        """Let the provider have a bad day; return of what kind."""
        name = name or self._random.choice(list(DISTURBANCES))
        fault = DISTURBANCES[name]
        if fault is not None:
            self.twilio.script.append(fault)
        elif name == "unavailable":
            now = self.twilio.clock()
            for_s = self._random.uniform(1, 4)
            self.twilio.outages.append((now, now + timedelta(seconds=for_s), UNAVAILABLE))
        else:
            await self.twilio.stop()
            await asyncio.sleep(self._random.uniform(0.5, 3))
            await self.twilio.start()
        return name

    def _rule(self, request: Request) -> Fault | None:
        if request.method != "POST" or self._armed is None:
            return None
        point = self._armed.point
        if point == "answered":
            # the answer goes out when the handler returns
            asyncio.get_running_loop().call_later(0.001, self._kill)
        elif point in REQUESTS:
            self._kill()
            return RESET_AFTER_ACCEPTING if point == "taken" else RESET_BEFORE_ACCEPTING
        return None

    def _fate(self, text: Text) -> Iterable[Change]:
        odd = self._random.random()
        if self._fail_next or (self._faults and odd < _UNDELIVERED):
            self._fail_next = False
            return [Change("sent"), Change("undelivered", _CARRIER)]
        if self._people:
            self._later(self._answer(text))
        if not self._faults or odd > _ODD:
            return [Change("sent"), Change("delivered")]
        return self._random.choice(
            [
                [Change("sent"), Change("delivered", after_s=2)],
                [Change("delivered"), Change("delivered"), Change("delivered", after_s=1)],
                [Change("delivered"), Change("sent", after_s=0.5), Change("queued", after_s=1)],
            ]
        )

    # -- people

    async def _answer(self, text: Text) -> None:
        """Do what the patient's fate says with each alert of a text."""
        await asyncio.sleep(self._random.uniform(0.2, 1.5))
        who = self.ledger.contact(text.to)
        for reference in references(text):
            fate = await self._known(reference)
            if fate == "accepts" or (fate == "passes_on" and not who.startswith("nurse")):
                await self._reply(text.to, f"ack {reference}", "you accept")
            elif fate == "passes_on":
                await self._reply(text.to, f"esc {reference}", "pass it on")

    async def _known(self, reference: str) -> Fate | None:
        while True:
            with suppress(KeyError):
                return self.ledger.fate_of(reference)
            await asyncio.sleep(0.1)

    async def _reply(self, number: str, body: str, thanks: str) -> None:
        """Reply until it is answered: the worker may be down."""
        while True:
            url = f"{self.worker.settings.public_url}{REPLY_PATH}"
            answer = await self.twilio.reply(number, body, url)
            if answer.status == 200 and thanks in answer.answer:
                return
            await asyncio.sleep(1)

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- what was told

    async def _follow(self) -> None:
        while True:
            fetched = await self._consumer.getmany(timeout_ms=100)
            for records in fetched.values():
                for record in records:
                    state = self.ledger.take(record.value)
                    if self._armed is not None and state == self._armed.point:
                        self._kill()
            if fetched:
                self._changed_at = asyncio.get_running_loop().time()

    async def until(self, state: str, count: int, seconds: float = 60) -> None:
        """Wait until so many changes to a state were told.

        Raises:
            BenchError: they were not in time.
        """
        end = asyncio.get_running_loop().time() + seconds
        while self.ledger.states[state] < count:
            if asyncio.get_running_loop().time() > end:
                said = "\n".join(worker.said for worker in self.workers)
                raise BenchError(f"only {dict(self.ledger.states)} in {seconds:.0f} s:\n{said}")
            self.revive()
            await asyncio.sleep(0.05)

    async def settled(self, seconds: float, *, hours: float = 1) -> PageVerdict:
        """Wait for what is still to come, and hold it against what was due.

        Args:
            seconds: that it may take at most, before that time passes and after.
            hours: event time that passes, so that nothing is left to be escalated.
        """
        loop = asyncio.get_running_loop()
        await self.recommend(0)  # the last ones who get better
        await self._quiescent(loop.time() + seconds, due=False)
        if hours:
            await self.move_on(round(hours * _HOUR_MS))
        await self._quiescent(loop.time() + seconds, due=True)
        found = self.ledger.verdict(self.twilio.texts)
        entries = await self._audit()
        found.audit_breaks = len(check((entry.offset, entry.value) for entry in entries)[1])
        return found

    async def _quiescent(self, end: float, *, due: bool) -> None:
        """Wait until nothing is under way; and, if asked, nothing that is due is missing."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while loop.time() < end:
            self.revive()
            still = loop.time() - max(self._changed_at, begun) > _STILL_S
            done = still and not self.ledger.under_way and not self._tasks
            if done and not (due and self.ledger.verdict(self.twilio.texts).missing):
                return
            await asyncio.sleep(0.5)

    async def _audit(self) -> list[Any]:
        while True:
            try:
                return await read_whole(self.settings, self._topics.audit.name)
            except KafkaError:
                await asyncio.sleep(1)


def _add(outbox: Outbox, topic: str, places: Sequence[int], values: Sequence[bytes]) -> None:
    for place, value in zip(places, values, strict=True):
        outbox.add(topic, place, None, value)

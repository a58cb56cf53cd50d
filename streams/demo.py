"""The demo: workers of its own, patients that are replayed to them, an account of every reading.

`Demo` runs against a broker that is there already and leaves nothing behind: the workers' state
lives in a folder that is gone afterwards. `Tally` is the account: what was sent, and what became of
it.
"""

import asyncio
import hashlib
import http.client
import os
import subprocess
import sys
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn, Self

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from config.clock import iso, now_ms, to_ms
from config.settings import Settings
from streams.board import Board
from streams.deadletters import original
from streams.kafka import supervisor
from streams.replay import Replay
from streams.tasks import first
from streams.topics import catalogue

__all__ = ["Demo", "Listener", "Tally", "Worker", "WorkerError", "scratch_folder"]

#: How long a worker may take until it is ready, and to stop in order, in seconds.
READY_S, STOP_S = 90.0, 15.0
#: Nothing has come for so long: what is missing will not come, in seconds. Longer than it takes
#: until a dead worker's partitions are with another one.
STALL_S = 30.0
#: How often it is asked whether the pager has read everything.
_ASK_S = 0.5
#: Lines of the worker's log in an error, characters of each, and readings in a complaint.
_LAST_LINES, _LINE, _NAMED = 15, 300, 10


class _Times(msgspec.Struct):
    produced_at: datetime


class _Whose(msgspec.Struct):
    """Whose alert a change is of; None: it is one of operations."""

    patient_id: str | None = None


class _Answer(msgspec.Struct):
    """What counts of a recommendation."""

    recommendation_id: str
    patient_id: str
    observed_at: datetime
    processing: _Times


class _Sent(msgspec.Struct):
    """What counts of a reading."""

    patient_id: str
    observed_at: datetime


_answer = msgspec.json.Decoder(_Answer).decode
_sent = msgspec.json.Decoder(_Sent).decode
_whose = msgspec.json.Decoder(_Whose).decode


class Tally:
    """What became of the readings of some patients.

    A reading is known by its patient and observed time. It is through when it has its
    recommendation, or is a dead letter, or is late.

    Attributes:
        recommendations: by unique recommendation id.
        repeats: recommendations with an id that was there before; delivery is at least once.
        dead_letters: of these patients.
        late: of these patients.
        latencies_ms: per recommendation, from the Kafka time of its reading until it was received.
    """

    def __init__(self, patients: Iterable[str]) -> None:
        """Start an account.

        Args:
            patients: their ids; what is not theirs is left out of the account.
        """
        # answers less readings, by patient and observed time
        self._balance: dict[str, Counter[int]] = {patient: Counter() for patient in patients}
        # hashes: a million ids would take 150 MB as text
        self._ids: set[int] = set()
        self._letters: set[tuple[str, int, int]] = set()
        self._short = 0
        self.recommendations = self.repeats = self.dead_letters = self.late = 0
        self.latencies_ms = array("q")

    def __contains__(self, patient: object) -> bool:
        """Whether it is an account of this patient, too."""
        return patient in self._balance

    @property
    def answers(self) -> int:
        """Readings of which it is known what became of them."""
        return self.recommendations + self.dead_letters + self.late

    @property
    def missing(self) -> int:
        """How many of the readings that were sent have no answer."""
        return self._short

    def sent(self, readings: Iterable[tuple[str, int]]) -> None:
        """Enter readings that were sent: patient and observed time, ms since 1970."""
        for patient, at_ms in readings:
            balance = self._balance[patient]
            self._short += balance[at_ms] <= 0
            balance[at_ms] -= 1

    def recommendation(self, value: bytes, received_ms: int) -> None:
        """Enter a recommendation as it was received."""
        with suppress(msgspec.MsgspecError):  # others may write to the topic too
            answer = _answer(value)
            if answer.patient_id not in self._balance:
                return
            identity = hash(answer.recommendation_id)
            if identity in self._ids:
                self.repeats += 1
                return
            self._ids.add(identity)
            self.recommendations += 1
            self.latencies_ms.append(received_ms - to_ms(answer.processing.produced_at))
            self._settle(answer.patient_id, to_ms(answer.observed_at))

    def dead_letter(self, value: bytes) -> None:
        """Enter a dead letter as it was received."""
        with suppress(msgspec.MsgspecError, KeyError, TypeError, ValueError):
            letter = msgspec.json.decode(value)
            place = (letter["topic"], letter["partition"], letter["offset"])
            reading = _sent(original(letter)["value"] or b"")
            if place not in self._letters and self._settle_reading(reading):
                self._letters.add(place)
                self.dead_letters += 1

    def late_reading(self, value: bytes) -> None:
        """Enter a late reading as it was received."""
        with suppress(msgspec.MsgspecError):
            self.late += self._settle_reading(_sent(value))

    def unanswered(self) -> Iterator[tuple[str, int]]:
        """Yield patient and observed time of readings without an answer."""
        for patient, balance in self._balance.items():
            for at_ms, answers in balance.items():
                if answers < 0:
                    yield patient, at_ms

    def _settle_reading(self, reading: _Sent) -> bool:
        if reading.patient_id not in self._balance:
            return False
        self._settle(reading.patient_id, to_ms(reading.observed_at))
        return True

    def _settle(self, patient: str, at_ms: int) -> None:
        balance = self._balance[patient]
        self._short -= balance[at_ms] < 0
        balance[at_ms] += 1


class Listener:
    """Reads what comes out of the worker, from the moment of its start, for a tally and a board.

    Attributes:
        first: set when the first recommendation has come.
        first_page: set when the first page has gone out.
        first_at: when the first recommendation came, by the monotonic clock.
    """

    def __init__(self, settings: Settings, tally: Tally, board: Board) -> None:
        self.first, self.first_page = asyncio.Event(), asyncio.Event()
        self.first_at: float | None = None
        self._settings, self._tally, self._board = settings, tally, board
        self._news = asyncio.Event()
        self._consumer: Any = None

    async def __aenter__(self) -> Self:
        topics = catalogue(self._settings)
        self._consumer = AIOKafkaConsumer(
            topics.recommendations.name,
            topics.dead_letters.name,
            topics.vitals_late.name,
            topics.alerts.name,
            **self._settings.kafka_client(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="latest",
        )
        try:
            await self._consumer.start()
            ends = await self._consumer.end_offsets(self._consumer.assignment())
            for tp, end in ends.items():
                self._consumer.seek(tp, end)
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def run(self) -> NoReturn:
        """Listen until cancelled."""
        topics = catalogue(self._settings)
        measured = asyncio.get_running_loop().time()
        while True:
            fetched = await self._consumer.getmany(timeout_ms=200, max_records=5_000)
            received_ms = now_ms()
            for tp, records in fetched.items():
                for record in records:
                    if record.value is None:
                        continue
                    if tp.topic == topics.recommendations.name:
                        self._tally.recommendation(record.value, received_ms)
                        self._board.update_json(record.value)
                    elif tp.topic == topics.dead_letters.name:
                        self._tally.dead_letter(record.value)
                    elif tp.topic == topics.alerts.name:
                        self._page(record.value)
                    else:
                        self._tally.late_reading(record.value)
            if fetched:
                self._news.set()
            if self._tally.recommendations and self.first_at is None:
                self.first_at = time.monotonic()
                self.first.set()
            now = asyncio.get_running_loop().time()
            if now - measured >= 1:
                self._board.measure(now - measured)
                self._board.status.dead_letters = self._tally.dead_letters
                self._board.status.lag = await self._lag()
                measured = now

    def _page(self, value: bytes) -> None:
        """Show a change of an alert, unless it is of a patient of somebody else's."""
        with suppress(msgspec.MsgspecError):
            patient = _whose(value).patient_id
            if patient is None or patient in self._tally:
                self._board.pages.update_json(value)
            if self._board.pages.pages:
                self.first_page.set()

    async def drained(self, stall_s: float) -> bool:
        """Wait until every reading is answered, or nothing has come for so many seconds."""
        while self._tally.missing:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), stall_s)
            except TimeoutError:
                return False
        return True

    async def paged(self) -> None:
        """Wait until the pager has read all there is for it, and has nothing in hand."""
        topics = catalogue(self._settings)
        admin = AIOKafkaAdminClient(**self._settings.kafka_client())
        await admin.start()
        try:
            for name in (topics.recommendations.name, topics.alerts_raised.name):
                places = self._consumer.partitions_for_topic(name) or {0}
                ends = await self._consumer.end_offsets([TopicPartition(name, p) for p in places])
                while await self._is_behind(admin, ends):  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(_ASK_S)
            while await self._lag(topics.alerts.name) or self._board.pages.under_way:  # noqa: ASYNC110
                await asyncio.sleep(_ASK_S)
        finally:
            await admin.close()

    async def _is_behind(self, admin: Any, ends: Mapping[Any, int]) -> bool:
        group = f"{self._settings.topic_prefix}paging"
        committed = await admin.list_consumer_group_offsets(group)
        return any(
            end and (tp not in committed or committed[tp].offset < end) for tp, end in ends.items()
        )

    async def _lag(self, topic: str | None = None) -> int:
        lag = 0
        for tp in self._consumer.assignment():
            if topic not in (None, tp.topic):
                continue
            end = self._consumer.highwater(tp)
            lag += max((end or 0) - await self._consumer.position(tp), 0)
        return lag


class WorkerError(RuntimeError):
    """A worker of the demo did not start, or died; the message has its last words.

    Attributes:
        log: all of them.
    """

    def __init__(self, message: str, log: Path) -> None:
        super().__init__(message)
        self.log = log


class Worker:
    """A worker as a process of its own, which never outlives this one.

    Attributes:
        log: where it writes.
    """

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        log: Path,
        application: str = "bedside",
    ) -> None:
        """Prepare a worker.

        Args:
            settings: tell where it answers.
            environment: what its settings are read from.
            log: file for what it writes.
            application: which.
        """
        self.log, self._application = log, application
        self._settings, self._environment = settings, environment
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        command = [sys.executable, "-m", "streams.cli", "worker", self._application]
        with self.log.open("wb") as file:
            self._process = await asyncio.create_subprocess_exec(
                *[sys.executable, "-IS", supervisor.__file__, str(os.getpid()), *command],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=dict(self._environment),
                # Ctrl-C is for the demo, which stops things in order
                start_new_session=True,
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        try:
            with suppress(ProcessLookupError):
                process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), STOP_S)
        finally:
            # the supervisor kills what is left when its standard input ends
            process.stdin.close()
            await process.wait()

    @property
    def outbox(self) -> Path:
        """File of the messages that it delivers locally."""
        return self._settings.outbox_path

    async def ready(self) -> None:
        """Wait until it has its partitions and its state.

        Raises:
            WorkerError: it takes too long.
        """
        try:
            async with asyncio.timeout(READY_S):
                while True:
                    if await self.page("/ready") is not None:
                        return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            what = f"not ready after {READY_S:.0f} s"
            raise WorkerError(self.last_words(what), self.log) from None

    async def died(self) -> NoReturn:
        """Wait for its end, which nobody asked for.

        Raises:
            WorkerError: always.
        """
        assert self._process is not None
        code = await self._process.wait()
        raise WorkerError(self.last_words(f"ended with exit code {code}"), self.log)

    async def page(self, path: str) -> str | None:
        """Get one of its pages; None where it does not answer, or not with success."""
        return await asyncio.to_thread(self._get, path)

    def _get(self, path: str) -> str | None:
        connection = http.client.HTTPConnection(
            self._settings.web_host, self._settings.web_port, timeout=1
        )
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read().decode()
            return text if answer.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def last_words(self, what: str) -> str:
        """Tell what has happened to the worker, with the end of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        said = "\n".join(f"  {_readable(line)}" for line in lines) or "  (it wrote nothing)"
        return f"The {self._application} worker {what}. Last lines of its log:\n{said}"


def _readable(line: str) -> str:
    """Shorten a line of a log in JSON to its level, message and error."""
    try:
        entry = msgspec.json.decode(line.encode(), type=dict[str, Any])
    except msgspec.MsgspecError:
        return line[:_LINE]
    error = str(entry.get("exception", "")).strip().rpartition("\n")[2]
    return f"{entry.get('level')}: {entry.get('message')} {error}"[:_LINE]


class Demo:
    """Replays patients to a worker that is ready, and accounts for every reading.

    Attributes:
        replay: what is sent.
        tally: what became of it.
        board: the newest of each patient.
        first: set when the first recommendation has come.
        first_page: set when the first page has gone out.
    """

    def __init__(self, settings: Settings, replay: Replay, *, paging: bool = False) -> None:
        """Prepare a demo on a broker that has the topics.

        Args:
            settings: name the broker and the topics.
            replay: not run yet, without loop.
            paging: there is a pager, whose work belongs to the account.
        """
        self._paging = paging
        self.replay = replay
        self.tally = Tally(replay.patients)
        self.board = Board()
        self._listener = Listener(settings, self.tally, self.board)
        self.first, self.first_page = self._listener.first, self._listener.first_page

    @property
    def first_at(self) -> float | None:
        """When the first recommendation came, by the monotonic clock."""
        return self._listener.first_at

    @property
    def complete(self) -> bool:
        """Whether every reading was sent."""
        return self.replay.acknowledged.readings == self.replay.total

    async def run(self, seconds: float | None = None) -> None:
        """Send, and wait for the answers to what was sent.

        Args:
            seconds: stop sending after so long; None = when everything is sent.

        Raises:
            aiokafka.errors.KafkaError: the broker is not there or did not take a reading.
        """
        async with self._listener as listener:
            await first(listener.run(), self._through(seconds))

    async def _through(self, seconds: float | None) -> None:
        sending = asyncio.create_task(self.replay.run())
        try:
            await asyncio.wait({sending}, timeout=seconds)
            self.replay.stop()
            await sending
        finally:
            sending.cancel()
        self.tally.sent(self.replay.keys())
        await self._listener.drained(STALL_S)
        if self._paging:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._listener.paged(), READY_S)

    def result(self) -> dict[str, Any]:
        """Return the account as JSON."""
        tally = self.tally
        p50, p99 = (
            np.percentile(tally.latencies_ms, (50, 99)).round(1).tolist()
            if tally.latencies_ms
            else (None, None)
        )
        return {
            "patients": len(self.replay.patients),
            "readings": self.replay.acknowledged.readings,
            "recommendations": tally.recommendations,
            "dead_letters": tally.dead_letters,
            "late": tally.late,
            "missing": tally.missing,
            "repeats": tally.repeats,
            "alerts": self.board.pages.alerts,
            "pages": self.board.pages.pages,
            "complete": self.complete,
            "latency_p50_ms": p50,
            "latency_p99_ms": p99,
        }

    def complaint(self) -> str:
        """Tell which readings have no answer; patients by the start of their id's SHA-256."""
        some = [
            f"  patient {hashlib.sha256(patient.encode()).hexdigest()[:12]}, observed {iso(at_ms)}"
            for patient, at_ms in islice(self.tally.unanswered(), _NAMED)
        ]
        rest = self.tally.missing - len(some)
        return "\n".join(
            [
                f"{self.tally.missing} of {self.replay.acknowledged.readings} readings have "
                "neither a recommendation nor a dead letter, nor are they late:",
                *some,
                *([f"  … and {rest} more"] if rest else []),
            ]
        )


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder that is gone afterwards, even where this process is killed with SIGKILL.

    A shell waits on a pipe whose other end only this process holds, and clears up when it closes.
    """
    folder = Path(tempfile.mkdtemp(prefix="vigil-demo-"))
    # more than once: a broker that is being killed may still write
    clear = 'cat; for i in 1 2 3 4 5 6 7 8 9; do rm -rf "$1"; [ -e "$1" ] || exit; sleep 0.2; done'
    keeper = subprocess.Popen(
        ["sh", "-c", clear, "vigil-demo", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield folder
    finally:
        assert keeper.stdin is not None
        keeper.stdin.close()
        keeper.wait()

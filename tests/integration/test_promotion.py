"""From drift to promotion on a real broker: every step an event, and an MLflow run."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest
from aiokafka import AIOKafkaConsumer

from config.clock import now_ms
from config.settings import Settings
from models.promotion import Rule
from models.registry import SHIPPED, load_model, save_model
from models.release_records import ModelEvent, ModelPointer, ModelRecord, ShadowRecord
from models.stay import Stay
from models.tracking import EXPERIMENT, champion_version, connect
from models.vitals import VITALS, index_of
from streams.events import DriftEvent
from streams.tasks import first
from streams.timeline import admission, outcome, reading
from streams.topics import catalogue, ensure
from tests.helpers import DAY, HOUR
from tests.live import Worker, free_port, parsed, producing, read

pytestmark = [pytest.mark.integration, pytest.mark.soak, pytest.mark.timeout(900)]

Start = Callable[..., Worker]
HOURS = 10
#: Between two admissions: some forty patients are there at a time, in all hours of their stays.
GAP_MS = HOUR // 4
#: A worker that trains shares the machine with the others, and with whatever runs beside the test.
PATIENCE_S = 600


def _stay(number: int, *, fever: float) -> Stay:
    """Ten hours; of twelve patients one becomes septic, and all of them may have a fever."""
    rng = np.random.default_rng(number)
    septic = number % 12 == 0
    values = rng.normal(
        (80, 80, 16, 37 + fever, 96, 120, 65, 82),
        (5, 5, 2, 0.3, 1, 9, 6, 6),
        (HOURS, len(VITALS)),
    )
    rise = np.clip(np.arange(HOURS) - 2, 0, 5) * septic
    values[:, index_of("heart_rate")] += 8 * rise
    values[:, index_of("resp_rate")] += 2 * rise
    values[:, index_of("spo2")] = np.minimum(values[:, index_of("spo2")], 100)
    return Stay(
        f"patient-{number}",
        np.arange(1, HOURS + 1) * 3600,
        values.round(2),
        age=float(rng.integers(20, 90)),
        sex=int(rng.integers(0, 2)),
        hours_before_icu=1.0,
        labels=(np.arange(HOURS) >= 3).astype(np.int8) * septic,
    )


class _Hospital:
    """Patients one after another, long ago, who go on from where it stopped.

    Args:
        live: names the broker and the topics.
        lessons: of that topic; more is sent when the learner may have what was sent.
    """

    def __init__(self, live: Settings, lessons: AIOKafkaConsumer) -> None:
        self._live, self._topics, self._lessons = live, catalogue(live), lessons
        self._began_ms = (now_ms() - 300 * DAY) // HOUR * HOUR
        self._admitted = 0
        self._coming: list[tuple[int, str, bytes, bytes]] = []
        self._sent: set[bytes] = set()
        self._seen: set[bytes] = set()

    async def admit(self, patients: int, *, fever: float) -> None:
        """Let so many patients come, and all happen that happens until the next would."""
        topics = self._topics
        for number in range(self._admitted, self._admitted + patients):
            self._expect(_stay(number, fever=fever), self._began_ms + number * GAP_MS)
        self._admitted += patients
        until = self._began_ms + self._admitted * GAP_MS
        async with producing(self._live) as producer:
            # an admission is with the broker before the first reading, an outcome after the last
            kinds = (topics.admissions.name, topics.vitals.name, topics.outcomes.name)
            for kind in kinds:
                for at_ms, topic, key, value in sorted(self._coming):
                    if topic == kind and at_ms < until:
                        await producer.send(topic, value, key)
                await producer.flush()
        self._sent |= {
            value for at, topic, _, value in self._coming if at < until and topic == kinds[2]
        }
        self._coming = [each for each in self._coming if each[0] >= until]
        while not self._sent <= self._seen:
            fetched = await self._lessons.getmany(timeout_ms=200)
            self._seen |= {r.value for r in itertools.chain.from_iterable(fetched.values())}

    def _expect(self, stay: Stay, base_ms: int) -> None:
        topics, id_, key = self._topics, stay.patient_id, stay.patient_id.encode()
        told = msgspec.json.encode(admission(stay, id_, base_ms))
        ended = msgspec.json.encode(outcome(stay, id_, base_ms))
        times = [base_ms + int(second) * 1000 for second in stay.seconds]
        self._coming += [
            (base_ms, topics.admissions.name, key, told),
            *(
                (at_ms, topics.vitals.name, key, reading(values, id_, at_ms))
                for at_ms, values in zip(times, stay.values.tolist(), strict=True)
            ),
            (times[-1], topics.outcomes.name, key, ended),
        ]

    async def go_on(self, *, fever: float) -> None:
        """Admit patients until cancelled."""
        while True:
            await self.admit(20, fever=fever)


def _save_contrary(folder: Path) -> None:
    """A champion that takes every sign the wrong way: there is something to be better than."""
    shipped: Any = load_model(SHIPPED["context"])
    contrary = shipped.with_leaves(
        -shipped.forest.values, version="contrary", threshold=0.5, tiers=shipped.tiers
    )
    save_model(contrary, folder)


def _released(found: list[Any]) -> list[Any]:
    return [ModelEvent.model_validate_json(r.value).root for r in found if r.value is not None]


def _challengers(found: list[Any]) -> list[ModelRecord]:
    released = _released(found)
    return [r for r in released if isinstance(r, ModelRecord) and r.kind == "challenger"]


def _promotions(found: list[Any]) -> list[ModelPointer]:
    released = _released(found)
    return [r for r in released if isinstance(r, ModelPointer) and r.action == "promote"]


async def test_drift_leads_to_a_challenger_and_a_better_one_takes_over(
    live: Settings, start_worker: Start
) -> None:
    folder = live.home / "contrary"
    _save_contrary(folder)
    live = live.model_copy(update={"label_delay_hours": 1.0, "model_dir": folder})
    at_school = live.model_copy(
        update={
            "web_port": free_port(),
            "home": live.home / "learning",
            "retrain_dir": live.home / "sets",
            "promotion": "auto",
        }
    )
    await ensure(live)
    topics = catalogue(live)
    bedside, learning = start_worker(live), start_worker(at_school, application="learning")
    assert learning.process is not None
    try:
        async with _consuming(live, topics.lessons.name) as lessons, asyncio.timeout(PATIENCE_S):
            hospital = _Hospital(live, lessons)
            await _from_drift_to_promotion(live, at_school, hospital, bedside, learning)
    finally:
        began = psutil.Process(learning.process.pid).children(recursive=True)
        await learning.stop()
    # a learner that stops takes with it what it has begun
    _, left = await asyncio.to_thread(psutil.wait_procs, began, 10)
    assert not left


async def _from_drift_to_promotion(
    live: Settings, at_school: Settings, hospital: _Hospital, bedside: Worker, learning: Worker
) -> None:
    topics = catalogue(live)

    # the patients change: all have a fever
    await hospital.admit(420, fever=0.0)
    await hospital.admit(100, fever=1.5)
    told = await read(live, [topics.drift.name], bool, learning, PATIENCE_S)
    drifts = [DriftEvent.model_validate_json(record.value) for record in told]
    assert "temperature" in {drift.signal for drift in drifts}

    # which starts a training, in a process of its own
    processes: set[str] = set()

    def trained(found: list[Any]) -> bool:
        assert learning.process is not None
        for child in psutil.Process(learning.process.pid).children(recursive=True):
            processes.add(_command(child))
        return bool(_challengers(found))

    found = await read(live, [topics.models.name], trained, learning, PATIENCE_S)
    challenger = _challengers(found)[0]
    assert any(f"drift of {drift.signal}" in challenger.why for drift in drifts)
    assert {"retrain", "train"} <= processes

    # the challenger scores in the shadow, on patients that nobody has seen, and is better
    await hospital.admit(Rule().stays + 200, fever=1.5)
    found = await read(
        live, [topics.models.name], lambda found: bool(_promotions(found)), learning, PATIENCE_S
    )
    (pointer, *_) = _promotions(found)
    assert pointer.champion in {record.version for record in _challengers(found)}
    assert pointer.evidence["gain"] >= Rule().margin
    assert pointer.evidence["better"] >= Rule().confidence
    assert pointer.evidence["stays"] >= Rule().stays
    shadows = [r for r in _released(found) if isinstance(r, ShadowRecord)]
    assert pointer.champion in {shadow.version for shadow in shadows}

    # and scores at the bedside
    def by_the_challenger(found: list[Any]) -> bool:
        return any(r["model_version"].startswith(pointer.champion) for r in parsed(found[-200:]))

    await _while(
        hospital.go_on(fever=1.5),
        read(live, [topics.recommendations.name], by_the_challenger, bedside, PATIENCE_S),
    )
    await _recorded_in_mlflow(at_school, pointer)


@asynccontextmanager
async def _consuming(live: Settings, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(topic, **live.kafka_client(), auto_offset_reset="earliest")
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def _while(work: Awaitable[None], wanted: Awaitable[list[Any]]) -> list[Any]:
    """Wait for records while something goes on."""
    found: list[Any] = []

    async def wait() -> None:
        found.extend(await wanted)

    async def go_on() -> None:
        await work

    await first(wait(), go_on())
    return found


def _command(process: psutil.Process) -> str:
    """Which of Vigil's commands a process runs."""
    try:
        words = process.cmdline()
    except psutil.NoSuchProcess:
        return ""
    return words[words.index("streams.cli") + 1] if "streams.cli" in words else ""


async def _recorded_in_mlflow(at_school: Settings, pointer: ModelPointer) -> None:
    wanted = {
        "lightgbm on all patients",
        f"shadow of {pointer.champion}",
        f"promote {pointer.champion}",
    }
    runs: dict[str, Any] = {}
    champion = None
    while champion is None or not wanted <= set(runs):
        await asyncio.sleep(0.5)  # nothing tells
        with connect(at_school.tracking_uri) as client:
            experiment = client.get_experiment_by_name(EXPERIMENT)
            found = client.search_runs([experiment.experiment_id])
            runs = {run.info.run_name: run for run in found}
            champion = champion_version(client)
    training = runs["lightgbm on all patients"].data
    assert len(training.tags["data_hash"]) == 16
    assert " to " in training.tags["data_span"]
    promotion = runs[f"promote {pointer.champion}"].data
    assert promotion.metrics["gain"] == pytest.approx(pointer.evidence["gain"])
    assert promotion.tags["why"] == pointer.why
    assert runs[f"shadow of {pointer.champion}"].data.metrics["stays"] > 0
    assert str(champion.version) == pointer.champion.partition("-")[0]

"""``vigil bench paging --latency``: from a reading that crosses the line to the provider.

This process is the devices and the provider, on one clock. A patient who crosses the line comes
with a reading whose NEWS2 is far above it, among readings of patients who have one a second each.
Measured is from the Kafka time of that reading to the request at the provider; in between lie the
bedside worker, the paging worker, and every write that the broker has to acknowledge before a page
may go out.
"""

import asyncio
import json
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.chaos import quick
from bench.common import BenchError, Scratch, progress, report, scratch
from bench.hospital import Hospital
from bench.page_trial import PageTrial
from config.clock import iso, now_ms
from models.vitals import WIRE_NAMES, index_of
from streams.partitions import partition_of, partitions_of
from streams.topics import Topic, catalogue

__all__ = ["GOAL_MS", "measure"]

#: What a page may take, p99.
GOAL_MS = 250
_RATE, _PATIENTS = 1_000, 1_000
#: Alerts a second.
_ALERTS = 5
_WARM_UP_S = 8
_START_S = 150
_LAST_S = 30
_WELL = {"heart_rate": 76, "pulse_rate": 76, "temperature": 36.9, "spo2": 97, "sbp": 122,
         "map": 90, "dbp": 74, "resp_rate": 15}  # fmt: skip
_ILL = {"heart_rate": 138, "pulse_rate": 138, "temperature": 39.6, "spo2": 88, "sbp": 82,
        "map": 57, "dbp": 45, "resp_rate": 31}  # fmt: skip
_PAGE = re.compile(r"\bRef ([A-Z0-9]{6})\b")
_STAGES = ("bedside", "watch", "pager", "provider")


def _reading(patient: str, unit: str, at_ms: int, of: Mapping[str, float]) -> bytes:
    values = {WIRE_NAMES[index_of(name)]: value for name, value in of.items()}
    told = {"patient_id": patient, "unit_id": unit, "observed_at": iso(at_ms), **values}
    return json.dumps(told).encode()


async def _send(trial: PageTrial, producer: AIOKafkaProducer, seconds: float) -> dict[str, int]:
    """Send readings at the rate; return the Kafka time of each that crossed the line."""
    topic = catalogue(trial.settings).vitals
    keys = [f"p{number:05}".encode() for number in range(_PATIENTS)]
    places = partitions_of(keys, topic.partitions).tolist()
    crossed: dict[str, int] = {}
    every = _RATE // _ALERTS
    begun = time.perf_counter()
    for number in range(int((_WARM_UP_S + seconds) * _RATE)):
        while (wait := begun + number / _RATE - time.perf_counter()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(wait)
        at_ms, of = now_ms(), _WELL
        patient = number % _PATIENTS
        key, place = keys[patient], places[patient]
        if number % every == 0:
            # a new patient: a sudden change of one who was well counts as the sensor's at first
            of, key = _ILL, f"ill-{number}".encode()
            place = partition_of(key, topic.partitions)
            if number >= _WARM_UP_S * _RATE:
                crossed[key.decode()] = at_ms
        await producer.send(
            topic.name,
            _reading(key.decode(), trial.hospital.unit(number // every), at_ms, of),
            key=key,
            partition=place,
            timestamp_ms=at_ms,
        )
    return crossed


async def _records(trial: PageTrial, topic: Topic) -> list[Any]:
    """Read what is on a topic."""
    consumer = AIOKafkaConsumer(
        **trial.settings.kafka_client(),
        enable_auto_commit=False,
        max_partition_fetch_bytes=8_000_000,
    )
    await consumer.start()
    try:
        places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        found: list[Any] = []
        for place, end in (await consumer.end_offsets(places)).items():
            while await consumer.position(place) < end:
                for records in (await consumer.getmany(place, timeout_ms=200)).values():
                    found += records
        return found
    finally:
        await consumer.stop()


async def _times(trial: PageTrial, crossed: dict[str, int]) -> dict[str, list[int]]:
    """Collect when each step was made, by patient: reading, recommendation, alert, row, request."""
    topics = catalogue(trial.settings)
    made = {}
    for record in await _records(trial, topics.recommendations):
        found = json.loads(record.value)
        made[found["recommendation_id"]] = record.timestamp
    raised: dict[str, tuple[int, int]] = {}
    alerts: dict[str, int] = {}
    for record in await _records(trial, topics.alerts_raised):
        found = json.loads(record.value)
        if found["type"] == "raised" and found["patient_id"] is not None:
            raised[found["patient_id"]] = (made[found["recommendation_id"]], record.timestamp)
    for record in await _records(trial, topics.alerts):
        found = json.loads(record.value)
        if found["state"] == "sending" and found["patient_id"] is not None:
            alerts.setdefault(found["patient_id"], record.timestamp)
    asked: dict[str, int] = {}
    for request in trial.twilio.posts:
        for reference in _PAGE.findall(request.form.get("Body", "")):
            patient = trial.ledger.patient_of(reference)
            if patient is not None:
                asked.setdefault(patient, round(request.at.timestamp() * 1000))
    missing = crossed.keys() - asked.keys()
    if missing:
        raise BenchError(f"{len(missing)} of {len(crossed)} were not paged: {sorted(missing)[:5]}")
    return {
        patient: [at_ms, *raised[patient], alerts[patient], asked[patient]]
        for patient, at_ms in crossed.items()
    }


async def _run(place: Scratch, folder: Path, seconds: float) -> dict[str, list[int]]:
    hospital = Hospital(
        second_s=3_000, third_s=6_000, line="{recommended: urgent, news2: 10, rise_hours: 4}"
    )
    settings = quick(place.bootstrap, "paging.")
    async with PageTrial(settings, folder, hospital, faults=False, people=False) as trial:
        trial.join("bedside")
        trial.join()
        producer = AIOKafkaProducer(**trial.settings.kafka_client(), acks="all", linger_ms=0)
        await producer.start()
        try:
            # both workers are there when the first page is
            await producer.send_and_wait(
                catalogue(trial.settings).vitals.name,
                _reading("first", trial.hospital.unit(0), now_ms(), _ILL),
                key=b"first",
            )
            await trial.until("delivered", 1, _START_S)
            with progress(unit=False) as bar:
                bar.add_task(f"Readings at {_RATE:,}/s", total=None)
                crossed = await _send(trial, producer, seconds)
        finally:
            await producer.stop()
        await trial.until("delivered", len(crossed), _LAST_S)
        await asyncio.sleep(2)
        return await _times(trial, crossed)


def measure(seconds: float, as_json: bool) -> int:
    """Measure, and report; return the exit code.

    Args:
        seconds: that are measured.
        as_json: one last line of JSON.
    """
    folder = Path(tempfile.mkdtemp(prefix="vigil-paging-"))
    try:
        with scratch() as place:
            times = asyncio.run(_run(place, folder, seconds))
            load = psutil.getloadavg()[0]
            note = f"{place.note}; load {load:.1f} at the end"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    steps = np.array(list(times.values()), float)
    whole = steps[:, -1] - steps[:, 0]
    stages = {"reading → provider": whole}
    stages |= dict(zip(_STAGES, np.diff(steps, axis=1).T, strict=True))
    shown = {
        name: {
            "p50_ms": round(float(np.percentile(ms, 50)), 1),
            "p99_ms": round(float(np.percentile(ms, 99)), 1),
            "max_ms": round(float(ms.max()), 1),
        }
        for name, ms in stages.items()
    }
    good = shown["reading → provider"]["p99_ms"] <= GOAL_MS
    report(
        f"From the reading that crosses the line to the provider, {_RATE:,} readings/s",
        ["way", "p50 ms", "p99 ms", "max ms"],
        [[name, *(f"{ms:.1f}" for ms in row.values())] for name, row in shown.items()],
        note=f"{len(times)} pages; goal p99 {GOAL_MS} ms: {'met' if good else 'missed'}\n{note}",
        result={"pages": len(times), "load": load, "ways": shown} if as_json else None,
    )
    return 0 if good else 1

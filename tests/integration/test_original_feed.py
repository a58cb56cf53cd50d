"""The producer that was there before Vigil: five fields, no key, no time, another client."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from kafka import KafkaProducer

from config.clock import now_ms
from config.settings import Settings
from streams.kafka import LocalKafka
from streams.topics import ensure
from tests.live import Worker, parsed, read

Start = Callable[[Settings], Worker]
FIELDS = (
    "MDC_PULS_OXIM_PULS_RATE_Result",
    "MDC_TEMP_Result",
    "MDC_ECG_HEART_RATE_Result",
    "MDC_TTHOR_RESP_RATE_Result",
)


def _produce(bootstrap: str, rows: list[dict[str, object]]) -> None:
    producer = KafkaProducer(
        bootstrap_servers=bootstrap, value_serializer=lambda v: json.dumps(v).encode("utf-8")
    )
    for row in rows:
        sent = producer.send("input-topic", value=row).get(30)
        while now_ms() <= sent.timestamp:
            pass  # a millisecond each: of two readings in the same one the order is not known
    producer.close()


@pytest.mark.parametrize("partitions", [4, 1], ids=["as Vigil makes them", "of another size"])
async def test_the_original_producer_and_its_consumers_work_unchanged(
    live: Settings, start_worker: Start, tmp_path: Path, partitions: int
) -> None:
    # the original names leave no room for a prefix: a broker of its own
    with LocalKafka(tmp_path / "own", Settings().cache) as kafka:
        live = live.model_copy(
            update={
                "broker": kafka.bootstrap,
                "topic_prefix": "",
                "topic_vitals": "input-topic",
                "topic_recommendations": "output-topic",
            }
        )
        await _create(live, ["input-topic", "output-topic"], partitions)
        await _send_and_compare(live, start_worker)


async def _create(live: Settings, names: list[str], partitions: int) -> None:
    admin = AIOKafkaAdminClient(**live.kafka_client())
    await admin.start()
    await admin.create_topics([NewTopic(name, partitions, 1) for name in names])
    await admin.close()


async def _send_and_compare(live: Settings, start_worker: Start) -> None:
    await ensure(live)
    worker = start_worker(live)
    random = np.random.default_rng(1)
    # numbers as a table reader gives them: an id of 3 arrives as 3.0
    rows: list[dict[str, object]] = [
        {
            "patient_id": float(i % 3),
            **dict(zip(FIELDS, (random.normal(80, 5, 4)).round(1).tolist(), strict=True)),
            "MDC_TEMP_Result": round(float(random.normal(37, 0.3)), 1),
            "MDC_TTHOR_RESP_RATE_Result": 16.0,
        }
        for i in range(60)
    ]

    await asyncio.to_thread(_produce, live.bootstrap, rows)
    records = await read(live, ["output-topic"], lambda found: len(found) >= len(rows), worker)

    recommendations = sorted(parsed(records), key=lambda r: r["observed_at"])
    assert [r["original_data"] for r in recommendations] == rows
    assert {r["patient_id"] for r in recommendations} == {"0", "1", "2"}
    _assert_features_over_the_last_two_readings(recommendations)


def _assert_features_over_the_last_two_readings(recommendations: list[dict[str, object]]) -> None:
    before: dict[object, dict[str, float]] = {}
    for recommendation in recommendations:
        now = recommendation["original_data"]
        features = recommendation["features"]
        assert isinstance(now, dict)
        assert isinstance(features, dict)
        last_two = [before.get(now["patient_id"], now), now]
        pulses = [reading["MDC_PULS_OXIM_PULS_RATE_Result"] for reading in last_two]
        temperatures = [reading["MDC_TEMP_Result"] for reading in last_two]
        assert features["MDC_PULS_OXIM_PULS_RATE_Result_min"] == min(pulses)
        assert abs(features["MDC_PULS_OXIM_PULS_RATE_Result_mean"] - np.mean(pulses)) < 1e-9
        assert abs(features["MDC_TEMP_Result_mean"] - np.mean(temperatures)) < 1e-9
        ratio = now["MDC_ECG_HEART_RATE_Result"] / now["MDC_TTHOR_RESP_RATE_Result"]
        assert abs(features["HR_to_RR_Ratio"] - ratio) < 1e-9
        before[now["patient_id"]] = now

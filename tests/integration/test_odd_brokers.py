"""Logs as other producers leave them: transaction markers, emptied partitions, fat records."""

import asyncio
import json
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from config.settings import Settings
from streams.topics import catalogue, ensure
from tests.live import Worker, parsed, producing, read

Start = Callable[[Settings], Worker]


def _reading(patient: str, **more: object) -> bytes:
    return json.dumps({"patient_id": patient, "MDC_ECG_HEART_RATE_Result": 80} | more).encode()


async def _in_a_transaction(live: Settings, topic: str, value: bytes, **place: object) -> None:
    producer = AIOKafkaProducer(**live.kafka_client(), transactional_id=f"{topic}-tx")
    await producer.start()
    async with producer.transaction():
        await producer.send_and_wait(topic, value, **place)
    await producer.stop()


async def test_an_unkeyed_feed_does_not_wait_at_a_transactions_marker(
    live: Settings, start_worker: Start
) -> None:
    await ensure(live)
    worker = start_worker(live)
    topics = catalogue(live)

    await _in_a_transaction(live, topics.vitals.name, _reading("a"), partition=0)
    async with producing(live) as producer:
        await producer.send_and_wait(topics.vitals.name, _reading("b"), partition=1)
    found = await read(
        live, [topics.recommendations.name], lambda records: len(records) >= 2, worker, seconds=40
    )

    assert {r["patient_id"] for r in parsed(found)} == {"a", "b"}


async def test_an_unkeyed_feed_does_not_wait_for_a_partition_that_was_emptied(
    live: Settings, start_worker: Start
) -> None:
    await ensure(live)
    topics = catalogue(live)
    async with producing(live) as producer:
        for _ in range(3):
            await producer.send_and_wait(topics.vitals.name, _reading("gone"), partition=3)
    admin = AIOKafkaAdminClient(**live.kafka_client())
    await admin.start()
    await admin.delete_records(
        {TopicPartition(topics.vitals.name, 3): RecordsToDelete(before_offset=3)}
    )
    await admin.close()
    worker = start_worker(live)

    async with producing(live) as producer:
        await producer.send_and_wait(topics.vitals.name, _reading("b"), partition=1)
    found = await read(
        live, [topics.recommendations.name], lambda records: bool(records), worker, seconds=40
    )

    assert [r["patient_id"] for r in parsed(found)] == ["b"]


async def test_new_patients_do_not_wait_long_for_an_admission_that_never_comes(
    live: Settings, start_worker: Start
) -> None:
    await ensure(live)
    worker = start_worker(live)
    topics = catalogue(live)
    admission = json.dumps({"patient_id": "somebody", "age_years": 70}).encode()
    await _in_a_transaction(live, topics.admissions.name, admission, key=b"somebody")

    async with producing(live) as producer:
        for i in range(40):
            patient = f"stranger-{i}"
            await producer.send_and_wait(
                topics.vitals.name, _reading(patient), key=patient.encode()
            )
    found = await read(
        live, [topics.recommendations.name], lambda records: len(records) >= 40, worker
    )

    assert len(found) == 40
    assert "not read to" not in worker.log.read_text(), "it waited for admissions in vain"


async def test_a_record_that_only_its_headers_make_too_large_is_a_dead_letter(
    live: Settings, start_worker: Start
) -> None:
    await ensure(live)
    worker = start_worker(live)
    topics = catalogue(live)

    async with producing(live) as producer:
        await producer.send_and_wait(
            topics.vitals.name, _reading("p"), headers=[("fat", b"x" * 1_000_000)]
        )
        await producer.send_and_wait(
            topics.vitals.name, _reading("p"), headers=[("vigil-origin", b"junk"), ("none", None)]
        )
    found = await read(
        live,
        [topics.recommendations.name, topics.dead_letters.name],
        lambda records: len(records) >= 2,
        worker,
    )

    (letter,) = parsed(r for r in found if r.topic == topics.dead_letters.name)
    assert letter["reason"].startswith("too large")
    assert len([r for r in found if r.topic == topics.recommendations.name]) == 1


async def test_topics_of_another_size_than_the_settings_stop_the_worker_with_the_remedy(
    live: Settings, start_worker: Start
) -> None:
    await ensure(live)
    worker = start_worker(live.model_copy(update={"partitions": live.partitions * 2}))

    assert await worker.exited() == 1
    assert "VIGIL_PARTITIONS" in worker.log.read_text()


@pytest.mark.parametrize("wait_s", [0, 1])
async def test_a_worker_without_a_broker_says_so_in_a_sentence(
    live: Settings, start_worker: Start, wait_s: float
) -> None:
    worker = start_worker(
        live.model_copy(update={"broker": "127.0.0.1:1", "broker_wait_s": wait_s})
    )

    assert await worker.exited() == 1
    said = worker.log.read_text()
    assert "The broker does not answer at 127.0.0.1:1" in said
    assert "VIGIL_BROKER_WAIT_S" in said
    assert ("no broker at 127.0.0.1:1 yet" in said) is (wait_s > 0)
    assert "Traceback" not in said


async def test_a_worker_that_is_told_of_no_broker_does_not_wait_for_one(
    live: Settings, start_worker: Start
) -> None:
    worker = start_worker(live.model_copy(update={"broker": ""}))

    async with asyncio.timeout(20):
        assert await worker.exited() == 1
    assert "vigil kafka start" in worker.log.read_text()


async def test_a_worker_without_pages_scores_like_any_other(
    live: Settings, start_worker: Start
) -> None:
    worker = start_worker(live.model_copy(update={"web_port": 0}))
    await ensure(live)

    async with producing(live) as producer:
        await producer.send_and_wait(catalogue(live).vitals.name, _reading("p"), key=b"p")

    assert await read(live, [catalogue(live).recommendations.name], bool, worker)

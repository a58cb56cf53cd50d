"""The scoring agent on fake topics: what goes where, and when a batch is done."""

import asyncio
import base64
import json
from typing import Any

import pytest
from aiokafka.errors import KafkaError
from faust.types import TP

from config.settings import Settings
from models.vitals import WIRE_NAMES
from streams.bedside import ORIGIN_HEADER
from streams.deadletters import TooManyDeadLettersError
from streams.metrics import REGISTRY
from streams.partitions import partition_of
from streams.producer import RevokedError
from streams.transport import Batch
from tests.topology.driver import NOW_MS, Bench, FailedError, record


def _reading(patient: str, **more: object) -> bytes:
    return json.dumps({"patient_id": patient, "MDC_ECG_HEART_RATE_Result": 90} | more).encode()


def _patient(partition: int, number: int = 0) -> str:
    """Name a patient that belongs to a partition of two."""
    names = (f"patient-{i}" for i in range(1000))
    return [name for name in names if partition_of(name.encode(), 2) == partition][number]


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_keyed_reading_becomes_a_recommendation_on_its_partition(bench: Bench) -> None:
    patient = _patient(0)

    (event,) = await bench.feed(
        bench.score, [record("vitals", 5, _reading(patient), patient.encode())]
    )

    (sent,) = bench.sent(bench.topics.recommendations)
    assert (sent["partition"], sent["key"]) == (0, patient.encode())
    recommendation = json.loads(sent["value"])
    assert recommendation["risk"] == 0.9
    assert recommendation["recommendation_id"] == f"vitals-0-5-{NOW_MS + 5}"
    assert bench.windows.load(0, patient.encode()) is not None
    assert event.acked


async def test_a_batch_is_not_done_before_the_broker_has_everything(bench: Bench) -> None:
    patient = _patient(0)
    bench.producer.waits = True

    (event,) = await bench.feed(
        bench.score, [record("vitals", 0, _reading(patient), patient.encode())]
    )
    assert not event.acked

    bench.producer.deliver()
    await bench.settle()
    assert event.acked


async def test_a_refused_result_stops_the_worker_and_acknowledges_nothing(bench: Bench) -> None:
    patient = _patient(0)
    bench.producer.error = KafkaError("refused")

    (event,) = await bench.feed(
        bench.score, [record("vitals", 0, _reading(patient), patient.encode())]
    )

    assert isinstance(bench.failed, KafkaError)
    assert not event.acked


async def test_a_result_that_a_rebalance_has_overtaken_stops_nobody_and_acknowledges_nothing(
    bench: Bench,
) -> None:
    patient = _patient(0)
    bench.producer.error = RevokedError()

    (event,) = await bench.feed(
        bench.score, [record("vitals", 0, _reading(patient), patient.encode())]
    )

    assert bench.failed is None
    assert not event.acked


async def test_a_stray_of_a_batch_that_a_rebalance_has_overtaken_is_left_to_the_next_owner(
    bench: Bench,
) -> None:
    """Sent now it would come before an earlier one that was given up, and make it a repeat."""
    (own, elsewhere), handed_over = (_patient(0), _patient(1)), asyncio.Event()
    send_batch = bench.producer.send_batch

    async def wait_for_room(batch: Any, topic: str, *, partition: int) -> Any:
        if topic == bench.topics.recommendations.name:
            handed_over.set()
            await revoked.wait()
        return await send_batch(batch, topic, partition=partition)

    bench.producer.send_batch = wait_for_room  # type: ignore[method-assign]
    bench.consumer.assigned = {tp for tp in bench.consumer.assigned if tp.partition == 0}
    revoked = asyncio.Event()
    records = [
        record("vitals", 0, _reading(elsewhere), None),
        record("vitals", 1, _reading(own), own.encode()),
    ]
    batch = Batch(TP("vitals", 0), records)
    feeding = asyncio.create_task(bench.feed(bench.score, batch))
    await handed_over.wait()
    batch.stale = True
    revoked.set()
    (event,) = await feeding

    assert bench.sent(bench.topics.vitals_routed) == []
    assert not event.acked


@pytest.mark.parametrize("key", [None, b"another", b""])
async def test_a_reading_under_another_key_is_sent_on_by_patient_before_any_state_is_touched(
    bench: Bench, key: bytes | None
) -> None:
    patient = _patient(1)

    (event,) = await bench.feed(bench.score, [record("vitals", 3, _reading(patient), key)])

    (sent,) = bench.sent(bench.topics.vitals_routed)
    assert (sent["partition"], sent["key"]) == (1, patient.encode())
    assert sent["value"] == _reading(patient)
    assert sent["timestamp"] == NOW_MS + 3
    assert (ORIGIN_HEADER, b"vitals/0/3") in sent["headers"]
    assert not bench.windows.rows
    assert event.acked


async def test_a_key_on_the_wrong_partition_is_sent_on_too(bench: Bench) -> None:
    patient = _patient(1)

    await bench.feed(bench.score, [record("vitals", 0, _reading(patient), patient.encode())])

    assert [sent["partition"] for sent in bench.sent(bench.topics.vitals_routed)] == [1]
    assert not bench.sent(bench.topics.recommendations)


async def test_a_routed_reading_keeps_the_id_of_where_it_was_first_read(bench: Bench) -> None:
    patient = _patient(0)
    routed = record(
        "vitals.routed",
        0,
        _reading(patient),
        patient.encode(),
        headers=[(ORIGIN_HEADER, b"vitals/1/77")],
    )

    await bench.feed(bench.score, [routed])

    (sent,) = bench.sent(bench.topics.recommendations)
    assert json.loads(sent["value"])["recommendation_id"] == f"vitals-1-77-{NOW_MS}"


async def test_a_reading_that_was_routed_twice_is_answered_once(bench: Bench) -> None:
    patient = _patient(0)
    twice = [
        record(
            "vitals.routed",
            offset,
            _reading(patient),
            patient.encode(),
            headers=[(ORIGIN_HEADER, b"vitals/1/77")],
            timestamp=NOW_MS,  # the router sends it on under the time it was produced at
        )
        for offset in (0, 1)
    ]

    (event,) = await bench.feed(bench.score, twice)

    assert len(bench.sent(bench.topics.recommendations)) == 1
    assert event.acked


async def test_a_device_cannot_forge_where_its_reading_came_from(bench: Bench) -> None:
    patient = _patient(0)
    forged = record(
        "vitals",
        4,
        _reading(patient),
        patient.encode(),
        headers=[(ORIGIN_HEADER, b"vitals/1/77")],
    )

    await bench.feed(bench.score, [forged])

    (sent,) = bench.sent(bench.topics.recommendations)
    assert json.loads(sent["value"])["recommendation_id"].startswith("vitals-0-4-")


async def test_strays_of_all_partitions_go_on_in_the_order_of_their_kafka_times(
    bench: Bench,
) -> None:
    patient = _patient(0)
    late, early = NOW_MS + 20, NOW_MS + 10
    bench.consumer.ends[TP("vitals", 0)] = 1
    bench.consumer.ends[TP("vitals", 1)] = 1

    first, second = await bench.feed(
        bench.score,
        [record("vitals", 0, _reading(patient, unit_id="late"), timestamp=late)],
        [record("vitals", 0, _reading(patient, unit_id="early"), partition=1, timestamp=early)],
    )

    sent = [json.loads(s["value"])["unit_id"] for s in bench.sent(bench.topics.vitals_routed)]
    assert sent == ["early", "late"]
    assert first.acked
    assert second.acked


async def test_a_bad_record_becomes_a_dead_letter_beside_its_good_neighbours(bench: Bench) -> None:
    patient = _patient(0)
    records = [
        record("vitals", 0, _reading(patient), patient.encode()),
        record("vitals", 1, b"\xff\x00", b"key"),
        record("vitals", 2, _reading(patient), patient.encode()),
    ]

    (event,) = await bench.feed(bench.score, records)

    assert len(bench.sent(bench.topics.recommendations)) == 2
    (sent,) = bench.sent(bench.topics.dead_letters)
    letter = json.loads(sent["value"])
    assert base64.b64decode(letter["value"]) == b"\xff\x00"
    assert (letter["topic"], letter["partition"], letter["offset"]) == ("vitals", 0, 1)
    assert event.acked


async def test_the_metric_of_dead_letters_is_there_at_zero_from_the_first_batch_on() -> None:
    bench = Bench(Settings(broker="nowhere:1", partitions=2, topic_prefix="good."))
    patient = _patient(0)
    await bench.feed(bench.score, [record("good.vitals", 0, _reading(patient), patient.encode())])
    dead = REGISTRY.get_sample_value("vigil_dead_letters_total", {"topic": "good.vitals"})
    assert dead == 0


async def test_a_late_reading_goes_to_the_late_topic_as_it_came(bench: Bench) -> None:
    patient = _patient(0)
    values = [_reading(patient, observed_at=f"2025-12-31T{hour}:00:00Z") for hour in ("12", "09")]

    await bench.feed(
        bench.score, [record("vitals", i, v, patient.encode()) for i, v in enumerate(values)]
    )

    (sent,) = bench.sent(bench.topics.vitals_late)
    assert sent["value"] == values[1]
    assert len(bench.sent(bench.topics.recommendations)) == 1


async def test_nearly_nothing_but_garbage_stops_the_worker_before_it_is_acknowledged(
    bench: Bench,
) -> None:
    bench = Bench(bench.settings.model_copy(update={"dead_letter_window": 10}))
    garbage = [record("vitals", i, b"garbage") for i in range(10)]

    with pytest.raises(FailedError):
        await bench.feed(bench.score, garbage)

    assert isinstance(bench.failed, TooManyDeadLettersError)
    assert not bench.sent(bench.topics.dead_letters)


async def test_a_batch_of_a_revoked_partition_touches_nothing(bench: Bench) -> None:
    patient = _patient(0)
    stale = [record("vitals", 0, _reading(patient), patient.encode())]
    events = await bench.feed(bench.score, stale)
    bench.producer.sent.clear()
    bench.windows.rows.clear()

    events[0].value.stale = True
    events[0].acked = False
    await bench.score._handle(events[0])

    assert not bench.windows.rows
    assert not bench.producer.sent


async def test_a_new_patient_waits_for_an_admission_that_was_sent_before(bench: Bench) -> None:
    patient = _patient(0)
    admission = {"patient_id": patient, "age_years": 70, "sex": "male", "unit_id": "icu-1"}
    bench.consumer.ends[TP("admissions", 0)] = 1

    scoring = asyncio.create_task(
        bench.feed(bench.score, [record("vitals", 0, _reading(patient), patient.encode())])
    )
    await bench.settle()
    assert not bench.sent(bench.topics.recommendations), "it did not wait"
    await bench.feed(
        bench.admit,
        [record("admissions", 0, json.dumps(admission).encode(), patient.encode())],
    )
    await scoring

    (sent,) = bench.sent(bench.topics.recommendations)
    recommendation = json.loads(sent["value"])
    assert recommendation["unit_id"] == "icu-1"
    assert "admission_unknown" not in recommendation["data_quality"]["flags"]


async def test_a_new_patient_does_not_wait_for_admissions_that_were_read_before(
    bench: Bench,
) -> None:
    patient, other = _patient(0), _patient(0, 1)
    bench.consumer.ends[TP("admissions", 0)] = 2
    bench.consumer.markers[TP("admissions", 0)] = 1
    admission = {"patient_id": other, "age_years": 70}
    await bench.feed(
        bench.admit, [record("admissions", 0, json.dumps(admission).encode(), other.encode())]
    )

    async with asyncio.timeout(1):
        await bench.feed(bench.score, [record("vitals", 0, _reading(patient), patient.encode())])

    assert len(bench.sent(bench.topics.recommendations)) == 1


async def test_a_result_topic_of_another_size_is_keyed_by_patient(bench: Bench) -> None:
    patient = _patient(1)
    bench.app.sizes[bench.topics.recommendations.name] = 7

    await bench.feed(
        bench.score, [record("vitals", 0, _reading(patient), patient.encode(), partition=1)]
    )

    (sent,) = bench.sent(bench.topics.recommendations)
    assert sent["partition"] == partition_of(patient.encode(), 7)


async def test_readings_of_a_topic_of_another_size_are_all_sent_on(bench: Bench) -> None:
    patient = _patient(0)
    bench.app.sizes[bench.topics.vitals.name] = 1

    await bench.feed(bench.score, [record("vitals", 0, _reading(patient), patient.encode())])

    assert len(bench.sent(bench.topics.vitals_routed)) == 1
    assert not bench.sent(bench.topics.recommendations)


async def test_a_flood_of_one_patient_is_committed_before_its_state_grows_large(
    bench: Bench,
) -> None:
    patient = _patient(0)
    flood = [
        record(
            "vitals",
            i,
            _reading(patient, **dict.fromkeys(WIRE_NAMES, 40 + i * 7919 % 51)),
            patient.encode(),
            timestamp=NOW_MS + i * 1000,
        )
        for i in range(1000)
    ]

    await bench.feed(bench.score, flood)

    assert bench.consumer.commits == 1
    state = bench.windows.load(0, patient.encode())
    assert state is not None
    assert len(state) <= 32 * 1024

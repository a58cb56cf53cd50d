"""The admissions agent on fake topics."""

import json

import pytest

from streams.partitions import partition_of
from tests.topology.driver import Bench, record

PATIENT = next(f"p{i}" for i in range(100) if partition_of(f"p{i}".encode(), 2) == 0)


def _admission(**more: object) -> bytes:
    return json.dumps({"patient_id": PATIENT, "age_years": 64.5, "sex": "female", **more}).encode()


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_an_admission_is_kept_and_acknowledged(bench: Bench) -> None:
    (event,) = await bench.feed(
        bench.admit, [record("admissions", 0, _admission(), PATIENT.encode())]
    )

    assert bench.stays.load(0, PATIENT.encode()) is not None
    assert event.acked


@pytest.mark.parametrize("key", [None, b"somebody-else"])
async def test_an_admission_under_another_key_is_sent_on_under_its_patients(
    bench: Bench, key: bytes | None
) -> None:
    await bench.feed(bench.admit, [record("admissions", 0, _admission(), key, partition=1)])

    (sent,) = bench.sent(bench.topics.admissions)
    assert (sent["partition"], sent["key"]) == (0, PATIENT.encode())
    assert not bench.stays.rows


async def test_a_tombstone_forgets_the_patient(bench: Bench) -> None:
    await bench.feed(
        bench.admit,
        [record("admissions", 0, _admission(), PATIENT.encode())],
        [record("admissions", 1, None, PATIENT.encode())],
    )

    assert bench.stays.load(0, PATIENT.encode()) is None


@pytest.mark.parametrize(
    "value",
    [
        b"not json",
        b"{}",
        _admission(sex="unknown"),
        _admission(age_years=-1),
        _admission(icu_admitted_at="2026-01-01T00:00:00"),
        b"[" * 20_000,
    ],
)
async def test_an_admission_that_cannot_be_read_is_a_dead_letter(
    bench: Bench, value: bytes
) -> None:
    (event,) = await bench.feed(bench.admit, [record("admissions", 0, value, PATIENT.encode())])

    (sent,) = bench.sent(bench.topics.dead_letters)
    assert json.loads(sent["value"])["reason"]
    assert event.acked

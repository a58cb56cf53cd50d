"""The laboratory's agent on fake topics, and what readings know of its results."""

import json
from typing import Any

import numpy as np
import pytest

from config.clock import iso
from config.settings import Settings
from models.features import FEATURES
from streams.partitions import partition_of
from tests.helpers import StubModel, reading
from tests.topology.driver import NOW_MS, Bench, record

pytestmark = pytest.mark.unit

PATIENT = next(f"p{i}" for i in range(100) if partition_of(f"p{i}".encode(), 2) == 0)
KEY = PATIENT.encode()
LACTATE = FEATURES.index("lactate")


class Witness(StubModel):
    """Remembers the features that it was shown."""

    def score(self, features: Any) -> Any:
        self.seen = np.array(features)
        return super().score(features)


@pytest.fixture
def bench() -> Bench:
    settings = Settings(
        broker="nowhere:1", partitions=2, route_hold_ms=0, feature_set="labs", admissions_wait_s=0
    )
    return Bench(settings, Witness())


def _result(**more: object) -> bytes:
    result = {
        "patient_id": PATIENT,
        "code": "2524-7",
        "value": 4.5,
        "unit": "mmol/L",
        "observed_at": iso(NOW_MS - 60_000),
    }
    return json.dumps(result | more).encode()


async def test_a_result_is_kept_and_acknowledged(bench: Bench) -> None:
    (event,) = await bench.feed(bench.chart, [record("labs", 0, _result(), KEY)])

    assert bench.results.load(0, KEY) is not None
    assert event.acked


async def test_a_reading_knows_the_result_that_came_before_it(bench: Bench) -> None:
    await bench.feed(bench.chart, [record("labs", 0, _result(), KEY)])
    now = reading(PATIENT, heart_rate=80, observed_at=iso(NOW_MS))
    before = reading(PATIENT, heart_rate=80, observed_at=iso(NOW_MS - 120_000))
    await bench.feed(bench.score, [record("vitals", 0, before, KEY), record("vitals", 1, now, KEY)])

    assert np.isnan(bench.model.seen[0, LACTATE])
    assert bench.model.seen[1, LACTATE] == 4.5


async def test_a_result_under_another_key_is_sent_on_under_its_patients(bench: Bench) -> None:
    await bench.feed(bench.chart, [record("labs", 0, _result(), b"order-7", partition=1)])

    (sent,) = bench.sent(bench.topics.labs)
    assert (sent["partition"], sent["key"]) == (0, KEY)
    assert not bench.results.rows


@pytest.mark.parametrize("passed_over", [{"code": "9999-9"}, {"value": 900.0}])
async def test_a_test_of_no_use_and_a_value_nobody_has_are_passed_over(
    bench: Bench, passed_over: dict[str, object]
) -> None:
    (event,) = await bench.feed(bench.chart, [record("labs", 0, _result(**passed_over), KEY)])

    assert event.acked
    assert not bench.results.rows
    assert not bench.sent(bench.topics.dead_letters)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"unit": "mg/L"}, "unit of 2524-7 is none of mmol/L, mg/dL"),
        ({"value": "high"}, "wrong type or missing field at `$.value`"),
        ({"observed_at": "2026-01-01T00:00:00"}, "wrong type or missing field at `$.observed_at`"),
    ],
)
async def test_a_result_that_cannot_be_read_is_a_dead_letter_with_its_reason(
    bench: Bench, wrong: dict[str, object], reason: str
) -> None:
    (event,) = await bench.feed(bench.chart, [record("labs", 0, _result(**wrong), KEY)])

    (letter,) = bench.sent(bench.topics.dead_letters)
    assert json.loads(letter["value"])["reason"] == reason
    assert event.acked
    assert not bench.results.rows


async def test_a_tombstone_forgets_the_patients_results(bench: Bench) -> None:
    await bench.feed(
        bench.chart, [record("labs", 0, _result(), KEY)], [record("labs", 1, None, KEY)]
    )

    assert bench.results.load(0, KEY) is None

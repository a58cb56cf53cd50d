"""Readings through a real broker and a real worker process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.policy import load_policy
from config.settings import Settings
from models.cohort import read_stays
from models.registry import SHIPPED, load_model
from models.simulator import simulate
from models.stay import Stay
from streams import alert_report
from streams.events import Recommendation
from streams.replay import Replay
from streams.topics import catalogue, ensure
from tests.expected import offline, streamed
from tests.live import Worker, parsed, read

Start = Callable[[Settings], Worker]


async def _replayed(live: Settings, stays: list[Stay], worker: Worker) -> list[Any]:
    await ensure(live)
    await Replay(live, stays, rate=None).run()
    readings = sum(len(stay.seconds) for stay in stays)
    topic = catalogue(live).recommendations.name
    return await read(live, [topic], lambda found: len(found) >= readings, worker)


async def test_every_reading_gets_one_recommendation_with_the_offline_probability(
    live: Settings, start_worker: Start
) -> None:
    stays = list(simulate(60, seed=3))
    worker = start_worker(live)

    records = await _replayed(live, stays, worker)

    assert streamed(parsed(records), stays) == offline(stays)
    assert len(records) == sum(len(stay.seconds) for stay in stays)


@pytest.mark.parametrize("batch_max", [1, 7])
async def test_the_size_of_a_batch_does_not_change_a_probability(
    live: Settings, start_worker: Start, batch_max: int
) -> None:
    stays = list(simulate(12, seed=4))
    worker = start_worker(live.model_copy(update={"batch_max": batch_max}))

    records = await _replayed(live, stays, worker)

    assert streamed(parsed(records), stays) == offline(stays)


@pytest.mark.parametrize("feature_set", ["context", "labs"])
async def test_real_patients_get_the_offline_probability(
    live: Settings, start_worker: Start, data: Path, feature_set: str
) -> None:
    stays = read_stays(data / "sepsis2019" / "psv")
    live = live.model_copy(update={"feature_set": feature_set})
    worker = start_worker(live)

    records = await _replayed(live, stays, worker)

    assert streamed(parsed(records), stays) == offline(stays, feature_set)
    logged = worker.log.read_text()
    assert not [stay.patient_id for stay in stays if stay.patient_id in logged]


@pytest.mark.parametrize("beds", [None, 20])
def test_the_shipped_policy_pages_for_at_most_one_in_ten_real_patients_a_day(
    data: Path, beds: int | None
) -> None:
    stays, policy = read_stays(data / "sepsis2019" / "psv"), load_policy()
    batches = alert_report.recommendations(stays, load_model(SHIPPED["context"]), beds=beds)

    outcome = alert_report.run(batches, stays, policy)

    assert any(alert.higher for alert in outcome.paged), "nothing paged over the budget"
    assert len(outcome.paged) / outcome.days <= 0.10, f"{len(outcome.paged)} pages"


async def test_a_recommendation_keeps_its_contract_and_shows_its_basis(
    live: Settings, start_worker: Start
) -> None:
    stays = list(simulate(3, seed=5))
    worker = start_worker(live)

    records = await _replayed(live, stays, worker)

    for record in records:
        recommendation = Recommendation.model_validate_json(record.value)
        assert record.key == recommendation.patient_id.encode()
        assert sum(recommendation.prediction_probabilities) == pytest.approx(1, abs=1e-15)
        assert recommendation.original_data["patient_id"] == recommendation.patient_id
        assert recommendation.model_version
        assert "Not a medical device" in recommendation.disclaimer
    assert any(Recommendation.model_validate_json(r.value).factors for r in records)

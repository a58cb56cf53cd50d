"""Models and lessons on a real broker: promoted, rolled back, collected, retrained."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from click.testing import Result

from config.settings import Settings, settings
from models.lesson_sets import manifest_of, read_lesson_set
from models.registry import SHIPPED, load_model, read_folder
from models.release_records import LayerRecord, ModelRecord
from models.risk import ForestModel
from models.tracking import EXPERIMENT, connect
from streams.releases import publish, read_releases
from streams.topics import TopicError, catalogue, ensure, prepare
from tests.live import producing
from tests.shell import vigil
from tests.unit.made_lessons import made_lessons
from tests.unit.made_patients import made_patients

pytestmark = pytest.mark.integration

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def shell(live: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command as a person does, against the test's broker and topics."""
    for name in ("broker", "home", "topic_prefix"):
        monkeypatch.setenv(f"VIGIL_{name.upper()}", str(getattr(live, name)))
    settings.cache_clear()

    async def run(*arguments: str) -> Result:
        # in a thread: a command has an event loop of its own
        return await asyncio.to_thread(vigil, *arguments)

    return run


def champion(version: str, kind: str = "champion") -> ModelRecord:
    return ModelRecord.of(
        read_folder(SHIPPED["context"]), kind=kind, site="default", version=version, created_at=NOW,
        who="a test", why="to see",
    )  # fmt: skip


async def test_a_model_is_promoted_learned_on_and_rolled_back_over_the_topic(
    live: Settings, shell: Any
) -> None:
    base = load_model(SHIPPED["context"])
    assert isinstance(base, ForestModel)
    await publish(live, [champion("c1"), champion("x1", "challenger")])
    found = await shell("model", "promote", "c1", "--force", "--reason", "the first one", "--json")
    assert found.exit_code == 0, found.output
    layer = LayerRecord.of(
        base.forest.values + 0.5, tiers=base.tiers, site="default", version="1", champion="c1",
        created_at=NOW, threshold=0.05, stays=50, examples=900,
    )  # fmt: skip
    await publish(live, [layer])

    active = (await read_releases(live, "default")).active()
    assert isinstance(active, ForestModel)
    assert (active.version, active.threshold) == ("c1+1", 0.05)
    assert (active.forest.values == base.forest.values + 0.5).all()

    assert (await shell("model", "promote", "--challenger")).exit_code == 3
    await shell("model", "promote", "--challenger", "--force", "--reason", "a drill")
    back = await shell("model", "rollback", "--json")
    assert json.loads(back.stdout)["scoring"] == "c1+1"
    listed = json.loads((await shell("model", "list", "--json")).stdout)
    assert [move["champion"] for move in listed["pointer"]["history"]] == ["x1", "c1"]
    assert not listed["problems"]


async def test_without_topics_a_command_says_what_to_do(shell: Any) -> None:
    found = await shell("model", "list")
    assert found.exit_code == 1
    assert "create the topics with `vigil topics`" in " ".join(found.stderr.split())


async def test_lessons_are_collected_once_and_what_waits_later(
    live: Settings, shell: Any, tmp_path: Path
) -> None:
    await ensure(live)
    topic = catalogue(live).lessons.name
    records = made_lessons(made_patients(40))
    half = len(records) // 2

    async def send(part: list[tuple[str, int, bytes]]) -> None:
        async with producing(live) as producer:
            for patient, _, value in part:
                await producer.send(topic, value, patient.encode())
            await producer.flush()

    out = ["--out", str(tmp_path / "sets"), "--json"]
    assert json.loads((await shell("data", "collect", *out)).stdout)["set"] is None
    await send(records[:half])
    first = json.loads((await shell("data", "collect", *out)).stdout)
    assert first["set"] == str(tmp_path / "sets" / "v1")
    again = await shell("data", "collect", "--out", str(tmp_path / "sets"))
    assert "Nothing new" in again.stdout
    await send([*records[half:], (records[0][0], records[0][1], b"junk")])
    await shell("data", "collect", *out)

    manifest = manifest_of(tmp_path / "sets" / "v2")
    assert manifest["offsets"]["next"] == len(records) + 1
    assert manifest["left_out"]["bad"] == 1
    stays = read_lesson_set(tmp_path / "sets" / "v2").stays
    assert len(stays) == len({stay.patient_id for stay in stays}) > first["manifest"]["stays"]


async def test_a_topic_of_lessons_that_has_no_one_order_stops_a_worker_with_the_remedy(
    live: Settings,
) -> None:
    admin = AIOKafkaAdminClient(**live.kafka_client())
    await admin.start()
    await admin.create_topics([NewTopic(catalogue(live).lessons.name, 3, 1)])
    await admin.close()
    with pytest.raises(TopicError, match="VIGIL_TOPIC_LESSONS"):
        await prepare(live)


@pytest.mark.slow
async def test_a_retraining_is_tracked_and_its_model_becomes_a_challenger(
    live: Settings, shell: Any, tmp_path: Path
) -> None:
    await ensure(live)
    async with producing(live) as producer:
        for patient, _, value in made_lessons(made_patients(60)):
            topic = catalogue(live).lessons.name
            await producer.send(topic, value, patient.encode())
        await producer.flush()
    sets = tmp_path / "sets"
    await shell("data", "collect", "--out", str(sets))
    quick = ["--candidate", "logistic_regression", "--iterations", "1", "--resamples", "0"]
    found = await shell("retrain", "--data", str(sets), "--reason", "drift", "--json", "--", *quick)
    assert found.exit_code == 0, found.output

    made = json.loads(found.stdout)
    (challenger,) = (await read_releases(live, "default")).challengers.values()
    assert challenger.version == made["version"] == f"1-{load_model(Path(made['folder'])).version}"
    assert challenger.why == "drift"
    assert challenger.facts["data"]["data_hash"] == manifest_of(sets / "v1")["data_hash"]
    listed = json.loads((await shell("model", "list", "--json")).stdout)
    (registered,) = listed["registry"]
    assert registered["data_hash"] == manifest_of(sets / "v1")["data_hash"]
    assert registered["data_span"].startswith("2026-01-01T")
    assert registered["champion"] is False

    # and promoted: MLflow is told
    wanted = ["--force", "--reason", "a drill", "--json"]
    found = await shell("model", "promote", "--challenger", *wanted)
    assert json.loads(found.stdout)["scoring"] == challenger.version
    listed = json.loads((await shell("model", "list", "--json")).stdout)
    assert listed["registry"][0]["champion"] is True
    assert json.loads((await shell("model", "track", "--json")).stdout)["runs"] == []
    with connect(settings().tracking_uri) as client:
        experiment = client.get_experiment_by_name(EXPERIMENT)
        runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert runs[f"promote {challenger.version}"].data.tags["why"] == "a drill"

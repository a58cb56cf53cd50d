"""The catalogue: names from the settings, patients on the same partition of every topic."""

import json
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from config.settings import Settings
from models.registry import SHIPPED
from streams.commands.schemas import schemas
from streams.commands.topology import topology
from streams.events import Reading, Recommendation
from streams.topics import Catalogue, Difference, TopicError, catalogue, prepare

pytestmark = pytest.mark.unit

ROLES = tuple(Catalogue.__dataclass_fields__)


@pytest.mark.parametrize("role", ROLES)
def test_a_topic_has_the_name_of_its_setting_behind_the_prefix(role: str) -> None:
    chosen: dict[str, Any] = {f"topic_{role}": "some.name", "topic_prefix": "icu7."}
    assert getattr(catalogue(Settings(**chosen)), role).name == "icu7.some.name"
    assert getattr(catalogue(Settings()), role).name == getattr(Settings(), f"topic_{role}")


def test_the_names_of_the_original_feed_can_be_set() -> None:
    topics = catalogue(Settings(topic_vitals="input-topic", topic_recommendations="output-topic"))
    assert (topics.vitals.name, topics.recommendations.name) == ("input-topic", "output-topic")
    assert topics.vitals.model is Reading
    assert topics.recommendations.model is Recommendation


def test_all_topics_come_in_the_order_in_which_they_are_declared() -> None:
    topics = catalogue(Settings())
    assert tuple(topic.role for topic in topics) == ROLES
    assert len({topic.name for topic in topics}) == len(ROLES)


#: Of a whole site, not of a patient.
OF_A_SITE = {"lessons", "models", "drift", "documents"} | {
    *("alerts_raised", "alerts_acknowledged", "alerts_silences", "delivery_receipts", "audit")
}


def test_topics_of_patients_have_the_same_number_of_partitions_so_that_one_worker_has_one() -> None:
    topics = [t for t in catalogue(Settings(partitions=12)) if t.role not in OF_A_SITE]
    assert {topic.partitions for topic in topics} == {12}


def test_what_is_read_in_one_order_has_one_partition_whatever_the_patients_have() -> None:
    topics = catalogue(Settings(partitions=12))
    assert {t.role for t in topics if t.ordered} == OF_A_SITE - {"drift", "documents"}
    assert {t.partitions for t in topics if t.role in OF_A_SITE} == {1}


def test_every_topic_that_is_of_one_patient_is_keyed_by_patient() -> None:
    topics = catalogue(Settings())
    assert {t.role for t in topics if t.key is None} == {
        *("dead_letters", "drift", "delivery_receipts", "audit", "chat_audit")
    }
    assert {t.role for t in topics if t.key == "model"} == {"models"}


def test_models_are_kept_and_a_champion_fits() -> None:
    config = catalogue(Settings()).models.config
    assert config["cleanup.policy"] == "compact"
    folder = sum(path.stat().st_size for path in SHIPPED["labs"].iterdir())
    assert int(config["max.message.bytes"]) > 2 * folder * 4 / 3


def test_admissions_are_kept_for_as_long_as_they_are_the_newest() -> None:
    assert catalogue(Settings()).admissions.config == {"cleanup.policy": "compact"}


#: The newest of each key, or all of it.
FOR_GOOD = ("admissions", "models", "alerts_silences", "audit", "documents", "chat_audit")


def test_every_other_topic_has_an_end() -> None:
    for topic in catalogue(Settings()):
        if topic.role not in FOR_GOOD:
            assert int(topic.config["retention.ms"]) >= 7 * 86_400_000


def test_a_routed_reading_keeps_the_time_it_was_produced_at_whatever_the_brokers_default() -> None:
    config = catalogue(Settings()).vitals_routed.config
    assert config["message.timestamp.type"] == "CreateTime"


def test_a_dead_letter_of_the_largest_record_fits_its_topic() -> None:
    largest = 1_048_588  # bytes, Kafka's default of max.message.bytes
    dead_letters = catalogue(Settings()).dead_letters
    assert int(dead_letters.config["max.message.bytes"]) > largest * 4 / 3 + 1024


async def test_a_changelog_of_one_partition_may_have_more(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "learning-pending-changelog"

    async def found(*_: Any, **__: Any) -> list[Difference]:
        return [Difference(name, "partitions", "1", "4")]

    monkeypatch.setattr("streams.topics.ensure", found)
    await prepare(Settings(broker="nowhere:1"), {name: 1})
    with pytest.raises(TopicError, match="VIGIL_PARTITIONS"):
        await prepare(Settings(broker="nowhere:1"), {name: 2})


def test_the_schemas_of_all_topics_are_schemas_also_of_what_is_one_of_several() -> None:
    written = json.loads(CliRunner().invoke(schemas).output)
    assert set(written) == set(ROLES) - {"lessons"}
    for role, schema in written.items():
        Draft202012Validator.check_schema(schema)
        assert schema["description"], role
    raised = Draft202012Validator(written["alerts_raised"])
    census = {"type": "census", "unit_id": None, "partition": 0, "patient_hours": 1.0}
    assert raised.is_valid(census | {"at": "2026-01-01T00:00:00Z"})
    assert not raised.is_valid({"type": "unknown"})
    assert not raised.is_valid(census)


def test_the_topology_draws_every_application() -> None:
    drawn = CliRunner().invoke(topology).output
    for words in ('watch("watch:', 'operations("', "page <--> pages", "watch <--> episodes"):
        assert words in drawn

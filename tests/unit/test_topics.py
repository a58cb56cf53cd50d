"""The catalogue: names from the settings, patients on the same partition of every topic."""

from typing import Any

import pytest

from config.settings import Settings
from streams.events import Reading, Recommendation
from streams.topics import Catalogue, catalogue

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


def test_every_topic_has_the_same_number_of_partitions_so_that_a_patient_is_on_one_worker() -> None:
    assert {topic.partitions for topic in catalogue(Settings(partitions=12))} == {12}


def test_every_topic_but_the_dead_letters_is_keyed_by_patient() -> None:
    assert [topic.role for topic in catalogue(Settings()) if topic.key is None] == ["dead_letters"]


def test_admissions_are_kept_for_as_long_as_they_are_the_newest() -> None:
    assert catalogue(Settings()).admissions.config == {"cleanup.policy": "compact"}


def test_every_other_topic_has_an_end() -> None:
    for topic in catalogue(Settings()):
        if topic.role != "admissions":
            assert int(topic.config["retention.ms"]) >= 7 * 86_400_000


def test_a_routed_reading_keeps_the_time_it_was_produced_at_whatever_the_brokers_default() -> None:
    config = catalogue(Settings()).vitals_routed.config
    assert config["message.timestamp.type"] == "CreateTime"


def test_a_dead_letter_of_the_largest_record_fits_its_topic() -> None:
    largest = 1_048_588  # bytes, Kafka's default of max.message.bytes
    dead_letters = catalogue(Settings()).dead_letters
    assert int(dead_letters.config["max.message.bytes"]) > largest * 4 / 3 + 1024

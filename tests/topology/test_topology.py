"""The table of the topology is what is registered, and what the README shows."""

from pathlib import Path

import pytest

from config.settings import Settings
from streams.apps.bedside import build
from streams.topics import catalogue
from streams.topology import BEDSIDE, mermaid
from tests.topology.driver import StubModel

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def nowhere(tmp_path: Path) -> Settings:
    return Settings(broker="nowhere:1", home=tmp_path, feature_set="labs")


def test_the_registered_agents_read_what_the_table_says(nowhere: Settings) -> None:
    app = build(nowhere, StubModel())
    topics = catalogue(nowhere)

    registered = {
        frozenset(name for channel in [agent.channel] for name in channel.topics)
        for agent in app.agents.values()
    }

    assert registered == {
        frozenset(getattr(topics, role).name for role in step.reads) for step in BEDSIDE
    }


def test_the_registered_tables_are_those_of_the_table(nowhere: Settings) -> None:
    app = build(nowhere, StubModel())

    assert set(app.tables) == {name for step in BEDSIDE for name in step.keeps}


def test_every_topic_of_the_table_is_in_the_catalogue(nowhere: Settings) -> None:
    roles = {topic.role for topic in catalogue(nowhere)}

    assert {role for step in BEDSIDE for role in (*step.reads, *step.writes)} <= roles


def test_the_readme_shows_the_picture_that_is_drawn_from_the_table(nowhere: Settings) -> None:
    assert mermaid(BEDSIDE, nowhere) in (ROOT / "README.md").read_text()


def test_faust_finds_the_application_and_nothing_serves_patients(nowhere: Settings) -> None:
    app = build(nowhere, StubModel())

    assert app.conf.web_tables_enabled is False
    assert app.conf.web_router_enabled is False
    assert app.conf.web_bind == "127.0.0.1"

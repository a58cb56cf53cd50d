"""The table of the topology is what is registered, and what the README shows."""

from pathlib import Path

import pytest

from config.policy import load_policy
from config.settings import Settings
from models.registry import SHIPPED, load_model
from streams.answering import evidence
from streams.application import VigilApp
from streams.apps import answers, learning, paging
from streams.apps.bedside import build
from streams.delivery.choose import providers
from streams.topics import catalogue
from streams.topology import APPLICATIONS, mermaid
from tests.topology.driver import StubModel

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def nowhere(tmp_path: Path) -> Settings:
    return Settings(broker="nowhere:1", home=tmp_path, feature_set="labs")


def _paging(settings: Settings, model: object) -> VigilApp:
    return paging.build(settings, load_policy(), providers(settings))


def _answers(settings: Settings, model: object) -> VigilApp:
    return answers.build(settings, evidence(settings))


BUILT = {"bedside": build, "learning": learning.build, "paging": _paging, "answers": _answers}


@pytest.mark.parametrize("name", list(APPLICATIONS))
def test_the_registered_agents_read_what_the_table_says(nowhere: Settings, name: str) -> None:
    app = BUILT[name](nowhere, load_model(SHIPPED["context"]))
    topics = catalogue(nowhere)

    registered = {
        frozenset(name for channel in [agent.channel] for name in channel.topics)
        for agent in app.agents.values()
    }

    assert registered == {
        frozenset(getattr(topics, role).name for role in step.reads) for step in APPLICATIONS[name]
    }


@pytest.mark.parametrize("name", list(APPLICATIONS))
def test_the_registered_tables_are_those_of_the_table(nowhere: Settings, name: str) -> None:
    app = BUILT[name](nowhere, load_model(SHIPPED["context"]))

    assert set(app.tables) == {table for step in APPLICATIONS[name] for table in step.keeps}


def test_the_table_of_lessons_has_one_changelog_partition_as_they_have(nowhere: Settings) -> None:
    app = learning.build(nowhere, load_model(SHIPPED["context"]))  # type: ignore[arg-type]
    assert app.changelogs == {"learning-pending-changelog": 1}


def test_every_topic_of_the_table_is_in_the_catalogue(nowhere: Settings) -> None:
    roles = {topic.role for topic in catalogue(nowhere)}

    steps = [step for steps in APPLICATIONS.values() for step in steps]
    touched = {role for s in steps for role in (*s.reads, *s.writes, *s.follows)}
    assert touched == roles


def test_the_readme_shows_the_picture_that_is_drawn_from_the_table(nowhere: Settings) -> None:
    steps = sum(APPLICATIONS.values(), ())
    assert mermaid(steps, nowhere) in (ROOT / "README.md").read_text()


def test_faust_finds_the_application_and_nothing_serves_patients(nowhere: Settings) -> None:
    app = build(nowhere, StubModel())

    assert app.conf.web_tables_enabled is False
    assert app.conf.web_router_enabled is False
    assert app.conf.web_bind == "127.0.0.1"


def test_what_runs_beside_the_agents_of_answers_is_started_with_them(nowhere: Settings) -> None:
    app = answers.build(nowhere, evidence(nowhere))
    beside = [task.__wrapped__.__qualname__ for task in app._app_tasks]
    assert sorted(beside) == ["Following.follow"] * 3 + ["QuestionsAgent.read_ahead"]

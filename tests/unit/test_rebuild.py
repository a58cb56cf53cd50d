"""`vigil rebuild` asks before it empties anything, and does nothing under a worker that runs."""

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

import streams.commands.rebuild as command
from config.settings import settings

pytestmark = pytest.mark.unit

TOPICS = ("vitals", "vitals.routed", "admissions")
PAGERS = ("recommendations", "alerts.raised", "alerts.silences", "delivery.receipts")


class Admin:
    """A cluster on which so many workers run."""

    workers = 0

    def __init__(self, **client: Any) -> None: ...

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def describe_consumer_groups(self, groups: list[str]) -> list[Any]:
        members = [object()] * self.workers
        state = "Stable" if members else "Empty"
        return [SimpleNamespace(groups=[(0, groups[0], state, "consumer", "faust", members)])]


@pytest.fixture(autouse=True)
def done(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """What was read again."""
    again: list[list[str]] = []

    async def note(chosen: Any, app: Any, topics: list[str], *, from_now_on: bool) -> None:
        assert from_now_on == (app.conf.id == "paging")
        again.append(topics)

    for name, topics in (("bedside", TOPICS), ("paging", PAGERS)):
        module: Any = ModuleType(f"streams.apps.{name}")
        module.app = SimpleNamespace(
            conf=SimpleNamespace(id=name),
            changelogs={f"{name}-windows-changelog": 4},
            batched_topics=frozenset(topics),
        )
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("VIGIL_BROKER", "nowhere:1")
    settings.cache_clear()
    monkeypatch.setattr(command, "AIOKafkaAdminClient", Admin)
    monkeypatch.setattr(command, "_rebuild", note)
    yield again
    settings.cache_clear()


def run(*arguments: str, answer: str = "", application: str = "bedside") -> Result:
    return CliRunner().invoke(command.rebuild, [application, *arguments], input=answer)


def test_help_has_an_example() -> None:
    assert "Example: vigil rebuild" in run("--help").output


def test_everything_that_the_application_reads_is_read_again(done: list[list[str]]) -> None:
    assert run("--yes").exit_code == 0
    assert done == [sorted(TOPICS)]


def test_with_forget_only_admissions_are_read_again(done: list[list[str]]) -> None:
    assert run("--yes", "--forget").exit_code == 0
    assert done == [["admissions"]]


def test_a_pager_reads_silences_again_and_no_alert_of_the_past(done: list[list[str]]) -> None:
    assert run("--yes", application="paging").exit_code == 0
    assert done == [["alerts.silences"]]
    assert run("--yes", "--forget", application="paging").exit_code == 2


def test_nothing_is_emptied_without_a_yes(done: list[list[str]]) -> None:
    asked = run(answer="n\n")
    assert asked.exit_code == 1
    assert "Empty bedside-windows-changelog" in asked.output
    assert not done


def test_nothing_is_emptied_under_workers_that_run(
    done: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Admin, "workers", 2)
    refused = run("--yes")
    assert refused.exit_code == 1
    assert "2 workers: stop all of them" in refused.output
    assert not done

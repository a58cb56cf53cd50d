import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from config.settings import settings
from streams.commands.kafka import kafka
from streams.kafka.state import Cluster, Member

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("VIGIL_HOME", str(tmp_path))
    monkeypatch.setenv("VIGIL_CACHE", str(tmp_path / "cache"))
    settings.cache_clear()
    (tmp_path / "kafka").mkdir()
    yield tmp_path
    settings.cache_clear()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(kafka, arguments)


@pytest.mark.parametrize("command", [(), ("start",), ("stop",), ("status",)])
def test_every_command_explains_itself_with_an_example(command: tuple[str, ...]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Example: vigil kafka" in result.output


def test_status_fails_and_names_the_command_that_helps_where_nothing_runs() -> None:
    result = run("status")
    assert result.exit_code == 1
    assert "vigil kafka start" in result.output


def test_status_tells_of_dead_nodes_in_a_form_for_machines(home: Path) -> None:
    Cluster("127.0.0.1:9092", "4.1.2", (Member(1, 9092, ()),)).save(home)
    result = run("status", "--json")
    assert result.exit_code == 1
    assert json.loads(result.output) == {
        "running": False,
        "bootstrap": None,
        "version": "4.1.2",
        "nodes": [{"id": 1, "port": 9092, "alive": False, "pids": []}],
    }


def test_stopping_what_does_not_run_is_no_error() -> None:
    assert run("stop").exit_code == 0
    assert json.loads(run("stop", "--json").output) == {"stopped": False}


def test_an_error_is_its_message_and_exit_code_1_without_a_traceback(home: Path) -> None:
    (home / "cache").touch()
    result = run("start")
    assert result.exit_code == 1
    assert "Error: " in result.output
    assert "VIGIL_CACHE" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("wrong", [("--nodes", "2"), ("--port", "0"), ("--port", "65536")])
def test_what_cannot_be_is_refused_as_a_wrong_command_line(wrong: tuple[str, str]) -> None:
    assert run("start", *wrong).exit_code == 2

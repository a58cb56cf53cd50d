"""Groups whose commands are imported when they are called."""

import sys

import click
import pytest
from click.testing import CliRunner

from streams.cli import COMMANDS, cli
from streams.commands.bench import BENCHES
from streams.commands.lazy import LazyGroup


def test_help_lists_the_commands_and_imports_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "streams.commands.topology", raising=False)
    shown = CliRunner().invoke(cli, ["--help"])
    assert shown.exit_code == 0
    assert all(f"  {name} " in shown.output for name in COMMANDS)
    assert "streams.commands.topology" not in sys.modules


def test_a_group_in_a_group_lists_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "bench.throughput", raising=False)
    shown = CliRunner().invoke(cli, ["bench", "--help"])
    assert all(f"  {name} " in shown.output for name in BENCHES)
    assert "bench.throughput" not in sys.modules


def test_a_package_that_was_left_out_is_no_traceback() -> None:
    group = LazyGroup("vigil", lazy={"absent": ("no_such_package.absent", "Not here.")})
    ended = CliRunner().invoke(group, ["absent"])
    assert ended.exit_code == 1
    assert "vigil absent is not part of this installation" in ended.output


def test_a_command_that_does_not_exist_is_a_wrong_command_line() -> None:
    assert CliRunner().invoke(cli, ["no-such-command"]).exit_code == click.UsageError.exit_code


@pytest.mark.parametrize(
    "words",
    [
        *("ack", "page", "page test", "audit", "audit verify", "oncall", "silence", "demo"),
        *("worker", "rebuild", "evaluate alerts"),
    ],
)
def test_help_of_a_command_of_paging_has_an_example(words: str) -> None:
    shown = CliRunner().invoke(cli, [*words.split(), "--help"])
    assert shown.exit_code == 0
    assert "Example" in shown.output
    assert f"vigil {words}" in " ".join(shown.output.split())

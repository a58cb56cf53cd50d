"""``vigil oncall``: who is on call, and a policy that is wrong."""

import json
from pathlib import Path

import pytest

from config.policy import SHIPPED
from tests.shell import vigil

pytestmark = pytest.mark.unit

TEXT = (Path(__file__).parents[2] / "config" / SHIPPED).read_text()


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(
        TEXT.replace("burst: 2", "burst: -2").replace("notify: [head]", "notify: [haed]")
    )
    return path


def test_every_schedule_is_told_with_who_is_on_call_until_when_and_who_is_next() -> None:
    found = vigil("oncall", "--at", "2026-07-01T21:00+01:00", "--json")
    assert found.exit_code == 0
    told = json.loads(found.stdout)
    assert told["at"] == "2026-07-01T20:00:00.000Z"
    assert {row["schedule"] for row in told["schedules"]} == {"nurse", "physician", "operator"}
    assert told["schedules"][0] == {
        "schedule": "nurse",
        "on_call": ["nurse-night"],
        "until": "2026-07-02T06:30:00.000Z",
        "then": ["nurse-day"],
    }


def test_people_read_names_and_the_time_on_the_wall_of_the_place() -> None:
    shown = vigil("oncall", "nurse", "--at", "2026-07-01T20:00Z")
    assert shown.exit_code == 0
    for words in ("night telephone", "Thu 02 Jul 07:30", "BST"):
        assert words in " ".join(shown.stdout.split())
    assert "physician" not in shown.stdout


def test_the_policy_of_the_setting_counts_and_an_option_before_it(
    wrong: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VIGIL_POLICY", str(wrong))
    assert vigil("oncall", "--check").exit_code == 1
    (tmp_path / "right.yaml").write_text(TEXT)
    assert vigil("oncall", "--check", "--policy", str(tmp_path / "right.yaml")).exit_code == 0


def test_a_check_lists_each_mistake_with_its_line_and_ends_with_1(wrong: Path) -> None:
    lines = wrong.read_text().splitlines()
    found = vigil("oncall", "--check", "--policy", str(wrong))
    assert found.exit_code == 1
    told = found.stderr.splitlines()
    assert len(told) == 2
    for line, words in zip(told, ("burst", "haed"), strict=True):
        number = next(n for n, text in enumerate(lines, 1) if words in text and "#" not in text)
        assert line.startswith(f"{wrong}, line {number}: ")
    as_json = vigil("oncall", "--check", "--policy", str(wrong), "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout) == {"policy": None, "problems": told}


def test_a_check_of_what_ships_is_in_order() -> None:
    found = vigil("oncall", "--check")
    assert found.exit_code == 0
    assert "policy.yaml is in order: policy demo-1-" in found.stdout


def test_a_policy_that_is_wrong_is_told_without_a_traceback(wrong: Path) -> None:
    found = vigil("oncall", "--policy", str(wrong))
    assert found.exit_code == 1
    assert "line" in found.stderr
    assert "Traceback" not in found.output


def test_a_policy_that_is_not_there_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VIGIL_POLICY", str(tmp_path / "gone.yaml"))
    found = vigil("oncall")
    assert found.exit_code == 1
    assert "gone.yaml" in "".join(found.stderr.split())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("surgeon",), "there are: nurse, physician, operator"),
        (("--at", "tomorrow"), "is not a moment"),
        (("--at", "2026-12-24T07:00"), "with its time zone"),
        (("--policy", "/nowhere.yaml"), "does not exist"),
    ],
)
def test_a_wrong_command_line_says_what_would_be_right(given: tuple[str, ...], said: str) -> None:
    found = vigil("oncall", *given)
    assert found.exit_code == 2
    assert said in " ".join(found.stderr.split())


@pytest.mark.parametrize("command", ["oncall", "silence"])
def test_a_command_explains_itself_with_an_example(command: str) -> None:
    found = vigil(command, "--help")
    assert found.exit_code == 0
    assert f"Examples: vigil {command}" in found.output

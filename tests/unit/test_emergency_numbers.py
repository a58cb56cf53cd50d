"""A hospital's own emergency numbers: told to people; a mistake stops a worker at once."""

from pathlib import Path

import pytest

from rag.safety.gate import Safety
from rag.safety.numbers import Numbers
from rag.safety.source import RulesError
from tests.shell import vigil

pytestmark = pytest.mark.unit

SHIPPED = Path("config/emergency_numbers.yaml").read_text("utf-8")


def changed(folder: Path, old: str, new: str) -> tuple[Path, int]:
    """A copy of the file with one thing changed, and the line where it stands."""
    assert old in SHIPPED
    file = folder / "mine.yaml"
    file.write_text(SHIPPED.replace(old, new, 1), "utf-8")
    return file, SHIPPED[: SHIPPED.index(old)].count("\n") + 1


def test_people_are_told_the_numbers_of_the_file_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, _ = changed(tmp_path, '"999 (or 112)"', '"2222, the crash team"')
    assert "2222, the crash team" in Safety.load("GB", file).check("chest pain").text
    monkeypatch.setenv("VIGIL_EMERGENCY_NUMBERS", str(file))
    monkeypatch.setenv("VIGIL_REGION", "GB")

    asked = vigil("ask", "I have crushing chest pain", "--json")

    assert asked.exit_code == 0
    assert "2222, the crash team" in asked.stdout


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('emergency: "999 (or 112)"', "emergency: 999", "write it in quotes"),
        ('emergency: "999 (or 112)"', 'emergancy: "999"', "take it out, or correct its name"),
        ("Call {emergency} now", "Call {emergancy} now", "{emergency}"),
        ("Call {emergency} now", "Call {0.a} now", "write one of these"),
        ("Call {emergency} now", "Call for help now", "put {emergency} in"),
        ("{crisis} now. If", "out now. If", "put {crisis} in"),
    ],
)
def test_a_mistake_is_told_with_its_file_its_line_and_what_to_do(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    file, line = changed(tmp_path, old, new)
    with pytest.raises(RulesError) as told:
        Numbers("GB", file)
    found = str(told.value).splitlines()
    assert any(said in each for each in found)
    lines = [int(each.split("line ")[1].split(":")[0]) for each in found]
    assert all(each.startswith(f"{file}, line ") for each in found)
    assert min(abs(line - each) for each in lines) <= 2, "where it stands, or its text begins"


def test_a_file_that_is_not_there_or_no_text_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match=r"nowhere\.yaml cannot be read: No such file.*copy of"):
        Numbers(None, tmp_path / "nowhere.yaml")
    (tmp_path / "latin.yaml").write_bytes("version: für".encode("latin-1"))
    with pytest.raises(RulesError, match="it is not UTF-8"):
        Numbers(None, tmp_path / "latin.yaml")


def test_a_wrong_file_stops_the_worker_before_a_broker_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, line = changed(tmp_path, 'emergency: "999 (or 112)"', "emergency: 999")
    monkeypatch.setenv("VIGIL_EMERGENCY_NUMBERS", str(file))
    monkeypatch.setenv("VIGIL_BROKER", "127.0.0.1:1")  # nobody answers, and nobody asks

    ended = vigil("worker", "answers")

    assert ended.exit_code == 1
    said = "".join(ended.stderr.split())  # lines are as wide as the terminal
    assert f"mine.yaml,line{line}:" in said
    assert "writeitinquotes" in said

"""A mistake in a file of rules is told with its file and line."""

from pathlib import Path

import pytest

from rag.safety.emergencies import Emergencies
from rag.safety.rules import RulesError

pytestmark = pytest.mark.unit

RULES = """\
version: "made"
classes:
  pain: [pain, ache+]
  relative: [mother]
  breathe: [breathe+]
rules:
  - id: emergency/chest
    outcome: emergency
    symptom:
      - "chest ~3 {pain}"
      - "sore throat"
"""


def error_of(tmp_path: Path, text: str) -> str:
    path = tmp_path / "made.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(RulesError) as caught:
        Emergencies(path)
    return str(caught.value)


def test_a_right_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "made.yaml"
    path.write_text(RULES, "utf-8")
    (match,) = Emergencies(path).find("my chest has aches")
    assert match.rule == "emergency/chest"


@pytest.mark.parametrize(
    ("right", "wrong", "line", "said"),
    [
        ("chest ~3 {pain}", "chest ~3 {pian}", 10, "there is no class {pian}: add it to classes"),
        ("sore throat", "sore % throat", 11, "is not in the language of patterns"),
        ("sore throat", "(sore|hoarse", 11, "a bracket is not closed"),
        ("sore throat", "a ~~3 b ~~3 c", 11, "has ~~ more than once"),
        ("sore throat", "~3", 11, "asks for no word"),
        ("outcome: emergency", "outcome: urgent", 8, "outcome"),
        ("id: emergency/chest", "id: Chest", 7, "id"),
        ("ache+]", '"{pain}"]', 10, "the class {pain} contains itself: take it out"),
    ],
)
def test_a_mistake_is_told_with_its_line(
    tmp_path: Path, right: str, wrong: str, line: int, said: str
) -> None:
    told = error_of(tmp_path, RULES.replace(right, wrong))
    assert f"made.yaml, line {line}: " in told
    assert said in told


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    text = RULES.replace("id: emergency/chest", "id: Chest").replace("symptom", "symptoms")
    assert error_of(tmp_path, text).count("made.yaml, line ") == 2

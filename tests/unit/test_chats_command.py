"""``vigil data chats``: says what it made, and what is left out."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from streams.commands.data import data

pytestmark = pytest.mark.unit

EVENTS = [
    {"question_id": "q1", "text": "I am Jane Doe. What is sepsis?"},
    {"question_id": "q1", "outcome": "abstained", "text": "I have no evidence."},
    {"question_id": "q2", "text": "And gout?"},
]


@pytest.fixture(autouse=True)
def _redaction(monkeypatch: pytest.MonkeyPatch) -> None:
    def redact(text: str) -> SimpleNamespace:
        return SimpleNamespace(text=text.replace("Jane Doe", "[name]"))

    made = SimpleNamespace(redact=redact)
    monkeypatch.setitem(sys.modules, "rag.safety", SimpleNamespace(redact=made))
    monkeypatch.setitem(sys.modules, "rag.safety.redact", made)


def run(root: Path, *more: str) -> str:
    given = [str(root), "--out", str(root / "sets"), "--archive", str(root / "read"), *more]
    result = CliRunner().invoke(data, ["chats", *given], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def write(root: Path) -> None:
    (root / "a.jsonl").write_text("".join(f"{json.dumps(e)}\n" for e in EVENTS) + "{broken\n")


def test_it_says_what_it_made_and_what_is_left_out(tmp_path: Path) -> None:
    write(tmp_path)
    told = run(tmp_path)
    assert "1 questions (1 abstained) out of 3 events, 1 malformed, 1 waiting" in told
    assert "1 files archived" in told
    (tmp_path / "b.jsonl").write_text("")
    assert run(tmp_path).startswith("Nothing new: no set was made")


def test_it_says_so_to_machines_too(tmp_path: Path) -> None:
    write(tmp_path)
    told = json.loads(run(tmp_path, "--json"))
    assert told["manifest"]["rows"] == 1
    assert told["events"] == {"events": 3, "malformed": 1, "waiting": 1}
    assert "[name]" in (Path(told["set"]) / "rows.jsonl").read_text()

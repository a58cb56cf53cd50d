"""`vigil search`: lines in, lines out."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

import streams.answering
from rag.retriever import Retriever
from streams.commands.search import search
from tests.unit.made_corpus import DOCUMENTS, made_index

pytestmark = pytest.mark.unit


@pytest.fixture
def corpus(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A corpus in which ``gout/cure`` stands for a duplicate, too."""
    found = SimpleNamespace(
        retriever=Retriever(made_index()),
        corpus=SimpleNamespace(
            source_ids=lambda name: (name, "9/same") if name == "gout/cure" else (name,)
        ),
    )
    monkeypatch.setattr(streams.answering, "evidence", lambda settings: found)
    return found


def run(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(search, arguments, input=given)


def test_lines_are_answered_in_order_with_their_own_ids(corpus: SimpleNamespace) -> None:
    given = '{"id": 7, "query": "how is gout treated"}\n\n{"id": "b", "query": "what is sepsis"}\n'
    lines = [json.loads(line) for line in run("--jsonl", given=given).output.splitlines()]
    assert [line["id"] for line in lines] == [7, "b"]
    assert lines[0]["documents"][:2] == ["gout/cure", "9/same"]
    assert lines[1]["documents"][0] == "sepsis/what"
    assert all(len(line["documents"]) == len({*line["documents"]}) for line in lines)


def test_lines_are_read_from_a_file_and_no_more_documents_than_asked_for_are_written(
    corpus: SimpleNamespace, tmp_path: Path
) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('{"id": "a", "query": "gout"}\n', encoding="utf-8")
    (line,) = run("--jsonl", str(path), "--limit", "2").output.splitlines()
    assert len(json.loads(line)["documents"]) == 2


def test_filters_leave_only_what_they_name(corpus: SimpleNamespace) -> None:
    result = run("gout", "--type", "causes", "--json")
    assert [row["document"] for row in json.loads(result.output)["documents"]] == ["gout/why"]


def test_a_question_s_documents_are_shown_with_their_titles(corpus: SimpleNamespace) -> None:
    result = run("how is gout treated", "--limit", "1")
    assert result.exit_code == 0
    assert DOCUMENTS[1].id in result.output


@pytest.mark.parametrize("line", ["{", '{"id": 1}', '["id", "query"]', '{"id": 1, "query": 2}'])
def test_a_line_of_another_form_is_told_with_its_number(corpus: SimpleNamespace, line: str) -> None:
    result = run("--jsonl", given=f'{{"id": 1, "query": "gout"}}\n{line}\n')
    assert isinstance(result.exception, ValueError)
    assert "line 2" in str(result.exception)


def test_nothing_asked_is_an_error_of_the_command_line(corpus: SimpleNamespace) -> None:
    assert run().exit_code == 2
    assert run("gout", "--jsonl").exit_code == 2

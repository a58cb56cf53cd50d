"""`vigil evaluate retrieval`, on a corpus of a few documents."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

import streams.answering
from rag.index import Index
from rag.retriever import Retriever
from streams.commands.evaluate_retrieval import retrieval
from tests.unit.made_corpus import WordEncoder
from tests.unit.test_retrieval_sets import CORPUS

pytestmark = pytest.mark.unit


@pytest.fixture
def corpus(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    index = Index(WordEncoder())
    index.upsert(CORPUS)
    found = SimpleNamespace(
        retriever=Retriever(index),
        encoder=index.encoder,
        corpus=SimpleNamespace(documents=CORPUS),
        version="made",
    )
    monkeypatch.setattr(streams.answering, "evidence", lambda settings: found)
    return found


def test_every_set_is_measured_and_the_curve_drawn(corpus: SimpleNamespace, tmp_path: Path) -> None:
    plot = tmp_path / "curve.svg"
    arguments = ["--json", "--questions", "12", "--answers", "8", "--ablation", "--plot", str(plot)]
    result = CliRunner().invoke(retrieval, arguments)
    assert result.exit_code == 0, result.output
    shown = json.loads(result.output)
    assert {*shown["rows"]} == {
        "question", "message, shortened by hand", "message", "question → answer",
    }  # fmt: skip
    assert shown["rows"]["question"]["map"] > 0.9
    assert shown["without"]["question"]["focus"]["questions"] == 12
    assert shown["ann_recall"] == 1
    assert shown["latency"]["p50_ms"] > 0
    assert plot.read_text().startswith("<?xml")


def test_without_a_corpus_it_says_how_to_make_one(corpus: SimpleNamespace) -> None:
    corpus.corpus = None
    result = CliRunner().invoke(retrieval, [])
    assert result.exit_code == 1
    assert "vigil corpus build" in result.output


def test_documents_of_which_nothing_can_be_asked_are_refused(corpus: SimpleNamespace) -> None:
    corpus.corpus.documents = []
    result = CliRunner().invoke(retrieval, [])
    assert isinstance(result.exception, ValueError)
    assert "MedQuAD" in str(result.exception)

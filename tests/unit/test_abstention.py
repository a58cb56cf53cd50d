"""The threshold is chosen on questions that the measurement has not seen, and on purpose."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from bench.abstention import Figures, Point, Source, curve, fit, main, searched, threshold_for
from bench.abstention_questions import KINDS, Asked, made, non_medical, unanswered
from rag.asked import content_words
from rag.confidence import parse
from rag.documents import Document, Hit
from tests.unit.made_documents import hit

pytestmark = pytest.mark.unit

DOCUMENTS = [
    Document(f"1/{n}", f"c{n % 2}", f"What is Illness{n}x ?", f"Illness{n}x is.", f"Illness{n}x",
             (f"Morbus {n}x", f"AB{n}"), "information")
    for n in range(120)
]  # fmt: skip
DRUGS = [Document(f"11/{n}", "drugs", f"Who takes Pill{n}x ?", "", f"Pill{n}x") for n in range(40)]


def search(texts: Sequence[str], most: int) -> list[list[Hit]]:
    """Finds a document that the question names, and ones that have nothing to do with it."""
    found = []
    for text in texts:
        asked = set(content_words(text))
        named = [d for d in DOCUMENTS if asked & set(content_words(f"{d.focus} {d.synonyms[0]}"))]
        near = [hit(d, 0.8) for d in named[:5]]
        found.append([*near, *(hit(d, 0.3, 0.1) for d in DOCUMENTS[:9])][:most])
    return found


def source() -> Source:
    return Source(DOCUMENTS, DRUGS, search, "made")


def test_there_are_more_than_two_hundred_different_non_medical_questions() -> None:
    texts = [asked.text for asked in non_medical()]
    assert len(set(texts)) == len(texts) > 300
    assert {asked.side for asked in non_medical()} == {"fit", "unseen"}


def test_no_subject_and_no_wording_is_on_both_sides() -> None:
    asked = made(DOCUMENTS, 40)
    subjects = {
        side: {d for a in asked if a.side == side for d in a.hidden | a.wanted}
        for side in ("fit", "unseen")
    }
    assert subjects["fit"]
    assert subjects["unseen"]
    assert not subjects["fit"] & subjects["unseen"]


def test_the_same_seed_gives_the_same_questions() -> None:
    assert made(DOCUMENTS, 20, 1) == made(DOCUMENTS, 20, 1) != made(DOCUMENTS, 20, 2)


def test_of_a_subject_that_is_held_out_every_document_is_hidden() -> None:
    twin = replace(DOCUMENTS[0], id="2/twin", focus="ILLNESS0X")
    for asked in made([*DOCUMENTS, twin], 99):
        both = asked.hidden | asked.wanted
        assert ("1/0" in both) == ("2/twin" in both)
        assert bool(asked.hidden) == (asked.kind == "held out")


def test_a_hidden_document_is_not_found() -> None:
    asked = Asked("What is Illness3x?", "held out", "fit", hidden=frozenset({"1/3"}))
    (with_it,), (without,) = (
        searched([a], search).rows for a in (replace(asked, hidden=frozenset()), asked)
    )
    assert with_it[0] == 0.8
    assert without[0] == 0.3


def test_a_question_without_an_answer_is_of_a_subject_that_no_document_has() -> None:
    known = Document("11/x", "drugs", "Who takes Illness3x ?", "", "Illness3x")
    texts = [asked.text for asked in unanswered(DOCUMENTS, [*DRUGS, known], 99)]
    assert len(texts) == len(DRUGS)
    assert known.title not in texts


def figures() -> Figures:
    asked = [*made(DOCUMENTS, 40), *non_medical(), *unanswered(DOCUMENTS, DRUGS, 20)]
    return searched(asked, search)


def test_what_can_be_told_apart_is_told_apart_on_the_unseen_side() -> None:
    confidence = fit(figures(), "made")
    point = next(p for p in curve(figures(), confidence, "unseen") if p.threshold == 0.5)
    assert set(point.answered) == set(KINDS)
    assert point.answered["answerable"] > 0.9
    assert point.answered["non-medical"] == 0.0


def test_the_threshold_is_above_the_lowest_that_declines_enough() -> None:
    points = [
        Point(at / 10, {"non-medical": float(at < 2), "answerable": float(at <= 6)})
        for at in range(11)
    ]
    assert threshold_for(points, 0.98, 0.9) == 0.3


def test_where_no_threshold_does_both_it_says_so() -> None:
    points = [Point(0.5, {"non-medical": 0.5, "answerable": 0.5})]
    with pytest.raises(ValueError, match="98% of the non-medical"):
        threshold_for(points, 0.98, 0.9)


def test_it_can_be_fitted_again_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "made_source", SimpleNamespace(source=source))
    out, plot = tmp_path / "confidence.json", tmp_path / "curve.svg"
    given = ["--source", "made_source:source", "--out", str(out), "--plot", str(plot)]
    result = CliRunner().invoke(main, [*given, "--version", "7", "--each", "40"])
    assert result.exit_code == 0, result.output
    confidence = parse(out.read_text())
    assert confidence.version == "7/made"
    assert 0 < confidence.threshold < 1
    assert json.loads(out.read_text())["measured"]["unseen"]["answerable: answered"] > 0.9
    assert "<svg" in plot.read_text()

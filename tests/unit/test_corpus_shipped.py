"""The corpus that ships: short, cited, and with the numbers that the code has."""

import re

import pytest

from models.scores import NEWS2_ITEMS, news2_item
from rag.corpus.chunks import chunk_document
from rag.corpus.cleaning import clean, says_something
from rag.corpus.shipped import COLLECTION, shipped

pytestmark = pytest.mark.unit

DOCUMENTS = {document.id.removeprefix("vigil/"): document for document in shipped()}


def test_there_are_enough_for_the_demo_and_each_is_a_question_with_a_short_answer() -> None:
    assert len(DOCUMENTS) >= 25
    for document in DOCUMENTS.values():
        assert document.collection == COLLECTION
        assert document.title.endswith("?")
        assert 200 < len(document.text) < 1_600
        assert len(chunk_document(document)) <= 2
        assert says_something(document.text)
        assert clean(document.text) == document.text


def test_each_says_what_it_is_about_whom_it_rests_on_and_its_licence() -> None:
    for document in DOCUMENTS.values():
        assert document.focus
        assert document.synonyms
        assert document.question_type
        assert document.licence == "CC0-1.0, Vigil"
        assert len(document.source) > 20
        assert document.url.startswith("https://") or document.id == "vigil/vigil-score"


def test_titles_and_ids_are_each_there_once() -> None:
    assert len({document.title for document in DOCUMENTS.values()}) == len(DOCUMENTS)
    assert len({*DOCUMENTS}) == len(shipped())


def test_none_says_a_dose() -> None:
    dose = re.compile(r"\b\d+(?:\.\d+)? ?(?:mg|g|mL/kg|mcg|units)\b(?!/)")
    assert not [name for name, each in DOCUMENTS.items() if dose.search(each.text)]


def test_what_vigils_score_is_not_is_said() -> None:
    text = DOCUMENTS["vigil-score"].text
    assert "not a diagnosis" in text
    assert "not a medical device" in text


#: As the document names them, in the order of `NEWS2_ITEMS`.
NAMES = ("Respiratory rate", "Oxygen saturation", "Systolic blood pressure", "Pulse", "Temperature")


@pytest.mark.parametrize("item", range(len(NEWS2_ITEMS)), ids=NEWS2_ITEMS)
def test_the_points_of_news2_are_those_of_the_code(item: int) -> None:
    lines = DOCUMENTS["news2-points"].text.split("\n")
    (line,) = (each for each in lines if each.startswith(f"- {NAMES[item]},"))
    parts = re.findall(r"([0-9.]+)(?: (?:to|or) ([0-9.]+|less|more))? ([0-3])[;.]", line)
    assert len(parts) >= 4
    for first, second, points in parts:
        ends = [first] if second in ("less", "more", "") else [first, second]
        assert {news2_item(item, float(end)) for end in ends} == {int(points)}

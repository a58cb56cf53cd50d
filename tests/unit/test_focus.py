"""Which illnesses a question names."""

import pytest

from rag.focus import FocusIndex
from rag.words import words

pytestmark = pytest.mark.unit


@pytest.fixture
def names() -> FocusIndex:
    index = FocusIndex()
    index.add(0, "Breast Cancer", ("Cancer of the breast",))
    index.add(1, "Cancer", ())
    index.add(2, "Fever (Pyrexia)", ("Temperature, high",))
    index.add(3, "Lymphoblastic leukaemia", ("ALL", "AMS"))
    return index


def keys(names: FocusIndex, question: str) -> list[str]:
    split = names.corrected(words(question))
    return [" ".join(split[each.start : each.end]) for each in names.named(split)]


def test_of_two_names_at_one_place_the_longer_one_is_meant(names: FocusIndex) -> None:
    assert keys(names, "How is breast cancer treated?") == ["breast cancer"]
    assert keys(names, "is cancer of the breast a cancer") == ["cancer of the breast", "cancer"]


def test_what_is_in_brackets_and_after_a_comma_is_a_name_too(names: FocusIndex) -> None:
    assert keys(names, "pyrexia or fever or high temperature") == [
        "pyrexia", "fever", "high temperature",
    ]  # fmt: skip


def test_a_slip_of_the_finger_still_names_it(names: FocusIndex) -> None:
    assert keys(names, "my brest cancre") == ["breast cancer"]
    assert keys(names, "lymphoblastic leukemia") == ["lymphoblastic leukaemia"]


def test_words_that_are_right_are_not_corrected(names: FocusIndex) -> None:
    assert names.corrected(["fewer"], {"fewer"}) == ["fewer"]
    assert names.corrected(["fewer"]) == ["fever"]


def test_everyday_words_are_no_names(names: FocusIndex) -> None:
    assert keys(names, "I am well after all") == []


def test_a_document_that_was_removed_is_about_nothing(names: FocusIndex) -> None:
    names.remove(1)
    assert keys(names, "is it cancer") == []
    assert names.documents(("cancer",)) == set()
    names.remove(1)


def test_people_leave_out_syndrome_and_disease_where_the_rest_names_it() -> None:
    index = FocusIndex()
    index.add(0, "Huntington's Disease", ("Restless legs syndrome",))
    index.add(1, "Heart Disease", ())
    assert keys(index, "my mother had huntingtons") == ["huntingtons"]
    assert keys(index, "restless legs") == ["restless legs"]
    assert keys(index, "my heart") == []

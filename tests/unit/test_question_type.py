"""What kind of thing a question asks for."""

import pytest

from rag.question_type import question_types

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("What is the treatment for it?", "treatment"),
        ("is there anything that can be done", "treatment"),
        ("can I pass this on to my children", "inheritance"),
        ("Is it genetic?", "inheritance"),
        ("which gene is to blame", "genetic changes"),
        ("how long does one live with it? what is the life expectancy", "outlook"),
        ("why did I get it", "causes"),
        ("how do I know if I have it", "symptoms"),
        ("is there a test", "exams and tests"),
        ("how rare is it", "frequency"),
        ("what is it", "information"),
    ],
)
def test_the_first_type_is_what_is_asked_for(question: str, kind: str) -> None:
    assert question_types(question)[0] == kind


def test_information_is_asked_for_only_where_nothing_else_is() -> None:
    assert "information" not in question_types("what is the cause and what is the treatment")


def test_a_question_that_says_nothing_has_no_type() -> None:
    assert question_types("my left foot") == ()

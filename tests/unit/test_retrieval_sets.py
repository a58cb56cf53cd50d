"""Questions that are made to measure with."""

import pytest

from bench.retrieval_sets import answer_set, group_of, message_set, question_set
from tests.unit.made_corpus import DOCUMENTS, document

pytestmark = pytest.mark.unit

CORPUS = [
    document(f"{name}/{kind}", f"{name} {kind}", "A text.", name, (), kind)
    for name in ("Gout", "Sepsis", "Measles", "Scurvy", "Asthma", "Malaria", "Rabies", "Lupus")
    for kind in ("treatment", "symptoms", "causes")
]


def test_nothing_of_what_is_tuned_on_is_reported_on() -> None:
    tuned, reported = (question_set(CORPUS, part, 60) for part in ("tune", "report"))
    assert {each.focus.lower() for each in tuned} & {
        each.focus.lower() for each in reported
    } == set()
    assert {each.query for each in tuned} & {each.query for each in reported} == set()


def test_what_is_right_is_about_the_same_thing_and_of_the_same_kind() -> None:
    by_id = {each.id: each for each in CORPUS}
    for asked in question_set(CORPUS, "tune", 30):
        about = {(group_of(by_id[each]), by_id[each].question_type) for each in asked.relevant}
        assert len(about) == 1
        assert asked.focus.lower() == next(iter(about))[0]


def test_a_message_holds_a_story_around_its_question() -> None:
    for asked in message_set(CORPUS, "report", 30):
        assert len(asked.query) > len(asked.question) + 20


def test_the_same_seed_makes_the_same_questions() -> None:
    assert message_set(CORPUS, "tune", 20) == message_set(CORPUS, "tune", 20)


def test_each_answer_is_asked_for_by_its_own_question() -> None:
    chosen, asked = answer_set(DOCUMENTS, 4)
    assert [(each.title, {each.id: 1.0}) for each in chosen] == [
        (each.query, each.relevant) for each in asked
    ]

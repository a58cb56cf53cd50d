"""A follow-up takes what it lacks from the conversation; a question of its own takes nothing."""

from typing import Literal

import pytest

from rag.followup import resolve

pytestmark = pytest.mark.unit


def carried(question: str) -> str:
    return resolve(question, "Sepsis", "").text


@pytest.mark.parametrize(
    ("question", "resolved"),
    [
        ("what about children?", "Sepsis: what about children?"),
        ("and how is it treated?", "and how is Sepsis treated?"),
        ("is it contagious?", "is Sepsis contagious?"),
        ("symptoms?", "Sepsis: symptoms?"),
        ("what are the treatment options", "Sepsis: what are the treatment options"),
        ("can I die from it?", "can I die from Sepsis?"),
        ("does it cause fever?", "does Sepsis cause fever?"),
        ("is it caused by stress?", "is Sepsis caused by stress?"),
        ("Is this disease inherited?", "Is Sepsis inherited?"),
        ("what are its symptoms", "what are Sepsis's symptoms"),
        ("how long does it last?", "how long does Sepsis last?"),
        ("does that run in families?", "does Sepsis run in families?"),
        ("and in pregnancy?", "Sepsis: and in pregnancy?"),
        ("Who is at risk?", "Sepsis: Who is at risk?"),
        ("how common is that?", "how common is Sepsis?"),
        ("ok, and what about older people", "Sepsis: ok, and what about older people"),
    ],
)
def test_a_question_without_a_subject_takes_that_of_the_conversation(
    question: str, resolved: str
) -> None:
    assert carried(question) == resolved
    assert resolve(question, "Sepsis", "").focus == "Sepsis"


@pytest.mark.parametrize(
    "question",
    [
        "How is asthma treated?",
        "what about asthma?",
        "I have asthma. Is it contagious?",
        "what is it like to have asthma",
        "is it safe to fly with a cold?",
        "is it normal to feel dizzy?",
        "what about diabetes, is it treated the same way?",
        "tell me a joke",
        "what is the capital of France",
        "hello",
        "thanks",
        "",
        "???",
    ],
)
def test_a_question_of_its_own_is_left_as_it_is(question: str) -> None:
    found = resolve(question, "Sepsis", "p1")
    assert (found.text, found.focus, found.patient) == (question, "", "")


@pytest.mark.parametrize("question", ["and how is it treated?", "what about children?"])
def test_without_a_conversation_nothing_is_carried_over(question: str) -> None:
    assert resolve(question, "", "").text == question


@pytest.mark.parametrize(
    ("question", "about"),
    [
        ("how is she doing?", None),
        ("is he stable?", "subject"),
        ("why was the patient paged?", None),
        ("and blood pressure?", "patient"),
        ("what is the trend of the heart rate?", "patient"),
        ("why was I paged?", "patient"),
        ("any open alerts?", "patient"),
    ],
)
def test_a_question_about_a_patient_takes_the_conversations_patient(
    question: str, about: Literal["subject", "patient"] | None
) -> None:
    found = resolve(question, "Sepsis", "p1", about=about)
    assert (found.text, found.patient, found.focus) == (question, "p1", "")


def test_no_patient_is_carried_over_to_a_question_that_names_one() -> None:
    found = resolve(
        "how is she doing, p2?", "Sepsis", "p1", names_patient=lambda text: "p2" in text
    )
    assert found.patient == ""


def test_a_question_of_medicine_after_one_about_a_patient_is_not_about_the_patient() -> None:
    assert resolve("What is sepsis?", "", "p1", about="patient").patient == ""
    assert resolve("is it contagious?", "Sepsis", "p1", about="subject").patient == ""


def test_subjects_that_the_corpus_knows_decide_where_they_are_given() -> None:
    def subjects(text: str) -> list[tuple[int, str]]:
        return [(text.index(n), n) for n in ("stress", "Fabry", "children") if n in text]

    assert resolve("Does Fabry hurt, is it bad?", "Sepsis", "", subjects=subjects).focus == ""
    assert resolve("is it caused by stress?", "Sepsis", "", subjects=subjects).focus == "Sepsis"
    # a subject of its own in the corpus, and yet no new one
    assert resolve("what about children?", "Sepsis", "", subjects=subjects).focus == "Sepsis"

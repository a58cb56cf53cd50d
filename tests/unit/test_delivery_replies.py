"""What people type with one thumb is understood; what can be read in two ways is asked again."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.alert_events import Acknowledgement
from streams.delivery.callbacks import Problem, reply
from streams.delivery.references import ALPHABET, LENGTH

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NURSE = "+14155550123"
CONTACTS = {NURSE: "nurse-anna"}
REFERENCES = st.text(ALPHABET, min_size=LENGTH, max_size=LENGTH)


def said(body: str, **params: str) -> Acknowledgement | Problem:
    return reply({"From": NURSE, "Body": body, **params}, NOW, CONTACTS.get)


def kind(body: str, **params: str) -> str:
    problem = said(body, **params)
    assert isinstance(problem, Problem), problem
    return problem.kind


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("ack", "accepted"), ("a", "accepted"), ("accept", "accepted"), ("Yes", "accepted"),
        ("ok", "accepted"), ("acknowledged", "accepted"), ("y", "accepted"),
        ("escalate", "escalated"), ("e", "escalated"), ("esc", "escalated"),
        ("decline", "declined"), ("d", "declined"), ("no", "declined"), ("n", "declined"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "form", ["{} C7Q2XM", "c7q2xm {}", "{}: C7q2Xm!!", "{}\nC7Q2XM", "{}C7Q2XM"]
)
def test_each_answer_is_understood_wherever_the_reference_stands(
    word: str, answer: str, form: str
) -> None:
    assert said(form.format(word)) == Acknowledgement(
        alert="C7Q2XM", answer=answer, by="nurse-anna", at=NOW, channel="sms"
    )


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ("acept c7q2xm", "accepted"),  # a letter lost
        ("acccept c7q2xm", "accepted"),  # one too many
        ("decilne c7q2xm", "declined"),  # two swapped
        ("escalte c7q2xm", "escalated"),
        ("ack c7q-2xm", "accepted"),
        ("ack c7q 2xm.", "accepted"),
        ("ack C7QZXM", "accepted"),  # Z for 2
        ("\uff21\uff23\uff2b C7Q2XM", "accepted"),  # full-width letters
        ("accept C7Q2XM, a nurse is there", "accepted"),
        ("Escalate c7q2xm to a doctor", "escalated"),
    ],
)
def test_typing_noise_is_tolerated(body: str, answer: str) -> None:
    found = said(body)
    assert isinstance(found, Acknowledgement), found
    assert (found.alert, found.answer) == ("C7Q2XM", answer)


@pytest.mark.parametrize("body", ["ack", "yes", "", "\U0001f44d", "accept room 12", "ack 123456"])
def test_without_a_reference_the_text_says_how(body: str) -> None:
    problem = said(body)
    assert isinstance(problem, Problem)
    assert problem.kind == "no_reference"
    assert 'for example "accept C7Q2XM"' in problem.text


@pytest.mark.parametrize(
    "body",
    ["yes no C7Q2XM", "I can't accept C7Q2XM", "can\u2019t ack c7q2xm", "do not accept C7Q2XM",
     "accept or escalate C7Q2XM?", "a d C7Q2XM"],
)  # fmt: skip
def test_what_can_be_read_in_two_ways_is_no_answer(body: str) -> None:
    """Nobody may be taken to come who has just said that he cannot."""
    assert kind(body) == "many_answers"


def test_two_references_are_asked_for_one_by_one() -> None:
    assert kind("ack C7Q2XM FGH234") == "many_references"
    assert isinstance(said("ack C7Q2XM c7q2xm"), Acknowledgement)


@pytest.mark.parametrize("body", ["C7Q2XM", "what is C7Q2XM", "don't know C7Q2XM", "stop C7Q2XM"])
def test_a_reference_alone_is_no_answer(body: str) -> None:
    assert kind(body) == "no_answer"


@pytest.mark.parametrize("body", ["STOP", " stop. ", "Stop All", "UNSUBSCRIBE", "cancel", "end"])
def test_an_opt_out_is_no_answer(body: str) -> None:
    assert kind(body) == "opted_out"


def test_what_twilio_takes_for_an_opt_out_is_one_whatever_the_words() -> None:
    assert kind("arret", OptOutType="STOP") == "opted_out"
    assert kind("start") == "opted_in"
    assert kind("help") == "help"


def test_an_unknown_number_answers_nothing_and_is_not_repeated() -> None:
    problem = reply({"From": "+19995550199", "Body": "ack C7Q2XM"}, NOW, CONTACTS.get)
    assert isinstance(problem, Problem)
    assert problem.kind == "unknown_sender"
    assert "9995550199" not in problem.text


@given(REFERENCES, st.sampled_from(["ack", "accept", "decline", "escalate", "a", "d", "e"]))
def test_every_reference_is_found_beside_every_answer(reference: str, word: str) -> None:
    found = said(f"{word} {reference.lower()}")
    assert isinstance(found, Acknowledgement)
    assert found.alert == reference


@given(st.text(max_size=200))
def test_no_text_breaks_it_and_no_problem_repeats_it(body: str) -> None:
    found = said(body)
    if isinstance(found, Problem):
        assert NURSE not in found.text

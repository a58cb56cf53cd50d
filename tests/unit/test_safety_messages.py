"""Emergencies, crises and refusals: what is caught, what is not, and where it stands."""

import time
from pathlib import Path

import pytest

from rag.safety import Safety

pytestmark = pytest.mark.unit

DATA = Path(__file__).parents[1] / "data" / "safety"


@pytest.fixture(scope="module")
def safety() -> Safety:
    return Safety.load("GB")


def messages(*names: str) -> list[tuple[str, str]]:
    rows = [
        line.split("\t")
        for name in names
        for line in (DATA / f"{name}.tsv").read_text("utf-8").splitlines()
    ]
    return [(kind, text) for kind, text in rows]


@pytest.mark.parametrize(
    "names", [("first_urgent", "first_harmless"), ("second",), ("third", "fourth")]
)
def test_urgent_messages_are_caught_and_harmless_ones_are_left_alone(
    safety: Safety, names: tuple[str, ...]
) -> None:
    rows = messages(*names)
    urgent = [text for kind, text in rows if kind != "none"]
    harmless = [text for kind, text in rows if kind == "none"]
    found = ("emergency", "crisis")
    missed = [text for text in urgent if safety.check(text).outcome not in found]
    routed = [text for text in harmless if safety.check(text).outcome in found]
    assert len(missed) <= 0.02 * len(urgent), missed
    assert len(routed) <= 0.03 * len(harmless), routed


@pytest.mark.parametrize(
    ("urgent", "harmless"),
    [
        ("I have chest pain", "I have no chest pain"),
        ("he can no longer breathe", "he has no trouble breathing"),
        ("I don't deny chest pain", "I deny chest pain"),
        ("my father is having a stroke", "my father died of a stroke"),
        ("I had a heart attack in 2015 and now my chest hurts", "I had a heart attack in 2015"),
        ("my baby is choking what do i do", "what should I do if someone is choking"),
        ("is this a heart attack", "what is a heart attack"),
        ("chets pain", "chess pain"),
        ("she is having a siezure", "what is a seizure"),
        ("bed 4 sats 78", "bed 4 sats 97"),
        ("I want to die", "I am dying to know"),
    ],
)
def test_a_word_makes_the_difference(safety: Safety, urgent: str, harmless: str) -> None:
    assert safety.check(urgent).outcome in ("emergency", "crisis")
    assert safety.check(harmless).outcome not in ("emergency", "crisis")


def test_a_match_names_its_rule_its_version_and_its_place_in_the_original(safety: Safety) -> None:
    message = "Hello 🙂 — CH\u200bЕST  pаin"  # noqa: RUF001
    (match,) = safety.check(message).rules
    assert match.rule == "emergency/chest-pain"
    assert match.version == safety.versions[0]
    assert message[match.start : match.end] == "CH\u200bЕST  pаin"  # noqa: RUF001


def test_people_get_the_numbers_of_their_region() -> None:
    assert "999" in Safety.load("uk").check("chest pain").text
    assert "988" in Safety.load("US").check("i want to die").text
    assert "112 in the EU, 911 in the US" in Safety.load().check("chest pain").text
    with pytest.raises(ValueError, match="set VIGIL_REGION to one of"):
        Safety.load("Atlantis")


@pytest.mark.parametrize(
    ("message", "rule"),
    [
        ("how much ibuprofen can I take", "refusal/dose"),
        ("what dose", "refusal/dose"),
        ("do I have sepsis?", "refusal/diagnosis"),
        ("diagnose me", "refusal/diagnosis"),
        ("should I stop taking warfarin", "refusal/medication"),
        ("can I skip my insulin", "refusal/medication"),
    ],
)
def test_doses_diagnoses_and_changes_of_medicines_are_refused(
    safety: Safety, message: str, rule: str
) -> None:
    verdict = safety.check(message)
    assert verdict.outcome == "refused"
    assert verdict.rules[0].rule == rule
    assert "Ask" in verdict.text


@pytest.mark.parametrize(
    "message",
    [
        "How is sepsis diagnosed?",
        "What is the usual treatment for sepsis?",
        "what research is being done",
        "do I have any open alerts",
        "what are the side effects of warfarin",
        "",
        "?!",
    ],
)
def test_questions_about_the_matter_are_not_refused(safety: Safety, message: str) -> None:
    assert safety.check(message).outcome is None


def test_a_message_takes_less_than_a_millisecond_on_average(safety: Safety) -> None:
    texts = [text for _, text in messages("second")]
    for text in texts:
        safety.check(text)
    began = time.process_time()
    for text in texts:
        safety.check(text)
    assert (time.process_time() - began) / len(texts) < 0.001

"""What a question is asked, in which order; and that nothing later takes back what came first."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from rag.answering import Answerer, Ask
from rag.answers import Answer, RuleMatch
from rag.confidence import FEATURES, Confidence
from rag.corpus.sentences import sentences
from rag.extract import Extractor
from rag.index import Index
from rag.retriever import Retriever
from rag.safety import Verdict
from rag.tools.claims import subject_hash
from rag.tools.registry import Setting
from rag.tools.rights import Rights
from tables.conversations import Past
from tests.unit.made_corpus import GOUT, WordEncoder, document
from tests.unit.made_ward import claims, recommendation, ward

pytestmark = pytest.mark.unit


CURE = "Gout is treated with colchicine, rest and much to drink."
WHAT = "Gout is an arthritis of the great toe."
INDEX = Index(WordEncoder())
INDEX.upsert(
    [
        document("gout/what", "What is (are) Gout ?", WHAT, *GOUT, "information"),
        document("gout/cure", "What are the treatments for Gout ?", CURE, *GOUT, "treatment"),
    ]
)
SITE = claims(sub="head", role="site", units=(), exp=9e9)
STRANGER = claims(units=("ICU-9",), exp=9e9)


#: A rule that matched, and is set aside in "a film:".
ASIDE = RuleMatch("made/aside", "1", 0, 1)


class Rules:
    """Rules that read their outcome in the message: "emergency!", "refused!"."""

    def verdicts(self, messages: Sequence[str]) -> list[Verdict]:
        return [self._verdict(message) for message in messages]

    @staticmethod
    def _verdict(message: str) -> Verdict:
        for outcome in ("emergency", "crisis", "refused"):
            if f"{outcome}!" in message:
                return Verdict(outcome, (RuleMatch(f"made/{outcome}", "1", 0, 1),), outcome)
        return Verdict(None, set_aside=(ASIDE,) if "a film:" in message else ())


class Model:
    """An endpoint that says what it is told to, and counts how often it is asked."""

    def __init__(self, reply: str = "") -> None:
        self.said, self.asked = reply, 0

    async def reply(self, question: str, evidence: Any, summary: str = "") -> str:
        self.asked += 1
        return self.said


def answerer(threshold: float = 0.5, **given: Any) -> Answerer:
    # sure of what is near
    sure = Confidence("made", (20.0, *[0.0] * (len(FEATURES) - 1)), -10.0, threshold)
    return Answerer(Rules(), Retriever(INDEX), sure, Extractor(sentences), **given)


def answers(*asks: Ask, **given: Any) -> list[Answer]:
    return [each.answer for each in asyncio.run(answerer(**given).answer(asks))]


def ask(text: str, **given: Any) -> Ask:
    return Ask(text, 0, **given)


def test_an_emergency_comes_before_everything_and_costs_no_right_to_ask() -> None:
    text = "emergency! what is the risk of patient p000123, and what is Gout?"
    (found,) = answers(ask(text, allowed=False, claims=SITE), ward=ward(recommendation(0)))
    assert (found.outcome, found.rules[0].rule) == ("emergency", "made/emergency")


@pytest.mark.parametrize("said", ["What are the treatments for Gout?", "How do I bake bread?"])
def test_what_was_set_aside_stands_in_whatever_is_answered_then(said: str) -> None:
    aside, plain = answers(ask(f"a film: {said}"), ask(said))
    assert (aside.set_aside, plain.set_aside) == ((ASIDE,), ())


def test_a_refusal_by_rule_asks_for_no_evidence() -> None:
    (found,) = answers(ask("refused! What is Gout?"))
    assert (found.outcome, found.quotes) == ("refused", ())


def test_who_asks_too_much_is_told_so() -> None:
    (found,) = answers(ask("What is Gout?", allowed=False))
    assert (found.outcome, found.rules[0].rule) == ("refused", "rate/session")


def test_evidence_is_quoted_to_the_letter() -> None:
    (found,) = answers(ask("What are the treatments for Gout?"))
    assert found.outcome == "answered"
    assert found.quotes
    for quote in found.quotes:
        document = INDEX.get(quote.document_id)
        assert document is not None
        assert quote.stands_in(document)


def test_without_evidence_it_says_so_and_no_model_is_asked() -> None:
    model = Model()
    (found,) = answers(ask("How do I bake bread?"), endpoint=model)
    assert (found.outcome, model.asked) == ("abstained", 0)


def test_what_a_model_says_without_a_quote_gives_way_to_the_quotes() -> None:
    model = Model("Drink vinegar.")
    (found,) = answers(ask("What are the treatments for Gout?"), endpoint=model)
    assert model.asked == 1
    assert "vinegar" not in found.text
    assert CURE in found.text


def test_live_data_goes_to_whoever_may_see_it_and_a_refusal_tells_nothing() -> None:
    text = "what is the risk of patient p000123?"
    seen, stranger, nobody = answers(
        ask(text, claims=SITE), ask(text, claims=STRANGER), ask(text), ward=ward(recommendation(0))
    )
    assert (seen.outcome, seen.tools) == ("answered", ("current_risk",))
    assert [stranger.outcome, nobody.outcome] == ["refused", "refused"]
    (unknown,) = answers(
        ask("what is the risk of patient p999?", claims=STRANGER), ward=ward(recommendation(0))
    )
    assert unknown.text == stranger.text


def test_without_a_ward_a_question_about_a_patient_is_one_for_the_documents() -> None:
    (found,) = answers(ask("what is the risk of patient p000123?", claims=SITE))
    assert found.outcome == "abstained"


def test_a_follow_up_is_searched_with_what_it_is_about() -> None:
    (found,) = answers(ask("How is it treated?", past=Past(focus="Gout", about="subject")))
    assert [quote.document_id for quote in found.quotes] == ["gout/cure"]


def test_questions_are_answered_in_the_order_in_which_they_came() -> None:
    found = answers(
        ask("What are the treatments for Gout?"),
        ask("emergency!"),
        ask("How do I bake bread?"),
        ask("refused!"),
    )
    assert [each.outcome for each in found] == ["answered", "emergency", "abstained", "refused"]


# -- whom a refusal was about


def _about(question: Ask, **given: Any) -> str:
    (found,) = asyncio.run(answerer(**given).answer([question]))
    assert found.answer.outcome == "refused"
    assert found.patient is None, "it goes into no answer and no conversation"
    return found.about


RISK = "What is the risk of patient p000123?"
NAMED = subject_hash("patient", "p000123")


def test_a_refusal_for_want_of_a_right_or_of_claims_notes_whom_it_was_about() -> None:
    there = ward(recommendation(0))
    assert _about(ask(RISK, claims=STRANGER), ward=there) == NAMED
    assert _about(ask(RISK), ward=there) == NAMED, "nobody has signed in"
    expired = claims(exp=1)
    assert _about(ask(RISK, claims=expired), ward=there) == NAMED


def test_a_refusal_by_rule_or_rate_notes_whom_it_was_about() -> None:
    assert _about(ask("refused! what dose for patient p000123?")) == NAMED
    assert _about(ask("refused! what dose?", patient_id="p000123")) == NAMED
    her = Past(patient="p000123")
    assert _about(ask("refused! what dose for her?", past=her)) == NAMED
    assert _about(ask("What is Gout?", patient_id="p000123", allowed=False)) == NAMED
    patient = claims(sub="p000123", role="patient", units=(), exp=9e9)
    assert _about(ask("refused! what dose?", claims=patient)) == NAMED


def test_a_refusal_about_nobody_notes_nobody() -> None:
    assert _about(ask("refused! what dose of aspirin?")) == ""


def test_with_a_key_of_the_audit_whom_a_refusal_was_about_is_keyed() -> None:
    keyed = Setting(Rights(audit_key=b"k"))
    by_rule = _about(ask("refused! patient p000123?"), setting=keyed)
    by_right = _about(ask(RISK, claims=STRANGER), ward=ward(recommendation(0)), setting=keyed)
    assert by_rule == by_right == subject_hash("patient", "p000123", b"k")


def test_a_question_that_does_not_fit_its_tool_is_answered_with_what_to_write() -> None:
    nurse = claims(units=("ICU-1", "ICU-2"), exp=9e9)
    (which,) = answers(ask("Who is the sickest?", claims=nurse), ward=ward(recommendation(0)))
    assert which.outcome == "abstained"
    assert which.text.startswith("Please write which ward you mean: ICU-1 or ICU-2.")

    risk = ask(f"What is the risk of patient {'1' * 200}?", claims=nurse)
    (whose,) = answers(risk, ward=ward(recommendation(0)))
    assert whose.text.startswith("I could not tell which patient you mean.")
    assert "patient_id" not in whose.text

"""What a question is asked, in which order; and that nothing later takes back what came first."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.answering import Answerer, Ask
from rag.answers import Answer, RuleMatch
from rag.confidence import FEATURES, Confidence
from rag.corpus.sentences import sentences
from rag.extract import Extractor
from rag.index import Index
from rag.retriever import Retriever
from rag.safety import Verdict
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


class Rules:
    """Rules that read their outcome in the message: "emergency!", "refused!", "later!"."""

    def check(self, message: str) -> Verdict:
        for outcome in ("emergency", "crisis", "refused"):
            if f"{outcome}!" in message:
                return Verdict(outcome, (RuleMatch(f"made/{outcome}", "1", 0, 1),), outcome)
        return Verdict(None)

    def second_look(self, messages: Sequence[str], vectors: NDArray[np.float32]) -> list[Verdict]:
        assert len(messages) == len(vectors)
        urgent = Verdict("emergency", (RuleMatch("net/emergency", "1", 0, 1),), "help")
        return [urgent if "later!" in message else Verdict(None) for message in messages]


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


@pytest.mark.parametrize("allowed", [True, False])
def test_what_no_rule_has_foreseen_is_urgent_all_the_same_whatever_else_would_be_said(
    allowed: bool,
) -> None:
    found = answers(ask("later! refused! What is Gout?", allowed=allowed))
    assert found[0].outcome == "emergency"


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

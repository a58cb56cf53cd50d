"""An answer's text: quotes with their sources, always the disclaimer, never an invented quote."""

from dataclasses import replace

import pytest

from config.guidance import guidance
from rag.answers import Answer, Quote, RuleMatch
from rag.reply_text import NO_EVIDENCE, abstained, extractive, sources, verified
from tests.unit.made_documents import ASTHMA, ASTHMA_GENES, GOUT, quote_of

pytestmark = pytest.mark.unit

ONE = quote_of(ASTHMA, "Quick-relief\nmedicine stops symptoms.")
TWO = quote_of(GOUT, "Gout is treated with medicine against pain.")
DOCUMENTS = {document.id: document for document in (ASTHMA, ASTHMA_GENES, GOUT)}


def test_quotes_are_numbered_and_their_sources_listed() -> None:
    text = extractive([ONE, TWO], 0.9).text
    assert "“Quick-relief medicine stops symptoms.” [1]" in text
    assert "“Gout is treated with medicine against pain.” [2]" in text
    assert (
        "[1] What are the treatments for Asthma ? (Made Institute): https://example.org/asthma"
        in text
    )
    assert "[2] What are the treatments for Gout ?: https://example.org/gout" in text


def test_two_quotes_of_a_document_are_one_source() -> None:
    other = quote_of(ASTHMA, "Asthma is treated with two kinds of medicine.")
    assert sources([ONE, TWO, other]).splitlines()[1].startswith("[1][3] What are the treatments")


@pytest.mark.parametrize("answer", [extractive([ONE]), extractive([]), abstained(0.1)])
def test_every_answer_has_the_disclaimer(answer: Answer) -> None:
    assert answer.text.endswith(guidance().disclaimer)


def test_without_quotes_it_is_an_abstention_that_says_so() -> None:
    answer = extractive([], 0.2)
    assert (answer.outcome, answer.quotes, answer.confidence) == ("abstained", (), 0.2)
    assert NO_EVIDENCE in answer.text


def test_an_answer_whose_quotes_stand_passes_as_it_is() -> None:
    answer = extractive([ONE, TWO], 0.9)
    assert verified(answer, DOCUMENTS) is answer


@pytest.mark.parametrize(
    "wrong",
    [
        replace(TWO, text="Gout is cured with medicine against pain."),
        replace(TWO, start=TWO.start + 1),
        replace(TWO, text="", start=0, end=0),
        replace(TWO, document_id="9/unknown"),
    ],
)
def test_a_quote_that_does_not_stand_in_its_source_goes_and_its_words_with_it(wrong: Quote) -> None:
    answer = verified(extractive([wrong, ONE], 0.9), DOCUMENTS)
    assert answer.quotes == (ONE,)
    assert "Gout" not in answer.text
    assert "“Quick-relief medicine stops symptoms.” [1]" in answer.text


def test_where_no_quote_stands_it_is_an_abstention() -> None:
    assert verified(extractive([replace(ONE, text="No.")]), DOCUMENTS).outcome == "abstained"


def test_an_emergency_stays_one_whatever_becomes_of_its_quotes() -> None:
    rule = RuleMatch("emergency/made", "1", 0, 4)
    answer = Answer("emergency", "Call for help now.", (replace(ONE, text="No."),), rules=(rule,))
    checked = verified(answer, DOCUMENTS)
    assert (checked.outcome, checked.text, checked.quotes) == ("emergency", answer.text, ())
    assert checked.rules == (rule,)

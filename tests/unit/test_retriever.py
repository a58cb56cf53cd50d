"""Hybrid search: what is found first, and what a hit tells."""

import pytest

from rag.filters import Filters
from rag.retriever import Retriever, Weights
from tests.unit.made_corpus import made_index

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def retriever() -> Retriever:
    return Retriever(made_index())


def best(retriever: Retriever, question: str) -> str:
    return retriever.search([question])[0][0].document.id


def test_the_kind_of_question_decides_between_documents_about_one_illness(
    retriever: Retriever,
) -> None:
    assert best(retriever, "is there a cure for gout?") == "gout/cure"
    assert best(retriever, "why do people get gout?") == "gout/why"
    assert best(retriever, "gout") == "gout/what"


def test_an_illness_is_found_by_its_other_names_and_in_spite_of_a_slip(
    retriever: Retriever,
) -> None:
    assert best(retriever, "how is podagra treated?") == "gout/cure"
    assert best(retriever, "how is blood poisning treated?") == "sepsis/cure"


def test_a_whole_message_is_searched_by_its_question(retriever: Retriever) -> None:
    message = (
        "Hello, my father is 70 and lives alone since my mother died. He was diagnosed with "
        "podagra last year. He likes to cook and to work in his garden. How is it treated? Thanks"
    )
    assert best(retriever, message) == "gout/cure"


def test_questions_that_are_searched_together_find_what_they_find_alone(
    retriever: Retriever,
) -> None:
    questions = ["how is gout treated", "what is sepsis", "how is gout treated"]
    together = retriever.search(questions)
    for question, hits in zip(questions, together, strict=True):
        alone = retriever.search([question])[0]
        assert [hit.document.id for hit in hits] == [hit.document.id for hit in alone]
        assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in alone])


def test_a_hit_tells_cosine_and_how_much_of_the_question_it_covers(retriever: Retriever) -> None:
    first = retriever.search(["What are the treatments for Gout ?"])[0][0]
    assert first.cosine == pytest.approx(1, abs=1e-5)
    assert first.covered == 1
    assert retriever.search(["zebras"])[0][0].covered == 0


def test_a_word_that_no_document_has_is_more_of_a_question_than_one_that_many_have(
    retriever: Retriever,
) -> None:
    assert 0 < retriever.search(["gout zebras"])[0][0].covered < 0.5


def test_scores_fall_and_the_limit_holds(retriever: Retriever) -> None:
    (hits,) = retriever.search(["treatments for sepsis and gout"], limit=3)
    assert len(hits) == 3
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_filters_hold_for_every_ranking(retriever: Retriever) -> None:
    (hits,) = retriever.search(
        ["how is gout treated"], filters=Filters(question_types=("information",))
    )
    assert {hit.document.id for hit in hits} == {"gout/what", "sepsis/what"}
    assert retriever.search(["gout"], filters=Filters(collections=("none",))) == [[]]


def test_nothing_that_is_asked_finds_nothing_and_no_question_asks_nothing(
    retriever: Retriever,
) -> None:
    assert retriever.search([]) == []
    assert len(retriever.search(["", "???"])) == 2


def test_without_a_ranking_the_others_still_find() -> None:
    index = made_index()
    for weights in (Weights(titles=0, texts=0), Weights(questions=0, passages=0)):
        assert best(Retriever(index, weights=weights), "how is gout treated") == "gout/cure"


def test_a_name_counts_by_its_share_of_what_is_asked(retriever: Retriever) -> None:
    alone = retriever.asked("how is gout treated")
    among = retriever.asked("gout with crystals of urate, fluids and a dominant reaction")
    assert alone.names[("gout",)] == 1
    assert among.names[("gout",)] < 0.5


def test_a_question_without_a_type_s_word_asks_what_its_name_is(retriever: Retriever) -> None:
    assert retriever.asked("gout").kinds == ("information",)
    assert retriever.asked("what can I do about gout").kinds == ("treatment",)
    assert retriever.asked("hm").kinds == ()


def test_a_name_that_no_text_uses_still_says_what_is_meant(retriever: Retriever) -> None:
    assert retriever.asked("how is podagra treated").names[("podagra",)] == 1
    assert best(retriever, "podagra") == "gout/what"

"""Confidence rises with what speaks for an answer, and the threshold says from where on."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.confidence import FEATURES, Confidence, ConfidenceError, features, parse, shipped
from tests.unit.made_documents import ASTHMA, ASTHMA_GENES, GOUT, hit

pytestmark = pytest.mark.unit

QUESTION = "How is asthma treated?"
GIVEN: dict[str, Any] = {
    "format": "vigil-confidence/1",
    "version": "1",
    "features": list(FEATURES),
    "weights": [1.0] * len(FEATURES),
    "bias": -2.0,
    "threshold": 0.4,
}


def figure(name: str, *hits: Any, question: str = QUESTION) -> float:
    return float(features(question, hits)[FEATURES.index(name)])


def test_the_nearest_hit_counts_wherever_it_stands() -> None:
    hits = [hit(ASTHMA, 0.5), hit(GOUT, 0.9)]
    assert figure("cosine", *hits) == 0.9
    assert figure("rankers_agree", *hits) == 0.5
    assert figure("rankers_agree", *hits[::-1]) == 1.0


def test_a_subject_that_the_question_names_counts() -> None:
    assert figure("named", hit(ASTHMA)) == 1.0
    assert figure("named", hit(GOUT)) == 0.0
    assert figure("named", hit(ASTHMA), question="bronchial problems") == 0.5
    assert figure("named", hit(ASTHMA), question="is it brnochial?") == 0.5


def test_hits_of_one_subject_count() -> None:
    assert figure("same_subject", hit(ASTHMA), hit(ASTHMA_GENES)) == 1.0
    assert figure("same_subject", hit(ASTHMA), hit(GOUT)) == 0.5


def test_covered_words_count_of_the_first_or_of_the_nearest() -> None:
    assert figure("covered", hit(ASTHMA, 0.5, 0.2), hit(GOUT, 0.9, 0.6)) == 0.6


@given(
    st.text(max_size=40),
    st.lists(
        st.tuples(
            st.sampled_from([ASTHMA, GOUT, replace(GOUT, focus="", title="")]),
            st.floats(-1, 1),
            st.floats(0, 1),
        ),
        max_size=8,
    ),
)
def test_whatever_is_asked_and_found_it_is_a_probability(question: str, found: list[Any]) -> None:
    hits = [hit(*each) for each in found]
    rows = features(question, hits)
    assert rows.shape == (len(FEATURES),)
    assert ((rows >= -1) & (rows <= 1)).all()
    assert 0 <= shipped().of(question, hits) <= 1


def test_nothing_found_is_no_confidence_and_never_an_answer() -> None:
    assert shipped().of(QUESTION, []) == 0.0
    assert not shipped(0.0).answers(QUESTION, [])


def test_the_shipped_one_answers_what_it_should_and_declines_what_it_should() -> None:
    assert shipped().answers(QUESTION, [hit(ASTHMA, 0.85), hit(ASTHMA_GENES, 0.7)])
    assert not shipped().answers("How do I boil an egg?", [hit(GOUT, 0.25, 0.0)])


@given(st.floats(-0.2, 0.9), st.floats(0.01, 0.1))
def test_nearer_is_never_less_sure(cosine: float, more: float) -> None:
    further, nearer = ([hit(ASTHMA, c)] for c in (cosine, cosine + more))
    assert shipped().of(QUESTION, nearer) > shipped().of(QUESTION, further)


def test_the_threshold_is_a_setting() -> None:
    hits = [hit(ASTHMA, 0.85)]
    assert shipped(0.0).answers(QUESTION, hits)
    assert not shipped(1.0).answers(QUESTION, hits)
    assert shipped(0.7).version == shipped().version


def test_of_many_searches_it_is_the_same_as_of_each() -> None:
    confidence = parse(json.dumps(GIVEN))
    searches = [[hit(ASTHMA, c)] for c in (0.1, 0.5, 0.9)]
    rows = np.array([features(QUESTION, hits) for hits in searches])
    np.testing.assert_allclose(
        confidence.of_features(rows), [confidence.of(QUESTION, hits) for hits in searches]
    )


@pytest.mark.parametrize(
    "change",
    [
        {"format": "vigil-confidence/0"},
        {"features": ["cosine"]},
        {"weights": [1.0]},
        {"weights": None},
        {"weights": [float("nan")] * len(FEATURES)},
        {"bias": "high"},
        {"threshold": 1.5},
    ],
)
def test_coefficients_that_do_not_fit_are_refused_with_the_remedy(change: dict[str, Any]) -> None:
    with pytest.raises(ConfidenceError, match="confidence"):
        parse(json.dumps(GIVEN | change))
    with pytest.raises(ConfidenceError, match="fit them again"):
        parse("{")


def test_a_threshold_out_of_range_is_refused() -> None:
    with pytest.raises(ConfidenceError, match="between 0 and 1"):
        Confidence("1", (0.0,) * len(FEATURES), 0.0, -0.1)

"""The net behind the rules: it only adds, and every answer of it names its coefficients."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rag.encoder import DIMENSIONS
from rag.safety import Safety
from rag.safety.emergencies import Emergencies
from rag.safety.net import CLASSES, Net, NetError, grams, parse, shipped, urgency
from rag.safety.numbers import Numbers
from rag.safety.refusals import Refusals
from tests.unit.test_safety_messages import messages

pytestmark = pytest.mark.unit

TEXT = files("rag.safety").joinpath("net.json").read_text("utf-8")
RULES, REFUSALS = Emergencies(), Refusals()


def safety(threshold: float) -> Safety:
    return Safety(RULES, REFUSALS, Numbers("GB"), replace(shipped(), threshold=threshold))


def vectors(count: int) -> NDArray[np.float32]:
    drawn = np.random.default_rng(count).normal(size=(count, DIMENSIONS)).astype(np.float32)
    unit: NDArray[np.float32] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return unit


def test_what_the_rules_found_stays_whatever_the_net_says() -> None:
    texts = [text for kind, text in messages("second", "third") if kind != "none"]
    for threshold in (-np.inf, np.inf):
        gate = safety(threshold)
        checked = [gate.check(text) for text in texts]
        looked = gate.second_look(texts, vectors(len(texts)))
        assert all(
            second == first
            for first, second in zip(checked, looked, strict=True)
            if first.outcome in ("emergency", "crisis")
        )


def test_a_net_that_finds_nothing_changes_nothing() -> None:
    texts = [text for _, text in messages("fourth")] + ["how much ibuprofen can I take"]
    gate = safety(np.inf)
    assert gate.second_look(texts, vectors(len(texts))) == [gate.check(text) for text in texts]


@given(st.lists(st.text(max_size=80), max_size=4))
def test_every_message_gets_one_verdict_and_none_is_downgraded(texts: Sequence[str]) -> None:
    gate = safety(-1e9)
    looked = gate.second_look(texts, vectors(len(texts)))
    assert [each.outcome in ("emergency", "crisis") for each in looked] == [True] * len(texts)


def test_a_finding_names_the_net_its_version_and_the_whole_message() -> None:
    message = "the garden is quiet tonight"
    assert safety(-1e9).check(message).outcome is None
    (verdict,) = safety(-1e9).second_look([message], vectors(1))
    (match,) = verdict.rules
    assert match.rule == f"net/{verdict.outcome}"
    assert (match.start, match.end) == (0, len(message))
    assert match.version == shipped().version == safety(0).versions[3]
    assert "999" in verdict.text


def test_the_version_carries_the_checksum_of_the_coefficients() -> None:
    net = parse(TEXT)
    assert net.version.endswith(hashlib.sha256(TEXT.encode()).hexdigest()[:8])
    assert parse(TEXT + "\n").version != net.version


def test_scores_are_the_weights_of_vector_words_and_context() -> None:
    zero = np.zeros((len(CLASSES), DIMENSIONS), np.float32)
    pair = np.array([3, 4], np.float32)
    net = Net("1", "e", zero, {"pain": pair, "no pain": -pair}, pair * 0 - 1, pair * 0, 0.0)
    none = np.zeros((3, DIMENSIONS), np.float32)
    scores = net.scores(["pain", "no pain", "nothing"], none, [False, False, True])
    assert scores[0].tolist() == [3, 4]
    assert scores[1].tolist() == [0, 0]
    assert scores[2].tolist() == [-1, -1]


def test_a_misspelt_word_counts_as_the_word() -> None:
    zero = np.zeros((len(CLASSES), DIMENSIONS), np.float32)
    pair = np.array([3, 4], np.float32)
    net = Net("1", "e", zero, {"squeezing": pair}, pair * 0, pair * 0, 0.0)
    assert net.scores(["sqeezing"], zero[:1], [False])[0].tolist() == [3, 4]


def test_a_little_of_both_is_as_urgent_as_more_of_one() -> None:
    both, one, less = urgency(np.array([[1, 1], [2, -9], [1, -9]], np.float32))
    assert both > one > less


def test_words_and_pairs_of_neighbours_are_read() -> None:
    assert grams(" no pain . ") == {"no", "pain", ".", "no pain", "pain ."}
    assert grams(" ") == frozenset()


def test_a_missing_vector_is_told() -> None:
    with pytest.raises(ValueError, match="give one of 384 numbers for each message"):
        safety(0).second_look(["a", "b"], vectors(1))


@pytest.mark.parametrize(
    "change",
    [
        {"format": "vigil-safety-net/0"},
        {"vector": [[0.0] * DIMENSIONS]},
        {"words": {"pain": [1.0]}},
        {"words": {"pain": [float("nan"), 1.0]}},
        {"words": []},
        {"bias": None},
    ],
)
def test_coefficients_that_cannot_be_used_are_refused_with_the_remedy(
    change: dict[str, Any],
) -> None:
    with pytest.raises(NetError, match=r"fit it again with `python -m bench\.safety_net`"):
        parse(json.dumps(json.loads(TEXT) | change))
    with pytest.raises(NetError, match="bench"):
        parse("{")

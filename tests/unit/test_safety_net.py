"""The net behind the rules: what it adds, what it doubts, and that every finding names it."""

import hashlib
import io
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
from rag.safety.emergencies import Emergencies, RuleFile
from rag.safety.layers import SHAPES, pack, unpack
from rag.safety.net import CLASSES, Net, NetError, Reading, parse, shipped, urgency, write
from rag.safety.numbers import Numbers
from rag.safety.refusals import Refusals
from rag.safety.rules import read
from tests.unit.test_safety_messages import messages

pytestmark = pytest.mark.unit

CONTENT = files("rag.safety").joinpath("net.npz").read_bytes()
RULES, REFUSALS = Emergencies(), Refusals()
SHIPPED = Safety(RULES, REFUSALS, Numbers("GB"))
URGENT = ("emergency", "crisis")

#: How urgent a message is to `Made`, by a word in it.
SAYS = {"sure": -9.0, "unsure": -1.0, "alarm": 9.0}


class Made:
    """States that say how urgent a message is."""

    def states(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        return [np.full((3, DIMENSIONS), _says(text), np.float32) for text in texts]


def _says(text: str) -> float:
    return next((says for word, says in SAYS.items() if f" {word}" in f" {text}"), -1.0)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Safety:
    """The rules that ship, with a net that reads its result in the message."""

    def made(states: NDArray[np.float32], weights: Any) -> NDArray[np.float32]:
        return np.array([0, states[0, 0], -99], np.float32)

    monkeypatch.setattr("rag.safety.net.logits", made)
    return Safety(RULES, REFUSALS, Numbers("GB"), Net("made", {}, 0.0, -3.0, Made()))


# -- rules and net


def test_a_match_stands_unless_the_net_is_sure(gate: Safety) -> None:
    unsure, sure = gate.verdicts(["unsure, I have got chest pain", "sure, I have got chest pain"])
    assert unsure.outcome == "emergency"
    assert unsure.rules[0].rule == "emergency/chest-pain"
    assert sure.outcome is None
    assert not unsure.set_aside
    assert [(each.rule, each.version) for each in sure.set_aside] == [
        ("emergency/chest-pain", RULES.version),
        ("net/harmless", "made"),
    ]


def test_a_pattern_that_always_counts_stands_even_then(gate: Safety) -> None:
    message = "sure, " + next(
        text
        for kind, text in messages("first_urgent", "second", "fifth")
        if kind != "none" and RULES.look(text).certain
    )
    assert gate.verdicts([message])[0] == gate.check(message)
    assert gate.check(message).outcome in URGENT


def test_what_the_net_could_not_change_does_not_wait_for_it(
    gate: Safety, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def noted(net: Net, messages: Sequence[str]) -> list[Reading]:
        read.extend(messages)
        return [Reading(None, surely_not=True)]

    monkeypatch.setattr(Net, "read", noted)
    certain = next(
        text
        for kind, text in messages("first_urgent", "second", "fifth")
        if kind != "none" and RULES.look(text).certain
    )
    urgent, harmless = gate.verdicts([certain, "the garden is quiet tonight"])
    assert (urgent.outcome in URGENT, harmless.outcome) == (True, None)
    assert read == ["the garden is quiet tonight"]


def test_what_no_rule_knows_the_net_finds(gate: Safety) -> None:
    message = "alarm, the garden is quiet tonight"
    assert gate.check(message).outcome is None
    (verdict,) = gate.verdicts([message])
    (match,) = verdict.rules
    assert (match.rule, match.version) == ("net/emergency", "made")
    assert (match.start, match.end) == (0, len(message))
    assert "999" in verdict.text


def test_a_finding_of_the_net_comes_before_a_refusal(gate: Safety) -> None:
    refused, urgent = gate.verdicts(
        ["unsure how much ibuprofen can I take", "alarm, how much ibuprofen can I take"]
    )
    assert (refused.outcome, urgent.outcome) == ("refused", "emergency")


def test_of_a_doubted_match_the_refusal_stays_and_says_what_was_set_aside(gate: Safety) -> None:
    (verdict,) = gate.verdicts(["sure, I have chest pain, how much ibuprofen can I take"])
    assert verdict.outcome == "refused"
    assert [each.rule for each in verdict.set_aside] == ["emergency/chest-pain", "net/harmless"]


def test_one_piece_of_a_long_message_is_enough(gate: Safety) -> None:
    around = "We moved here three years ago because of the job. " * 8
    assert gate.verdicts([f"{around} alarm. {around}"])[0].outcome == "emergency"
    assert gate.verdicts([around])[0].outcome is None


def test_nothing_makes_nothing(gate: Safety) -> None:
    assert gate.verdicts([]) == []


# -- the one that ships


def test_a_finding_names_the_version_that_ships() -> None:
    unknown = [t for k, t in messages("fifteenth") if k != "none" and not RULES.find(t)]
    verdict = next(each for each in SHIPPED.verdicts(unknown[:9]) if each.outcome in URGENT)
    assert verdict.rules[0].version == SHIPPED.versions[3] == shipped().version


@given(st.text(max_size=80))
def test_a_verdict_is_that_of_the_rules_or_names_the_net(text: str) -> None:
    (verdict,) = SHIPPED.verdicts([text])
    by_net = verdict.rules and verdict.rules[0].rule.startswith("net/")
    assert by_net or verdict == SHIPPED.check(text) or verdict.outcome not in URGENT


CONDITIONS = [
    phrase
    for rule in read(RuleFile, "emergencies.yaml", None)[0].rules
    for phrase in rule.condition
    if phrase.replace(" ", "").isalpha()
]


@pytest.mark.parametrize("said", ["{}!", "I have {}", "my son has {} and I do not know what to do"])
def test_an_illness_that_somebody_has_is_never_doubted(said: str) -> None:
    texts = [said.format(phrase) for phrase in CONDITIONS]
    assert len(texts) > 100
    urgent = [text for text in texts if SHIPPED.check(text).outcome in URGENT]
    lost = [
        text
        for text, verdict in zip(urgent, SHIPPED.verdicts(urgent), strict=True)
        if verdict.outcome not in URGENT
    ]
    assert len(urgent) > len(texts) / 2
    assert not lost


def test_where_the_net_fails_the_rules_decide_alone(
    gate: Safety, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Made, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        raise MemoryError

    monkeypatch.setattr(Made, "states", broken)
    urgent, other = gate.verdicts(["I have chest pain since this morning", "what is gout?"])
    assert (urgent.outcome, other.outcome) == ("emergency", None)
    assert "cannot read a message: MemoryError" in caplog.text
    assert "chest pain" not in caplog.text


def test_a_message_of_hardly_more_than_the_match_is_not_doubted(gate: Safety) -> None:
    assert gate.verdicts(["sure, chest pain"])[0].outcome == "emergency"


def test_a_message_has_the_same_score_in_any_company() -> None:
    texts = ["my chest hurts", "what is gout?", "a long message about nothing much " * 20]
    together = shipped().scores(texts)
    alone = np.concatenate([shipped().scores([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-3)


def test_a_little_of_both_is_as_urgent_as_more_of_one() -> None:
    both, one, less = urgency(np.array([[1.5, 1.5], [2, -9], [1, -9]], np.float32))
    assert both > one > less


# -- the layers


def drawn() -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(0)
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


def test_weights_are_rounded_by_at_most_half_a_step_of_their_row() -> None:
    weights = drawn()
    packed = unpack(pack(weights))
    for name, value in weights.items():
        step = np.abs(value).max(axis=-1, keepdims=True) / 127
        assert (np.abs(packed[name] - value) <= step * 0.501).all(), name


def test_rounding_what_is_rounded_changes_nothing() -> None:
    once = unpack(pack(drawn()))
    twice = unpack(pack(once))
    assert all(np.allclose(once[name], twice[name], atol=1e-6) for name in SHAPES)


# -- the file


def test_the_version_carries_the_checksum_of_the_weights() -> None:
    net = parse(CONTENT, Made())
    assert f"-{hashlib.sha256(CONTENT).hexdigest()[:8]}-" in net.version


def test_what_is_written_is_read_again() -> None:
    net = parse(write(drawn(), "net-9", 0.5, -2.0), Made())
    assert (net.version[:6], net.threshold, net.doubt) == ("net-9-", 0.5, -2.0)
    assert set(net.weights) == set(SHAPES)


def changed(about: dict[str, Any], **arrays: Any) -> bytes:
    with np.load(io.BytesIO(CONTENT)) as found:
        content: dict[str, Any] = {name: found[name] for name in found.files}
    told = json.loads(str(content["about"])) | about
    file = io.BytesIO()
    np.savez(file, **{**content, "about": np.array(json.dumps(told)), **arrays})
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        changed({"format": "vigil-safety-net/0"}),
        changed({"encoder": "another"}),
        changed({"classes": CLASSES[:1]}),
        changed({"doubt": None}),
        changed({"doubt": 1.0}),
        changed({"threshold": float("nan")}),
        CONTENT[:200_000] + bytes([CONTENT[200_000] ^ 255]) + CONTENT[200_001:],
        changed({}, **{"head.bias": np.zeros(2, np.float32)}),
        changed({}, **{"head.bias": np.full(3, np.nan, np.float32)}),
        b"",
        CONTENT[:1000],
        b'{"format": "vigil-safety-net/1"}',
    ],
)
def test_weights_that_cannot_be_used_are_refused_with_the_remedy(content: bytes) -> None:
    with pytest.raises(NetError, match=r"fit it again with `python -m bench\.safety_net`"):
        parse(content, Made())


def test_a_threshold_is_a_threshold() -> None:
    text = "the garden is quiet tonight"
    high = replace(shipped(), threshold=np.inf)
    low = replace(shipped(), threshold=-np.inf)
    assert high.read([text])[0].urgent is None
    assert low.read([text])[0].urgent is not None

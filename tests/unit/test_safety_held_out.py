"""Messages that nothing was tuned on: what rules and net catch, and what they wrongly route."""

import pytest

from rag.encoder import load_encoder
from rag.safety import Safety
from tests.unit.test_safety_messages import messages

pytestmark = [pytest.mark.unit, pytest.mark.slow]

#: Measured 619 of 673 (.920), less a point. The goal is .98: it is not reached.
CAUGHT = 0.91
#: Measured 48 of 1,128 (.043), and a point more. The goal is .03: it is not reached.
WRONG = 0.053


def test_of_unseen_messages_no_fewer_are_caught_and_no_more_wrong_than_measured() -> None:
    rows = messages("held_out_first", "held_out_second", "held_out_third")
    texts = [text for _, text in rows]
    looked = Safety.load("GB").second_look(texts, load_encoder().encode(texts))
    found = [verdict.outcome in ("emergency", "crisis") for verdict in looked]
    urgent = [is_in for (kind, _), is_in in zip(rows, found, strict=True) if kind != "none"]
    harmless = [is_in for (kind, _), is_in in zip(rows, found, strict=True) if kind == "none"]
    assert sum(urgent) >= CAUGHT * len(urgent)
    assert sum(harmless) <= WRONG * len(harmless)

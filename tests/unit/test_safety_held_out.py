"""Messages that nothing was tuned on: what rules and net catch, and what they wrongly route."""

import pytest

from rag.safety import Safety
from tests.unit.test_safety_messages import messages

pytestmark = [pytest.mark.unit, pytest.mark.slow]

#: Measured 1,075 of 1,093 (.984), less a point. The goal is .98.
CAUGHT = 0.97
#: Measured 51 of 1,608 (.032), and a point more. The goal is .03: it is missed by three messages.
WRONG = 0.04


def test_of_unseen_messages_no_fewer_are_caught_and_no_more_wrong_than_measured() -> None:
    rows = messages(*(f"held_out_{number}" for number in ("first", "second", "third", "fourth")))
    looked = Safety.load("GB").verdicts([text for _, text in rows])
    found = [verdict.outcome in ("emergency", "crisis") for verdict in looked]
    urgent = [is_in for (kind, _), is_in in zip(rows, found, strict=True) if kind != "none"]
    harmless = [is_in for (kind, _), is_in in zip(rows, found, strict=True) if kind == "none"]
    assert sum(urgent) >= CAUGHT * len(urgent)
    assert sum(harmless) <= WRONG * len(harmless)

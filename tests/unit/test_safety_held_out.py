"""Messages that nothing was tuned on: what rules and net catch, and what they wrongly route."""

import pytest

from rag.safety import Safety
from tests.unit.made_questions_held_out import HELD_OUT
from tests.unit.test_safety_messages import messages

pytestmark = [pytest.mark.unit, pytest.mark.slow]

#: Measured 1,074 of 1,093 (.983), less a point. The goal is .98.
CAUGHT = 0.97
#: Measured 47 of 1,608 (.029), and a point more. The goal is .03.
WRONG = 0.04
#: Of questions to tools.
TOOLS_WRONG = 0.1


def test_of_unseen_messages_no_fewer_are_caught_and_no_more_wrong_than_measured() -> None:
    rows = messages(*(f"held_out_{number}" for number in ("first", "second", "third", "fourth")))
    looked = Safety.load("GB").verdicts([text for _, text in rows])
    found = [verdict.outcome in ("emergency", "crisis") for verdict in looked]
    urgent = [is_in for (kind, _), is_in in zip(rows, found, strict=True) if kind != "none"]
    harmless = [is_in for (kind, _), is_in in zip(rows, found, strict=True) if kind == "none"]
    assert sum(urgent) >= CAUGHT * len(urgent)
    assert sum(harmless) <= WRONG * len(harmless)


def test_what_staff_ask_of_patients_data_is_hardly_ever_taken_for_an_emergency() -> None:
    asked = [row[0] for row in HELD_OUT if row[2] not in (None, "symptom_check")]
    assert len(asked) > 50
    verdicts = Safety.load("GB").verdicts(asked)
    wrong = [
        text
        for text, verdict in zip(asked, verdicts, strict=True)
        if verdict.outcome in ("emergency", "crisis")
    ]
    assert len(wrong) <= TOOLS_WRONG * len(asked), wrong

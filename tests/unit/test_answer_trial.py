"""The judgement over questions and answers of a fault run finds everything that may go wrong."""

from pathlib import Path

import pytest

from bench.answer_trial import AnswerTrial, AnswerVerdict
from config.clock import from_ms
from config.settings import Settings
from streams.chat_events import ChatAnswer, Citation

pytestmark = pytest.mark.unit

ASKED = {"s1-0": "What is septic shock?", "s1-1": "How is it treated?"}


def _answer(question: str, answer_id: str = "", text: str = "said", about: str = "") -> ChatAnswer:
    quote = Citation(
        document_id="d",
        start=0,
        end=1,
        text=about or "Septic shock is an emergency.",
        title="",
        source="",
        url="",
    )
    return ChatAnswer(
        answer_id=answer_id or question,
        question_id=question,
        session_id=question.partition("-")[0],
        outcome="answered",
        text=text,
        quotes=[quote],
        confidence=1.0,
        tools=[],
        rules=[],
        asked_at=from_ms(1_767_225_600_000),
        answered_at=from_ms(1_767_225_600_000),
        corpus="c",
        disclaimer="d",
    )


FIRST, SECOND = _answer("s1-0"), _answer("s1-1")


@pytest.mark.parametrize(
    ("answers", "told", "wrong"),
    [
        ([FIRST, SECOND], {"s1-0", "s1-1"}, {}),
        ([FIRST, SECOND, SECOND], {"s1-0", "s1-1"}, {"repeats": 1}),
        ([FIRST], {"s1-0", "s1-1"}, {"lost": 1}),
        ([FIRST, SECOND, _answer("s1-1", "b")], {"s1-0", "s1-1", "b"}, {"doubled": 1}),
        ([FIRST, SECOND, _answer("s1-1", text="else")], {"s1-0", "s1-1"}, {"different": 1}),
        ([FIRST, _answer("s1-1", about="Gout hurts.")], {"s1-0", "s1-1"}, {"forgotten": 1}),
        ([FIRST, SECOND], {"s1-0"}, {"audit_missing": 1}),
    ],
)
def test_each_thing_that_goes_wrong_is_counted_and_makes_the_run_bad(
    tmp_path: Path, answers: list[ChatAnswer], told: set[str], wrong: dict[str, int]
) -> None:
    trial = AnswerTrial(Settings(broker="nowhere:1"), tmp_path)
    trial._asked = dict(ASKED)
    found = AnswerVerdict(questions=len(ASKED))
    trial._judge(answers, told, found)
    for name, times in wrong.items():
        assert getattr(found, name) == times
    assert found.good == (not wrong.keys() - {"repeats"})

"""A conversation survives a restart, ends by event time, and never answers a question twice."""

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.ids import answer_id
from tables.codec import StateError
from tables.conversation_rows import VERSION, Conversation, Given, Told, Turn, decode, encode
from tables.conversations import (
    Conversations,
    Past,
    Rules,
    recall,
    summary_text,
    take,
    what_was,
)

pytestmark = pytest.mark.unit

T0, MINUTE = 1_767_225_600_000, 60_000
RULES = Rules()

texts = st.text(max_size=12)
moments = st.integers(-(2**62), 2**62)
turns = st.builds(Turn, moments, texts, texts, texts, texts, texts)
conversations = st.builds(
    Conversation,
    moments,
    st.lists(turns, max_size=4).map(tuple),
    st.lists(st.builds(Told, texts, texts, st.integers(1, 9), moments), max_size=3).map(tuple),
    st.lists(st.builds(Given, texts, moments, st.binary(max_size=9)), max_size=3).map(tuple),
)


def turn(minute: float, focus: str = "", patient: str = "", outcome: str = "answered") -> Turn:
    at_ms = T0 + round(minute * MINUTE)
    return Turn(at_ms, f"q{at_ms}", "What?", outcome, focus, patient)


def after(*taken: Turn, rules: Rules = RULES) -> Conversation:
    conversation = None
    for each in taken:
        conversation = take(conversation, each, each.question_id.encode(), rules)
    assert conversation is not None
    return conversation


def past(conversation: Conversation, minute: float) -> Past:
    return what_was(conversation, T0 + round(minute * MINUTE), RULES)


@given(conversations)
def test_a_conversation_comes_back_as_it_was(conversation: Conversation) -> None:
    assert decode(encode(conversation)) == conversation


@given(conversations, st.data())
def test_bytes_that_end_early_are_refused(conversation: Conversation, data: st.DataObject) -> None:
    whole = encode(conversation)
    with pytest.raises(StateError):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_another_version_is_refused_with_the_remedy() -> None:
    with pytest.raises(StateError, match="delete the table's state"):
        decode(bytes([VERSION + 1]) + encode(Conversation())[1:])


def test_the_focus_is_that_of_the_newest_turn_that_has_one() -> None:
    conversation = after(turn(0, "Asthma"), turn(1, "Sepsis"), turn(2, outcome="abstained"))
    assert past(conversation, 3).focus == "Sepsis"
    assert past(conversation, 3).about == "subject"


def test_patient_and_focus_are_kept_beside_each_other() -> None:
    found = past(after(turn(0, "Sepsis"), turn(1, patient="p1")), 2)
    assert (found.focus, found.patient, found.about) == ("Sepsis", "p1", "patient")


@pytest.mark.parametrize(("minute", "focus"), [(15, "Sepsis"), (15.1, "")])
def test_a_conversation_is_over_after_a_quarter_of_an_hour_of_event_time(
    minute: float, focus: str
) -> None:
    assert past(after(turn(0, "Sepsis")), minute).focus == focus


def test_a_new_conversation_knows_nothing_of_the_old_one() -> None:
    rules = Rules(turns=1)
    old = after(turn(0, "Asthma"), turn(1, "Gout"), rules=rules)
    assert old.summary
    new = take(old, turn(40, ""), b"", rules)
    assert [t.at_ms for t in new.turns] == [turn(40).at_ms]
    assert new.summary == ()


def test_an_old_question_that_comes_late_refers_to_what_was_asked_by_then() -> None:
    conversation = after(turn(0, "Asthma"), turn(10, "Sepsis"))
    assert past(conversation, 5).focus == "Asthma"


@given(
    st.lists(st.integers(0, 14), min_size=1, max_size=14, unique=True),
    st.randoms(use_true_random=False),
)
def test_the_turns_of_a_conversation_end_in_the_same_history_in_whatever_order_they_come(
    minutes: list[int], chance: random.Random
) -> None:
    told = [turn(minute, string.ascii_uppercase[minute % 3]) for minute in sorted(minutes)]
    mixed = chance.sample(told, len(told))
    ours, theirs = after(*told), after(*mixed)
    assert (ours.turns, ours.summary, ours.last_ms) == (
        theirs.turns,
        theirs.summary,
        theirs.last_ms,
    )


def test_history_is_bounded_and_what_goes_is_in_the_summary() -> None:
    rules = Rules(turns=3, summary=2)
    conversation = after(*(turn(n, "Asthma" if n % 2 else "Gout") for n in range(9)), rules=rules)
    assert [t.at_ms for t in conversation.turns] == [turn(n).at_ms for n in (6, 7, 8)]
    assert summary_text(conversation.summary) == (
        "Earlier: Asthma (answered, 3 times); Gout (answered, 3 times)."
    )


def test_no_summary_is_longer_than_its_parts() -> None:
    rules = Rules(turns=1, summary=2)
    conversation = after(*(turn(n, f"Focus {n}") for n in range(9)), rules=rules)
    assert [told.focus for told in conversation.summary] == ["Focus 7", "Focus 6"]


def test_a_summary_names_no_patient() -> None:
    conversation = after(*(turn(n, patient="p1") for n in range(9)), rules=Rules(turns=1))
    assert "p1" not in summary_text(conversation.summary)


def test_a_question_that_is_read_again_gets_its_answer_again_and_is_no_turn() -> None:
    conversation = after(turn(0, "Asthma"), turn(1, "Gout"))
    again = take(conversation, turn(0, "Sepsis"), b"another answer", RULES)
    assert again is conversation
    assert recall(conversation, turn(0).question_id) == turn(0).question_id.encode()
    assert recall(conversation, "unknown") is None
    assert recall(None, "q") is None


def test_a_question_that_is_read_again_does_not_refer_to_itself() -> None:
    conversation = after(turn(0, "Asthma"), turn(1, "Gout"))
    again = what_was(conversation, turn(1).at_ms, RULES, turn(1).question_id)
    assert again.focus == "Asthma"


def test_only_the_newest_answers_are_kept() -> None:
    conversation = after(*(turn(n) for n in range(9)), rules=Rules(given=2))
    kept = [n for n in range(9) if recall(conversation, turn(n).question_id) is not None]
    assert kept == [7, 8]


def test_a_long_question_is_cut() -> None:
    long = Turn(T0, "q", "x" * 10_000, "answered")
    assert len(take(None, long, b"", RULES).turns[0].question) == RULES.characters


def test_the_id_of_an_answer_is_that_of_its_question_and_of_no_other() -> None:
    assert answer_id("s", "q") == answer_id("s", "q")
    assert len({answer_id("a", "b c"), answer_id("a b", "c"), answer_id("a", "b")}) == 3


@pytest.mark.parametrize("name", ["ttl_ms", "turns", "summary", "given", "characters"])
def test_rules_that_remember_nothing_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Rules(**{name: 0})


# -- the table


def test_a_worker_that_takes_over_a_partition_goes_on_where_the_other_was() -> None:
    one, other = Conversations(), Conversations()
    stored = {"s": one.take(3, "s", turn(0, "Sepsis"), b"answer")}
    other.load(3, stored.items())
    assert other.what_was(3, "s", turn(1).at_ms) == one.what_was(3, "s", turn(1).at_ms)
    assert other.recall(3, "s", turn(0).question_id) == b"answer"
    one.drop(3)
    assert len(one) == 0
    assert one.recall(3, "s", turn(0).question_id) is None


def test_sessions_do_not_know_each_other() -> None:
    table = Conversations()
    table.take(0, "s", turn(0, "Sepsis"), b"")
    assert table.what_was(0, "t", turn(1).at_ms) == Past()
    assert table.what_was(1, "s", turn(1).at_ms) == Past()


def test_what_is_over_is_pruned_and_what_goes_on_is_not() -> None:
    table = Conversations(keep_ms=5 * MINUTE)
    table.take(0, "over", turn(0), b"")
    table.take(0, "goes on", turn(0), b"")
    table.take(0, "goes on", turn(10), b"")
    assert table.prune(0, turn(20).at_ms) == []
    assert table.prune(0, turn(20.1).at_ms) == ["over"]
    assert table.prune(0, turn(20.1).at_ms) == []
    assert table.prune(0, turn(31).at_ms) == ["goes on"]
    assert len(table) == 0


def test_what_was_loaded_is_pruned_too() -> None:
    table = Conversations(keep_ms=0)
    table.load(0, [("s", encode(after(turn(0))))])
    assert table.prune(0, turn(16).at_ms) == ["s"]
    assert table.prune(7, turn(16).at_ms) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 120)), max_size=30))
def test_pruned_or_restarted_at_any_point_no_question_gets_another_answer(
    asked: list[tuple[str, int]],
) -> None:
    table = Conversations(Rules(given=40))
    stored: dict[str, bytes] = {}
    answers: dict[tuple[str, str], bytes] = {}
    for session, minute in asked:
        each = turn(minute)
        given_before = table.recall(0, session, each.question_id)
        if given_before is not None:
            assert given_before == answers[session, each.question_id]
        else:
            answer = answer_id(session, each.question_id).encode()
            answers[session, each.question_id] = answer
            stored[session] = table.take(0, session, each, answer)
        for over in table.prune(0, each.at_ms):
            del stored[over]
        again = Conversations(Rules(given=40))
        again.load(0, stored.items())
        assert {s: encode(c) for s, c in again._held[0].items()} == stored
        table = again

"""Messages of patients, cut down to what they ask."""

import pytest

from rag.shorten import Shortened, shorten
from tests.unit.made_corpus import made_index

pytestmark = pytest.mark.unit

INDEX = made_index()
STORY = "I live in a small town and the nearest hospital is two hours away by car."


def short(message: str) -> Shortened:
    with INDEX.rows() as rows:
        return shorten(message, rows.names, rows.texts.rarity, rows.right)


def test_a_question_stays_as_it_is() -> None:
    found = short("How is gout treated?")
    assert found == Shortened("How is gout treated?", ("gout",), True)


def test_the_story_goes_and_the_question_stays() -> None:
    found = short(f"Hello. {STORY} How is gout treated? Thank you very much")
    assert found.text == "How is gout treated?"
    assert not found.whole


def test_it_is_told_what_it_is_about() -> None:
    found = short(f"Dear Sir, my son has podagra. {STORY} Is it inherited?")
    assert found.text == "Is it inherited? podagra"
    assert found.names == ("podagra",)


def test_what_somebody_has_is_meant_rather_than_what_is_told_by_the_way() -> None:
    found = short(
        f"I read on sepsis in the paper. {STORY} My son was diagnosed with marfan syndrome. "
        "Can it be treated?"
    )
    assert found.text == "Can it be treated? marfan syndrome"


def test_a_greeting_without_a_full_stop_takes_nothing_with_it() -> None:
    found = short(f"hi there i was told that i have gout and {STORY} what can i do about it thanks")
    assert "gout" in found.text


def test_what_runs_on_without_full_stops_is_cut_where_the_question_begins() -> None:
    found = short(
        f"my mother has sepsis {STORY.rstrip('.')} i want to know is it inherited thank you"
    )
    assert found.text.startswith("i want to know is it inherited")
    assert "thank" not in found.text
    assert "town" not in found.text
    assert found.names == ("sepsis",)


def test_asking_for_a_reply_is_no_question() -> None:
    found = short(
        f"{STORY} What causes gout? Could you please send your reply to my e-mail? "
        "Any help would be appreciated."
    )
    assert found.text == "What causes gout?"


def test_of_a_message_that_asks_nothing_what_names_an_illness_stays() -> None:
    found = short(f"{STORY} Gout has troubled me since I came back from the sea. {STORY}")
    assert found.text.startswith("Gout has troubled me")


@pytest.mark.parametrize("message", ["", "   ", "?!", "Thanks!", "\n\n"])
def test_what_says_nothing_does_no_harm(message: str) -> None:
    assert short(message).text == message.strip()


def test_what_is_named_in_the_question_before_it_is_what_it_means() -> None:
    found = short(f"My aunt has sepsis. {STORY} Do you know of podagra? Is it inherited?")
    assert found.names == ("podagra",)


def test_a_number_with_a_point_ends_no_sentence() -> None:
    found = short(f"{STORY} My uric acid is 9.8 and they said I should rest. What causes gout?")
    assert found.text == "What causes gout?"

"""A dead letter is the whole record; too many of them stop the worker."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.deadletters import DeadLetterLimit, TooManyDeadLettersError, encode, original
from streams.events import DeadLetter
from tests.helpers import Record

pytestmark = pytest.mark.unit


def letter(record: Record, reason: str = "why") -> dict[str, Any]:
    return dict(json.loads(encode(record, reason)))


@given(st.one_of(st.none(), st.binary()), st.one_of(st.none(), st.binary()))
def test_the_original_bytes_come_back_whatever_they_are(
    key: bytes | None, value: bytes | None
) -> None:
    headers = [("correlation-id", value), ("empty", b"")]
    record = Record(
        value, key=key, offset=17, partition=3, topic="vitals", timestamp=5, headers=headers
    )
    sent = encode(record, "not JSON")
    DeadLetter.model_validate_json(sent)
    back = original(json.loads(sent))
    assert back == {"key": key, "value": value, "timestamp_ms": 5, "headers": headers}


def test_a_dead_letter_tells_where_its_record_stands_and_what_is_wrong_with_it() -> None:
    found = letter(Record(b"{", offset=17, partition=3, topic="vitals"), "not JSON: truncated")
    assert found["topic"] == "vitals"
    assert (found["partition"], found["offset"]) == (3, 17)
    assert found["reason"] == "not JSON: truncated"


def test_a_long_reason_is_cut_because_it_is_for_people() -> None:
    assert letter(Record(b"{"), "x" * 5_000)["reason"] == "x" * 500


def test_a_header_name_of_any_bytes_is_kept_and_only_that_header_is_not_sent_again() -> None:
    headers = [("odd\udce4", b"1"), ("fine", b"2"), ("fine", None)]
    found = letter(Record(b"{", headers=headers))
    DeadLetter.model_validate_json(json.dumps(found))
    assert [base64.b64decode(name) for name in found["header_names"]] == [
        b"odd\xe4", b"fine", b"fine",
    ]  # fmt: skip
    assert found["headers"][0] == ["odd\\xe4", "MQ=="], "for people, and its value"
    assert original(found)["headers"] == headers[1:]


def test_names_that_are_utf8_are_told_once() -> None:
    assert "header_names" not in letter(Record(b"{", headers=[("Ger\u00e4t", b"1")]))


# -- the limit


def feed(limit: DeadLetterLimit, *batches: tuple[int, int]) -> None:
    for good, bad in batches:
        limit.count(good, bad)


def test_nearly_everything_bad_stops_the_worker_and_says_how_to_go_on() -> None:
    limit = DeadLetterLimit(100, 0.95)
    feed(limit, *[(0, 10)] * 9)
    with pytest.raises(TooManyDeadLettersError, match="100 of the last 100") as stopped:
        limit.count(0, 10)
    assert "VIGIL_DEAD_LETTER_RATIO" in str(stopped.value)
    assert "vigil deadletters list" in str(stopped.value)


def test_nothing_is_judged_before_the_window_is_full() -> None:
    feed(DeadLetterLimit(100, 0.95), *[(0, 1)] * 99)
    with pytest.raises(TooManyDeadLettersError):
        feed(DeadLetterLimit(100, 0.95), *[(0, 1)] * 100)


def test_half_of_everything_bad_is_borne_for_ever() -> None:
    feed(DeadLetterLimit(100, 0.95), *[(5, 5)] * 1_000)


@pytest.mark.parametrize(("good", "stops"), [(5, False), (4, True)])
def test_the_limit_is_above_the_ratio_not_at_it(good: int, stops: bool) -> None:
    limit = DeadLetterLimit(100, 0.95)
    if stops:
        with pytest.raises(TooManyDeadLettersError):
            limit.count(good, 100 - good)
    else:
        limit.count(good, 100 - good)


def test_good_records_of_long_ago_do_not_excuse_bad_ones_of_now() -> None:
    limit = DeadLetterLimit(100, 0.95)
    feed(limit, *[(10, 0)] * 1_000)
    with pytest.raises(TooManyDeadLettersError):
        feed(limit, *[(0, 10)] * 10)


def test_bad_records_of_long_ago_are_forgotten() -> None:
    limit = DeadLetterLimit(100, 0.5)
    feed(limit, (60, 40), *[(10, 0)] * 10)
    feed(limit, *[(6, 4)] * 100)


def test_a_batch_larger_than_the_window_is_judged_whole() -> None:
    DeadLetterLimit(10, 0.5).count(5_000, 5_000)
    with pytest.raises(TooManyDeadLettersError):
        DeadLetterLimit(10, 0.5).count(4_999, 5_001)


def test_a_ratio_of_one_never_stops() -> None:
    feed(DeadLetterLimit(10, 1.0), *[(0, 10)] * 10)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=60))
def test_it_stops_just_when_the_batches_that_fill_the_window_are_worse_than_the_ratio(
    batches: list[tuple[int, int]],
) -> None:
    window, ratio = 50, 0.8
    limit = DeadLetterLimit(window, ratio)
    for n in range(1, len(batches) + 1):
        good = bad = 0
        for g, b in reversed(batches[:n]):  # the fewest whole batches that are a window
            good, bad = good + g, bad + b
            if good + bad >= window:
                break
        if good + bad >= window and bad > ratio * (good + bad):
            with pytest.raises(TooManyDeadLettersError):
                limit.count(*batches[n - 1])
            return
        limit.count(*batches[n - 1])

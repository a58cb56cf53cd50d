"""Times in milliseconds, as moments and as text."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.clock import from_ms, iso, now_ms, to_ms
from tests.helpers import T0

pytestmark = pytest.mark.unit

#: 1970 to 2200.
milliseconds = st.integers(0, 7_258_118_400_000)


@given(milliseconds)
def test_a_millisecond_comes_back_from_a_moment_and_from_its_text(ms: int) -> None:
    assert to_ms(from_ms(ms)) == ms
    text = iso(ms)
    assert to_ms(datetime.fromisoformat(text)) == ms
    assert len(text) == len("2026-01-01T00:00:00.000Z")


def test_a_moment_of_any_time_zone_is_the_same_moment() -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    assert to_ms(datetime(2026, 1, 1, 5, 30, tzinfo=india)) == T0
    assert from_ms(T0) == datetime(2026, 1, 1, tzinfo=UTC)
    assert iso(T0 + 7) == "2026-01-01T00:00:00.007Z"


def test_a_moment_without_a_time_zone_is_refused_and_told_what_to_write() -> None:
    with pytest.raises(ValueError, match="2026-01-31T12:00:00Z"):
        to_ms(datetime(2026, 1, 1))


def test_texts_sort_as_their_moments_do() -> None:
    moments = [0, 1, 999, 1_000, T0, T0 + 86_400_000]
    assert sorted(map(iso, moments)) == [iso(ms) for ms in moments]


def test_now_is_the_time_of_the_machine_in_milliseconds() -> None:
    before = time.time()
    now = now_ms()
    assert int(before * 1000) <= now <= time.time() * 1000

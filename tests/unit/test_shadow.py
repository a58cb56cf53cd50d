"""A challenger in the shadow: both models' earnings, on stays it cannot have seen."""

import numpy as np
import pytest

from models.promotion import judge
from models.shadow import Shadow, ShadowError
from models.utility import normalised_utility
from tests.helpers import HOUR, T0

pytestmark = pytest.mark.unit

HOURS = 24


def stay(number: int) -> tuple[str, np.ndarray, np.ndarray]:
    labels = np.zeros(HOURS, np.int8)
    if number % 7 == 0:
        labels[HOURS // 2 :] = 1
    return f"p{number}", T0 + (number + 1) * HOUR + np.arange(HOURS) * HOUR, labels


def said(labels: np.ndarray, skill: float, number: int) -> np.ndarray:
    noise = np.random.default_rng(number).normal(0, 1, HOURS)
    return -4 + skill * 2 * labels + noise


def filled(count: int, skill: float, shadow: Shadow | None = None, start: int = 0) -> Shadow:
    shadow = shadow or Shadow("x1", "c1", T0)
    for number in range(start, count):
        name, at_ms, labels = stay(number)
        shadow.add(
            name,
            at_ms,
            labels,
            (said(labels, 1, number), 0.05),
            (said(labels, skill, number), 0.05),
        )
    return shadow


def test_a_better_challenger_is_promoted_and_one_that_is_alike_is_not() -> None:
    assert judge(filled(600, 1.5).evidence()).promote
    assert not judge(filled(600, 1).evidence()).promote
    assert not judge(filled(600, 0.5).evidence()).promote
    assert not judge(filled(100, 1.5).evidence()).promote


def test_the_utilities_are_those_of_the_challenge() -> None:
    found = filled(100, 2).evidence()
    labels = [stay(n)[2] for n in range(100)]
    alarms = [1 / (1 + np.exp(-said(y, 2, n))) >= 0.05 for n, y in enumerate(labels)]
    assert found.utility_after == pytest.approx(normalised_utility(labels, alarms))
    assert (found.stays, found.septic) == (100, 15)


def test_a_stay_that_began_before_the_challengers_data_ended_does_not_count() -> None:
    name, at_ms, labels = stay(0)
    logits = np.zeros(HOURS)
    shadow = Shadow("x1", "c1", int(at_ms[0]))
    assert not shadow.add(name, at_ms, labels, (logits, 0.5), (logits, 0.5))
    assert (shadow.seen, shadow.tally.stays, shadow.tally.sums.any()) == (1, 0, False)
    assert Shadow("x1", "c1", int(at_ms[0]) - 1).add(
        name, at_ms, labels, (logits, 0.5), (logits, 0.5)
    )


def test_a_shadow_goes_on_from_its_bytes_and_does_not_grow() -> None:
    half = filled(50, 1.5)
    again = filled(100, 1.5, Shadow.decode(half.encode()), start=50)
    whole = filled(100, 1.5)
    assert again.encode() == whole.encode()
    assert len(whole.encode()) == pytest.approx(len(half.encode()), abs=16)
    assert len(whole.encode()) < 32 * 1024


@pytest.mark.parametrize("spoil", [b"", b"{}", b"\x80", filled(1, 1).encode()[:-9]])
def test_bytes_that_are_no_shadow_are_refused(spoil: bytes) -> None:
    with pytest.raises(ShadowError, match="not a shadow"):
        Shadow.decode(spoil)
    with pytest.raises(ShadowError, match="format"):
        Shadow.decode(filled(1, 1).encode().replace(b"vigil-shadow/1", b"vigil-shadow/9"))


def test_what_is_not_finite_or_of_another_length_is_refused_and_nothing_is_added() -> None:
    name, at_ms, labels = stay(0)
    shadow = Shadow("x1", "c1", T0)
    for bad in (np.zeros(HOURS - 1), np.full(HOURS, np.nan)):
        with pytest.raises(ValueError, match=r"logits|finite"):
            shadow.add(name, at_ms, labels, (np.zeros(HOURS), 0.5), (bad, 0.5))
    assert shadow.tally.stays == 0

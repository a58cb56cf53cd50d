"""Random feeds for property tests: several patients, gaps, repeats, readings out of order."""

from hypothesis import strategies as st

from models.vitals import MISSING, VITALS
from tests.helpers import DAY, HOUR, MINUTE, SECOND, T0, Observed, row

__all__ = ["feeds", "rows"]

#: From one reading to the next: in order, across slots, hours and days, back within and beyond the
#: grace, and past the 32 hours that a window holds.
_STEPS = (
    0, SECOND, 7 * SECOND, MINUTE, 5 * MINUTE, 20 * MINUTE, HOUR, 3 * HOUR, 7 * HOUR, 23 * HOUR,
    DAY, 31 * HOUR, 32 * HOUR, 33 * HOUR, 70 * HOUR,
    -SECOND, -4 * MINUTE, -HOUR, -5 * HOUR, -6 * HOUR, -6 * HOUR - 1, -8 * HOUR,
)  # fmt: skip

_hundredths = st.one_of(st.just(MISSING), st.integers(3_000, 12_000))


def rows() -> st.SearchStrategy[list[int]]:
    """Values of one reading."""
    return st.lists(_hundredths, min_size=len(VITALS), max_size=len(VITALS))


@st.composite
def feeds(draw: st.DrawFn, *, patients: int = 3, max_size: int = 40) -> list[Observed]:
    """Readings in the order of arrival."""
    clocks = [T0 + draw(st.integers(0, DAY)) for _ in range(patients)]
    feed: list[Observed] = []
    for _ in range(draw(st.integers(1, max_size))):
        if feed and draw(st.integers(0, 9)) == 0:
            feed.append(feed[draw(st.integers(0, len(feed) - 1))])
            continue
        patient = draw(st.integers(0, patients - 1))
        clocks[patient] += draw(st.sampled_from(_STEPS)) + draw(st.integers(0, 999))
        values = row()
        values[:] = draw(rows())
        feed.append(Observed(clocks[patient], values, patient, draw(st.integers(0, 1))))
    return feed

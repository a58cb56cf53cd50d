"""From stays to a feature matrix, by the very functions that score the stream.

`featurise` screens and replays every reading as a worker does, so a row of the matrix is bit for
bit what the stream would have computed for that reading. `context_row` is the one place that turns
the facts of an admission into the numbers of a window.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.features import BEDSIDE_FEATURES, FEATURES, ORIGINAL_FEATURES, replay
from models.labs import RESULT_WIDTH, lab_features
from models.progress import track
from models.quality import impossible, screen
from models.stay import Stay
from models.vitals import MISSING, SCALE, VITALS
from models.window import HOUR_MS, MAX_GRACE_MS, empty_window

__all__ = ["BASE_MS", "Dataset", "context_row", "featurise"]

log = logging.getLogger(__name__)

#: When every recorded patient is taken to have come to intensive care: 2019-01-01T00:00Z. Any
#: whole hour gives the same features.
BASE_MS = 1_546_300_800_000
#: Patients replayed at a time: their windows take 5 KiB each.
_CHUNK = 500


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """The readings of many patients as rows of one matrix, patient after patient.

    Attributes:
        X: in the order of `models.features.FEATURES`, NaN = not known, shape [n, features].
        labels: 1 from six hours before the onset of sepsis on, else 0, shape [n]; None where the
            outcome of some patient is not known.
        patient: index of the stay a row belongs to, ascending, shape [n].
        seconds: seconds since ICU admission, shape [n].
    """

    X: NDArray[np.float64]
    labels: NDArray[np.int8] | None
    patient: NDArray[np.int64]
    seconds: NDArray[np.int64]

    def per_stay(self, rows: NDArray[np.float64], stays: int) -> list[NDArray[np.float64]]:
        """Cut values of the rows, such as probabilities, into one array a stay.

        Args:
            rows: one value a row, shape [n].
            stays: number of stays the data set was made of.

        Returns:
            One array a stay, in the order of the stays.
        """
        ends = np.searchsorted(self.patient, np.arange(1, stays + 1))
        return np.split(rows, ends)[:-1]

    def take(self, chosen: NDArray[np.int64]) -> "Dataset":
        """The rows of some stays.

        Args:
            chosen: indices of the stays, ascending, each of which has rows.

        Returns:
            The data set of those stays, numbered anew.
        """
        rows = np.isin(self.patient, chosen)
        return Dataset(
            self.X[rows],
            None if self.labels is None else self.labels[rows],
            np.searchsorted(chosen, self.patient[rows]),
            self.seconds[rows],
        )


def context_row(
    age: float | None,
    sex: int | None,
    icu_ms: int | None,
    hospital_ms: int | None,
    labs_seen: int | None = None,
) -> NDArray[np.int64]:
    """Turn what is known of an admission into the context columns of a window.

    Args:
        age: years; None or NaN = not known.
        sex: 0 female, 1 male; None = not known.
        icu_ms: time of admission to intensive care, ms since 1970; None = not known.
        hospital_ms: time of admission to the hospital, ms since 1970; None = not known.
        labs_seen: laboratory results of the patient that have arrived; None = none ever.

    Returns:
        Age in hundredths of a year, sex, the two times and the results, `MISSING` where not known:
        the columns of a window from `models.window.CONTEXT_AT` on, shape [5].

    >>> context_row(83.14, 0, 3_600_000, None, 7).tolist()
    [8314, 0, 3600000, -9223372036854775808, 7]
    """
    hundredths = None if age is None or math.isnan(age) else round(age * SCALE)
    facts = (hundredths, sex, icu_ms, hospital_ms, labs_seen)
    return np.array([MISSING if fact is None else fact for fact in facts], np.int64)


def featurise(stays: Sequence[Stay], *, grace_ms: int = MAX_GRACE_MS) -> Dataset:
    """Compute the features of every reading of every stay, as the stream does.

    A reading with a value that no sensor can have sent goes to the dead letters on the stream; here
    its row is kept and its values are left out.

    Args:
        stays: the patients; the readings of each in the order of time.
        grace_ms: see `models.window.observe`. Readings in order are never late.

    Returns:
        The data set, the rows in the order of the stays and their readings.
    """
    lengths = np.array([len(stay.seconds) for stay in stays], np.int64)
    ends = np.cumsum(lengths)
    patient = np.repeat(np.arange(len(stays)), lengths)
    seconds = np.concatenate([np.empty(0, np.int64), *(stay.seconds for stay in stays)])
    matrix = np.full((len(patient), len(FEATURES)), np.nan)
    for first in track(range(0, len(stays), _CHUNK), "Computing features"):
        chunk = stays[first : first + _CHUNK]
        rows = slice(ends[first] - lengths[first], ends[first + len(chunk) - 1])
        _replay(chunk, patient[rows] - first, seconds[rows], grace_ms, matrix[rows])
    labels = [stay.labels for stay in stays if stay.labels is not None]
    known = len(labels) == len(stays) > 0
    return Dataset(matrix, np.concatenate(labels) if known else None, patient, seconds)


def _replay(
    stays: Sequence[Stay],
    rows: NDArray[np.int64],
    seconds: NDArray[np.int64],
    grace_ms: int,
    features: NDArray[np.float64],
) -> None:
    """Fill the features of some stays."""
    context = np.array([_context(stay) for stay in stays])
    values = _screened(np.concatenate([np.empty((0, len(VITALS))), *(s.values for s in stays)]))
    replay(
        np.tile(empty_window(), (len(stays), 1)),
        rows,
        BASE_MS + seconds * 1000,
        values,
        np.zeros(len(rows), np.int64),  # one device
        context[rows],
        np.zeros(len(rows), np.bool_),  # no reading was taken in before
        grace_ms,
        features,
        np.empty((len(rows), len(ORIGINAL_FEATURES))),
        np.empty(len(rows), np.int8),
    )
    _fill_labs(stays, rows, seconds, features[:, len(BEDSIDE_FEATURES) :])


def _fill_labs(
    stays: Sequence[Stay],
    rows: NDArray[np.int64],
    seconds: NDArray[np.int64],
    features: NDArray[np.float64],
) -> None:
    """Fill the laboratory's features of some stays."""
    counts = np.array([len(stay.labs) for stay in stays])
    ends = np.cumsum(counts)
    results = np.empty((counts.sum(), RESULT_WIDTH), np.int64)
    results[:, :3] = np.concatenate([stay.labs for stay in stays])
    results[:, 1] = BASE_MS + results[:, 1] * 1000
    results[:, 3] = np.arange(len(results)) - np.repeat(ends - counts, counts)
    everything = np.full(len(rows), np.iinfo(np.int64).max)
    begins = (ends - counts)[rows]
    lab_features(results, begins, ends[rows], everything, BASE_MS + seconds * 1000, features)


def _context(stay: Stay) -> NDArray[np.int64]:
    waited = stay.hours_before_icu
    hospital = None if math.isnan(waited) else BASE_MS - round(waited * HOUR_MS)
    return context_row(stay.age, stay.sex, BASE_MS, hospital)


def _screened(values: NDArray[np.float64]) -> NDArray[np.int64]:
    column = np.empty(len(values), np.int8)
    impossible(values, column)
    hundredths = np.empty(values.shape, np.int64)
    screen(values, hundredths, np.empty(len(values), np.int32))
    corrupt = column >= 0
    if corrupt.any():
        log.warning("%d readings with a value no sensor can send: left out", corrupt.sum())
        hundredths[corrupt] = MISSING
    return hundredths

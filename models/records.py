"""From a table of readings to stays, without a Python step for each row.

`models.cohort` finds and opens the files; this is what their columns mean.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from models.labs import LAB_SCALE, LABS
from models.stay import NO_LABS, Stay
from models.vitals import VITALS

__all__ = [
    "ORIGINAL_FEED",
    "SHAPES",
    "CohortError",
    "Columns",
    "find_columns",
    "patient_ids",
    "to_stays",
]

log = logging.getLogger(__name__)

#: What the original feed always carried, beside ``Patient ID``.
ORIGINAL_FEED = (
    "MDC_PULS_OXIM_PULS_RATE_Result",
    "MDC_TEMP_Result",
    "MDC_ECG_HEART_RATE_Result",
    "MDC_TTHOR_RESP_RATE_Result",
)
_CHALLENGE = tuple(vital.column for vital in VITALS if vital.column is not None)
_IDS = ("pid", "Patient ID", "Patient_ID")
#: What a number is called here: the names it may have in a file.
_NUMBERS = {
    "ICULOS": ("ICULOS",),
    "SepsisLabel": ("SepsisLabel", "Sepsis"),
    "Age": ("Age",),
    "Gender": ("Gender",),
    "HospAdmTime": ("HospAdmTime",),
}
_HOUR = 3600
#: Unix times above this are milliseconds: as seconds they would lie beyond the year 5000.
_MILLISECONDS = 1e11

#: Ends every message about a source that is not understood.
SHAPES = (
    "Accepted: a folder with hospital_*.parquet; a folder of pNNNNNN.psv files; a .parquet or .csv "
    f"file with pid or 'Patient ID' and {', '.join(_CHALLENGE)}; a .parquet or .csv file with "
    f"'Patient ID' and {', '.join(ORIGINAL_FEED)}."
)


class CohortError(ValueError):
    """The data cannot be read as patients; the message says what is wrong and what would do."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a source are read, and as what.

    Attributes:
        vitals: column of each vital sign there is, by its index in `models.vitals.VITALS`.
        numbers: column of every other number there is, by its name in the challenge.
        labs: column of each laboratory test there is, by its index in `models.labs.LABS`.
        texts: columns of ids and times, read as text so that an id keeps its leading zeros.
    """

    vitals: dict[int, str]
    numbers: dict[str, str]
    labs: dict[int, str]
    texts: list[str]

    @property
    def all(self) -> list[str]:
        """Every column to read."""
        return [*self.vitals.values(), *self.numbers.values(), *self.labs.values(), *self.texts]


@dataclass(frozen=True, slots=True)
class _Patients:
    """Where each patient's rows lie in the sorted table; all arrays of shape [patients]."""

    names: NDArray[np.object_]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        return self.ends - self.starts

    def spread(self, per_patient: NDArray[Any]) -> NDArray[Any]:
        """Repeat a patient's value on each of the patient's rows."""
        return np.repeat(per_patient, self.lengths)


def find_columns(found: Sequence[str], source: str, *, needs_id: bool) -> Columns:
    """Match the columns of a source with one of the accepted shapes.

    Args:
        found: the columns there are.
        source: name of the source, for messages.
        needs_id: whether a column must say whose reading a row is.

    Returns:
        The columns to read.

    Raises:
        CohortError: a required column is missing; all of them are listed.
    """
    on_wire = any(vital.wire in found for vital in VITALS)
    names = [vital.wire if on_wire else vital.column for vital in VITALS]
    ids = [name for name in _IDS if name in found][:1] if needs_id else []
    missing = [name for name in (ORIGINAL_FEED if on_wire else _CHALLENGE) if name not in found]
    if needs_id and not ids:
        missing.insert(0, "'Patient ID'" if on_wire else "pid or 'Patient ID'")
    if missing:
        there = ", ".join(found) or "no column"
        raise CohortError(f"{source}: missing {', '.join(missing)}; found {there}. {SHAPES}")
    numbers = {
        name: next(alias for alias in aliases if alias in found)
        for name, aliases in _NUMBERS.items()
        if any(alias in found for alias in aliases)
    }
    times = ["observed_at"] if "observed_at" in found else []
    absent = [name for name in _NUMBERS if name not in numbers and not (times and name == "ICULOS")]
    if absent:
        log.warning("%s: read without %s: no such column", source, ", ".join(absent))
    return Columns(
        vitals={i: name for i, name in enumerate(names) if name is not None and name in found},
        numbers=numbers,
        labs={i: lab.column for i, lab in enumerate(LABS) if lab.column in found},
        texts=ids + times,
    )


def to_stays(
    columns: Columns,
    table: Any,
    source: str,
    *,
    limit: int | None = None,
    ids: NDArray[np.object_] | None = None,
) -> list[Stay]:
    """Cut a table into stays.

    Args:
        columns: what to take from the table.
        table: a ``pyarrow.Table``, one row a reading.
        source: name of the source, for messages.
        limit: no more than this many patients, the first ones; None = all.
        ids: patient of each row, shape [n]; None = the table has a column of ids.

    Returns:
        One stay a patient, in order of first appearance.

    Raises:
        CohortError: a row without id or time, or a value that its column cannot hold.
    """
    if ids is None:
        ids = patient_ids(table, columns.texts[0], source)
    codes, names = pd.factorize(ids)
    numbers = {name: _floats(table, column, source) for name, column in columns.numbers.items()}
    time = _times(columns, numbers, table, source)
    # both sorts are stable: readings at one time stay in the order of the file
    order = np.argsort(codes, kind="stable") if time is None else np.lexsort((time, codes))
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    patients = _Patients(names, np.concatenate(([0], ends[:-1])), ends)

    values = np.full((len(order), len(VITALS)), np.nan)
    for index, column in columns.vitals.items():
        values[:, index] = _floats(table, column, source)[order]
    unknown = np.full(len(order), np.nan)
    numbers = {name: numbers[name][order] if name in numbers else unknown for name in _NUMBERS}
    seconds = _seconds(None if time is None else time[order], columns, numbers["ICULOS"], patients)
    labels, labelled = _labels(numbers["SepsisLabel"], patients, source)
    _require_binary(numbers["Gender"], "Gender is 0 (female) or 1 (male)", source)
    sex = _first_known(numbers["Gender"], patients)
    age = _first_known(numbers["Age"], patients)
    # 0 - x, not -x: whoever came straight to intensive care waited 0 hours, not -0
    waited = 0.0 - _first_known(numbers["HospAdmTime"], patients)
    labs, lab_ends = _labs(columns, table, source, order, seconds, patients)

    return [
        Stay(
            patient_id=names[i],
            seconds=seconds[a:b],
            values=values[a:b],
            age=float(age[i]),
            sex=None if np.isnan(sex[i]) else int(sex[i]),
            hours_before_icu=float(waited[i]),
            labs=labs[lab_ends[i - 1] if i else 0 : lab_ends[i]],
            labels=labels[a:b] if labelled[i] else None,
        )
        for i, (a, b) in enumerate(zip(patients.starts[:limit], ends[:limit], strict=True))
    ]


def patient_ids(table: Any, name: str, source: str) -> NDArray[np.object_]:
    """The patient of each row of a table, as text, shape [n].

    Raises:
        CohortError: a row has none, or ``pid`` is no whole number.
    """
    column = table.column(name)
    if column.null_count:
        raise CohortError(f"{source}: {column.null_count} rows without {name}; remove them")
    if name != "pid":
        return column.cast(pa.string()).to_numpy().astype(object)
    try:
        pids = column.cast(pa.int64()).to_numpy()
    except pa.ArrowException as error:
        raise CohortError(f"{source}: pid must be a whole number: {error}") from error
    codes, distinct = pd.factorize(pids)
    return np.array([f"p{pid:06d}" for pid in distinct], dtype=object)[codes]


def _floats(table: Any, name: str, source: str) -> NDArray[np.float64]:
    column = table.column(name)
    try:
        values: NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    except pa.ArrowException as error:
        raise CohortError(f"{source}: {name} must be a number: {error}") from error
    # the challenge gives two decimals; widened as it is, a single-precision 75.33 would become
    # 75.33000183, another number than the same patient's psv file holds
    return np.round(values, 2) if column.type == pa.float32() else values


def _times(
    columns: Columns, numbers: Mapping[str, NDArray[np.float64]], table: Any, source: str
) -> NDArray[np.int64] | None:
    """What orders the rows of a patient, in seconds; None = the order in the file."""
    if "observed_at" in columns.texts:
        return _instants(table.column("observed_at"), source)
    if "ICULOS" not in numbers:
        return None
    return _iculos_seconds(numbers["ICULOS"], source)


def _iculos_seconds(hours: NDArray[np.float64], source: str) -> NDArray[np.int64]:
    if not np.isfinite(hours).all():
        raise CohortError(f"{source}: a row has no ICULOS; give it the hours since ICU admission")
    return np.rint(hours * _HOUR).astype(np.int64)


def _instants(column: Any, source: str) -> NDArray[np.int64]:
    if column.null_count:
        raise CohortError(f"{source}: a row has no observed_at; give every row its time")
    text = column.cast(pa.string()).to_pandas()
    unix = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
    if not np.isnan(unix).any():
        return np.rint(np.where(unix > _MILLISECONDS, unix / 1000, unix)).astype(np.int64)
    try:
        moments = pd.to_datetime(text, utc=True, format="ISO8601")
    except ValueError as error:
        raise CohortError(f"{source}: observed_at is ISO 8601 or Unix time: {error}") from error
    return moments.to_numpy(dtype="datetime64[s]").astype(np.int64)


def _seconds(
    time: NDArray[np.int64] | None,
    columns: Columns,
    iculos: NDArray[np.float64],
    patients: _Patients,
) -> NDArray[np.int64]:
    """Seconds since ICU admission, from the sorted times of `_times`."""
    if time is None:
        hours = np.arange(len(iculos)) - patients.spread(patients.starts) + 1
        return hours * _HOUR
    if "observed_at" not in columns.texts:
        return time
    since_first = time - patients.spread(time[patients.starts])
    first = np.nan_to_num(iculos[patients.starts]) * _HOUR
    return since_first + patients.spread(np.rint(first).astype(np.int64))


def _labels(
    raw: NDArray[np.float64], patients: _Patients, source: str
) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """Labels of all rows, and which patients have any."""
    _require_binary(raw, "SepsisLabel is 1 from six hours before onset on, else 0", source)
    known = np.concatenate(([0], np.cumsum(~np.isnan(raw))))
    count = known[patients.ends] - known[patients.starts]
    partly = patients.names[(count > 0) & (count < patients.lengths)]
    if len(partly):
        raise CohortError(
            f"{source}: patient {partly[0]} has a SepsisLabel in some rows only; give it in every "
            "row where the outcome is known, and in none where it is not"
        )
    return np.nan_to_num(raw).astype(np.int8), count > 0


def _labs(
    columns: Columns,
    table: Any,
    source: str,
    order: NDArray[np.int64],
    seconds: NDArray[np.int64],
    patients: _Patients,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Results of all patients, see `Stay.labs`, and where each patient's end.

    A value that is not plausible does not count, as on the stream.
    """
    found = [NO_LABS]
    at = [np.empty(0, np.int64)]
    for lab, column in columns.labs.items():
        values = _floats(table, column, source)[order]
        low, high = LABS[lab].plausible
        rows = np.flatnonzero((values >= low) & (values <= high))
        thousandths = np.rint(values[rows] * LAB_SCALE).astype(np.int64)
        found.append(np.column_stack([np.full(len(rows), lab), seconds[rows], thousandths]))
        at.append(rows)
    results, rows = np.concatenate(found), np.concatenate(at)
    # by patient and time, tests of the same time in the order of the table
    by_row = np.argsort(rows, kind="stable")
    return results[by_row], np.searchsorted(rows[by_row], patients.ends)


def _require_binary(raw: NDArray[np.float64], rule: str, source: str) -> None:
    wrong = raw[~(np.isnan(raw) | (raw == 0) | (raw == 1))]
    if len(wrong):
        raise CohortError(f"{source}: {rule}; found {wrong[0]:g}")


def _first_known(raw: NDArray[np.float64], patients: _Patients) -> NDArray[np.float64]:
    """The first value of each patient that is not NaN; NaN where there is none."""
    known = np.append(np.flatnonzero(~np.isnan(raw)), len(raw))
    at = known[np.searchsorted(known, patients.starts)]
    return np.where(at < patients.ends, np.append(raw, np.nan)[at], np.nan)

"""Patients on disk, read into `models.stay.Stay` objects.

Four shapes are recognised:

* a folder with ``hospital_*.parquet``: all of them are read;
* a folder with the challenge's ``pNNNNNN.psv`` charts, in any subfolders, or one such chart: one
  row an hour, every row kept, the patient id is the file's stem;
* a ``.parquet`` or ``.csv`` file with the challenge's columns and ``pid`` or ``Patient ID``;
* a ``.parquet`` or ``.csv`` file with the columns of the original feed: ``Patient ID`` and the
  wire names of `models.vitals`, of which the feed's own four must be there.

Challenge = PhysioNet / Computing in Cardiology Challenge 2019, doi 10.13026/v64v-d857.

Time is ``ICULOS``, hours since ICU admission, kept as it is (it may start late), or
``observed_at``, ISO 8601 or Unix time. With both, ``observed_at`` spaces the readings and the
ICULOS of the patient's first reading says how long ago admission was; with ``observed_at`` alone,
the stay begins at the first reading. With neither, the readings of a patient are one an hour in
file order, from hour 1 as ICULOS counts.

Optional: ``SepsisLabel`` (or ``Sepsis``; empty throughout = outcome unknown), ``Age`` (years),
``Gender`` (0 female, 1 male) and ``HospAdmTime`` (hours from ICU admission to hospital admission,
so mostly negative; `Stay.hours_before_icu` has the opposite sign).
"""

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from models.progress import track
from models.records import SHAPES, CohortError, Columns, find_columns, to_stays
from models.stay import Stay

__all__ = ["SIDES", "CohortError", "data_hash", "held_out", "read_stays", "side_of"]

log = logging.getLogger(__name__)

_NULLS = ["", "NaN", "nan", "NA", "N/A", "null", "NULL", "None"]
#: What a data set is split into, by patient: three fifths, one and one.
SIDES = ("train", "validation", "production")
_SIDE = ("train", "train", "train", "validation", "production")
#: Charts parsed at a time: enough that a parser's start costs nothing, little enough for memory.
_BATCH = 500


def read_stays(path: Path, *, limit: int | None = None) -> list[Stay]:
    """Read the patients at ``path``.

    Args:
        path: a file or folder in one of the shapes of this module.
        limit: read no more than this many patients, the first ones; None = all.

    Returns:
        One stay a patient, in the order in which the patients first appear, files sorted by path.
        Times ascend; readings at the same time stay in file order. The arrays of a stay are views
        into one array of all patients.

    Raises:
        CohortError: nothing of an accepted shape is there, columns are missing, a value cannot be
            read, or two files hold the same patient.
    """
    if limit is not None and limit < 1:
        raise CohortError(f"limit is {limit}; give at least 1, or None for all patients")
    if path.is_dir():
        if hospitals := sorted(path.glob("hospital_*.parquet")):
            return _read_hospitals(hospitals, limit)
        if charts := sorted(path.rglob("*.psv")):
            return _read_charts(charts[:limit])
        raise CohortError(f"{path}: neither hospital_*.parquet nor *.psv in this folder. {SHAPES}")
    if not path.is_file():
        raise CohortError(f"{path}: no such file or folder. {SHAPES}")
    match path.suffix.lower():
        case ".parquet":
            return _read_parquet(path, limit)
        case ".csv":
            columns, table = _parse(path.read_bytes(), ",", str(path))
            return to_stays(columns, table, str(path), limit=limit)
        case ".psv":
            return _read_charts([path])
    raise CohortError(f"{path}: neither .parquet nor .csv nor .psv. {SHAPES}")


def held_out(patient_id: str) -> bool:
    """Whether a patient belongs to the project's own hold-out, about one in five.

    The rule is ``int(sha256(f"{pid:06d}").hexdigest(), 16) % 5 == 1``, where pid is the integer
    that ends the id ("p000123" is 123). An id that does not end in its only integer is hashed as
    it is. Nothing but the id counts, so a patient never changes sides.

    Args:
        patient_id: id of the patient.

    Returns:
        True where nothing may be trained or tuned on the patient.

    >>> [held_out("p000001"), held_out("p000002"), held_out("2")]
    [False, True, True]
    """
    return int(hashlib.sha256(_key(patient_id).encode()).hexdigest(), 16) % 5 == 1


def side_of(patient_id: str, seed: int = 0) -> str:
    """Side of a patient in a split into 60 % train, 20 % validation, 20 % production.

    By a hash of seed and id alone, as in `held_out` but independent of it: every side has its own
    held-out patients.

    Args:
        patient_id: id of the patient.
        seed: another one is another split.

    Returns:
        One of `SIDES`.

    >>> [side_of("p000001"), side_of("1"), side_of("p000009")]
    ['production', 'production', 'train']
    """
    digest = hashlib.sha256(f"split {seed} {_key(patient_id)}".encode()).hexdigest()
    return _SIDE[int(digest, 16) % 5]


def _key(patient_id: str) -> str:
    """What of an id counts: "p000123" and 123 are one patient."""
    match = re.fullmatch(r"[^0-9]*([0-9]+)", patient_id)
    return f"{int(match[1]):06d}" if match else patient_id


def data_hash(stays: Iterable[Stay]) -> str:
    """Fingerprint of the data a model was trained on, for the registry.

    Covers ids, times, values, context and labels; neither the order of the patients nor the format
    of the file they came from changes it.

    Args:
        stays: the patients.

    Returns:
        16 hexadecimal digits of a SHA-256.
    """
    digest = hashlib.sha256()
    for stay in sorted(stays, key=lambda stay: stay.patient_id):
        sex = np.nan if stay.sex is None else stay.sex
        context = np.array([stay.age, sex, stay.hours_before_icu])
        digest.update(f"{stay.patient_id}\n{len(stay.seconds)}\n".encode())
        digest.update(stay.seconds.astype("<i8").tobytes())
        for floats in (context, stay.values):
            # one bit pattern for every NaN, and one for both zeros
            plain = np.where(np.isnan(floats), np.nan, floats) + 0.0
            digest.update(plain.astype("<f8").tobytes())
        digest.update(b"unknown" if stay.labels is None else stay.labels.astype("i1").tobytes())
    return digest.hexdigest()[:16]


def _read_hospitals(paths: list[Path], limit: int | None) -> list[Stay]:
    stays: list[Stay] = []
    for path in paths:
        if limit is not None and len(stays) >= limit:
            break
        stays += _read_parquet(path, None if limit is None else limit - len(stays))
    _forbid_twins([stay.patient_id for stay in stays], paths[0].parent)
    return stays


def _read_parquet(path: Path, limit: int | None) -> list[Stay]:
    try:
        found = pa.parquet.read_schema(path).names
        columns = find_columns(found, str(path), needs_id=True)
        table = pa.parquet.read_table(path, columns=columns.all)
    except pa.ArrowException as error:
        raise CohortError(f"{path}: not readable as Parquet: {error}") from error
    return to_stays(columns, table, str(path), limit=limit)


def _read_charts(paths: list[Path]) -> list[Stay]:
    _forbid_twins([path.stem for path in paths], paths[0].parent)
    batches = [paths[at : at + _BATCH] for at in range(0, len(paths), _BATCH)]
    return [stay for batch in track(batches, "Reading charts") for stay in _parse_charts(batch)]


def _parse_charts(paths: list[Path]) -> list[Stay]:
    """Parse many small files as one large one."""
    header = b""
    ids: list[str] = []
    rows: list[bytes] = []
    for path in paths:
        first, *lines = [line for line in path.read_bytes().splitlines() if line] or [b""]
        header = header or first
        if first != header:
            raise CohortError(
                f"{path}: other columns than {paths[0]}; keep charts of one layout in a folder"
            )
        if not lines:
            log.warning("%s: a chart without rows; left out", path)
        ids += [path.stem] * len(lines)
        rows += lines
    source = str(paths[0] if len(paths) == 1 else paths[0].parent)
    try:
        columns, table = _parse(b"\n".join([header, *rows]), "|", source)
        return to_stays(columns, table, source, ids=np.array(ids, dtype=object))
    except CohortError:
        if len(paths) > 1:
            for path in paths:
                _parse_charts([path])  # raises with the name of the chart at fault
        raise


def _parse(data: bytes, delimiter: str, source: str) -> tuple[Columns, pa.Table]:
    header = data.split(b"\n", 1)[0].decode("utf-8-sig", errors="replace").strip()
    found = [name.strip().strip('"') for name in header.split(delimiter)] if header else []
    columns = find_columns(found, source, needs_id=delimiter == ",")
    kinds = dict.fromkeys(columns.all, pa.float64()) | dict.fromkeys(columns.texts, pa.string())
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(data),
            read_options=pa.csv.ReadOptions(column_names=found, skip_rows=1),
            parse_options=pa.csv.ParseOptions(delimiter=delimiter),
            convert_options=pa.csv.ConvertOptions(
                include_columns=columns.all,
                column_types=kinds,
                null_values=_NULLS,
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowException as error:
        raise CohortError(f"{source}: a value cannot be read: {error}") from error
    return columns, table


def _forbid_twins(ids: list[str], folder: Path) -> None:
    twins = [name for name, count in Counter(ids).items() if count > 1]
    if twins:
        raise CohortError(
            f"{folder}: {twins[0]} and {len(twins) - 1} more patient ids occur in several files; "
            "read the files one by one"
        )

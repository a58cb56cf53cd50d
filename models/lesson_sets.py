"""Data sets that were collected from the topic ``lessons``: versioned, immutable, reproducible.

    DIR/v1/manifest.json   what it is, from where, of whom, with which hashes
          /stays.parquet   a row a stay
          /rows.parquet    a row an example: time, label, what was said, and every feature
          /archive.parquet the records that were read, as they came but for the patients' names
    DIR/v2/…               what was new since; its manifest names v1

A version is whole or not there: it is written beside its place and renamed. It holds what was new;
to train from ``DIR/v2`` is to train from v1 and v2, each as its manifest says it was. Patients have
pseudonyms (`models.pseudonyms`).

Of a patient with several stays only the first is given to training: two stays of one patient could
otherwise lie on both sides of a fold.
"""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from models.dataset import Dataset
from models.features import FEATURES
from models.stay import Stay
from models.vitals import VITALS
from models.window import HOUR_MS

__all__ = [
    "Collected",
    "LessonSetError",
    "SetStay",
    "SetWriter",
    "Span",
    "collected_ends",
    "is_lesson_set",
    "manifest_of",
    "newest",
    "read_lesson_set",
    "versions",
]

log = logging.getLogger(__name__)

_FORMAT = "vigil-lessons/1"
_MANIFEST, _STAYS, _ROWS, _ARCHIVE = (
    "manifest.json",
    "stays.parquet",
    "rows.parquet",
    "archive.parquet",
)
#: Stays and records that are written together.
_STAYS_AT_ONCE, _RECORDS_AT_ONCE = 500, 20_000
_STAY_SCHEMA = pa.schema(
    [
        ("patient", pa.string()),
        ("ended_ms", pa.int64()),
        ("septic", pa.bool_()),
        ("onset_ms", pa.int64()),
        ("rows", pa.int32()),
        ("outcome_offset", pa.int64()),
    ]
)
_ARCHIVE_SCHEMA = pa.schema(
    [("offset", pa.int64()), ("timestamp_ms", pa.int64()), ("value", pa.binary())]
)


class LessonSetError(ValueError):
    """A set cannot be written or read; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class SetStay:
    """A stay as it goes into a set.

    Attributes:
        patient: pseudonym.
        ended_ms: end of the stay, ms since 1970.
        septic: whether the patient became septic.
        onset_ms: onset, ms since 1970; None where not septic.
        outcome_offset: of the outcome's record.
        at_ms: observed times, ascending, shape [n].
        labels: shape [n].
        features: as they were scored, shape [n, features].
        logits: what the model said, shape [n].
        model_versions: which model.
        recommendation_ids: of the recommendations.
        unit_ids: of the readings or the stay.
    """

    patient: str
    ended_ms: int
    septic: bool
    onset_ms: int | None
    outcome_offset: int
    at_ms: NDArray[np.int64]
    labels: NDArray[np.int8]
    features: NDArray[np.float64]
    logits: NDArray[np.float64]
    model_versions: Sequence[str]
    recommendation_ids: Sequence[str]
    unit_ids: Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Span:
    """What of the topic a set is of.

    Attributes:
        site: hospital.
        topic: its name.
        first: offset of the first record that was read for the first time.
        next: offset after the last record that was read.
        resume: where the next collection reads on: what waited is there again.
        watermark_ms: newest event time, ms since 1970.
        delay_ms: after the end of a stay; then its outcome counted.
        left_out: counts of what did not become part of a stay.
        pseudonyms: how they are made, and a check of the key.
        code: version of the code, or None.
    """

    site: str
    topic: str
    first: int
    next: int
    resume: int
    watermark_ms: int
    delay_ms: int
    left_out: Mapping[str, int]
    pseudonyms: Mapping[str, str]
    code: str | None


# -- writing


class SetWriter:
    """Writes the next version of the sets in a folder.

    Use it as a context; what is not finished is gone afterwards.

    Args:
        root: folder of the sets.
        features: names of the features, in order.
        features_version: of their names and order.
    """

    def __init__(self, root: Path, features: Sequence[str], features_version: str) -> None:
        self.includes = versions(root)
        self.name = f"v{len(self.includes) + 1}"
        self.stays = self.septic = self.rows = self.positives = self.archived = 0
        self._root, self._features = root, tuple(features)
        self._features_version = features_version
        self._scratch = root / f".{self.name}.{os.getpid()}"
        self._row_schema = pa.schema(
            [
                ("stay", pa.int32()),
                ("at_ms", pa.int64()),
                ("label", pa.int8()),
                ("logit", pa.float64()),
                ("model_version", pa.dictionary(pa.int32(), pa.string())),
                ("recommendation_id", pa.string()),
                ("unit_id", pa.dictionary(pa.int32(), pa.string())),
                *((name, pa.float64()) for name in self._features),
            ]
        )
        self._waiting: list[SetStay] = []
        self._records: list[tuple[int, int, bytes]] = []
        self._patients: set[str] = set()
        self._digest = hashlib.sha256()
        self._span_ms: list[int] = []

    def __enter__(self) -> Self:
        self._scratch.mkdir(parents=True)
        self._open = {
            name: pa.parquet.ParquetWriter(self._scratch / name, schema, compression="zstd")
            for name, schema in (
                (_STAYS, _STAY_SCHEMA),
                (_ROWS, self._row_schema),
                (_ARCHIVE, _ARCHIVE_SCHEMA),
            )
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for writer in self._open.values():
            writer.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def add(self, stay: SetStay) -> None:
        """Add a stay.

        Raises:
            LessonSetError: its features are not those of the set, or a label is before its time.
        """
        if stay.features.shape != (len(stay.at_ms), len(self._features)):
            raise LessonSetError(
                f"a stay of {stay.features.shape} features, not {len(self._features)} a row"
            )
        if (stay.at_ms > stay.ended_ms).any():
            raise LessonSetError("an example after the end of its stay")
        _hash_stay(self._digest, stay)
        self._patients.add(stay.patient)
        self._span_ms += [int(stay.at_ms[0]), int(stay.at_ms[-1])]
        self.stays += 1
        self.septic += stay.septic
        self.rows += len(stay.at_ms)
        self.positives += int(stay.labels.sum())
        self._waiting.append(stay)
        if len(self._waiting) >= _STAYS_AT_ONCE:
            self._flush()

    def archive(self, offset: int, timestamp_ms: int, value: bytes) -> None:
        """Keep a record that was read; its value names no patient."""
        self._records.append((offset, timestamp_ms, value))
        self.archived += 1
        if len(self._records) >= _RECORDS_AT_ONCE:
            self._flush()

    def finish(self, span: Span, created_at: str) -> dict[str, Any]:
        """Put the set in its place.

        Args:
            span: what of the topic it is of.
            created_at: RFC 3339.

        Returns:
            Its manifest.

        Raises:
            LessonSetError: there is nothing in it, or somebody else was first.
        """
        if not self.stays:
            raise LessonSetError("no stay is due: there is nothing to collect")
        self._flush()
        for writer in self._open.values():
            writer.close()
        manifest = {
            "format": _FORMAT,
            "name": self.name,
            "site": span.site,
            "created_at": created_at,
            "code": span.code,
            "includes": [
                {"name": name, "data_hash": manifest_of(self._root / name)["data_hash"]}
                for name in self.includes
            ],
            "topic": span.topic,
            "offsets": {"first": span.first, "next": span.next, "resume": span.resume},
            "events": {"first_ms": min(self._span_ms), "last_ms": max(self._span_ms)},
            "watermark_ms": span.watermark_ms,
            "label_delay_ms": span.delay_ms,
            "patients": len(self._patients),
            "stays": self.stays,
            "septic_stays": self.septic,
            "rows": self.rows,
            "positive_rows": self.positives,
            "archived_records": self.archived,
            "left_out": dict(span.left_out),
            "pseudonyms": dict(span.pseudonyms),
            "data_hash": self._digest.hexdigest()[:16],
            "files": {
                name: hashlib.sha256((self._scratch / name).read_bytes()).hexdigest()
                for name in (_STAYS, _ROWS, _ARCHIVE)
            },
            "features_version": self._features_version,
            "features": list(self._features),
            "schema": {
                _STAYS: {f.name: str(f.type) for f in _STAY_SCHEMA},
                _ROWS: {f.name: str(f.type) for f in self._row_schema},
                _ARCHIVE: {f.name: str(f.type) for f in _ARCHIVE_SCHEMA},
            },
        }
        (self._scratch / _MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        for file in self._scratch.iterdir():
            file.chmod(0o444)
        try:
            self._scratch.rename(self._root / self.name)
        except OSError as error:
            raise LessonSetError(
                f"{self._root / self.name} came to be meanwhile: collect again ({error})"
            ) from error
        return manifest

    def _flush(self) -> None:
        if self._waiting:
            first = self.stays - len(self._waiting)
            waiting, self._waiting = self._waiting, []
            self._open[_STAYS].write_table(_stay_table(waiting))
            self._open[_ROWS].write_table(self._row_table(waiting, first))
        if self._records:
            columns = list(zip(*self._records, strict=True))
            self._records = []
            self._open[_ARCHIVE].write_table(pa.table(columns, schema=_ARCHIVE_SCHEMA))

    def _row_table(self, stays: Sequence[SetStay], first: int) -> pa.Table:
        features = np.concatenate([stay.features for stay in stays])
        lengths = [len(stay.at_ms) for stay in stays]
        columns = [
            np.repeat(np.arange(first, first + len(stays), dtype=np.int32), lengths),
            np.concatenate([stay.at_ms for stay in stays]),
            np.concatenate([stay.labels for stay in stays]),
            np.concatenate([stay.logits for stay in stays]),
            pa.array([v for s in stays for v in s.model_versions]).dictionary_encode(),
            pa.array([v for s in stays for v in s.recommendation_ids], pa.string()),
            pa.array([v for s in stays for v in s.unit_ids], pa.string()).dictionary_encode(),
            *(np.ascontiguousarray(column) for column in features.T),
        ]
        return pa.table([pa.array(column) for column in columns], schema=self._row_schema)


def _stay_table(stays: Sequence[SetStay]) -> pa.Table:
    rows = [
        (s.patient, s.ended_ms, s.septic, s.onset_ms, len(s.at_ms), s.outcome_offset) for s in stays
    ]
    return pa.table(list(zip(*rows, strict=True)), schema=_STAY_SCHEMA)


def _hash_stay(digest: Any, stay: SetStay) -> None:
    ended = f"{stay.ended_ms} {stay.septic:d} {stay.onset_ms}"
    digest.update(f"{stay.patient}\n{ended} {len(stay.at_ms)}\n".encode())
    digest.update(stay.at_ms.astype("<i8").tobytes())
    digest.update(stay.labels.astype("i1").tobytes())
    # one bit pattern for every NaN
    digest.update(np.where(np.isnan(stay.features), np.nan, stay.features).astype("<f8").tobytes())


# -- finding


def versions(root: Path) -> list[str]:
    """Names of the sets in a folder, the oldest first.

    Raises:
        LessonSetError: one is missing between two others.
    """
    if not root.is_dir():
        return []
    found = sorted(
        int(path.name[1:]) for path in root.iterdir() if re.fullmatch(r"v[1-9]\d*", path.name)
    )
    if found != list(range(1, len(found) + 1)):
        raise LessonSetError(
            f"{root} holds {', '.join(f'v{n}' for n in found)}: a version between them is missing, "
            "and a later one needs the earlier ones; put it back"
        )
    return [f"v{number}" for number in found]


def newest(root: Path) -> Path | None:
    """Folder of the newest set; None where there is none."""
    names = versions(root)
    return root / names[-1] if names else None


def manifest_of(folder: Path) -> dict[str, Any]:
    """Read the manifest of a set.

    Raises:
        LessonSetError: it is not there, or of another make.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / _MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise LessonSetError(f"{folder} has no manifest that can be read: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise LessonSetError(f"{folder} is no set of lessons of format {_FORMAT}")
    return manifest


def is_lesson_set(folder: Path) -> bool:
    """Whether a folder is a collected set."""
    try:
        manifest_of(folder)
    except LessonSetError:
        return False
    return True


def collected_ends(root: Path) -> dict[str, int]:
    """End of the last stay of every patient that was collected, ms since 1970, by pseudonym."""
    ends: dict[str, int] = {}
    for name in versions(root):
        table = pa.parquet.read_table(root / name / _STAYS, columns=["patient", "ended_ms"])
        for patient, ended in zip(*(column.to_pylist() for column in table), strict=True):
            ends[patient] = max(ended, ends.get(patient, -1))
    return ends


# -- reading


@dataclass(frozen=True, slots=True, eq=False)
class Collected:
    """What a set and those before it hold, ready to be trained on.

    Attributes:
        stays: one a patient; their vital signs are not known, their features are.
        began_ms: first example of each, ms since 1970, by patient.
        facts: for the manifest of a model that is trained on it.
    """

    stays: list[Stay]
    began_ms: dict[str, int]
    facts: dict[str, Any]
    _features: dict[str, NDArray[np.float64]] = field(repr=False)

    def featurise(self, stays: Sequence[Stay]) -> Dataset:
        """The features of some of the stays, as they were scored.

        Takes the place of `models.dataset.featurise`.
        """
        lengths = [len(stay.seconds) for stay in stays]
        nothing = np.empty((0, len(FEATURES)))
        labels = [stay.labels for stay in stays if stay.labels is not None]
        return Dataset(
            np.concatenate([nothing, *(self._features[stay.patient_id] for stay in stays)]),
            np.concatenate(labels) if len(labels) == len(stays) > 0 else None,
            np.repeat(np.arange(len(stays)), lengths),
            np.concatenate([np.empty(0, np.int64), *(stay.seconds for stay in stays)]),
        )


def read_lesson_set(folder: Path) -> Collected:
    """Read a set and those before it.

    Args:
        folder: of the set, such as ``DIR/v2``.

    Raises:
        LessonSetError: a set is missing or not what its manifest says.
    """
    manifest = manifest_of(folder)
    parts = [(folder.parent / part["name"], part["data_hash"]) for part in manifest["includes"]]
    stays: list[Stay] = []
    began_ms: dict[str, int] = {}
    features: dict[str, NDArray[np.float64]] = {}
    events: list[int] = []
    again = 0
    for place, data_hash in [*parts, (folder, manifest["data_hash"])]:
        own = manifest_of(place)
        if own["data_hash"] != data_hash:
            raise LessonSetError(f"{place} is not the set that {folder} was made after")
        events += [own["events"]["first_ms"], own["events"]["last_ms"]]
        for stay in _read(place, own):
            if stay.patient in features:
                again += 1
                continue
            features[stay.patient] = _in_order(stay.features, own["features"])
            began_ms[stay.patient] = int(stay.at_ms[0])
            stays.append(_stay(stay, features[stay.patient]))
    if again:
        log.info("%s: %d later stays of patients with an earlier one are left out", folder, again)
    first = manifest_of(parts[0][0]) if parts else manifest
    facts = {
        "set": manifest["name"],
        "includes": [part["name"] for part in manifest["includes"]],
        "site": manifest["site"],
        "data_hash": manifest["data_hash"],
        "features_version": manifest["features_version"],
        "first_event_ms": min(events),
        "last_event_ms": max(events),
        "first_offset": first["offsets"]["first"],
        "next_offset": manifest["offsets"]["next"],
        "pseudonyms": manifest["pseudonyms"]["kind"],
    }
    return Collected(stays, began_ms, facts, features)


def _read(place: Path, manifest: Mapping[str, Any]) -> Iterator[SetStay]:
    """The stays of one set; at the end it is seen whether they are those that were written."""
    names = manifest["features"]
    try:
        heads = pa.parquet.read_table(place / _STAYS).to_pylist()
        rows = pa.parquet.read_table(
            place / _ROWS, columns=["at_ms", "label", "logit", *names]
        ).combine_chunks()
    except (OSError, pa.ArrowException) as error:
        raise LessonSetError(f"{place} cannot be read: {error}") from error
    at_ms, labels, logits = (rows[name].to_numpy() for name in ("at_ms", "label", "logit"))
    matrix = np.empty((len(rows), len(names)))
    for column, name in enumerate(names):
        matrix[:, column] = rows[name].to_numpy()
    digest = hashlib.sha256()
    start = 0
    for head in heads:
        part = slice(start, start + head["rows"])
        start = part.stop
        stay = SetStay(
            head["patient"],
            head["ended_ms"],
            head["septic"],
            head["onset_ms"],
            head["outcome_offset"],
            at_ms[part],
            labels[part],
            matrix[part],
            logits[part],
            (),
            (),
            (),
        )
        _hash_stay(digest, stay)
        yield stay
    if digest.hexdigest()[:16] != manifest["data_hash"] or start != len(rows):
        raise LessonSetError(f"{place} does not hold what its manifest says: it was changed")


def _in_order(features: NDArray[np.float64], names: Sequence[str]) -> NDArray[np.float64]:
    """Features in the order of this version of Vigil; those that the set lacks are not known."""
    if tuple(names) == FEATURES:
        return features
    matrix = np.full((len(features), len(FEATURES)), np.nan)
    for column, name in enumerate(names):
        if name in FEATURES:
            matrix[:, FEATURES.index(name)] = features[:, column]
    return matrix


def _stay(stay: SetStay, features: NDArray[np.float64]) -> Stay:
    """What training needs to know of a stay beside its features."""

    def first(name: str) -> float:
        column = features[:, FEATURES.index(name)]
        known = column[~np.isnan(column)]
        return float(known[0]) if len(known) else float("nan")

    hours = features[:, FEATURES.index("icu_hours")]
    known = np.flatnonzero(~np.isnan(hours))
    # without an admission the stay begins with its first hour, as ICULOS counts
    admitted = stay.at_ms[0] - HOUR_MS
    if len(known):
        admitted = stay.at_ms[known[0]] - round(hours[known[0]] * HOUR_MS)
    sex = first("sex")
    return Stay(
        patient_id=stay.patient,
        seconds=(stay.at_ms - admitted) // 1000,
        values=np.full((len(stay.at_ms), len(VITALS)), np.nan),
        age=first("age"),
        sex=None if np.isnan(sex) else int(sex),
        hours_before_icu=first("hours_before_icu"),
        labels=stay.labels,
    )

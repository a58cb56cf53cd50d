"""A data set in three parts by patient: train, validation and production.

    OUT/manifest.json           seed, source, counts and hashes of every side
       /train/manifest.json     which side of which split this is
             /hospital_A.parquet …
       /validation/…
       /production/…

A patient's side follows from the id and the seed alone (`models.cohort.side_of`): 60, 20 and 20 of
a hundred, whatever else is in the data and in whatever order. Every column of the source is kept.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from models.cohort import SIDES, CohortError, data_hash, read_stays, side_of
from models.records import SHAPES, find_columns, patient_ids

__all__ = ["side_facts", "split"]

_FORMAT = "vigil-split/1"
_MANIFEST = "manifest.json"


def split(source: Path, out: Path, seed: int = 0) -> dict[str, Any]:
    """Write the three sides.

    Args:
        source: anything that `models.cohort.read_stays` reads.
        out: folder; it must not hold anything.
        seed: another one is another split.

    Returns:
        The manifest.

    Raises:
        CohortError: the source is not understood, or the folder is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CohortError(f"{out} holds something already: a split never overwrites; name another")
    scratch = out.parent / f".{out.name}.partial"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        manifest = _write(source, scratch, seed)
        if out.exists():
            out.rmdir()
        scratch.rename(out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return manifest


def side_facts(folder: Path) -> dict[str, Any]:
    """What a side of a split says of itself, for the facts of a model that is trained on it.

    Args:
        folder: any folder.

    Returns:
        ``split`` (seed and side), ``data_hash`` and ``source``; empty where it is no side.
    """
    try:
        manifest = json.loads((folder / _MANIFEST).read_text())
        if manifest["format"] != _FORMAT or "side" not in manifest:
            return {}
        return {
            "split": {"seed": manifest["seed"], "side": manifest["side"]},
            "data_hash": manifest["data_hash"],
            "source": manifest["source"],
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write(source: Path, out: Path, seed: int) -> dict[str, Any]:
    for side in SIDES:
        (out / side).mkdir()
    for name, table, ids in _tables(source):
        patients, codes = np.unique(ids, return_inverse=True)
        sides = np.array([side_of(str(patient), seed) for patient in patients], object)[codes]
        for side in SIDES:
            part = table.filter(pa.array(sides == side))
            path = out / side / f"hospital_{name.removeprefix('hospital_')}.parquet"
            pa.parquet.write_table(part, path, compression="zstd")
    about = {"format": _FORMAT, "seed": seed, "source": source.name}
    found: dict[str, Any] = {}
    for side in SIDES:
        stays = read_stays(out / side)
        strangers = [s.patient_id for s in stays if side_of(s.patient_id, seed) != side]
        if strangers:
            raise CohortError(
                f"{len(strangers)} patients came to be on another side than theirs: the ids in "
                f"{source} are not read as they were written"
            )
        found[side] = {
            "patients": len(stays),
            "septic_patients": sum(stay.septic is True for stay in stays),
            "readings": sum(len(stay.seconds) for stay in stays),
            "data_hash": data_hash(stays),
            "files": {
                path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted((out / side).iterdir())
            },
        }
        _dump(out / side, {**about, "side": side, **found[side]})
    manifest = {**about, "sides": found}
    _dump(out, manifest)
    return manifest


def _dump(folder: Path, manifest: dict[str, Any]) -> None:
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")


def _tables(source: Path) -> Iterator[tuple[str, pa.Table, np.ndarray[Any, Any]]]:
    """Tables of a source: a name, all columns, and the patient of each row."""
    if source.is_dir() and (hospitals := sorted(source.glob("hospital_*.parquet"))):
        for path in hospitals:
            yield _parquet(path)
    elif source.is_dir() and (charts := sorted(source.rglob("*.psv"))):
        yield _charts(source.name, charts)
    elif source.suffix.lower() == ".parquet" and source.is_file():
        yield _parquet(source)
    elif source.suffix.lower() == ".csv" and source.is_file():
        head = source.read_bytes().split(b"\n", 1)[0].decode("utf-8-sig")
        found = [name.strip().strip('"') for name in head.split(",")]
        columns = find_columns(found, str(source), needs_id=True)
        # as text, so that an id keeps its leading zeros and a number its digits
        kinds = dict.fromkeys(columns.texts, pa.string())
        table = pa.csv.read_csv(source, convert_options=pa.csv.ConvertOptions(column_types=kinds))
        yield source.stem, table, patient_ids(table, columns.texts[0], str(source))
    else:
        raise CohortError(f"{source}: nothing that could be split. {SHAPES}")


def _parquet(path: Path) -> tuple[str, pa.Table, np.ndarray[Any, Any]]:
    try:
        table = pa.parquet.read_table(path)
    except pa.ArrowException as error:
        raise CohortError(f"{path}: not readable as Parquet: {error}") from error
    columns = find_columns(table.column_names, str(path), needs_id=True)
    return path.stem, table, patient_ids(table, columns.texts[0], str(path))


def _charts(name: str, charts: list[Path]) -> tuple[str, pa.Table, np.ndarray[Any, Any]]:
    """Charts of one patient each, as one table with the patient's id."""
    head = b""
    rows: list[bytes] = []
    ids: list[str] = []
    for path in charts:
        first, *lines = path.read_bytes().splitlines() or [b""]
        head = head or first
        if first != head:
            raise CohortError(f"{path}: other columns than {charts[0]}")
        lines = [line for line in lines if line]
        rows += lines
        ids += [path.stem] * len(lines)
    table = pa.csv.read_csv(
        pa.BufferReader(b"\n".join([head, *rows])),
        parse_options=pa.csv.ParseOptions(delimiter="|"),
        convert_options=pa.csv.ConvertOptions(
            null_values=["NaN", ""],
            column_types=dict.fromkeys(head.decode().split("|"), pa.float64()),
        ),
    )
    find_columns(table.column_names, str(charts[0].parent), needs_id=False)
    return name, table.append_column("Patient_ID", pa.array(ids)), np.array(ids, object)

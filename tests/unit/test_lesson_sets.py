"""Collected sets: whole or not there, never changed, nobody's id in them, the same model again."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from models.cohort import held_out
from models.collection import Join
from models.dataset import featurise
from models.features import FEATURES
from models.lesson_sets import (
    LessonSetError,
    SetWriter,
    Span,
    collected_ends,
    is_lesson_set,
    manifest_of,
    newest,
    read_lesson_set,
    versions,
)
from models.promotion import unseen
from models.pseudonyms import Pseudonyms
from models.sources import read_patients
from models.stay import Stay
from models.training import Options, train
from streams.collecting import Collector
from streams.lessons import FEATURES_VERSION, Example, decode
from tests.helpers import HOUR, bits
from tests.unit.made_lessons import made_lessons
from tests.unit.made_patients import made_patients

pytestmark = pytest.mark.unit

Records = list[tuple[str, int, bytes]]
DELAY = 12 * HOUR


def collect(root: Path, records: Records, pseudonyms: Pseudonyms | None = None) -> Any:
    """What `streams.collecting.collect` does, of records that stand at offsets 0, 1, …"""
    pseudonyms = pseudonyms or Pseudonyms()
    last = newest(root)
    before = None if last is None else manifest_of(last)
    at = {"next": 0, "resume": 0} if before is None else before["offsets"]
    watermark = 0 if before is None else before["watermark_ms"]
    join: Join[Example] = Join(DELAY, ended=collected_ends(root), watermark_ms=watermark)
    with SetWriter(root, FEATURES, FEATURES_VERSION) as writer:
        collector = Collector(writer, join, pseudonyms, at["next"])
        for offset in range(at["resume"], len(records)):
            collector.take(offset, records[offset][1], records[offset][2])
        end = len(records)
        span = Span(
            "icu", "lessons", at["next"], end, join.resume(end), join.watermark_ms, DELAY,
            collector.left_out, {"kind": pseudonyms.kind, "check": pseudonyms.check}, "abc",
        )  # fmt: skip
        return writer.finish(span, "2026-01-01T00:00:00Z")


@pytest.fixture(scope="module")
def patients() -> list[Stay]:
    return made_patients(60)


@pytest.fixture(scope="module")
def records(patients: list[Stay]) -> Records:
    return made_lessons(patients)


@pytest.fixture(scope="module")
def sets(records: Records, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sets: of the first two thirds of the topic, and of the rest."""
    root = tmp_path_factory.mktemp("sets")
    collect(root, records[: len(records) * 2 // 3])
    collect(root, records)
    return root


def test_two_collections_hold_together_what_one_holds(
    sets: Path, records: Records, tmp_path: Path
) -> None:
    collect(tmp_path, records)
    once, twice = read_lesson_set(tmp_path / "v1"), read_lesson_set(sets / "v2")
    assert versions(sets) == ["v1", "v2"]
    assert [s.patient_id for s in once.stays] == [s.patient_id for s in twice.stays]
    assert 20 < len(read_lesson_set(sets / "v1").stays) < len(once.stays)
    assert (bits(once.featurise(once.stays).X) == bits(twice.featurise(twice.stays).X)).all()


def test_features_labels_and_times_are_those_that_were_scored(
    sets: Path, patients: list[Stay]
) -> None:
    found = read_lesson_set(sets / "v2")
    names = Pseudonyms()
    known = {names.of(stay.patient_id): stay for stay in patients}
    originals = [known[stay.patient_id] for stay in found.stays]
    wanted, data = featurise(originals), found.featurise(found.stays)
    assert (bits(data.X) == bits(wanted.X)).all()
    assert data.labels is not None
    np.testing.assert_array_equal(data.labels, wanted.labels)
    np.testing.assert_array_equal(data.seconds, wanted.seconds)
    for stay, original in zip(found.stays, originals, strict=True):
        assert (stay.age, stay.sex, stay.septic) == (original.age, original.sex, original.septic)
        assert stay.hours_before_icu == pytest.approx(original.hours_before_icu, abs=1e-3)


def test_the_manifest_says_what_it_is(sets: Path, records: Records) -> None:
    first, second = manifest_of(sets / "v1"), manifest_of(sets / "v2")
    assert second["includes"] == [{"name": "v1", "data_hash": first["data_hash"]}]
    assert second["offsets"]["first"] == first["offsets"]["next"] > first["offsets"]["resume"]
    assert second["offsets"]["next"] == len(records)
    assert first["archived_records"] + second["archived_records"] == len(records)
    assert (second["features"], second["code"]) == (list(FEATURES), "abc")
    assert second["stays"] == second["patients"] > second["septic_stays"] > 0
    assert second["schema"]["rows.parquet"]["label"] == "int8"
    rows = pyarrow.parquet.read_table(sets / "v2" / "rows.parquet")
    assert second["rows"] == len(rows)
    assert second["positive_rows"] == sum(rows["label"].to_pylist())


def test_no_id_and_nothing_else_of_a_patient_leaves(sets: Path, patients: list[Stay]) -> None:
    kept = b""
    for path in sets.rglob("*.parquet"):
        for column in pyarrow.parquet.read_table(path).columns:
            if column.type in (pyarrow.string(), pyarrow.binary()):
                parts = [value for value in column.to_pylist() if value is not None]
                kept += b" ".join(p if isinstance(p, bytes) else p.encode() for p in parts)
    for path in sets.rglob("manifest.json"):
        kept += path.read_bytes()
    assert Pseudonyms().of(patients[0].patient_id).encode() in kept
    assert not any(stay.patient_id.encode() in kept for stay in patients)
    assert b"nobody's business" not in kept


def test_the_archive_holds_the_records_as_they_came_but_for_the_names(
    sets: Path, records: Records
) -> None:
    parts = [pyarrow.parquet.read_table(sets / v / "archive.parquet") for v in ("v1", "v2")]
    rows = [row for part in parts for row in part.to_pylist()]
    assert [row["offset"] for row in rows] == list(range(len(records)))
    names = Pseudonyms()
    for row, (patient, at_ms, value) in zip(rows, records, strict=True):
        kept, original = decode(row["value"]), decode(value)
        assert kept.patient_id == names.of(patient)
        assert row["timestamp_ms"] == at_ms
        if isinstance(original, Example):
            assert isinstance(kept, Example)
            assert kept.x == original.x


def test_the_same_manifest_gives_the_same_model(sets: Path, tmp_path: Path) -> None:
    shutil.copytree(sets, tmp_path / "elsewhere")
    quick = Options(candidates=("lightgbm",), iterations=1, search_patients=60, resamples=0)
    models = []
    for root in (sets, tmp_path / "elsewhere"):
        found = read_patients(root / "v2")
        models.append(train(found.stays, quick, featurise=found.featurise, data=found.facts))
    assert models[0].model.fingerprint() == models[1].model.fingerprint()
    facts = models[0].facts["data"]
    assert facts["data_hash"] == manifest_of(sets / "v2")["data_hash"]
    assert facts["first_event_ms"] < facts["last_event_ms"]
    assert read_patients(sets).facts == facts


def test_who_was_held_out_at_the_bedside_is_held_out_here(sets: Path, patients: list[Stay]) -> None:
    names = Pseudonyms()
    held = {names.of(stay.patient_id) for stay in patients if held_out(stay.patient_id)}
    found = {stay.patient_id for stay in read_lesson_set(sets / "v2").stays}
    assert {name for name in found if held_out(name)} == held & found


def test_stays_that_began_later_are_unseen_by_a_model_of_the_set(sets: Path) -> None:
    first = read_lesson_set(sets / "v1")
    facts = {"data": first.facts}
    assert not any(unseen(n, facts, at) for n, at in first.began_ms.items() if not held_out(n))
    assert unseen("somebody", facts, first.facts["last_event_ms"] + 1)


def test_without_anything_due_there_is_no_set(records: Records, tmp_path: Path) -> None:
    with pytest.raises(LessonSetError, match="nothing to collect"):
        collect(tmp_path, records[:10])
    assert list(tmp_path.iterdir()) == []


def test_a_set_is_never_overwritten(records: Records, tmp_path: Path) -> None:
    with SetWriter(tmp_path, FEATURES, FEATURES_VERSION) as writer:
        collector = Collector(writer, Join(DELAY), Pseudonyms())
        for offset, (_, at_ms, value) in enumerate(records):
            collector.take(offset, at_ms, value)
        (tmp_path / "v1").mkdir()
        (tmp_path / "v1" / "manifest.json").write_text("{}")
        with pytest.raises(LessonSetError, match="came to be meanwhile"):
            writer.finish(Span("", "", 0, 1, 1, 0, 0, {}, {}, None), "")
    assert (tmp_path / "v1" / "manifest.json").read_text() == "{}"
    assert [path.name for path in tmp_path.iterdir()] == ["v1"]


def test_a_set_that_was_changed_is_refused(sets: Path, tmp_path: Path) -> None:
    root = tmp_path / "sets"
    shutil.copytree(sets, root)
    path = root / "v1" / "rows.parquet"
    table = pyarrow.parquet.read_table(path)
    labels = pyarrow.array(1 - np.array(table["label"], np.int8))
    path.chmod(0o644)
    pyarrow.parquet.write_table(table.set_column(2, table.schema.field("label"), labels), path)
    for name in ("v1", "v2"):
        with pytest.raises(LessonSetError, match="it was changed"):
            read_lesson_set(root / name)


def test_a_set_after_another_one_is_refused(sets: Path, tmp_path: Path) -> None:
    root = tmp_path / "sets"
    shutil.copytree(sets, root)
    path = root / "v1" / "manifest.json"
    path.chmod(0o644)
    path.write_text(json.dumps(manifest_of(root / "v1") | {"data_hash": "other"}))
    with pytest.raises(LessonSetError, match="is not the set"):
        read_lesson_set(root / "v2")
    shutil.rmtree(root / "v1")
    with pytest.raises(LessonSetError, match="missing"):
        versions(root)
    assert not is_lesson_set(tmp_path)


def test_the_files_are_read_only(sets: Path) -> None:
    assert {path.stat().st_mode & 0o222 for path in (sets / "v1").iterdir()} == {0}


def test_of_two_stays_of_a_patient_the_first_is_trained_on(
    patients: list[Stay], tmp_path: Path
) -> None:
    zero, one, two = patients[:3]
    collect(tmp_path, made_lessons([zero, one, zero, two], apart_ms=48 * HOUR))
    manifest = manifest_of(tmp_path / "v1")
    assert (manifest["stays"], manifest["patients"]) == (3, 2)
    found = read_lesson_set(tmp_path / "v1")
    names = [Pseudonyms().of(stay.patient_id) for stay in (zero, one)]
    assert [stay.patient_id for stay in found.stays] == names
    assert found.began_ms[names[0]] < found.began_ms[names[1]]


def test_records_that_are_no_lessons_or_from_the_future_are_counted_and_not_kept(
    records: Records, tmp_path: Path
) -> None:
    patient, at_ms, value = records[0]
    bad: Records = [("x", at_ms, b"junk"), (patient, at_ms - HOUR, value)]
    manifest = collect(tmp_path, [*records[:1], *bad, *records[1:]])
    assert manifest["left_out"]["bad"] == 1
    assert manifest["left_out"]["future"] == 1
    assert manifest["archived_records"] == len(records)

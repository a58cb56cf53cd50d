"""A split by patient: nobody on two sides, the same sides in any file."""

import json
from pathlib import Path

import pyarrow.parquet
import pytest

from models.cohort import SIDES, CohortError, data_hash, read_stays, side_of
from models.promotion import unseen
from models.sources import read_patients
from models.split import side_facts, split
from models.stay import Stay
from tests.unit.made_patients import made_patients, write_charts

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def patients() -> list[Stay]:
    return made_patients(200, hours=3)


@pytest.fixture(scope="module")
def charts(patients: list[Stay], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_charts(tmp_path_factory.mktemp("split") / "charts", patients)


@pytest.fixture(scope="module")
def sides(charts: Path) -> Path:
    out = charts.parent / "sides"
    split(charts, out)
    return out


def test_every_patient_is_on_one_side_whole_and_nothing_is_lost(
    sides: Path, patients: list[Stay]
) -> None:
    found = {side: read_stays(sides / side) for side in SIDES}
    ids = [stay.patient_id for stays in found.values() for stay in stays]
    assert sorted(ids) == sorted(stay.patient_id for stay in patients)
    assert all(side_of(stay.patient_id) == side for side in SIDES for stay in found[side])
    known = {stay.patient_id: stay for stay in read_stays(sides.parent / "charts")}
    for stays in found.values():
        assert data_hash(stays) == data_hash([known[stay.patient_id] for stay in stays])
    assert 95 < len(found["train"]) < 145


def test_the_sides_are_the_same_in_any_format(sides: Path, charts: Path, tmp_path: Path) -> None:
    tables = [pyarrow.parquet.read_table(p) for side in SIDES for p in (sides / side).glob("*.p*")]
    pyarrow.parquet.write_table(pyarrow.concat_tables(tables), tmp_path / "all.parquet")
    again = split(tmp_path / "all.parquet", tmp_path / "again")
    first = json.loads((sides / "manifest.json").read_text())
    for side in SIDES:
        assert again["sides"][side]["data_hash"] == first["sides"][side]["data_hash"]


def test_a_csv_of_the_original_feed_can_be_split(tmp_path: Path) -> None:
    head = (
        "Patient ID,MDC_PULS_OXIM_PULS_RATE_Result,MDC_TEMP_Result,MDC_ECG_HEART_RATE_Result,"
        "MDC_TTHOR_RESP_RATE_Result,extra\n"
    )
    rows = "".join(f"00{i},80,37.0,81,{i % 30},x{i}\n" for i in range(40))
    (tmp_path / "feed.csv").write_text(head + rows)
    manifest = split(tmp_path / "feed.csv", tmp_path / "out")
    assert sum(side["patients"] for side in manifest["sides"].values()) == 40
    ids = {s.patient_id for side in SIDES for s in read_stays(tmp_path / "out" / side)}
    assert ids == {f"00{i}" for i in range(40)}
    table = pyarrow.parquet.read_table(tmp_path / "out" / "train" / "hospital_feed.parquet")
    assert "extra" in table.column_names


def test_another_seed_is_another_split(sides: Path, charts: Path, tmp_path: Path) -> None:
    other = split(charts, tmp_path / "other", seed=1)
    assert other["sides"]["train"]["data_hash"] != side_facts(sides / "train")["data_hash"]


def test_a_split_never_overwrites(charts: Path, sides: Path) -> None:
    with pytest.raises(CohortError, match="never overwrites"):
        split(charts, sides)


def test_what_is_no_set_of_patients_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="nothing that could be split"):
        split(tmp_path, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_one_side_has_not_seen_the_others(sides: Path) -> None:
    facts = {"data": read_patients(sides / "train").facts}
    assert facts["data"]["split"] == {"seed": 0, "side": "train"}
    for side in SIDES:
        new = [unseen(stay.patient_id, facts) for stay in read_stays(sides / side)]
        assert set(new) == {side != "train"}
    assert read_patients(sides.parent / "charts").facts == {}

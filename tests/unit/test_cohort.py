"""Patients as they are found on disk, and what is said where they cannot be read."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.cohort import CohortError, data_hash, held_out, read_stays
from models.records import ORIGINAL_FEED
from models.stay import FEMALE, MALE, Stay
from models.vitals import WIRE_NAMES, index_of

pytestmark = pytest.mark.unit

DATA = Path(os.environ.get("VIGIL_DATA", "../shared/data")) / "sepsis2019"
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no patients at {DATA}; point VIGIL_DATA at the data"
)

HEADER = "HR|O2Sat|Temp|SBP|MAP|DBP|Resp|EtCO2|Age|Gender|HospAdmTime|ICULOS|SepsisLabel"
CHART = f"""{HEADER}
NaN|NaN|NaN|NaN|NaN|NaN|NaN|NaN|83.14|0|-0.03|3|0
97|95|36.5|98|75.33|NaN|19|NaN|83.14|0|-0.03|4|0
NaN|NaN|NaN|NaN|NaN|NaN|NaN|NaN|83.14|0|-0.03|5|1
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def challenge_frame(pid: int, hours: list[int], heart_rate: float = 80.0) -> pd.DataFrame:
    rows = dict.fromkeys(("O2Sat", "Temp", "SBP", "MAP", "DBP", "Resp"), np.nan)
    context = {"Age": 60.5, "Gender": 1, "HospAdmTime": -2.5, "SepsisLabel": 0}
    return pd.DataFrame(
        [{"pid": pid, "HR": heart_rate, **rows, "ICULOS": h, **context} for h in hours]
    )


def feed_csv(path: Path, extra: str = "", *rows: str) -> Path:
    return write(path, "\n".join([",".join(["Patient ID", *ORIGINAL_FEED]) + extra, *rows]) + "\n")


def test_a_chart_keeps_every_hour_and_the_hour_since_admission(tmp_path: Path) -> None:
    write(tmp_path / "p000123.psv", CHART)
    (stay,) = read_stays(tmp_path)
    assert stay.patient_id == "p000123"
    assert stay.seconds.tolist() == [3 * 3600, 4 * 3600, 5 * 3600]
    assert stay.values.shape == (3, 8)
    assert np.isnan(stay.values[[0, 2]]).all()
    measured = dict(zip(WIRE_NAMES, stay.values[1].tolist(), strict=True))
    assert measured["MDC_ECG_HEART_RATE_Result"] == 97
    assert measured["MDC_PULS_OXIM_SAT_O2_Result"] == 95
    assert measured["MDC_TEMP_Result"] == 36.5
    assert measured["MDC_PRESS_BLD_NONINV_MEAN_Result"] == 75.33
    assert measured["MDC_TTHOR_RESP_RATE_Result"] == 19
    assert np.isnan(measured["MDC_PULS_OXIM_PULS_RATE_Result"])
    assert (stay.age, stay.sex, stay.hours_before_icu) == (83.14, FEMALE, 0.03)
    assert stay.labels is not None
    assert stay.labels.tolist() == [0, 0, 1]
    assert stay.septic


def test_charts_are_found_in_subfolders_and_sorted_by_path(tmp_path: Path) -> None:
    for name in ("psv/B/p100002.psv", "psv/A/p000009.psv", "psv/A/p000004.psv"):
        write(tmp_path / name, CHART)
    assert [s.patient_id for s in read_stays(tmp_path)] == ["p000004", "p000009", "p100002"]
    assert [s.patient_id for s in read_stays(tmp_path, limit=1)] == ["p000004"]


def test_a_single_chart_with_windows_line_ends_reads_like_any_other(tmp_path: Path) -> None:
    plain = write(tmp_path / "a" / "p000001.psv", CHART)
    windows = write(tmp_path / "b" / "p000001.psv", CHART.replace("\n", "\r\n") + "\r\n")
    assert data_hash(read_stays(plain)) == data_hash(read_stays(windows))


def test_a_chart_with_a_broken_value_is_named_among_many(tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path / f"p{number:06d}.psv", CHART)
    write(tmp_path / "p000003.psv", CHART.replace("97", "high"))
    with pytest.raises(CohortError, match=r"p000003\.psv: a value cannot be read.*high"):
        read_stays(tmp_path)


def test_charts_of_two_layouts_are_not_mixed(tmp_path: Path) -> None:
    write(tmp_path / "p000001.psv", CHART)
    write(tmp_path / "p000002.psv", CHART.replace("HR|O2Sat", "O2Sat|HR"))
    with pytest.raises(CohortError, match="other columns than"):
        read_stays(tmp_path)


def test_the_same_patient_in_two_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "A" / "p000001.psv", CHART)
    write(tmp_path / "B" / "p000001.psv", CHART)
    with pytest.raises(CohortError, match="p000001 and 0 more"):
        read_stays(tmp_path)
    challenge_frame(1, [1]).to_parquet(tmp_path / "hospital_A.parquet")
    challenge_frame(1, [1]).to_parquet(tmp_path / "hospital_B.parquet")
    with pytest.raises(CohortError, match="p000001 and 0 more"):
        read_stays(tmp_path)


def test_a_folder_of_hospitals_is_read_whole_and_before_any_charts(tmp_path: Path) -> None:
    write(tmp_path / "psv" / "p000099.psv", CHART)
    challenge_frame(100001, [1, 2]).to_parquet(tmp_path / "hospital_B.parquet")
    both = pd.concat([challenge_frame(7, [1]), challenge_frame(3, [1])])
    both.to_parquet(tmp_path / "hospital_A.parquet")
    assert [s.patient_id for s in read_stays(tmp_path)] == ["p000007", "p000003", "p100001"]
    assert [s.patient_id for s in read_stays(tmp_path, limit=2)] == ["p000007", "p000003"]
    (stay,) = read_stays(tmp_path / "hospital_B.parquet")
    assert (stay.age, stay.sex, stay.hours_before_icu) == (60.5, MALE, 2.5)


def test_single_precision_in_parquet_gives_the_number_of_the_chart(tmp_path: Path) -> None:
    frame = challenge_frame(1, [1], heart_rate=75.33).astype({"HR": "float32"})
    frame.to_parquet(tmp_path / "one.parquet")
    (stay,) = read_stays(tmp_path / "one.parquet")
    assert stay.values[0, index_of("heart_rate")] == 75.33


def test_rows_out_of_order_ascend_and_equal_times_stay_in_file_order(tmp_path: Path) -> None:
    rows = [(2, 5, 1), (1, 2, 2), (2, 4, 3), (1, 1, 4), (2, 4, 5), (1, 2, 6)]
    frame = pd.concat([challenge_frame(pid, [hour], rate) for pid, hour, rate in rows])
    frame.to_parquet(tmp_path / "rows.parquet")
    two, one = read_stays(tmp_path / "rows.parquet")
    assert (two.patient_id, one.patient_id) == ("p000002", "p000001")
    assert two.seconds.tolist() == [4 * 3600, 4 * 3600, 5 * 3600]
    assert two.values[:, 0].tolist() == [3, 5, 1]
    assert one.values[:, 0].tolist() == [4, 2, 6]


def test_the_original_feed_without_a_time_is_one_reading_an_hour(tmp_path: Path) -> None:
    path = feed_csv(
        tmp_path / "feed.csv", "", "007,60,36.5,61,12", "8,70,,71,13", "007,62,36.6,63,14"
    )
    first, second = read_stays(path)
    assert (first.patient_id, second.patient_id) == ("007", "8")
    assert first.seconds.tolist() == [3600, 7200]
    assert first.values[:, index_of("pulse_rate")].tolist() == [60, 62]
    assert first.values[:, index_of("heart_rate")].tolist() == [61, 63]
    assert first.values[:, index_of("resp_rate")].tolist() == [12, 14]
    assert np.isnan(second.values[0, index_of("temperature")])
    assert np.isnan(first.values[:, index_of("spo2")]).all()
    assert first.labels is None
    assert first.sex is None
    assert np.isnan([first.age, first.hours_before_icu]).all()


@pytest.mark.parametrize(
    ("early", "late"),
    [
        ("2024-03-01T10:00:00Z", "2024-03-01T11:30:05+01:00"),
        ("1709287200", "1709289005"),
        ("1709287200000", "1709289005000"),
    ],
)
def test_observed_times_space_the_readings(tmp_path: Path, early: str, late: str) -> None:
    rows = (f"a,1,1,2,1,{late},1,9", f"a,1,1,1,1,{early},0,7")
    with_hours = feed_csv(tmp_path / "h.csv", ",observed_at,Sepsis,ICULOS", *rows)
    (stay,) = read_stays(with_hours)
    assert stay.seconds.tolist() == [7 * 3600, 7 * 3600 + 1805]
    assert stay.values[:, index_of("heart_rate")].tolist() == [1, 2]
    assert stay.labels is not None
    assert stay.labels.tolist() == [0, 1]
    alone = feed_csv(tmp_path / "o.csv", ",observed_at,Sepsis,unused", *rows)
    assert read_stays(alone)[0].seconds.tolist() == [0, 1805]


@pytest.mark.parametrize("identity", ["pid", "Patient ID"])
def test_the_challenge_columns_are_read_from_csv(tmp_path: Path, identity: str) -> None:
    frame = pd.concat([challenge_frame(5, [2, 1]), challenge_frame(6, [1])])
    frame.rename(columns={"pid": identity}).to_csv(tmp_path / "c.csv", index=False)
    five, six = read_stays(tmp_path / "c.csv")
    expected = ("p000005", "p000006") if identity == "pid" else ("5", "6")
    assert (five.patient_id, six.patient_id) == expected
    assert five.seconds.tolist() == [3600, 7200]
    assert [s.patient_id for s in read_stays(tmp_path / "c.csv", limit=1)] == [expected[0]]


def test_missing_columns_are_listed_beside_what_was_found(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "Patient ID,MDC_TEMP_Result,Ward\n1,36.5,7\n")
    with pytest.raises(CohortError) as raised:
        read_stays(path)
    text = str(raised.value)
    missing, found = text.split("; found ")
    for name in set(ORIGINAL_FEED) - {"MDC_TEMP_Result"}:
        assert name in missing
    assert found.startswith("Patient ID, MDC_TEMP_Result, Ward.")
    assert "Accepted: " in found


def test_a_table_without_patient_ids_says_so(tmp_path: Path) -> None:
    challenge_frame(1, [1]).drop(columns=["pid", "HR"]).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(CohortError, match="missing pid or 'Patient ID', HR; found O2Sat"):
        read_stays(tmp_path / "x.parquet")


def test_what_is_read_without_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = challenge_frame(1, [1]).rename(columns={"SepsisLabel": "SepsisLable"})
    frame.to_parquet(tmp_path / "x.parquet")
    assert read_stays(tmp_path / "x.parquet")[0].labels is None
    assert "read without SepsisLabel" in caplog.text


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("pid", None, "rows without pid"),
        ("pid", 1.5, "pid must be a whole number"),
        ("ICULOS", np.nan, "no ICULOS"),
        ("Gender", 2, "Gender is 0 .female. or 1 .male.; found 2"),
        ("SepsisLabel", 3, "SepsisLabel is 1 from six hours"),
        ("SepsisLabel", np.nan, "p000001 has a SepsisLabel in some rows only"),
    ],
)
def test_a_value_that_its_column_cannot_hold_is_refused(
    tmp_path: Path, column: str, value: float | None, message: str
) -> None:
    frame = challenge_frame(1, [1, 2]).astype({column: "float64"})
    frame[column] = frame[column].where(frame["ICULOS"] != 2, value)
    frame.to_parquet(tmp_path / "x.parquet")
    with pytest.raises(CohortError, match=message):
        read_stays(tmp_path / "x.parquet")


def test_text_in_a_column_of_numbers_is_refused_by_name(tmp_path: Path) -> None:
    challenge_frame(1, [1]).assign(Resp="fast").to_parquet(tmp_path / "x.parquet")
    with pytest.raises(CohortError, match=r"x\.parquet: Resp must be a number.*fast"):
        read_stays(tmp_path / "x.parquet")


def test_an_unreadable_time_is_refused(tmp_path: Path) -> None:
    path = feed_csv(tmp_path / "f.csv", ",observed_at", "a,1,1,1,1,yesterday")
    with pytest.raises(CohortError, match="observed_at is ISO 8601 or Unix time"):
        read_stays(path)
    path = feed_csv(tmp_path / "g.csv", ",observed_at", "a,1,1,1,1,", "a,1,1,1,1,5")
    with pytest.raises(CohortError, match="a row has no observed_at"):
        read_stays(path)


def test_a_path_that_holds_no_patients_names_the_accepted_shapes(tmp_path: Path) -> None:
    notes = write(tmp_path / "notes.txt", "none")
    broken = write(tmp_path / "broken.parquet", "none")
    for path in (tmp_path, tmp_path / "absent", notes):
        with pytest.raises(CohortError, match="Accepted: a folder with hospital_"):
            read_stays(path)
    with pytest.raises(CohortError, match="not readable as Parquet"):
        read_stays(broken)
    with pytest.raises(CohortError, match="found no column"):
        read_stays(write(tmp_path / "empty.csv", ""))
    with pytest.raises(CohortError, match="limit is 0"):
        read_stays(tmp_path, limit=0)


def test_the_hold_out_follows_the_number_in_the_id() -> None:
    def rule(text: str) -> bool:
        return int(hashlib.sha256(text.encode()).hexdigest(), 16) % 5 == 1

    assert [held_out(f"p{pid:06d}") for pid in range(500)] == [
        rule(f"{pid:06d}") for pid in range(500)
    ]
    assert held_out("p000002")
    assert held_out("2")
    assert not held_out("p000001")
    for name in ("anna", "ward3-bed12", "5f0c-a1"):
        assert held_out(name) == rule(name)
    assert 0.18 < np.mean([held_out(f"p{pid:06d}") for pid in range(5000)]) < 0.22


def a_stay(name: str = "a") -> Stay:
    return Stay(
        patient_id=name,
        seconds=np.array([0, 60]),
        values=np.array([[80.0] + [np.nan] * 7, [0.0] + [np.nan] * 7]),
        age=50.0,
        labels=np.array([0, 1], dtype=np.int8),
    )


def test_the_data_hash_ignores_order_and_the_bits_of_nan_and_zero() -> None:
    stay, other = a_stay(), a_stay("b")
    twin = replace(stay, values=np.where(np.isnan(stay.values), -np.nan, stay.values))
    twin.values[1, 0] = -0.0
    assert data_hash([stay, other]) == data_hash([other, twin])
    assert len(data_hash([stay])) == 16


@pytest.mark.parametrize(
    "change",
    [
        {"patient_id": "c"},
        {"seconds": np.array([0, 61])},
        {"values": np.full((2, 8), 80.0)},
        {"age": 51.0},
        {"sex": MALE},
        {"hours_before_icu": 1.0},
        {"labels": np.array([0, 0], dtype=np.int8)},
        {"labels": None},
    ],
)
def test_the_data_hash_changes_with_anything_a_model_learns_from(change: dict[str, object]) -> None:
    assert data_hash([a_stay()]) != data_hash([replace(a_stay(), **change)])  # type: ignore[arg-type]


@needs_data
def test_the_challenges_charts_equal_its_parquet_files() -> None:
    stays = read_stays(DATA)
    assert len(stays) == 16_277 + 16_003
    assert sum(len(stay.seconds) for stay in stays) == 630_593 + 609_701
    assert sum(stay.septic is True for stay in stays) == 1_422 + 915
    charts = {stay.patient_id: stay for stay in read_stays(DATA / "psv")}
    assert len(charts) == 400
    same = [stay for stay in stays if stay.patient_id in charts]
    assert data_hash(same) == data_hash(charts.values())

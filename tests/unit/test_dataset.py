"""The feature matrix is what the stream computes, reading by reading."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import models.dataset
from models.cohort import read_stays
from models.dataset import BASE_MS, context_row, featurise
from models.features import FEATURES, ORIGINAL_FEATURES, replay
from models.quality import screen
from models.stay import FEMALE, Stay
from models.vitals import MISSING, VITALS, index_of
from models.window import (
    AGE,
    CONTEXT_AT,
    HOSPITAL_ADMITTED,
    HOUR_MS,
    ICU_ADMITTED,
    SEX,
    empty_window,
)
from tests.unit.made_patients import made_patients

pytestmark = pytest.mark.unit


def one_by_one(stay: Stay, base_ms: int) -> np.ndarray:
    """Features of a stay as a worker computes them that gets one reading at a time."""
    window = empty_window()[None, :]
    icu, waited = base_ms, round(stay.hours_before_icu * HOUR_MS)
    context = context_row(stay.age, stay.sex, icu, icu - waited)[None, :]
    rows = np.full((len(stay.seconds), len(FEATURES)), np.nan)
    for i, second in enumerate(stay.seconds):
        values = np.empty((1, len(VITALS)), np.int64)
        screen(stay.values[i : i + 1], values, np.empty(1, np.int32))
        replay(
            window,
            np.zeros(1, np.int64),
            np.array([base_ms + int(second) * 1000]),
            values,
            np.full(1, 7, np.int64),
            context,
            np.zeros(1, np.bool_),
            6 * HOUR_MS,
            rows[i : i + 1],
            np.empty((1, len(ORIGINAL_FEATURES))),
            np.empty(1, np.int8),
        )
    return rows


def test_the_matrix_is_bit_for_bit_what_single_readings_give_at_any_whole_hour() -> None:
    stays = made_patients(4)
    data = featurise(stays)
    for base_ms in (BASE_MS, BASE_MS + 12_345 * HOUR_MS):
        alone = np.concatenate([one_by_one(stay, base_ms) for stay in stays])
        np.testing.assert_array_equal(data.X, alone)


def test_the_matrix_does_not_depend_on_how_many_patients_are_replayed_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stays = made_patients(7)
    whole = featurise(stays).X
    monkeypatch.setattr(models.dataset, "_CHUNK", 3)
    np.testing.assert_array_equal(featurise(stays).X, whole)


def test_rows_keep_the_order_of_the_stays_and_their_readings() -> None:
    stays = [made_patients(1, hours=3)[0], made_patients(2, hours=5)[1]]
    data = featurise(stays)
    assert data.patient.tolist() == [0] * 3 + [1] * 5
    assert data.seconds.tolist() == [3600, 7200, 10800, 3600, 7200, 10800, 14400, 18000]
    assert [part.tolist() for part in data.per_stay(data.X[:, FEATURES.index("icu_hours")], 2)] == [
        [1, 2, 3],
        [1, 2, 3, 4, 5],
    ]
    assert data.labels is not None
    np.testing.assert_array_equal(data.labels, np.concatenate([s.labels for s in stays]))


def test_the_context_of_a_stay_reaches_every_row() -> None:
    stay = replace(made_patients(1)[0], age=83.14, sex=FEMALE, hours_before_icu=0.03)
    row = featurise([stay]).X[5]
    found = {name: row[FEATURES.index(name)] for name in ("age", "sex", "hours_before_icu")}
    assert found == {"age": 83.14, "sex": 0.0, "hours_before_icu": 0.03}


def test_what_is_not_known_of_an_admission_is_missing() -> None:
    stay = replace(made_patients(1)[0], age=float("nan"), sex=None, hours_before_icu=float("nan"))
    row = featurise([stay]).X[5]
    for name in ("age", "sex", "hours_before_icu"):
        assert np.isnan(row[FEATURES.index(name)]), name
    assert context_row(None, None, None, None).tolist() == [MISSING] * 5


def test_a_context_row_lies_in_the_order_of_the_windows_columns() -> None:
    row = context_row(61.005, 1, 3_600_000, -5)
    columns = (AGE, SEX, ICU_ADMITTED, HOSPITAL_ADMITTED)
    assert [row[column - CONTEXT_AT] for column in columns] == [6100, 1, 3_600_000, -5]


def test_labels_are_unknown_as_soon_as_one_outcome_is() -> None:
    known, unknown = made_patients(2)
    assert featurise([known, replace(unknown, labels=None)]).labels is None
    assert featurise([]).labels is None


def test_no_stays_make_an_empty_matrix() -> None:
    data = featurise([])
    assert data.X.shape == (0, len(FEATURES))
    assert data.per_stay(np.empty(0), 0) == []


def test_some_stays_are_taken_out_and_numbered_anew() -> None:
    stays = made_patients(5, hours=4)
    part = featurise(stays).take(np.array([1, 4]))
    alone = featurise([stays[1], stays[4]])
    np.testing.assert_array_equal(part.X, alone.X)
    assert part.patient.tolist() == alone.patient.tolist()


def test_a_reading_with_a_value_no_sensor_can_send_is_left_out_whole(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stay = made_patients(1)[0]
    corrupt, silent = stay.values.copy(), stay.values.copy()
    corrupt[4] = 80.0
    corrupt[4, index_of("sbp")] = 401
    silent[4] = np.nan
    with caplog.at_level(logging.WARNING):
        data = featurise([replace(stay, values=corrupt)])
    np.testing.assert_array_equal(data.X, featurise([replace(stay, values=silent)]).X)
    assert "1 readings with a value no sensor can send" in caplog.text


def test_the_charts_of_a_patient_give_the_features_of_the_parquet_file(data: Path) -> None:
    charts = {stay.patient_id: stay for stay in read_stays(data / "sepsis2019/psv/A")}
    table = [
        stay
        for stay in read_stays(data / "sepsis2019/hospital_A.parquet", limit=200)
        if stay.patient_id in charts
    ][:20]
    same = featurise([charts[stay.patient_id] for stay in table])
    assert len(table) > 0
    np.testing.assert_array_equal(featurise(table).X, same.X)

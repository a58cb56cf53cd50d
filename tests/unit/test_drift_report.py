"""Wards of recorded stays, and what they say of the drift rule and the anomaly rule."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import models.drift
from models.cohort import read_stays
from models.drift import EXAMPLE_SIGNALS, DriftEvent
from models.drift_report import Hospital, Run, draw, hospital, run, runs, signal_rows, ward
from models.evaluation import hospital_of
from models.registry import SHIPPED, load_model
from models.sensor_report import fault_rows, flag_rows
from models.stay import FEMALE, Stay
from models.vitals import index_of
from streams.commands.evaluate import evaluate
from tests.unit.made_patients import made_patients, write_charts

pytestmark = pytest.mark.unit

DATA = Path(os.environ.get("VIGIL_DATA", "../shared/data")) / "sepsis2019"
EVENT = DriftEvent(
    id="1", rule="drift/1", layer="data", signal="sbp", site=None, unit=None, device=None,
    since_ms=0, found_ms=0, since_example=0, found_example=0, before=0, after=1, effect=1,
    p_value=0, values=1, patients=1,
)  # fmt: skip


def place(lengths: list[int], name: str = "p") -> Hospital:
    starts = np.concatenate([[0], np.cumsum(lengths)])
    signals = np.full((int(starts[-1]), len(EXAMPLE_SIGNALS)), np.nan, np.float32)
    return Hospital(signals, [f"{name}{i}" for i in range(len(lengths))], starts)


def test_a_ward_gives_every_bed_a_reading_an_hour_and_every_stay_in_its_order() -> None:
    starts = place([30] * 40).starts
    rows = ward(starts, 10, 600, np.random.default_rng(1))
    assert len(rows) == 600
    assert len(set(rows.tolist())) == 600
    stays = np.searchsorted(starts, rows, "right") - 1
    for stay in set(stays.tolist()):
        own = rows[stays == stay]
        np.testing.assert_array_equal(own, np.arange(own[0], own[0] + len(own)))
    assert {len(set(stays[at : at + 10].tolist())) for at in range(0, 600, 10)} == {10}


def test_a_ward_ends_when_its_stays_do() -> None:
    rows = ward(place([5, 5, 5]).starts, 2, 1_000, np.random.default_rng(2))
    assert 5 <= len(rows) <= 15
    assert len(set(rows.tolist())) == len(rows)


def test_an_order_depends_on_its_seed_alone() -> None:
    starts = place([20] * 50).starts
    first, again, other = (ward(starts, 5, 100, np.random.default_rng(s)) for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert first.tolist() != other.tolist()


def test_delays_count_from_the_switch_and_events_before_it_are_false() -> None:
    found = Run(6, 1000, 500, [replace(EVENT, found_example=n) for n in (999, 1000, 1400)])
    assert (len(found.false), found.delay(), found.delay("sbp")) == (1, 1, 1)
    assert found.delay("dbp") is None
    none = Run(7, 1000, 500, [])
    any_, *rows = signal_rows([found, none])
    assert (any_.signal, any_.found, any_.median, any_.longest, any_.false) == (
        "any", 0.5, 1, 1, 50.0,
    )  # fmt: skip
    assert [row.signal for row in rows] == list(EXAMPLE_SIGNALS)
    assert [row.false for row in rows if row.signal == "sbp"] == [50.0]
    assert all(row.found == 0 for row in rows if row.signal != "sbp")


def test_the_same_runs_give_the_same_plot(tmp_path: Path) -> None:
    found = [Run(6, 1000, 500, [replace(EVENT, found_example=1100)])]
    for name in ("a", "b"):
        draw(found, tmp_path / "new" / f"{name}.svg")
    first, second = ((tmp_path / "new" / f"{name}.svg").read_bytes() for name in "ab")
    assert first == second


def test_the_command_tells_delay_and_false_alarms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGIL_MODEL_DIR", str(SHIPPED["context"]))
    made = made_patients(8)
    stays = [replace(stay, patient_id=f"p{i % 2}0000{i}") for i, stay in enumerate(made)]
    folder = write_charts(tmp_path / "psv", stays)
    plot = tmp_path / "drift.svg"
    line = ["drift", "--data", str(folder), "--runs", "2", "--beds", "2", "--before", "40"]
    told = CliRunner().invoke(evaluate, [*line, "--json", "--plot", str(plot)])
    assert told.exit_code == 0, told.output
    figures = json.loads(told.stdout)
    assert [each["seed"] for each in figures["runs"]] == [6, 7]
    assert figures["signals"][0] == {
        "signal": "any", "found": 0.0, "median": None, "longest": None, "false": 0.0,
    }  # fmt: skip
    assert plot.exists()
    shown = CliRunner().invoke(evaluate, line)
    assert "pressures_complete" in shown.output

    one = write_charts(tmp_path / "one", stays[:1])
    refused = CliRunner().invoke(evaluate, ["drift", "--data", str(one)])
    assert refused.exit_code == 1
    assert "lacks patients of two hospitals" in refused.output


def sound(patient: str, hours: int, *, septic: bool = False) -> Stay:
    """A patient whose values contradict nothing."""
    values = np.tile([80.0, np.nan, 16, 37, 97, 120, 70, 87], (hours, 1))
    values[:, [0, 2, 3, 4, 5, 6, 7]] += np.arange(hours)[:, None] % 2
    seconds = np.arange(1, hours + 1) * 3600
    return Stay(patient, seconds, values, sex=FEMALE, labels=np.full(hours, septic, np.int8))


def test_every_fault_put_into_sound_readings_is_found() -> None:
    faults = fault_rows([sound(f"p{i}", 30) for i in range(3)])
    assert {row.fault: row.found for row in faults} == {row.fault: 1.0 for row in faults}
    assert all(row.readings >= 3 for row in faults)
    assert flag_rows([sound("p", 30)]) == []


def test_flags_are_counted_in_septic_and_other_hours() -> None:
    well, ill = sound("p1", 10), sound("p2", 20, septic=True)
    ill.values[3, [index_of("sbp"), index_of("dbp")]] = 60, 70
    ill.values[3, index_of("map")] = 65
    (row,) = flag_rows([well, ill])
    assert (row.flag, row.septic, row.other) == ("pressures_swapped", 5_000, 0)
    with pytest.raises(ValueError, match="p1"):
        flag_rows([replace(well, labels=None)])


def test_the_command_counts_flags_and_faults(tmp_path: Path) -> None:
    folder = write_charts(tmp_path / "psv", [sound("p000001", 30)])
    told = CliRunner().invoke(evaluate, ["sensors", "--data", str(folder), "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["flags"] == []
    assert (
        "temperature stuck"
        in CliRunner().invoke(evaluate, ["sensors", "--data", str(folder)]).output
    )


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no patients at {DATA}; set VIGIL_DATA")
def test_a_switch_from_hospital_a_to_b_is_found_within_500_readings_and_nothing_before() -> None:
    model = load_model(SHIPPED["context"])
    both = [
        hospital(read_stays(DATA / f"hospital_{name}.parquet", limit=600), model) for name in "AB"
    ]
    found = runs(*both, seeds=[6, 7], beds=50, readings=(8_000, 500))
    assert [each.false for each in found] == [[], []]
    assert all((delay := each.delay()) is not None and delay <= 500 for each in found)


def test_a_run_streams_one_hospital_and_then_the_other() -> None:
    ran = run(place([9] * 9, "a"), place([9] * 9, "b"), seed=1, beds=3, readings=(20, 10))
    assert (ran.seed, ran.before, ran.after, list(ran.events)) == (1, 20, 10, [])
    assert hospital_of("p012345") == "hospital A"
    assert models.drift.DRIFT_RULE == "drift/1"

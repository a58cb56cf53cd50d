"""A model that moves to another hospital: all arms in time, on patients whom none learns from."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from models.cohort import held_out
from models.dataset import featurise
from models.learner import LabelledStay, Learner, Rules, Taken
from models.registry import save_model
from models.shift import (
    ARMS,
    Shift,
    ShiftOptions,
    admitted,
    plot_shift,
    run_shift,
    split_patients,
)
from streams.commands.evaluate import evaluate
from tests.unit.made_forests import HOUR_MS, made_champion
from tests.unit.made_patients import made_patients, write_charts
from tests.unit.test_risk import made_model

pytestmark = pytest.mark.unit

OPTIONS = ShiftOptions(
    points=(10, 20),
    refit=(20,),
    trees=5,
    leaves=4,
    rules=Rules(block=5, negatives=0.5),
)


def made_shift(options: ShiftOptions = OPTIONS, *, seed: int = 0) -> Shift:
    home, away = made_patients(30, seed=7), made_patients(60, seed=seed)
    return run_shift(made_champion(), (home, featurise(home)), (away, featurise(away)), options)


@pytest.fixture(scope="module")
def shifted() -> Shift:
    return made_shift()


def test_every_arm_and_the_clock_is_measured_at_every_point(shifted: Shift) -> None:
    learning = len(split_patients(made_patients(60), "held-out")[0])
    assert [point.discharges for point in shifted.points] == [0, 10, 20, learning]
    for point in shifted.points:
        assert [row.name for row in point.rows] == [*ARMS, "ICU clock ≥ 53 h"]
        assert set(point.urgent) == set(ARMS)
    assert shifted.points[0].version == "1-abc"
    assert shifted.points[-1].version == f"1-abc+{learning // 5}"


def test_before_the_first_discharge_all_arms_are_the_champion(shifted: Shift) -> None:
    reports = [row.report.to_dict() for row in shifted.points[0].rows[: len(ARMS)]]
    assert all(report == reports[0] for report in reports)


def test_the_frozen_arm_never_changes_and_the_others_do(shifted: Shift) -> None:
    frozen = [point.rows[0].report.to_dict() for point in shifted.points]
    assert all(report == frozen[0] for report in frozen)
    first, last = shifted.points[0], shifted.points[-1]
    for arm in (2, 3):
        assert last.rows[arm].report.auroc != first.rows[arm].report.auroc
    assert shifted.arms["frozen, re-tuned"].threshold != shifted.arms["frozen"].threshold


def test_all_arms_are_measured_on_whole_patients_who_are_held_out(shifted: Shift) -> None:
    assert all(held_out(stay.patient_id) for stay in shifted.unseen)
    assert len(shifted.unseen) == sum(held_out(stay.patient_id) for stay in made_patients(60))


def test_what_becomes_of_the_held_out_patients_changes_no_arm(
    shifted: Shift,
) -> None:
    home = made_patients(30, seed=7)
    spoiled = [
        replace(stay, values=stay.values[::-1], labels=np.roll(stay.labels, 3))
        if held_out(stay.patient_id) and stay.labels is not None
        else stay
        for stay in made_patients(60)
    ]
    again = run_shift(
        made_champion(), (home, featurise(home)), (spoiled, featurise(spoiled)), OPTIONS
    )
    for name, model in shifted.arms.items():
        other = again.arms[name]
        assert (other.threshold, other.tiers) == (model.threshold, model.tiers)
        assert other.files() == model.files()


def test_the_inner_split_looks_at_no_held_out_patient() -> None:
    stays = made_patients(200, hours=2)
    learning, measured = split_patients(stays, "inner")
    assert not set(learning) & set(measured)
    assert not any(held_out(stays[i].patient_id) for i in [*learning, *measured])
    assert set(learning) | set(measured) == set(split_patients(stays, "held-out")[0])
    assert 0.1 * len(learning) < len(measured) < 0.6 * len(learning)


def test_patients_of_unknown_outcome_are_neither_learned_nor_measured() -> None:
    stays = [replace(stay, labels=None) for stay in made_patients(20, hours=2)]
    learning, measured = split_patients(stays, "held-out")
    assert not len(learning)
    assert not len(measured)


def test_patients_come_in_one_after_another_and_their_stays_overlap() -> None:
    stays = made_patients(50)
    came = admitted(stays, featurise(stays), ShiftOptions(delay_hours=6))
    assert sorted(index for index, _ in came) == list(range(50))
    ends = [int(stay.at_ms[-1]) for _, stay in came]
    assert ends == sorted(ends)
    assert all(stay.due_ms == stay.at_ms[-1] + 6 * HOUR_MS for _, stay in came)
    starts = sorted(int(stay.at_ms[0]) for _, stay in came)
    assert starts[20] < ends[0]
    assert 8 * HOUR_MS < starts[-1] - starts[0] < 25 * HOUR_MS
    again = admitted(stays, featurise(stays), ShiftOptions(delay_hours=6, seed=2))
    assert [index for index, _ in again] != [index for index, _ in came]


def test_of_several_readings_in_an_hour_the_first_is_learned() -> None:
    stay = made_patients(1, hours=6)[0]
    twice = replace(stay, seconds=stay.seconds // 2)
    data = featurise([twice])
    (_, found), *_ = admitted([twice], data, ShiftOptions())
    hours = found.at_ms // HOUR_MS
    assert len(set(hours.tolist())) == len(hours) == 4
    np.testing.assert_array_equal(found.features, data.X[[0, 1, 3, 5]])


def test_no_reading_is_learned_before_its_labels_are_due(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[LabelledStay, int]] = []
    take = Learner.take

    def watched(learner: Learner, stay: LabelledStay, now_ms: int) -> Taken:
        taken.append((stay, now_ms))
        return take(learner, stay, now_ms)

    monkeypatch.setattr(Learner, "take", watched)
    made_shift(replace(OPTIONS, refit=None))
    assert len(taken) == len(split_patients(made_patients(60), "held-out")[0])
    ended = sorted(int(stay.at_ms[-1]) for stay, _ in taken)
    for stay, now_ms in taken:
        assert stay.due_ms - stay.at_ms[-1] == 12 * HOUR_MS
        assert now_ms >= stay.due_ms
        assert now_ms in ended or now_ms > ended[-1]
    assert [stay.due_ms for stay, _ in taken] == sorted(stay.due_ms for stay, _ in taken)


def test_nothing_is_retrained_where_it_is_not_asked_for() -> None:
    found = made_shift(replace(OPTIONS, refit=None))
    assert "retrained" not in found.arms
    assert [row.name for row in found.points[-1].rows][:-1] == list(ARMS[:-1])


def test_nobody_to_learn_from_is_refused_with_what_is_missing() -> None:
    home = made_patients(10)
    nobody = [stay for stay in made_patients(30) if held_out(stay.patient_id)]
    with pytest.raises(ValueError, match="give more patients of the new hospital"):
        run_shift(made_champion(), (home, featurise(home)), (nobody, featurise(nobody)), OPTIONS)


def test_the_plot_has_every_arm_in_each_of_its_panels(shifted: Shift) -> None:
    panels = plot_shift(shifted.points, "A → B").axes
    assert len(panels) == 4
    for panel in panels:
        lines = {str(line.get_label()): line.get_xdata() for line in panel.lines}
        assert set(lines) >= set(ARMS)
        drawn: NDArray[np.float64] = np.asarray(lines["online"])
        assert drawn.tolist() == [point.discharges for point in shifted.points]


# --- vigil evaluate shift ------------------------------------------------------------------------


def run(tmp_path: Path, *more: str) -> str:
    folders = {name: tmp_path / name for name in ("home", "away", "model")}
    if not folders["home"].exists():
        write_charts(folders["home"], made_patients(30, seed=7))
        write_charts(folders["away"], made_patients(60))
        save_model(made_champion(), folders["model"])
    given = [word for name, folder in folders.items() for word in (f"--{name}", str(folder))]
    given += ["--no-retrain", "--point", "50"]
    found = CliRunner().invoke(evaluate, ["shift", *given, *more], catch_exceptions=False)
    assert found.exit_code == 0
    return found.stdout


def test_the_command_shows_every_arm_beside_the_clock(tmp_path: Path) -> None:
    shown = run(tmp_path)
    for name in (*ARMS[:-1], "ICU clock ≥ 53 h", "after 0 discharges", "12 h after a stay"):
        assert name in shown


def test_the_last_line_holds_all_figures_and_files_are_written(tmp_path: Path) -> None:
    told = run(tmp_path, "--json", "--plot", str(tmp_path / "docs"), "--out", str(tmp_path / "out"))
    report = json.loads(told.splitlines()[-1])
    assert report["champion"] == "1-abc"
    assert report["options"]["delay_hours"] == 12
    assert set(report["points"][-1]["figures"]) == {*ARMS[:-1], "ICU clock ≥ 53 h"}
    assert (tmp_path / "docs" / "shift-context.png").stat().st_size > 10_000
    assert len(list((tmp_path / "out" / "online").glob("*.psv"))) == report["unseen"]


def test_a_model_without_leaves_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    save_model(made_model("linear")[0], tmp_path / "model")
    given = ["shift", "--home", str(tmp_path / "home"), "--away", str(tmp_path / "away")]
    found = CliRunner().invoke(evaluate, [*given, "--model", str(tmp_path / "model")])
    assert found.exit_code == 1
    assert "only a forest has leaves" in found.output

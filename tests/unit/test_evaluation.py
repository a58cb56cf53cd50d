"""Figures of a model beside the rules and the clock, and its predictions as files."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from models.cohort import read_stays
from models.dataset import featurise
from models.evaluation import (
    model_row,
    probabilities,
    rule_rows,
    subgroup_rows,
    write_predictions,
)
from models.features import FEATURES, GROUPS
from models.metrics import auroc
from models.registry import SHIPPED, load_model
from models.risk import RiskModel, Scores, Tiers
from models.search import labels_of, stay_labels
from models.stay import FEMALE, MALE
from models.utility import normalised_utility
from streams.commands.evaluate import evaluate
from tests.unit.made_patients import made_patients, write_charts

pytestmark = pytest.mark.unit


class Pulse(RiskModel):
    """The higher the pulse, the higher the risk."""

    def score(self, features: NDArray[np.float64]) -> Scores:
        p = np.clip(np.nan_to_num(features[:, FEATURES.index("heart_rate")]) / 200, 0, 1)
        return Scores(p, np.zeros((len(p), len(GROUPS))), p)

    def files(self) -> dict[str, bytes]:
        return {}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], **spec: Any) -> Self:
        return cls(**spec)


PULSE = Pulse(
    name="pulse", version="1", features=FEATURES, threshold=0.5, tiers=Tiers(0.5, 0.6, 0.7)
)


def test_a_models_row_is_its_report_at_its_own_threshold() -> None:
    stays = made_patients(9)
    data = featurise(stays)
    row = model_row("pulse", stays, data, PULSE)
    risk = PULSE.score(data.X).probability
    labels = stay_labels(stays)
    alarms = [part >= 0.5 for part in data.per_stay(risk, 9)]
    assert row.report.auroc == auroc(labels_of(data), risk)
    assert row.report.utility == pytest.approx(normalised_utility(labels, alarms))


def test_the_rules_are_measured_at_their_usual_points_and_the_clock_at_its_hour() -> None:
    stays = made_patients(6, hours=60)
    data = featurise(stays)
    rows = {row.name: row.report for row in rule_rows(stays, data)}
    assert list(rows) == ["qSOFA ≥ 2", "SIRS ≥ 2", "NEWS2 ≥ 5", "ICU clock ≥ 53 h"]
    labels = stay_labels(stays)
    news2 = data.per_stay(data.X[:, FEATURES.index("news2")], 6)
    charted = normalised_utility(labels, [points >= 5 for points in news2])
    assert rows["NEWS2 ≥ 5"].utility == pytest.approx(charted)
    clock = [stay.seconds / 3600 >= 53 for stay in stays]
    assert rows["ICU clock ≥ 53 h"].utility == pytest.approx(normalised_utility(labels, clock))


def test_points_have_no_calibration() -> None:
    stays = made_patients(6)
    assert all(
        np.isnan(row.report.calibration_error) and np.isnan(row.report.brier)
        for row in rule_rows(stays, featurise(stays))
    )


def test_groups_are_hospital_sex_and_age_and_each_patient_is_in_one_of_each() -> None:
    stays = [
        replace(stay, patient_id=f"p{number}{at:05d}", sex=sex, age=age)
        for at, (stay, number, sex, age) in enumerate(
            zip(
                made_patients(6),
                (0, 0, 1, 0, 1, 1),
                (FEMALE, MALE) * 3,
                (49.9, 50, 64.9, 65, 80, 30),
                strict=True,
            )
        )
    ]
    rows = subgroup_rows(stays, featurise(stays), PULSE)
    assert {row.name: row.report.patients for row in rows} == {
        "age under 50": 2,
        "age 50 to 64": 2,
        "age 65 to 79": 1,
        "age 80 and over": 1,
        "hospital A": 3,
        "hospital B": 3,
        "women": 3,
        "men": 3,
    }


def test_a_patient_of_another_source_has_no_hospital() -> None:
    stays = [replace(stay, patient_id="bed-7", age=float("nan")) for stay in made_patients(1)]
    assert {row.name for row in subgroup_rows(stays, featurise(stays), PULSE)} <= {
        "women",
        "men",
    }


def test_predictions_are_files_as_the_challenge_wants_them_with_every_digit(
    tmp_path: Path,
) -> None:
    stays = made_patients(3, hours=4)
    data = featurise(stays)
    risk = probabilities(PULSE, data, 3)
    risk[0][:] = [0.1 + 0.2, np.nextafter(0.5, 0), 0.5, 1e-17]
    write_predictions(stays, risk, 0.5, tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "p000000.psv",
        "p000001.psv",
        "p000002.psv",
    ]
    head, *lines = (tmp_path / "new" / "p000000.psv").read_text().splitlines()
    assert head == "PredictedProbability|PredictedLabel"
    cells = [line.split("|") for line in lines]
    assert [float(p) for p, _ in cells] == risk[0].tolist()
    assert [label for _, label in cells] == ["0", "0", "1", "0"]


def test_a_patient_id_that_would_leave_the_folder_is_refused(tmp_path: Path) -> None:
    stay = replace(made_patients(1)[0], patient_id="../p1")
    with pytest.raises(ValueError, match="cannot be the name of a file"):
        write_predictions([stay], [np.zeros(24)], 0.5, tmp_path)
    assert not (tmp_path.parent / "p1.psv").exists()


# --- vigil evaluate risk -------------------------------------------------------------------------


def run(tmp_path: Path, *more: str) -> str:
    given = ["risk", "--data", str(tmp_path / "in"), "--out", str(tmp_path / "out"), *more]
    found = CliRunner().invoke(
        evaluate, [*given, "--model", str(SHIPPED["context"])], catch_exceptions=False
    )
    assert found.exit_code == 0
    return found.stdout


def test_the_command_writes_the_models_probabilities_and_measures_them(tmp_path: Path) -> None:
    folder = write_charts(tmp_path / "in", made_patients(3))
    report = json.loads(run(tmp_path, "--json"))
    model, stays = load_model(SHIPPED["context"]), read_stays(folder)
    assert (report["version"], report["patients"]) == (model.version, 3)
    assert len(report["figures"]) == 5
    for stay, risk in zip(stays, probabilities(model, featurise(stays), 3), strict=True):
        lines = (tmp_path / "out" / f"{stay.patient_id}.psv").read_text().splitlines()[1:]
        assert [float(line.split("|")[0]) for line in lines] == risk.tolist()
        assert [line.split("|")[1] == "1" for line in lines] == (risk >= model.threshold).tolist()


def test_the_command_shows_the_rules_and_the_clock_beside_the_model(tmp_path: Path) -> None:
    write_charts(tmp_path / "in", made_patients(3))
    shown = run(tmp_path)
    for name in ("qSOFA ≥ 2", "SIRS ≥ 2", "NEWS2 ≥ 5", "ICU clock ≥ 53 h", "3 files"):
        assert name in shown


def test_without_outcomes_the_command_writes_the_files_and_says_so(tmp_path: Path) -> None:
    write_charts(tmp_path / "in", [replace(stay, labels=None) for stay in made_patients(3)])
    assert "No outcome is known" in run(tmp_path)
    assert len(list((tmp_path / "out").iterdir())) == 3

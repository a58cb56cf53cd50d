"""Training: whole patients on one side, the same result for the same seed, honest thresholds."""

import json
from dataclasses import replace

import numpy as np
import pytest

from models.alarms import alert_figures
from models.candidates import CANDIDATES, candidate
from models.card import model_card
from models.cohort import data_hash, held_out
from models.dataset import featurise
from models.evaluation import probabilities
from models.features import FEATURE_SETS, VITAL_FEATURES
from models.metrics import auroc
from models.plots import plots
from models.search import FOLDS, folds, labels_of, matrix_of, sample
from models.stay import Stay
from models.training import Options, Trained, TrainingError, stage_count, train
from models.vitals import index_of
from tests.unit.made_patients import made_patients

pytestmark = pytest.mark.unit

QUICK = Options(
    candidates=("lightgbm", "logistic_regression"), iterations=1, search_patients=60, resamples=0
)


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(made_patients(90), QUICK)


def test_no_held_out_patient_is_trained_or_searched_on(trained: Trained) -> None:
    stays = made_patients(90)
    learning = [stay for stay in stays if not held_out(stay.patient_id)]
    assert trained.facts["trained_on"]["data_hash"] == data_hash(learning)
    assert all(held_out(stay.patient_id) for stay in trained.stays)
    assert len(trained.stays) + len(learning) == 90
    for found in trained.searched:
        assert not any(held_out(stay.patient_id) for stay in found.stays)


def test_changing_the_held_out_patients_changes_nothing_in_the_model(trained: Trained) -> None:
    spoiled = [
        replace(stay, values=stay.values[::-1], labels=stay.labels[::-1])
        if held_out(stay.patient_id)
        else stay
        for stay in made_patients(90)
        if stay.labels is not None
    ]
    assert train(spoiled, QUICK).model.version == trained.model.version


def test_the_same_seed_gives_the_same_model_with_any_number_of_threads(trained: Trained) -> None:
    again = train(made_patients(90), replace(QUICK, threads=2))
    assert again.model.version == trained.model.version
    assert train(made_patients(90), replace(QUICK, seed=2)).model.version != again.model.version


def test_the_model_finds_what_was_put_into_the_patients(trained: Trained) -> None:
    assert trained.rows[0].report.auroc > 0.9
    assert trained.rows[0].report.utility > 0.5


def test_the_kind_with_the_lowest_log_loss_wins(trained: Trained) -> None:
    losses = {found.name: found.metrics["log_loss"] for found in trained.searched}
    assert set(losses) == set(QUICK.candidates)
    assert trained.winner == min(losses, key=losses.__getitem__)
    assert all(len(found.trials) == 1 for found in trained.searched)


def test_tiers_never_cross_and_an_urgent_one_alerts_least(trained: Trained) -> None:
    tiers = trained.model.tiers
    assert 0 < tiers.watch <= tiers.warning <= tiers.urgent
    risk = probabilities(trained.model, trained.data, len(trained.stays))
    alerts = [alert_figures(trained.stays, risk, threshold).alerts for threshold in tiers]
    assert alerts == sorted(alerts, reverse=True)


def test_the_pipeline_and_the_model_say_the_same(trained: Trained) -> None:
    risk = trained.model.score(trained.data.X).probability
    rows = matrix_of(trained.data, trained.model.features)
    np.testing.assert_allclose(risk, trained.pipeline.predict_proba(rows)[:, 1], rtol=1e-12)


def test_the_figures_come_from_the_held_out_patients(trained: Trained) -> None:
    data = featurise(trained.stays)
    found = trained.rows[0].report
    assert found.patients == len(trained.stays)
    assert found.auroc == auroc(labels_of(data), trained.model.score(data.X).probability)


def test_the_clock_the_rules_and_a_model_without_the_clock_are_measured_too(
    trained: Trained,
) -> None:
    names = [row.name for row in trained.rows]
    assert "ICU clock ≥ 53 h" in names
    assert any("vital signs only" in name for name in names)
    assert any("admission unknown" in name for name in names)


def test_a_model_of_vital_signs_alone_knows_nothing_of_the_admission() -> None:
    trained = train(made_patients(90), replace(QUICK, features="vitals"))
    assert trained.model.features == VITAL_FEATURES
    risk = trained.model.score(trained.data.X).probability
    bare = trained.data.X.copy()
    bare[:, len(VITAL_FEATURES) :] = np.nan
    np.testing.assert_array_equal(trained.model.score(bare).probability, risk)


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_feed_without_pressures_and_admissions_can_be_trained_on(name: str) -> None:
    def poor(stay: Stay) -> Stay:
        values = stay.values.copy()
        values[:, index_of("sbp") :] = np.nan
        nothing = float("nan")
        return replace(stay, values=values, age=nothing, sex=None, hours_before_icu=nothing)

    patients = [poor(stay) for stay in made_patients(90)]
    found = train(patients, replace(QUICK, candidates=(name,)))
    assert {"age", "sex", "sbp", "shock_index"}.isdisjoint(found.model.features)
    assert {"heart_rate", "icu_hours"} <= set(found.model.features)
    assert found.rows[0].report.auroc > 0.9


def test_each_step_is_announced_once() -> None:
    steps: list[str] = []
    train(made_patients(90), QUICK, steps.append)
    assert len(steps) == len(set(steps)) == stage_count(QUICK)


def test_patients_of_unknown_outcome_are_left_out(trained: Trained) -> None:
    strangers = [replace(stay, labels=None) for stay in made_patients(120)[90:]]
    assert train([*made_patients(90), *strangers], QUICK).model.version == trained.model.version


@pytest.mark.parametrize("count", [0, 4])
def test_too_few_patients_are_refused_with_what_is_missing(count: int) -> None:
    with pytest.raises(TrainingError, match="give more patients"):
        train(made_patients(count), QUICK)


def test_a_cohort_without_a_septic_patient_is_refused() -> None:
    well = [replace(stay, labels=np.zeros(24, np.int8)) for stay in made_patients(60)]
    with pytest.raises(TrainingError, match="0 septic and"):
        train(well, QUICK)


def test_no_patient_is_on_both_sides_of_a_fold_and_each_is_predicted_once() -> None:
    stays = made_patients(30, hours=5)
    patient = featurise(stays).patient
    splits = folds(stays, patient, seed=3)
    assert len(splits) == FOLDS
    for known, unknown in splits:
        assert not set(patient[known]) & set(patient[unknown])
        assert sum(stays[i].septic is True for i in set(patient[unknown])) >= 3
    predicted = np.concatenate([unknown for _, unknown in splits])
    assert sorted(predicted) == list(range(len(patient)))


def test_a_sample_keeps_the_share_of_septic_patients() -> None:
    stays = made_patients(300, hours=2)
    drawn = sample(stays, 100, seed=0)
    assert len(drawn) == 100
    assert sum(stays[i].septic is True for i in drawn) == 33
    assert (np.diff(drawn) > 0).all()


@pytest.mark.parametrize("name", CANDIDATES)
def test_every_kind_of_model_has_a_scaler_and_takes_missing_values(name: str) -> None:
    kind = candidate(name, seed=1, threads=1)
    data = featurise(made_patients(12))
    rows = matrix_of(data, FEATURE_SETS["context"])
    fitted = kind.pipeline.fit(rows, data.labels)
    assert "scaler" in fitted.named_steps
    assert np.isfinite(fitted.predict_proba(rows)).all()
    assert set(kind.space) <= set(kind.pipeline.get_params())


def test_the_card_carries_the_figures_of_the_run(trained: Trained) -> None:
    card = " ".join(model_card(trained).split())
    report = trained.rows[0].report
    for text in (f"{report.auroc:.3f}", f"{report.utility:.3f}", trained.model.version):
        assert text in card
    assert "not a medical device" in card
    assert "{" not in card
    assert "10.13026/v64v-d857" in card  # ids like the challenge's
    assert all(row.name in card for row in [*trained.rows, *trained.groups])
    json.dumps(trained.facts, allow_nan=False)


def test_the_four_plots_are_drawn(trained: Trained) -> None:
    risk = probabilities(trained.model, trained.data, len(trained.stays))
    labels = [stay.labels for stay in trained.stays if stay.labels is not None]
    figures = plots(labels, risk, trained.model.threshold)
    assert set(figures) == {"roc", "precision_recall", "calibration", "utility"}
    assert all(figure.axes[0].lines for figure in figures.values())

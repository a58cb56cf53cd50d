"""Every kind of model: the same row, the same risk, and contributions that mean something."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from models.features import FEATURES, GROUP_OF, GROUPS, VITAL_FEATURES
from models.risk import ForestModel, LinearModel, PipelineModel, RiskModel, Tiers, from_pipeline

pytestmark = pytest.mark.unit

Matrix = NDArray[np.float64]
KINDS = ("forest", "linear", "random_forest", "hist_gradient_boosting")
_PULSE = FEATURES.index("heart_rate")


def made_rows(count: int = 900, seed: int = 0) -> tuple[Matrix, NDArray[np.int64]]:
    """Rows of `FEATURES`; the risk rises with the heart rate alone."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(50, 20, (count, len(FEATURES)))
    labels = (rows[:, _PULSE] + rng.normal(0, 5, count) > 60).astype(int)
    rows[rng.random(rows.shape) < 0.2] = np.nan
    return rows, labels


def made_pipeline(kind: str) -> Pipeline:
    scaler = ("scaler", StandardScaler())
    match kind:
        case "forest":
            model = LGBMClassifier(n_estimators=20, num_leaves=7, n_jobs=1, verbose=-1)
        case "linear":
            filled = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
            return Pipeline([("imputer", filled), scaler, ("model", LogisticRegression(C=0.01))])
        case "random_forest":
            model = RandomForestClassifier(7, max_depth=4, n_jobs=2, random_state=0)
        case _:
            model = HistGradientBoostingClassifier(max_iter=7, random_state=0)
    return Pipeline([scaler, ("model", model)])


def made_model(kind: str, features: tuple[str, ...] = FEATURES) -> tuple[RiskModel, Pipeline]:
    rows, labels = made_rows()
    columns = [FEATURES.index(name) for name in features]
    pipeline = made_pipeline(kind).fit(rows[:, columns], labels)
    model = from_pipeline(
        pipeline,
        medians=np.nanmedian(rows[:, columns], axis=0),
        name="test",
        features=features,
        threshold=0.3,
        tiers=Tiers(0.3, 0.4, 0.5),
    )
    return model, pipeline


def said(pipeline: Pipeline, rows: Matrix) -> Matrix:
    with warnings.catch_warnings():  # LightGBM names its columns and scikit-learn minds
        warnings.simplefilter("ignore")
        probability: Matrix = pipeline.predict_proba(rows)[:, 1]
        return probability


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest) -> tuple[RiskModel, Pipeline]:
    return made_model(request.param)


def test_each_kind_of_pipeline_becomes_its_kind_of_model() -> None:
    kinds = [type(made_model(kind)[0]) for kind in KINDS]
    assert kinds == [ForestModel, LinearModel, PipelineModel, PipelineModel]


def test_the_probability_is_that_of_the_pipeline(made: tuple[RiskModel, Pipeline]) -> None:
    model, pipeline = made
    rows = made_rows(seed=1)[0]
    np.testing.assert_allclose(model.score(rows).probability, said(pipeline, rows), rtol=1e-12)


@pytest.mark.parametrize("size", [1, 7, 64, 100])
def test_a_row_scores_the_same_to_the_last_bit_in_a_batch_of_any_size(
    made: tuple[RiskModel, Pipeline], size: int
) -> None:
    model, rows = made[0], made_rows(200, seed=2)[0]
    whole = model.score(rows)
    parts = [model.score(rows[at : at + size]) for at in range(0, len(rows), size)]
    for name in ("probability", "contributions", "logit"):
        pieces = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(pieces, getattr(whole, name))


def test_no_rows_have_no_scores(made: tuple[RiskModel, Pipeline]) -> None:
    scores = made[0].score(np.empty((0, len(FEATURES))))
    assert scores.probability.shape == (0,)
    assert scores.contributions.shape == (0, len(GROUPS))


def test_the_logit_is_the_log_odds_of_the_probability(made: tuple[RiskModel, Pipeline]) -> None:
    scores = made[0].score(made_rows(seed=3)[0])
    p = np.clip(scores.probability, 1e-6, 1 - 1e-6)
    np.testing.assert_allclose(scores.logit, np.log(p / (1 - p)), atol=1e-6)


def test_the_group_that_drives_the_risk_is_credited_with_it(
    made: tuple[RiskModel, Pipeline],
) -> None:
    rows = made_rows(seed=4)[0]
    known = rows[~np.isnan(rows[:, _PULSE])]
    contributions = made[0].score(known).contributions
    strength = np.abs(contributions).mean(axis=0)
    assert GROUPS[int(strength.argmax())] == "heart_rate"
    pulse = contributions[:, GROUPS.index("heart_rate")]
    assert np.corrcoef(pulse, known[:, _PULSE])[0, 1] > 0.5


@pytest.mark.parametrize("kind", ["forest", "linear"])
def test_exact_contributions_differ_from_the_log_odds_by_one_constant(kind: str) -> None:
    scores = made_model(kind)[0].score(made_rows(seed=5)[0])
    baseline = scores.logit - scores.contributions.sum(axis=1)
    np.testing.assert_allclose(baseline, baseline[0], atol=1e-12)


def test_a_group_without_a_feature_in_the_model_contributes_nothing() -> None:
    for kind in KINDS:
        model, _ = made_model(kind, VITAL_FEATURES)
        contributions = model.score(made_rows(seed=6)[0]).contributions
        assert not contributions[:, [GROUPS.index(g) for g in ("patient", "stay")]].any(), kind


def test_a_model_of_some_features_does_not_look_at_the_others() -> None:
    rows = made_rows(seed=7)[0]
    other = rows.copy()
    other[:, [name not in VITAL_FEATURES for name in FEATURES]] = np.nan
    for kind in KINDS:
        model, _ = made_model(kind, VITAL_FEATURES)
        np.testing.assert_array_equal(
            model.score(rows).probability, model.score(other).probability, kind
        )


def test_occlusion_is_the_log_odds_lost_without_the_group() -> None:
    model, pipeline = made_model("random_forest")
    rows = made_rows(50, seed=8)[0]
    group = np.array(GROUP_OF) == "heart_rate"
    without = np.where(group, np.nanmedian(made_rows()[0], axis=0), rows)

    def log_odds(probability: Matrix) -> Matrix:
        p = np.clip(probability, 1e-6, 1 - 1e-6)
        return np.log(p / (1 - p))

    lost = log_odds(said(pipeline, rows)) - log_odds(said(pipeline, without))
    found = model.score(rows).contributions[:, GROUPS.index("heart_rate")]
    np.testing.assert_allclose(found, lost, atol=1e-9)


def test_a_model_is_rebuilt_from_its_files(made: tuple[RiskModel, Pipeline]) -> None:
    model, rows = made[0], made_rows(seed=9)[0]
    spec = {name: getattr(model, name) for name in ("name", "version", "features", "threshold")}
    again = type(model).from_files(model.files(), **spec, tiers=model.tiers)
    for name in ("probability", "contributions"):
        np.testing.assert_array_equal(
            getattr(again.score(rows), name), getattr(model.score(rows), name)
        )


def test_a_feature_that_was_never_known_does_no_harm() -> None:
    rows, labels = made_rows()
    rows[:, 3] = np.nan
    for kind in ("forest", "linear"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pipeline = made_pipeline(kind).fit(rows, labels)
        model = from_pipeline(
            pipeline,
            medians=np.zeros(len(FEATURES)),
            name="test",
            features=FEATURES,
            threshold=0.3,
            tiers=Tiers(0.3, 0.4, 0.5),
        )
        known = np.where(np.arange(len(FEATURES)) == 3, 5.0, rows)
        assert np.isfinite(model.score(known).probability).all()


def test_the_version_changes_with_a_threshold_and_not_with_the_name() -> None:
    model, _ = made_model("linear")
    assert model.version == model.fingerprint()
    assert replace(model, name="other", version="7").fingerprint() == model.version
    assert replace(model, threshold=0.31).fingerprint() != model.version
    assert replace(model, tiers=Tiers(0.3, 0.4, 0.6)).fingerprint() != model.version


def test_a_feature_that_is_not_computed_here_is_named() -> None:
    model, _ = made_model("forest")
    with pytest.raises(ValueError, match="procalcitonin"):
        ForestModel.from_files(
            model.files(),
            name="test",
            version="1",
            features=("procalcitonin", *FEATURES[1:]),
            threshold=0.3,
            tiers=model.tiers,
        )


def test_a_pipeline_with_code_of_its_own_is_refused() -> None:
    import skops.io  # type: ignore[import-untyped]
    from sklearn.preprocessing import FunctionTransformer

    model, _ = made_model("random_forest")
    strange = skops.io.dumps(Pipeline([("code", FunctionTransformer(np.linalg.norm))]))
    with pytest.raises(ValueError, match="not to be trusted"):
        PipelineModel.from_files(model.files() | {"pipeline.skops": strange})


def test_a_forest_with_other_leaves_is_another_model_that_is_rebuilt_from_its_files() -> None:
    model, _ = made_model("forest")
    assert isinstance(model, ForestModel)
    rows = made_rows(50)[0]
    values = model.forest.values + np.linspace(-0.1, 0.1, len(model.forest.values))
    tiers = Tiers(0.1, 0.2, 0.3)
    other = model.with_leaves(values, version="7+1", threshold=0.1, tiers=tiers)
    assert (other.version, other.threshold, other.tiers) == ("7+1", 0.1, tiers)
    assert other.fingerprint() != model.fingerprint()
    files = other.files()
    assert set(files) == {*ForestModel.FILES, *ForestModel.OPTIONAL}
    assert set(model.files()) == set(ForestModel.FILES)
    again = ForestModel.from_files(
        files, name="x", version="7+1", features=FEATURES, threshold=0.1, tiers=tiers
    )
    np.testing.assert_array_equal(again.score(rows).logit, other.score(rows).logit)
    np.testing.assert_array_equal(again.score(rows).contributions, other.score(rows).contributions)
    assert not np.array_equal(again.score(rows).logit, model.score(rows).logit)


def test_leaves_of_another_forest_are_refused() -> None:
    model, _ = made_model("forest")
    files = model.files() | {"leaves.f64": bytes(8 * 5)}
    spec = {"name": "x", "version": "", "features": FEATURES, "threshold": 0.1}
    with pytest.raises(ValueError, match="a finite one for each"):
        ForestModel.from_files(files, **spec, tiers=Tiers(0.1, 0.2, 0.3))

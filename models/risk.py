"""From features to a risk and what drove it: one interface over every kind of model.

A `RiskModel` scores a row alike in a batch of any size, to the last bit, so that what the stream
said of a reading can be computed again offline. It is plain data: files that hold numbers, from
which it is rebuilt without running anything that they contain (`models.registry`).
"""

import hashlib
import io
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from models.compiled import kernel
from models.features import FEATURES, GROUP_OF, GROUPS
from models.forest import Forest
from models.trees import slim

__all__ = [
    "TRUSTED",
    "ForestModel",
    "LinearModel",
    "PipelineModel",
    "RiskModel",
    "Scores",
    "Tiers",
    "from_pipeline",
]

_COLUMN = {name: column for column, name in enumerate(FEATURES)}
_GROUP = {name: GROUPS.index(group) for name, group in zip(FEATURES, GROUP_OF, strict=True)}
#: A forest of vote counts may say 0 or 1, whose log-odds are not finite.
_SURE = 1e-6
#: Rows that are predicted at a time, each once for every group.
_CHUNK = 4096
#: What a scikit-learn pipeline is made of beyond the types that skops trusts by itself.
TRUSTED = (
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)


class Tiers(NamedTuple):
    """Lowest probability of each tier; see `models.training` for the rule that sets them."""

    watch: float
    warning: float
    urgent: float


@dataclass(slots=True, eq=False)
class Scores:
    """What a model says of some rows.

    Attributes:
        probability: of sepsis in the hours to come, shape [n].
        contributions: log-odds that each group of `models.features.GROUPS` added, shape
            [n, groups].
        logit: log-odds, shape [n].
    """

    probability: NDArray[np.float64]
    contributions: NDArray[np.float64]
    logit: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RiskModel(ABC):
    """A risk of sepsis from the features of a reading.

    Attributes:
        name: name in the registry.
        version: changes with anything that changes a probability, a threshold or a tier.
        features: the features it looks at, of `models.features.FEATURES`.
        threshold: probability from which an hour counts as an alarm.
        tiers: probabilities from which a reading is in a tier.
    """

    kind: ClassVar[str]
    #: Names of the files it is kept in, and of those that it may lack.
    FILES: ClassVar[tuple[str, ...]]
    OPTIONAL: ClassVar[tuple[str, ...]] = ()

    name: str
    version: str
    features: tuple[str, ...]
    threshold: float
    tiers: Tiers

    def __post_init__(self) -> None:
        _columns(self.features)

    @abstractmethod
    def score(self, features: NDArray[np.float64]) -> Scores:
        """Score rows.

        Args:
            features: in the order of `models.features.FEATURES`, NaN = not known, shape
                [n, features].

        Returns:
            The scores; those of a row do not depend on the other rows.
        """

    @abstractmethod
    def files(self) -> dict[str, bytes]:
        """Everything `from_files` needs, by file name."""

    @classmethod
    @abstractmethod
    def from_files(cls, files: Mapping[str, bytes], **spec: Any) -> Self:
        """Rebuild a model.

        Args:
            files: from `files`.
            spec: the attributes of `RiskModel`.

        Raises:
            KeyError: a file is missing.
            ValueError: a file is not what it should be.
        """

    def fingerprint(self) -> str:
        """12 hexadecimal digits over all that the model is, its name and version apart."""
        digest = hashlib.sha256()
        spec = [self.kind, self.features, self.threshold, self.tiers]
        digest.update(json.dumps(spec).encode())
        for name, content in sorted(self.files().items()):
            digest.update(name.encode() + hashlib.sha256(content).digest())
        return digest.hexdigest()[:12]


def from_pipeline(pipeline: Any, *, medians: NDArray[np.float64], **spec: Any) -> RiskModel:
    """Turn a fitted scikit-learn pipeline into a risk model.

    Args:
        pipeline: steps ``scaler`` and ``model``, the first perhaps after ``imputer``.
        medians: median of each feature in training, NaN = never known, shape [features].
        spec: the attributes of `RiskModel` but the version, which is the model's fingerprint.

    Returns:
        The model: exact contributions for LightGBM and logistic regression, occlusion by the
        medians for anything else.
    """
    steps = pipeline.named_steps
    made: RiskModel
    match type(steps["model"]).__name__:
        case "LGBMClassifier":
            made = ForestModel.from_steps(steps["scaler"], steps["model"], **spec, version="")
        case "LogisticRegression":
            made = LinearModel.from_steps(**steps, **spec, version="")
        case _:
            made = PipelineModel(pipeline=pipeline, medians=medians, **spec, version="")
    return replace(made, version=made.fingerprint())


@kernel
def _logistic(logits: NDArray[np.float64], probabilities: NDArray[np.float64]) -> None:
    for i in range(len(logits)):
        probabilities[i] = 1.0 / (1.0 + math.exp(-logits[i]))


@kernel
def _logit(probabilities: NDArray[np.float64], logits: NDArray[np.float64]) -> None:
    for group in range(probabilities.shape[0]):
        for i in range(probabilities.shape[1]):
            sure = min(max(probabilities[group, i], _SURE), 1 - _SURE)
            logits[group, i] = math.log(sure / (1 - sure))


def _scores(logits: NDArray[np.float64], contributions: NDArray[np.float64]) -> Scores:
    probabilities = np.empty(len(logits))
    _logistic(logits, probabilities)
    return Scores(probabilities, contributions, logits)


def _columns(features: tuple[str, ...]) -> list[int]:
    unknown = [name for name in features if name not in _COLUMN]
    if unknown:
        raise ValueError(
            f"the model looks at {unknown[0]!r}, which this version of Vigil does not compute; "
            "train it again"
        )
    return [_COLUMN[name] for name in features]


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=1, allow_nan=False) + "\n").encode()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ForestModel(RiskModel):
    """LightGBM behind a scaler, its leaves perhaps learned anew since.

    Attributes:
        text: the model as LightGBM saves it, over scaled features.
        forest: the same, ready to be evaluated.
        relearned: whether the forest has other leaf values than the text.
    """

    kind: ClassVar[str] = "forest"
    FILES: ClassVar[tuple[str, ...]] = ("model.txt", "scaler.json")
    #: Little-endian doubles, one a leaf.
    OPTIONAL: ClassVar[tuple[str, ...]] = ("leaves.f64",)

    text: str
    forest: Forest
    relearned: bool = False

    @classmethod
    def from_steps(cls, scaler: Any, model: Any, **spec: Any) -> Self:
        """Take over a fitted ``StandardScaler`` and ``LGBMClassifier``."""
        booster = model.booster_
        text = slim(booster.model_to_string(num_iteration=booster.best_iteration or -1))
        names = " ".join(spec["features"])
        text = text.replace(
            f"feature_names={' '.join(booster.feature_name())}", f"feature_names={names}"
        )
        # a feature that was never known has no mean; no tree looks at it
        scaling = _json(
            {
                "mean": np.nan_to_num(scaler.mean_).tolist(),
                "scale": np.nan_to_num(scaler.scale_, nan=1).tolist(),
            }
        )
        return cls.from_files({"model.txt": text.encode(), "scaler.json": scaling}, **spec)

    @classmethod
    @override
    def from_files(cls, files: Mapping[str, bytes], **spec: Any) -> Self:
        text, scaler = files["model.txt"].decode(), json.loads(files["scaler.json"])
        features = tuple(spec["features"])
        forest = Forest.from_text(
            text,
            columns=_columns(features),
            group_of=[_GROUP[name] for name in features],
            groups=len(GROUPS),
            mean=np.array(scaler["mean"]),
            scale=np.array(scaler["scale"]),
        )
        if forest.names != features:
            raise ValueError("model.txt has other features than the manifest; train it again")
        leaves = files.get("leaves.f64")
        if leaves is not None:
            forest = forest.with_values(np.frombuffer(leaves, "<f8").astype(np.float64))
        return cls(text=text, forest=forest, relearned=leaves is not None, **spec)

    def with_leaves(
        self, values: NDArray[np.float64], *, version: str, threshold: float, tiers: Tiers
    ) -> Self:
        """The same trees with other leaf values; a row costs what it cost.

        Args:
            values: log-odds of each leaf, shape [leaves].
            version: of the new model.
            threshold: see `RiskModel`.
            tiers: see `RiskModel`.

        Returns:
            The model. Its contributions are those of the new values.

        Raises:
            ValueError: there is not one finite value a leaf.
        """
        return replace(
            self,
            forest=self.forest.with_values(values),
            relearned=True,
            version=version,
            threshold=threshold,
            tiers=tiers,
        )

    @override
    def score(self, features: NDArray[np.float64]) -> Scores:
        return _scores(*self.forest.explain(features))

    @override
    def files(self) -> dict[str, bytes]:
        scaling = {"mean": self.forest.mean.tolist(), "scale": self.forest.scale.tolist()}
        files = {"model.txt": self.text.encode(), "scaler.json": _json(scaling)}
        if self.relearned:
            files["leaves.f64"] = self.forest.values.astype("<f8").tobytes()
        return files


@dataclass(frozen=True, slots=True, eq=False)
class _Terms:
    """The terms of a linear model, one for each feature or "is not known" flag of one.

    Attributes:
        source: index of the feature a term looks at.
        flag: whether it looks at the feature's absence instead of its value.
        fill: what stands in for a value that is not known.
        mean: subtracted.
        scale: then divides.
        weight: then multiplies.
        intercept: log-odds of a row of means.
    """

    source: list[int]
    flag: list[bool]
    fill: list[float]
    mean: list[float]
    scale: list[float]
    weight: list[float]
    intercept: float


@kernel
def _linear(
    features: NDArray[np.float64],
    columns: NDArray[np.int64],
    groups: NDArray[np.int64],
    flag: NDArray[np.bool_],
    fill: NDArray[np.float64],
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    weight: NDArray[np.float64],
    logits: NDArray[np.float64],
    contributions: NDArray[np.float64],
) -> None:
    for i in range(len(features)):
        for term in range(len(columns)):
            x = features[i, columns[term]]
            unknown = x != x
            if flag[term]:
                x = 1.0 if unknown else 0.0
            elif unknown:
                x = fill[term]
            worth = weight[term] * ((x - mean[term]) / scale[term])
            logits[i] += worth
            contributions[i, groups[term]] += worth


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LinearModel(RiskModel):
    """Logistic regression behind imputation by medians and a scaler.

    Attributes:
        terms: what is added up.
    """

    kind: ClassVar[str] = "linear"
    FILES: ClassVar[tuple[str, ...]] = ("linear.json",)

    terms: _Terms
    _arrays: tuple[NDArray[Any], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        terms = self.terms
        columns = np.array(_columns(self.features))[terms.source]
        groups = np.array([_GROUP[name] for name in self.features])[terms.source]
        weights = (terms.fill, terms.mean, terms.scale, terms.weight)
        arrays = (columns, groups, np.array(terms.flag), *map(np.array, weights))
        object.__setattr__(self, "_arrays", arrays)  # what is frozen is set once

    @classmethod
    def from_steps(cls, imputer: Any, scaler: Any, model: Any, **spec: Any) -> Self:
        """Take over a fitted ``SimpleImputer``, ``StandardScaler``, ``LogisticRegression``."""
        values = len(imputer.statistics_)
        flagged = [] if imputer.indicator_ is None else imputer.indicator_.features_.tolist()
        fill = np.nan_to_num(imputer.statistics_).tolist()
        terms = _Terms(
            source=[*range(values), *flagged],
            flag=[False] * values + [True] * len(flagged),
            fill=fill + [0.0] * len(flagged),
            mean=scaler.mean_.tolist(),
            scale=scaler.scale_.tolist(),
            weight=model.coef_[0].tolist(),
            intercept=float(model.intercept_[0]),
        )
        return cls(terms=terms, **spec)

    @classmethod
    @override
    def from_files(cls, files: Mapping[str, bytes], **spec: Any) -> Self:
        return cls(terms=_Terms(**json.loads(files["linear.json"])), **spec)

    @override
    def score(self, features: NDArray[np.float64]) -> Scores:
        logits = np.full(len(features), self.terms.intercept)
        contributions = np.zeros((len(features), len(GROUPS)))
        _linear(features, *self._arrays, logits, contributions)
        return _scores(logits, contributions)

    @override
    def files(self) -> dict[str, bytes]:
        return {"linear.json": _json(asdict(self.terms))}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PipelineModel(RiskModel):
    """Any other scikit-learn pipeline.

    Its contributions are by occlusion: what the log-odds lose when a group of features is set to
    the medians of training. They do not add up to the log-odds, and cost one more prediction a
    group.

    Attributes:
        pipeline: fitted; takes NaN, gives ``predict_proba`` row by row.
        medians: median of each feature in training, NaN = never known, shape [features].
    """

    kind: ClassVar[str] = "pipeline"
    FILES: ClassVar[tuple[str, ...]] = ("pipeline.skops", "medians.json")

    pipeline: Any
    medians: NDArray[np.float64]

    def __post_init__(self) -> None:
        RiskModel.__post_init__(self)
        # several threads would add up the trees in the order in which they finish
        for name in self.pipeline.get_params():
            if name.split("__")[-1] == "n_jobs":
                self.pipeline.set_params(**{name: 1})

    @classmethod
    @override
    def from_files(cls, files: Mapping[str, bytes], **spec: Any) -> Self:
        # imported here: scikit-learn comes with it, which the other kinds can do without
        import skops.io  # type: ignore[import-untyped]

        content = files["pipeline.skops"]
        strange = set(skops.io.get_untrusted_types(data=content)) - set(TRUSTED)
        if strange:
            raise ValueError(f"pipeline.skops holds {sorted(strange)}, which is not to be trusted")
        medians = json.loads(files["medians.json"])
        return cls(
            pipeline=skops.io.loads(content, trusted=list(TRUSTED)),
            medians=np.array([math.nan if m is None else m for m in medians], np.float64),
            **spec,
        )

    @override
    def score(self, features: NDArray[np.float64]) -> Scores:
        columns = _columns(self.features)
        said = np.empty((len(GROUPS) + 1, len(features)))
        for start in range(0, len(features), _CHUNK):
            rows = features[start : start + _CHUNK, columns]
            said[:, start : start + len(rows)] = self._occluded(rows)
        logits = np.empty(said.shape)
        _logit(said, logits)
        return Scores(said[0], (logits[0] - logits[1:]).T.copy(), logits[0])

    def _occluded(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities of the rows as they are, then without each group in turn."""
        owner = np.array([_GROUP[name] for name in self.features])
        without = [np.where(owner == group, self.medians, rows) for group in range(len(GROUPS))]
        said: NDArray[np.float64] = self.pipeline.predict_proba(np.concatenate([rows, *without]))
        return said[:, 1].reshape(-1, len(rows))

    @override
    def files(self) -> dict[str, bytes]:
        import skops.io

        content = io.BytesIO()
        skops.io.dump(self.pipeline, content)
        medians = [None if math.isnan(median) else median for median in self.medians.tolist()]
        return {"pipeline.skops": content.getvalue(), "medians.json": _json(medians)}

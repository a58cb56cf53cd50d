"""When a challenger takes over: a declared margin, on patients that neither model has seen.

Two models are compared on the same stays, each at its own threshold. A stay gives what each model's
alarms earned (`models.utility`) and what could have been earned; the difference of the two
normalised utilities is the gain. How sure it is comes from a bootstrap over whole stays, the same
draws for both models (paired): each stay is drawn a Poisson(1) number of times, which needs neither
the number of stays in advance nor the stays afterwards (Oza & Russell, AISTATS 2001; Chamandy et
al., *Estimating uncertainty for massive data streams*, 2012). A stay's draws depend on its name
alone, so that it does not matter when, where or in which order stays come.

A patient is *unseen* by a model only where the model's own facts show it (`unseen`). What cannot be
shown counts as seen.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.cohort import held_out, side_of
from models.pseudonyms import is_pseudonym

__all__ = [
    "Evidence",
    "PairedBootstrap",
    "Rule",
    "SeenError",
    "Verdict",
    "judge",
    "require_unseen",
    "unseen",
]

#: Resamples of the paired bootstrap.
RESAMPLES = 1_000
#: Upper ends of the probabilities of 0, 1, 2, … draws, as 64-bit integers: Poisson(1).
_DRAWS = np.array(
    [
        min(int(2**64 * share), 2**64 - 1)
        for share in np.cumsum([np.exp(-1.0) / np.prod(np.arange(1.0, k + 1)) for k in range(12)])
    ],
    np.uint64,
)


class SeenError(ValueError):
    """Patients of a comparison cannot be shown to be new to both models."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a challenger must show.

    Attributes:
        margin: normalised utility by which it must be better.
        confidence: share of the resamples in which it must be better at all.
        stays: stays that it must have been compared on, at least.
        septic: septic ones among them, at least: below some forty the utility is mostly noise.
    """

    margin: float = 0.01
    confidence: float = 0.9
    stays: int = 500
    septic: int = 40


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a comparison found; figures that are not defined are NaN.

    Attributes:
        stays: stays that neither model had seen.
        septic: septic ones among them.
        utility_before: normalised utility of the model that scores.
        utility_after: that of the challenger.
        gain: the difference; above zero the challenger is better.
        gain_interval: its 95 % interval over stays.
        better: share of the resamples in which the challenger is better.
    """

    stays: int
    septic: int
    utility_before: float
    utility_after: float
    gain: float
    gain_interval: tuple[float, float]
    better: float

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON can hold them: None for NaN."""
        return {
            name: [_plain(v) for v in value] if isinstance(value, tuple) else _plain(value)
            for name, value in asdict(self).items()
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a challenger may take over.

    Attributes:
        promote: whether it may.
        reasons: what it lacks, or why it may; in words.
    """

    promote: bool
    reasons: tuple[str, ...]


def judge(evidence: Evidence, rule: Rule | None = None) -> Verdict:
    """Apply the rule of promotion.

    Args:
        evidence: of a comparison on unseen stays.
        rule: what is to be shown; None = `Rule` as it stands.
    """
    rule = rule or Rule()
    lacks = []
    if evidence.stays < rule.stays:
        lacks.append(f"{evidence.stays} unseen stays, {rule.stays} are needed")
    if evidence.septic < rule.septic:
        lacks.append(f"{evidence.septic} septic ones among them, {rule.septic} are needed")
    # not "<": what is not defined is not enough
    if not evidence.gain >= rule.margin:
        lacks.append(f"utility {evidence.gain:+.3f}, {rule.margin:+.3f} is needed")
    if not evidence.better >= rule.confidence:
        lacks.append(
            f"better in {evidence.better:.0%} of the resamples, {rule.confidence:.0%} is needed"
        )
    if lacks:
        return Verdict(False, tuple(lacks))
    low, high = evidence.gain_interval
    return Verdict(
        True,
        (
            f"utility {evidence.utility_before:.3f} to {evidence.utility_after:.3f} "
            f"({evidence.gain:+.3f} [{low:+.3f} to {high:+.3f}]) on {evidence.stays} unseen stays, "
            f"{evidence.septic} septic; better in {evidence.better:.0%} of the resamples",
        ),
    )


@dataclass(slots=True, eq=False)
class PairedBootstrap:
    """Adds up stays, and all resamples of them, in a state of fixed size.

    Attributes:
        sums: earned before, earned after, attainable; of each resample, and in the last column of
            the stays themselves, shape [3, resamples + 1].
        stays: how many were added.
        septic: septic ones among them.
    """

    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros((3, RESAMPLES + 1)))
    stays: int = 0
    septic: int = 0

    def add(
        self, name: str, earned_before: float, earned_after: float, attainable: float, septic: bool
    ) -> None:
        """Add a stay.

        Args:
            name: of the stay, such as patient and end; alike names have alike draws.
            earned_before: what the alarms of the model that scores earned, not normalised.
            earned_after: what the challenger's alarms earned.
            attainable: what the best alarms would have earned.
            septic: whether the patient became septic.
        """
        resamples = self.sums.shape[1] - 1
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little")
        # a bit generator's raw numbers are the same in every version of NumPy
        raw = np.random.PCG64(seed).random_raw(resamples)
        draws = np.append(np.searchsorted(_DRAWS, raw, side="right"), 1.0)
        self.sums += np.outer((earned_before, earned_after, attainable), draws)
        self.stays += 1
        self.septic += septic

    def evidence(self) -> Evidence:
        """What the stays so far say."""
        before, after, attainable = self.sums
        with np.errstate(divide="ignore", invalid="ignore"):
            utility = np.where(attainable > 0, (before, after) / attainable, np.nan)
        gains = utility[1] - utility[0]
        drawn = gains[:-1][np.isfinite(gains[:-1])]
        low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (nan, nan)
        return Evidence(
            stays=self.stays,
            septic=self.septic,
            utility_before=float(utility[0, -1]),
            utility_after=float(utility[1, -1]),
            gain=float(gains[-1]),
            gain_interval=(float(low), float(high)),
            better=float((drawn > 0).mean()) if len(drawn) else nan,
        )


def unseen(patient_id: str, facts: Mapping[str, Any], began_ms: int | None = None) -> bool:
    """Whether a model's facts show that it has not seen a patient.

    One of these shows it: the model held patients out and this is one of them
    (`models.cohort.held_out`); it was trained on one side of a split by patient and this patient is
    on another (`models.cohort.side_of`); the stay began after the last event it was trained on.

    Args:
        patient_id: id or pseudonym of the patient.
        facts: of the model's manifest.
        began_ms: first reading of the stay, ms since 1970; None where only hours since admission
            are known.
    """
    data = facts.get("data") or {}
    split = data.get("split")
    # a pseudonym keeps its side of the split with seed 0 only
    if (
        split is not None
        and not (split["seed"] and is_pseudonym(patient_id))
        and side_of(patient_id, split["seed"]) != split["side"]
    ):
        return True
    if "held_out" in facts and held_out(patient_id):
        return True
    last = data.get("last_event_ms")
    return last is not None and began_ms is not None and began_ms > last


def require_unseen(
    patients: Sequence[tuple[str, int | None]], models: Mapping[str, Mapping[str, Any]]
) -> None:
    """Refuse a comparison on patients that a model may have seen.

    Args:
        patients: id and first reading (see `unseen`) of every patient.
        models: facts of each model, by its name.

    Raises:
        SeenError: some patient cannot be shown to be new to every model.
    """
    for name, facts in models.items():
        seen = sum(not unseen(patient, facts, began) for patient, began in patients)
        if seen:
            raise SeenError(
                f"{seen} of {len(patients)} patients may have been trained on by {name}: compare "
                "on held-out patients, on another side of its split, or on later stays"
            )


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not isfinite(value) else value

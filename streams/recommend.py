"""From scores to recommendations: what goes out for each reading.

The wire is `streams.events.Recommendation`. The original record is embedded byte for byte.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from config.clock import from_ms
from config.guidance import Guidance
from models.explain import factor_text, top_factors
from models.features import FEATURES, GROUPS, ORIGINAL_FEATURES
from models.quality import flag_names
from models.risk import RiskModel, Scores, Tiers
from models.scores import NEWS2_ITEMS, NEWS2_RULE, news2_points
from models.vitals import MISSING
from models.window import DUPLICATE, OUT_OF_ORDER

__all__ = ["Recommender", "Scored"]

_NEWS2_COLUMNS = [FEATURES.index(name) for name in NEWS2_ITEMS]
#: Parts of NEWS2 that no sensor on this feed sends.
_NOT_ON_THE_FEED = ["supplemental_oxygen", "consciousness"]
_ORIGINAL = tuple(ORIGINAL_FEATURES)
_TIERS = ("none", *Tiers._fields)
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True, eq=False)
class Scored:
    """Readings ready to be recommended on; all of length n.

    Attributes:
        ids: recommendation ids.
        correlation_ids: from the readings' headers, None = the recommendation id.
        rows: decoded readings.
        raw: their original bytes.
        unit_ids: of the stays; a reading's own comes first.
        at_ms: observed times.
        produced_ms: Kafka times.
        values: hundredths, shape [n, 8].
        flags: of `models.quality`.
        outcomes: of `models.window`.
        features: shape [n, features].
        original: shape [n, 4].
        without_context: nothing is known of the patient's admission.
    """

    ids: Sequence[str]
    correlation_ids: Sequence[str | None]
    patient_ids: Sequence[str]
    rows: Sequence[Any]
    raw: Sequence[bytes]
    unit_ids: Sequence[str | None]
    at_ms: NDArray[np.int64]
    produced_ms: Sequence[int]
    values: NDArray[np.int64]
    flags: NDArray[np.int32]
    outcomes: NDArray[np.int8]
    features: NDArray[np.float64]
    original: NDArray[np.float64]
    without_context: Sequence[bool]


class Recommender:
    """Writes recommendations with one model and one set of texts."""

    def __init__(self, model: RiskModel, guidance: Guidance) -> None:
        self.model = model
        self._guidance = guidance

    def write(
        self, scored: Scored, scores: Scores, scored_at: datetime, scoring_us: float
    ) -> list[bytes]:
        """Return the recommendation of each reading as JSON.

        Args:
            scored: the readings.
            scores: what the model says of them.
            scored_at: when they were scored.
            scoring_us: mean time a reading took, microseconds.
        """
        probability = scores.probability.tolist()
        tiers = self._tiers(scores.probability)
        points = np.empty((len(probability), len(NEWS2_ITEMS)), np.int8)
        news2_points(np.ascontiguousarray(scored.features[:, _NEWS2_COLUMNS]), points)
        measured = (scored.values != MISSING).sum(axis=1).tolist()
        all_points = points.tolist()
        model, guidance = self.model, self._guidance
        return [
            _encode(
                {
                    "recommendation_id": scored.ids[i],
                    "correlation_id": scored.correlation_ids[i] or scored.ids[i],
                    "patient_id": scored.patient_ids[i],
                    "unit_id": scored.rows[i].unit_id or scored.unit_ids[i],
                    "observed_at": from_ms(int(scored.at_ms[i])),
                    "prediction_probabilities": (1.0 - risk, risk),
                    "risk": risk,
                    "tier": tiers[i],
                    "factors": self._factors(scores.contributions[i], scored.features[i]),
                    "news2": _news2(all_points[i]),
                    "next_steps": guidance.next_steps[tiers[i]],
                    "features": _original_features(scored.original[i]),
                    "data_quality": {
                        "flags": _flags(scored, i),
                        "measured": measured[i],
                    },
                    "model_name": model.name,
                    "model_version": model.version,
                    "original_data": msgspec.Raw(scored.raw[i]),
                    "processing": {
                        "produced_at": from_ms(scored.produced_ms[i]),
                        "scored_at": scored_at,
                        "scoring_us": scoring_us,
                    },
                    "disclaimer": guidance.disclaimer,
                }
            )
            for i, risk in enumerate(probability)
        ]

    def _tiers(self, probability: NDArray[np.float64]) -> list[str]:
        cuts = self.model.tiers
        reached = np.searchsorted(cuts, probability, "right")
        return [_TIERS[i] for i in reached.tolist()]

    def _factors(
        self, contributions: NDArray[np.float64], features: NDArray[np.float64]
    ) -> list[dict[str, Any]]:
        return [
            {
                "name": GROUPS[group],
                "text": factor_text(group, features, self._guidance.groups),
                "contribution": float(contributions[group]),
            }
            for group in top_factors(contributions)
        ]


def _news2(points: list[int]) -> dict[str, Any]:
    known = {name: p for name, p in zip(NEWS2_ITEMS, points, strict=True) if p >= 0}
    return {
        "total": sum(known.values()),
        "points": known,
        "missing": [name for name in NEWS2_ITEMS if name not in known] + _NOT_ON_THE_FEED,
        "rule": NEWS2_RULE,
    }


def _original_features(values: NDArray[np.float64]) -> dict[str, float | None]:
    # NaN is not JSON: msgspec would write it as null, and a reader should not have to know that
    return {
        name: None if value != value else value
        for name, value in zip(_ORIGINAL, values.tolist(), strict=True)
    }


def _flags(scored: Scored, i: int) -> list[str]:
    flags = flag_names(int(scored.flags[i])) if scored.flags[i] else []
    if scored.outcomes[i] == OUT_OF_ORDER:
        flags.append("out_of_order")
    elif scored.outcomes[i] == DUPLICATE:
        flags.append("duplicate")
    if scored.without_context[i]:
        flags.append("admission_unknown")
    if (scored.values[i] == MISSING).all():
        flags.append("nothing_measured")
    return flags

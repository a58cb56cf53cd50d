"""From scores to recommendations: what goes out for each reading.

The wire is `streams.events.Recommendation`. The original record is embedded byte for byte.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from config.clock import from_ms
from config.guidance import Guidance
from models.anomaly import ANOMALY_NAMES, anomaly_names
from models.explain import MOST, sentence, top_factors
from models.features import FEATURES, GROUPS, ORIGINAL_FEATURES
from models.quality import FLAG_NAMES, flag_names
from models.risk import RiskModel, Scores, Tiers
from models.scores import NEWS2_ITEMS, NEWS2_RULE, news2_points
from models.vitals import MISSING
from models.window import DUPLICATE, OUT_OF_ORDER

__all__ = ["Recommender", "Scored"]

_NEWS2_COLUMNS = [FEATURES.index(name) for name in NEWS2_ITEMS]
#: Parts of NEWS2 that no sensor on this feed sends.
_NOT_ON_THE_FEED = ["supplemental_oxygen", "consciousness"]
#: Points of NEWS2 as one number: -1 (not known) to 3 for each item.
_NEWS2_PLACES = 5 ** np.arange(len(NEWS2_ITEMS))
_TIERS = ("none", *Tiers._fields)
_encode = msgspec.json.Encoder().encode
#: Texts kept at most; all are made again when there are more.
_TEXTS = 100_000
_FACTS_BYTES = 4 * 8

# Everything about a reading's quality as one number: its flags, and from these bits on …
_OUTCOME, _UNKNOWN, _MEASURED, _SENSORS = 1 << 16, 1 << 24, 1 << 25, 1 << 30
assert len(FLAG_NAMES) <= 16, "a flag would be taken for an outcome"
assert len(ANOMALY_NAMES) + 30 < 63, "a code would not fit its integer"


@dataclass(slots=True, eq=False)
class Scored:
    """Readings ready to be recommended on; all of length n.

    Attributes:
        ids: recommendation ids, which JSON need not escape.
        correlation_ids: from the readings' headers, None = the recommendation id.
        rows: decoded readings.
        raw: their original bytes.
        unit_ids: of the stays; a reading's own comes first.
        at_ms: observed times.
        produced_ms: Kafka times.
        values: hundredths, shape [n, 8].
        flags: of `models.quality`.
        outcomes: of `models.window`.
        sensors: of `models.anomaly.remember`, shape [n].
        features: shape [n, features].
        original: shape [n, 4].
        without_context: nothing is known of the patient's admission.
    """

    ids: Sequence[bytes]
    correlation_ids: Sequence[str | None]
    patient_ids: Sequence[str]
    rows: Sequence[Any]
    raw: Sequence[bytes]
    unit_ids: Sequence[str | None]
    at_ms: Sequence[int]
    produced_ms: Sequence[int]
    values: NDArray[np.int64]
    flags: NDArray[np.int32]
    outcomes: NDArray[np.int8]
    sensors: NDArray[np.int64]
    features: NDArray[np.float64]
    original: NDArray[np.float64]
    without_context: Sequence[bool]


class Recommender:
    """Writes recommendations with one model and one set of texts.

    A recommendation is put together from pieces of JSON. What repeats itself from reading to
    reading, like a sentence, the points of NEWS2 or the steps of a tier, is encoded once.
    """

    def __init__(self, model: RiskModel, guidance: Guidance) -> None:
        self.model = model
        self._groups = guidance.groups
        self._texts: dict[bytes, bytes] = {}
        self._next_steps = [_encode(guidance.next_steps[tier]) for tier in _TIERS]
        self._tiers = [_encode(tier) for tier in _TIERS]
        self._disclaimer = _encode(guidance.disclaimer)

    def write(
        self, scored: Scored, scores: Scores, scored_ms: int, scoring_us: float
    ) -> list[bytes]:
        """Return the recommendation of each reading as JSON.

        Args:
            scored: the readings.
            scores: what the model says of them.
            scored_ms: when they were scored, ms since 1970.
            scoring_us: mean time a reading took, microseconds.
        """
        n = len(scored.ids)
        probability = np.asarray(scores.probability, np.float64)
        tiers = np.searchsorted(self.model.tiers, probability, "right").tolist()
        factors = self._factors(scores.contributions, scored.features)
        news2 = self._news2(scored.features)
        quality = self._quality(scored)
        numbers = np.column_stack([1.0 - probability, probability, scored.original])
        # one call for all numbers; NaN is not JSON, and comes out as null
        digits = _encode(numbers.ravel().tolist())[1:-1].split(b",")
        width = numbers.shape[1]
        form = self._form(scored_ms, scoring_us)
        written = []
        for i in range(n):
            no, risk, *original = digits[i * width : (i + 1) * width]
            own_id = b'"%b"' % scored.ids[i]
            correlation_id = scored.correlation_ids[i]
            tier = tiers[i]
            written.append(
                form
                % (
                    own_id,
                    own_id if correlation_id is None else _encode(correlation_id),
                    _encode(scored.patient_ids[i]),
                    _encode(scored.rows[i].unit_id or scored.unit_ids[i]),
                    _moment(scored.at_ms[i]),
                    no,
                    risk,
                    risk,
                    self._tiers[tier],
                    factors[i],
                    news2[i],
                    self._next_steps[tier],
                    *original,
                    quality[i],
                    scored.raw[i],
                    _moment(scored.produced_ms[i]),
                )
            )
        return written

    def _form(self, scored_ms: int, scoring_us: float) -> bytes:
        """What all recommendations of a batch have in common, with gaps for the rest."""
        features = b",".join(b"%b:%%b" % _encode(name) for name in ORIGINAL_FEATURES)

        def fixed(value: Any) -> bytes:
            return _encode(value).replace(b"%", b"%%")

        return (
            b'{"recommendation_id":%b,"correlation_id":%b,"patient_id":%b,"unit_id":%b,'
            b'"observed_at":%b,"prediction_probabilities":[%b,%b],"risk":%b,"tier":%b,'
            b'"factors":[%b],"news2":%b,"next_steps":%b,"features":{'
            + features
            + b'},"data_quality":%b,"model_name":'
            + fixed(self.model.name)
            + b',"model_version":'
            + fixed(self.model.version)
            + b',"original_data":%b,"processing":{"produced_at":%b,"scored_at":'
            + _moment(scored_ms)
            + b',"scoring_us":'
            + fixed(scoring_us)
            + b'},"disclaimer":'
            + self._disclaimer.replace(b"%", b"%%")
            + b"}"
        )

    def _factors(
        self, contributions: NDArray[np.float64], features: NDArray[np.float64]
    ) -> list[bytes]:
        """The factors of each reading, without the brackets."""
        n = len(features)
        facts, worth = np.empty((n, MOST, 4), np.int64), np.empty((n, MOST))
        top_factors(contributions, features, facts, worth)
        digits = _encode(worth.ravel().tolist())[1:-1].split(b",")
        keys, texts = facts.tobytes(), self._texts
        found = []
        for i in range(0, MOST * n, MOST):
            parts = []
            for place in range(i, i + MOST):
                key = keys[place * _FACTS_BYTES : (place + 1) * _FACTS_BYTES]
                text = texts.get(key)
                if text is None:
                    text = self._text(key)
                if not text:
                    break
                parts.append(text + digits[place] + b"}")
            found.append(b",".join(parts))
        return found

    def _text(self, key: bytes) -> bytes:
        """A factor up to its contribution; empty where there is none."""
        group, *facts = np.frombuffer(key, np.int64).tolist()
        text = b""
        if group >= 0:
            said = sentence(group, facts, self._groups)
            text = b'{"name":%b,"text":%b,"contribution":' % (_encode(GROUPS[group]), _encode(said))
        if len(self._texts) >= _TEXTS:
            self._texts.clear()
        self._texts[key] = text
        return text

    def _news2(self, features: NDArray[np.float64]) -> list[bytes]:
        points = np.empty((len(features), len(NEWS2_ITEMS)), np.int8)
        news2_points(np.ascontiguousarray(features[:, _NEWS2_COLUMNS]), points)
        return [_news2_text(code) for code in ((points + 1) @ _NEWS2_PLACES).tolist()]

    def _quality(self, scored: Scored) -> list[bytes]:
        measured = (scored.values != MISSING).sum(axis=1)
        codes = (
            scored.flags.astype(np.int64)
            + scored.outcomes.astype(np.int64) * _OUTCOME
            + np.array(scored.without_context, np.int64) * _UNKNOWN
            + measured * _MEASURED
            + scored.sensors * _SENSORS
        )
        return [_quality_text(code) for code in codes.tolist()]


@cache  # as many as there are codes: 3125
def _news2_text(code: int) -> bytes:
    points = [code // place % 5 - 1 for place in _NEWS2_PLACES.tolist()]
    known = {name: p for name, p in zip(NEWS2_ITEMS, points, strict=True) if p >= 0}
    return _encode(
        {
            "total": sum(known.values()),
            "points": known,
            "missing": [name for name in NEWS2_ITEMS if name not in known] + _NOT_ON_THE_FEED,
            "rule": NEWS2_RULE,
        }
    )


@lru_cache(maxsize=65_536)
def _quality_text(code: int) -> bytes:
    sensors, code = divmod(code, _SENSORS)
    measured = code // _MEASURED
    flags = flag_names(code % _OUTCOME) + anomaly_names(sensors)
    outcome = code // _OUTCOME % (_UNKNOWN // _OUTCOME)
    if outcome == OUT_OF_ORDER:
        flags.append("out_of_order")
    elif outcome == DUPLICATE:
        flags.append("duplicate")
    if code & _UNKNOWN:
        flags.append("admission_unknown")
    if measured == 0:
        flags.append("nothing_measured")
    return _encode({"flags": flags, "measured": measured})


def _moment(ms: int) -> bytes:
    """RFC 3339 in UTC as JSON, always to the microsecond: as texts, times sort as they passed."""
    second, milliseconds = divmod(ms, 1000)
    return _second(second) + b'.%03d000Z"' % milliseconds


@lru_cache(maxsize=16_384)
def _second(second: int) -> bytes:
    return b'"' + from_ms(second * 1000).strftime("%Y-%m-%dT%H:%M:%S").encode()

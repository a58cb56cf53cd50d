"""Challengers in the shadow of what scores: which there are, and which the rule lets pass.

Pure: told of the challengers and of every stay whose labels are due.
"""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.promotion import Verdict, judge
from models.registry import ModelError
from models.release_records import ModelRecord
from models.releases import Releases
from models.risk import RiskModel
from models.shadow import Shadow

__all__ = ["Contest"]

log = logging.getLogger(__name__)

#: Challengers that are scored at most, the newest ones.
_MOST = 3


class Contest:
    """Scores challengers beside the model that learns.

    Args:
        champion: version of the champion; with another one every shadow begins anew.
        shadows: encoded, from `encode`.
    """

    def __init__(self, champion: str, shadows: list[bytes] | None = None) -> None:
        self._champion = champion
        found = [Shadow.decode(shadow) for shadow in shadows or []]
        self.shadows = {s.challenger: s for s in found if s.champion == champion}
        self._models: dict[str, RiskModel | None] = {}

    def encode(self) -> list[bytes]:
        """What `Contest` goes on from."""
        return [shadow.encode() for shadow in self.shadows.values()]

    def enter(self, releases: Releases, now_ms: int) -> None:
        """Take in the challengers that there are now.

        Args:
            releases: of the site.
            now_ms: event time: of one that does not say on what it was trained, later stays count.
        """
        entered = list(releases.challengers.values())[-_MOST:]
        self.shadows = {
            record.version: self.shadows.get(record.version)
            or Shadow(record.version, self._champion, _trained_until(record, now_ms))
            for record in entered
        }
        for version in self.shadows:
            if version not in self._models:
                try:
                    self._models[version] = releases.model(version)
                except ModelError as error:
                    log.error("challenger %s cannot be used: %s", version, error)
                    self._models[version] = None

    def add(
        self,
        patient_id: str,
        at_ms: NDArray[np.int64],
        labels: NDArray[np.int8],
        features: NDArray[np.float64],
        scored: tuple[NDArray[np.float64], float],
    ) -> None:
        """Take in a stay whose labels are due; see `models.shadow.Shadow.add`.

        Args:
            patient_id: of the patient.
            at_ms: observed times, shape [n].
            labels: shape [n].
            features: in the order of `models.features.FEATURES`, shape [n, features].
            scored: log-odds of what scores, before it has learned the stay, and its threshold.
        """
        for version, shadow in self.shadows.items():
            model = self._models[version]
            if model is not None:
                own = (model.score(features).logit, model.threshold)
                shadow.add(patient_id, at_ms, labels, scored, own)

    def verdicts(self) -> Mapping[str, Verdict]:
        """What the rule of promotion says of each challenger, the oldest first."""
        return {version: judge(shadow.evidence()) for version, shadow in self.shadows.items()}


def _trained_until(record: ModelRecord, now_ms: int) -> int:
    data: Any = record.facts.get("data") or {}
    last = data.get("last_event_ms")
    return now_ms if last is None else int(last)

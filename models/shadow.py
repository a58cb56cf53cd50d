"""A challenger in the shadow: it scores what the active model scores, and nobody sees it.

When a stay's labels fall due, what both models' alarms would have earned is added up, in a state of
fixed size (`models.promotion.PairedBootstrap`). Only stays that began after the challenger's data
ended count: those it cannot have seen. What the active model said is what it said at the time,
before the labels were known.
"""

from dataclasses import dataclass, field
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.promotion import Evidence, PairedBootstrap
from models.thresholds import hourly_gains

__all__ = ["Shadow", "ShadowError"]

_FORMAT = "vigil-shadow/1"


class ShadowError(ValueError):
    """Bytes are not a shadow that can be used here."""


class _Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    challenger: str
    champion: str
    trained_until_ms: int
    stays: int
    septic: int
    seen: int
    sums: bytes


@dataclass(slots=True, eq=False)
class Shadow:
    """How a challenger does beside the model that scores.

    Attributes:
        challenger: its version.
        champion: version of the champion that scores; with another one a shadow begins anew.
        trained_until_ms: last event that the challenger was trained on, ms since 1970.
        tally: of the stays that count.
        seen: stays that did not count, because they began before.
    """

    challenger: str
    champion: str
    trained_until_ms: int
    tally: PairedBootstrap = field(default_factory=PairedBootstrap)
    seen: int = 0

    def add(
        self,
        patient_id: str,
        at_ms: NDArray[np.int64],
        labels: NDArray[np.int8],
        before: tuple[NDArray[np.float64], float],
        after: tuple[NDArray[np.float64], float],
    ) -> bool:
        """Add a stay whose labels are due.

        Args:
            patient_id: of the patient.
            at_ms: observed times of its readings, at most one an hour, ascending, ms since 1970,
                shape [n], n > 0.
            labels: 1 from six hours before onset on, else 0, shape [n].
            before: log-odds that the active model gave, shape [n], and the probability from which
                it alarms.
            after: the same of the challenger.

        Returns:
            Whether the stay counts: the challenger cannot have seen it.

        Raises:
            ValueError: shapes differ, or a log-odds is not finite.
        """
        for logits, _ in (before, after):
            if logits.shape != at_ms.shape or labels.shape != at_ms.shape:
                raise ValueError(
                    f"{len(at_ms)} readings, {len(labels)} labels, {len(logits)} logits"
                )
            if not np.isfinite(logits).all():
                raise ValueError("a log-odds is not finite")
        if at_ms[0] <= self.trained_until_ms:
            self.seen += 1
            return False
        gains = hourly_gains(at_ms, labels)
        self.tally.add(
            f"{patient_id}/{at_ms[0]}",
            _earned(gains, *before),
            _earned(gains, *after),
            float(gains[gains > 0].sum()),
            bool(labels.any()),
        )
        return True

    def evidence(self) -> Evidence:
        """What the stays so far say; for `models.promotion.judge`."""
        return self.tally.evidence()

    def encode(self) -> bytes:
        """The shadow as MessagePack, about 24 KB; equal shadows give equal bytes."""
        tally = self.tally
        return msgspec.msgpack.encode(
            _Wire(
                _FORMAT,
                self.challenger,
                self.champion,
                self.trained_until_ms,
                tally.stays,
                tally.septic,
                self.seen,
                tally.sums.astype("<f8").tobytes(),
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what `encode` wrote; nothing in it is run.

        Raises:
            ShadowError: it is not a whole shadow of a format known here.
        """
        try:
            wire = msgspec.msgpack.decode(data, type=_Wire)
            if wire.format != _FORMAT:
                raise ValueError(f"format {wire.format!r}, not {_FORMAT!r}")
            tally = PairedBootstrap(stays=wire.stays, septic=wire.septic)
            if len(wire.sums) != tally.sums.nbytes:
                raise ValueError(f"sums are {len(wire.sums)} bytes, not {tally.sums.nbytes}")
            tally.sums = np.frombuffer(wire.sums, "<f8").reshape(tally.sums.shape).copy()
            return cls(wire.challenger, wire.champion, wire.trained_until_ms, tally, wire.seen)
        except (msgspec.MsgspecError, ValueError) as error:
            raise ShadowError(f"not a shadow: {error}") from error


def _earned(gains: NDArray[np.float64], logits: NDArray[np.float64], threshold: float) -> float:
    probabilities = 1 / (1 + np.exp(-logits))
    return float(gains[probabilities >= threshold].sum())

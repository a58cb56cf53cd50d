"""The drift monitor beside the learner: what it is shown, what it says, and how it is stored."""

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from config.clock import from_ms
from models.drift import DriftEvent as Found
from models.drift import DriftMonitor, DriftStateError
from models.risk import RiskModel
from streams.events import DriftEvent
from streams.lessons import Example

__all__ = ["Watch", "drift_event"]

_KEY = b"m"
#: Bytes of a piece: a broker takes records of a megabyte by default, and the state may be larger.
_PIECE = 256 * 1024
#: Examples after which the monitor is stored. What it was shown since then is lost in a crash: it
#: looks back on thousands.
_EVERY = 1_024


class Watch:
    """Shows the monitor examples and stays, and keeps what it has found until it is asked."""

    def __init__(self, site: str, monitor: DriftMonitor | None = None, pieces: int = 0) -> None:
        self._monitor = monitor or DriftMonitor(site)
        self._found: list[Found] = []
        self._stored, self._pieces = self._monitor.examples, pieces

    @classmethod
    def restored(cls, site: str, load: Callable[[bytes], bytes | None]) -> Self:
        """Go on from what was stored; where that is of another version of the rule, begin anew."""
        head = load(_KEY)
        if head is None:
            return cls(site)
        pieces = int.from_bytes(head, "big")
        state = b"".join(load(_piece(i)) or b"" for i in range(pieces))
        try:
            return cls(site, DriftMonitor.restore(state), pieces)
        except DriftStateError:
            return cls(site, None, pieces)

    def examples(self, examples: Sequence[Example], champion: RiskModel) -> None:
        """Show new examples, with what the champion says of them without what it has learned."""
        if not examples:
            return
        features = np.stack([example.features for example in examples])
        self._found += self._monitor.observe(
            features,
            champion.score(features).logit,
            [example.observed_at_ms for example in examples],
            [example.patient_id for example in examples],
            units=[example.unit_id for example in examples],
            devices=[example.device_id for example in examples],
            flags=[example.flags for example in examples],
        )

    def stay(
        self,
        patient: str,
        ended_ms: int,
        labels: NDArray[np.int8],
        logits: NDArray[np.float64],
        threshold: float,
        unit: str | None,
    ) -> None:
        """Show a stay whose labels are due, with what was said of it before it was learned."""
        risks = 1 / (1 + np.exp(-logits))
        alerted = bool((risks >= threshold).any())
        self._found += self._monitor.observe_stay(
            patient, ended_ms, labels, risks, alerted, unit=unit
        )

    def found(self) -> list[Found]:
        """What has drifted since this was last asked."""
        found, self._found = self._found, []
        return found

    @property
    def is_due(self) -> bool:
        """Whether enough has been shown to store it."""
        return self._monitor.examples >= self._stored + _EVERY

    def store(self, writes: dict[bytes, bytes | None]) -> None:
        """Fill ``writes`` with the state."""
        state = self._monitor.encode()
        pieces = [state[at : at + _PIECE] for at in range(0, len(state), _PIECE)]
        writes.update((_piece(i), piece) for i, piece in enumerate(pieces))
        writes.update((_piece(i), None) for i in range(len(pieces), self._pieces))
        writes[_KEY] = len(pieces).to_bytes(4, "big")
        self._stored, self._pieces = self._monitor.examples, len(pieces)


def _piece(number: int) -> bytes:
    return _KEY + number.to_bytes(4, "big")


def drift_event(found: Found, model_version: str) -> DriftEvent:
    """What goes out."""
    where = found.unit or "all units"
    detail = (
        f"{found.signal} in {where} from {found.before:.3g} to {found.after:.3g} since "
        f"{from_ms(found.since_ms):%Y-%m-%d %H:%M}, {found.patients} patients, "
        f"p {found.p_value:.1g}"
    )
    return DriftEvent(
        drift_id=found.id,
        rule=found.rule,
        layer=found.layer,  # type: ignore[arg-type]  # one of the three, as text
        signal=found.signal,
        unit_id=found.unit,
        device_id=found.device,
        since=from_ms(found.since_ms),
        at=from_ms(found.found_ms),
        strength=abs(found.effect),
        before=found.before,
        after=found.after,
        examples=found.values,
        model_version=model_version,
        detail=detail,
    )

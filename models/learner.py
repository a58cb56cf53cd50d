"""What an online layer learns, and in which order: pure, so that it is the same offline and live.

Stays come in the order in which their labels fall due (`DueStays`), each with the features of its
readings as they were scored. Of a stay:

1. The layer as it is gives each reading its log-odds: *progressive* predictions, made before any of
   the stay's labels is learned. From these the thresholds are re-tuned (`models.thresholds`).
2. The positive readings and a share of the others are put aside. Which ones depends on the patient
   and the time of a reading alone, so that a stay that comes again after a crash is sampled alike.
3. With every `Rules.block` stays the block's readings are shuffled, by its number, and learned
   (`models.online`). That makes a new version of the layer: a `Snapshot`.

Whole patients are held out (`models.cohort.held_out`): nothing is learned or tuned on them, so that
there is always somebody to compare versions on. A snapshot says how many stays had been taken; a
learner that is rebuilt from it and given the stays after those goes on bit for bit.
"""

import hashlib
import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.cohort import held_out
from models.online import LeafLogistic, leaf_logits
from models.registry import ModelError
from models.risk import ForestModel, RiskModel, Tiers
from models.thresholds import GRID, Prior, Tally

__all__ = [
    "MOST_LEAVES",
    "DueStays",
    "LabelledStay",
    "Learner",
    "Rules",
    "Snapshot",
    "SnapshotError",
    "Taken",
    "require_room",
]

_FORMAT = "vigil-layer/1"
#: Leaves of a champion, at most. The learner's state is one record of 24 bytes a leaf, three
#: shadows of 24 KB and the names of some stays, and a broker takes a megabyte by default.
MOST_LEAVES = 36_000


class SnapshotError(ValueError):
    """Bytes are not a snapshot that can be used here."""


def require_room(model: RiskModel) -> None:
    """See that what is learned on a model can be kept; see `MOST_LEAVES`.

    Raises:
        ModelError: it has too many leaves.
    """
    if isinstance(model, ForestModel) and len(model.forest.values) > MOST_LEAVES:
        raise ModelError(
            f"{model.name} {model.version} has {len(model.forest.values):,} leaves, and a learner "
            f"can keep {MOST_LEAVES:,}: train fewer or smaller trees"
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """How a layer learns.

    Attributes:
        rate: learning rate of AdaGrad.
        accumulator: sum of squared gradients that each leaf starts with.
        window: blocks over which the weights are averaged; see `models.online.LeafLogistic`.
        head_start: blocks for which the champion's leaves count in the average: a block holds the
            labels of three septic patients, of whom the readings tell much the same.
        negatives: share of the negative readings that is learned.
        block: stays that are shuffled and learned together.
        half_life: stays after which a stay counts for half in the thresholds.
        prior: how much must be seen before the champion's thresholds are left.
    """

    rate: float = 0.01
    accumulator: float = 10.0
    window: int = 40
    head_start: int = 5
    negatives: float = 0.15
    block: int = 50
    half_life: float = 4_000.0
    prior: Prior = field(default_factory=Prior)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledStay:
    """A stay that has ended and whose outcome is known.

    Attributes:
        patient_id: as at the bedside.
        at_ms: observed times of its readings, ms since 1970, ascending, at most one an hour of
            event time, shape [n]; a stay without a reading teaches nothing.
        features: as they were scored, in the order of `models.features.FEATURES`,
            shape [n, features].
        labels: 1 from six hours before onset on, else 0, shape [n].
        due_ms: when the labels may be known, ms since 1970.
    """

    patient_id: str
    at_ms: NDArray[np.int64]
    features: NDArray[np.float64]
    labels: NDArray[np.int8]
    due_ms: int


class DueStays:
    """Stays that wait for their labels to fall due.

    They come out by due time and then by patient, whatever the order in which they came in.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[int, str, int, LabelledStay]] = []
        self._added = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, stay: LabelledStay) -> None:
        """Let a stay wait."""
        self._added += 1
        heapq.heappush(self._waiting, (stay.due_ms, stay.patient_id, self._added, stay))

    def pop(self, now_ms: int) -> Iterator[LabelledStay]:
        """Take out, one by one, the stays that are due.

        Args:
            now_ms: event time that has been reached, ms since 1970.
        """
        while self._waiting and self._waiting[0][0] <= now_ms:
            yield heapq.heappop(self._waiting)[-1]


class _Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A snapshot as bytes: arrays are little-endian doubles."""

    format: str
    champion: str
    layer: int
    taken: int
    learned: int
    labels: int
    positives: int
    threshold: float
    tiers: Tiers
    days: float
    stays: float
    values: bytes
    weights: bytes
    accumulators: bytes
    gains: bytes
    alerts: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A version of a layer: what scoring needs, and what learning goes on from.

    Attributes:
        champion: version of the model whose leaves it is about.
        layer: number of the version; blocks that were learned.
        taken: stays that were taken when it was made, held-out ones among them.
        learned: stays that were learned.
        labels: readings that were learned.
        positives: positive ones among them.
        threshold: see `models.risk.RiskModel`.
        tiers: see `models.risk.RiskModel`.
        values: leaf values to score with, shape [leaves].
        weights: of the last step, shape [leaves].
        accumulators: of AdaGrad, shape [leaves].
        tally: what the thresholds were tuned on.
    """

    champion: str
    layer: int
    taken: int
    learned: int
    labels: int
    positives: int
    threshold: float
    tiers: Tiers
    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    accumulators: NDArray[np.float64]
    tally: Tally

    @property
    def version(self) -> str:
        """Version of the model that scores with it."""
        return f"{self.champion}+{self.layer}"

    def model(self, champion: ForestModel) -> ForestModel:
        """The champion with this layer, ready to score.

        Args:
            champion: of the version that the snapshot names.

        Raises:
            SnapshotError: it is of another version or has other leaves.
        """
        self.require(champion)
        return champion.with_leaves(
            self.values, version=self.version, threshold=self.threshold, tiers=self.tiers
        )

    def require(self, champion: ForestModel) -> None:
        """See that the layer belongs to a champion.

        Raises:
            SnapshotError: it does not.
        """
        if self.champion != champion.version:
            raise SnapshotError(
                f"a layer of champion {self.champion}, not of {champion.version}: load that one"
            )
        if len(self.values) != len(champion.forest.values):
            raise SnapshotError(
                f"a layer of {len(self.values)} leaves, the champion {self.champion} has "
                f"{len(champion.forest.values)}: it is another model under the same version"
            )

    def encode(self) -> bytes:
        """The snapshot as MessagePack; equal snapshots give equal bytes."""
        return msgspec.msgpack.encode(
            _Wire(
                format=_FORMAT,
                champion=self.champion,
                layer=self.layer,
                taken=self.taken,
                learned=self.learned,
                labels=self.labels,
                positives=self.positives,
                threshold=self.threshold,
                tiers=self.tiers,
                days=self.tally.days,
                stays=self.tally.stays,
                values=_bytes(self.values),
                weights=_bytes(self.weights),
                accumulators=_bytes(self.accumulators),
                gains=_bytes(self.tally.gains),
                alerts=_bytes(self.tally.alerts),
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what `encode` wrote; nothing in it is run.

        Raises:
            SnapshotError: it is not a whole snapshot of a format known here.
        """
        try:
            wire = msgspec.msgpack.decode(data, type=_Wire)
            if wire.format != _FORMAT:
                raise ValueError(f"format {wire.format!r}, not {_FORMAT!r}")
            leaves = len(wire.values) // 8
            return cls(
                champion=wire.champion,
                layer=wire.layer,
                taken=wire.taken,
                learned=wire.learned,
                labels=wire.labels,
                positives=wire.positives,
                threshold=wire.threshold,
                tiers=wire.tiers,
                values=_array(wire.values, leaves),
                weights=_array(wire.weights, leaves),
                accumulators=_array(wire.accumulators, leaves),
                tally=Tally(
                    _array(wire.gains, len(GRID) + 1),
                    _array(wire.alerts, len(GRID)),
                    wire.days,
                    wire.stays,
                ),
            )
        except (msgspec.MsgspecError, ValueError) as error:
            raise SnapshotError(f"not a snapshot of an online layer: {error}") from error


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """What became of a stay.

    Attributes:
        logits: progressive predictions of its readings, made before its labels were learned,
            shape [n].
        snapshot: the new version, where the stay completed a block.
    """

    logits: NDArray[np.float64]
    snapshot: Snapshot | None


@dataclass(slots=True)
class _Block:
    """Readings that are put aside until their block is complete."""

    leaves: list[NDArray[np.int32]] = field(default_factory=list)
    labels: list[NDArray[np.int8]] = field(default_factory=list)
    keys: list[NDArray[np.uint64]] = field(default_factory=list)


class Learner:
    """Learns a layer over one champion.

    Args:
        champion: where to start.
        rules: how to learn.
        snapshot: where to go on; None = from the champion's own leaves.

    Raises:
        SnapshotError: the snapshot belongs to another champion.
    """

    def __init__(
        self, champion: ForestModel, rules: Rules | None = None, snapshot: Snapshot | None = None
    ) -> None:
        self.champion = champion
        self.rules = rules = rules or Rules()
        self.layer = LeafLogistic(
            champion.forest, rules.rate, rules.accumulator, rules.window, rules.head_start
        )
        self.tally = Tally.empty()
        self.taken = self.learned = self.labels = self.positives = 0
        if snapshot is not None:
            snapshot.require(champion)
            self.layer.weights = snapshot.weights.copy()
            self.layer.accumulators = snapshot.accumulators.copy()
            self.layer.values = snapshot.values.copy()
            self.layer.batches = snapshot.layer
            tally = snapshot.tally
            self.tally = Tally(tally.gains.copy(), tally.alerts.copy(), tally.days, tally.stays)
            self.taken, self.learned = snapshot.taken, snapshot.learned
            self.labels, self.positives = snapshot.labels, snapshot.positives
        self._keep = 0.5 ** (1 / rules.half_life)
        self._offset = -math.log(rules.negatives)
        self._block = _Block()

    def take(self, stay: LabelledStay, now_ms: int) -> Taken:
        """Take the next stay.

        Args:
            stay: the next one in the order of due times.
            now_ms: event time that has been reached, ms since 1970.

        Returns:
            Its progressive predictions, and a snapshot where it completed a block.

        Raises:
            ValueError: its labels are not due yet; nothing was learned from them.
        """
        if now_ms < stay.due_ms:
            raise ValueError(
                f"the labels of {stay.patient_id} are due {stay.due_ms - now_ms} ms from now; "
                "hold the stay back until then"
            )
        leaves = self.champion.forest.leaves(stay.features)
        logits = leaf_logits(leaves, self.layer.values)
        self.taken += 1
        if held_out(stay.patient_id) or not len(stay.at_ms):
            return Taken(logits, None)
        self.tally.add(stay.at_ms, logits, stay.labels, keep=self._keep)
        self._put_aside(stay, leaves)
        self.learned += 1
        return Taken(logits, self._learn() if self.learned % self.rules.block == 0 else None)

    def _put_aside(self, stay: LabelledStay, leaves: NDArray[np.int32]) -> None:
        keys = _keys(stay.patient_id, stay.at_ms)
        chosen = (stay.labels == 1) | (_uniform(keys) < self.rules.negatives)
        self._block.leaves.append(leaves[chosen])
        self._block.labels.append(stay.labels[chosen])
        self._block.keys.append(keys[chosen])

    def _learn(self) -> Snapshot:
        block, self._block = self._block, _Block()
        number = self.layer.batches + 1
        keys = np.concatenate(block.keys)
        order = np.argsort(_mixed(keys ^ _mixed(np.array([number], np.uint64))), kind="stable")
        labels = np.concatenate(block.labels)[order]
        self.layer.learn(np.concatenate(block.leaves)[order], labels, self._offset)
        self.labels += len(labels)
        self.positives += int(labels.sum())
        return self.snapshot()

    def snapshot(self) -> Snapshot:
        """The layer as it is after its last block.

        Raises:
            ValueError: a block is open; what it holds would be lost.
        """
        if self._block.labels:
            raise ValueError(
                f"{len(self._block.labels)} stays of an open block are not learned yet"
            )
        threshold, tiers = self.tally.tuned(self.champion, self.rules.prior)
        tally = self.tally
        return Snapshot(
            champion=self.champion.version,
            layer=self.layer.batches,
            taken=self.taken,
            learned=self.learned,
            labels=self.labels,
            positives=self.positives,
            threshold=threshold,
            tiers=tiers,
            values=self.layer.values,
            weights=self.layer.weights.copy(),
            accumulators=self.layer.accumulators.copy(),
            tally=Tally(tally.gains.copy(), tally.alerts.copy(), tally.days, tally.stays),
        )


def _mixed(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64 (Steele, Lea & Flood, OOPSLA 2014): the same bits with any version of NumPy."""
    keys = keys + np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def _keys(patient_id: str, at_ms: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A number for each reading that depends on the patient and the time alone."""
    patient = int.from_bytes(hashlib.sha256(patient_id.encode()).digest()[:8], "little")
    return _mixed(_mixed(at_ms.astype(np.uint64)) ^ np.uint64(patient))


def _uniform(keys: NDArray[np.uint64]) -> NDArray[np.float64]:
    """From 0 to 1, 1 excluded."""
    return (keys >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _bytes(array: NDArray[np.float64]) -> bytes:
    return array.astype("<f8").tobytes()


def _array(data: bytes, length: int) -> NDArray[np.float64]:
    if len(data) != 8 * length:
        raise ValueError(f"an array of {len(data)} bytes where {8 * length} are needed")
    return np.frombuffer(data, "<f8").astype(np.float64)

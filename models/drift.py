"""Drift of data, score and error, found on the stream: rule ``drift/1``.

Three layers, each a set of signals with one value an example (data, score) or a stay (error):

=========  ===========================================================================
data       ``<v>_measured``: was the vital sign measured within the hour; ``measured``: how many
           were; ``pressures_complete``: were all three pressures, where one was; ``<v>``: its
           value where it was measured; unit mix-ups (`Mixups`)
score      ``logit`` of the champion
error      ``log_loss``, ``calibration`` (label less risk), ``f1`` (of stays: alerted, septic)
=========  ===========================================================================

**Two steps, like a screening test.** A detector that asks every signal at every reading for years
is wrong often, whatever its level; and the readings of one patient are not independent, which no
detector knows. So

1. River's ADWIN (Bifet & Gavalda 2007), quick and set to be sensitive, *suspects* a signal for
   `Rule.suspect` values;
2. while it is suspected, its most likely change points (largest CUSUM) are tested now and then:
   mean after against mean before, under a random-effects model of patients. With x = patient's
   level + noise, their variances taken from both sides, the difference of means has variance
   ``V_b sum_i (a_i - b_i)^2 + V_w (1/N_a + 1/N_b)``, where a_i and b_i are the shares of patient i
   in the values after and before. A patient who lies in both cancels out. If the patients after
   the change vary more than that says, their own variance counts. An event needs
   p < `Rule.alpha` (Student's t, patients less one), an effect of `Rule.effect` standard deviations
   and `Rule.patients` patients after the change.

A ward of ten beds is therefore slow and not wrong: nothing is said of it until enough patients have
come. Readings patient by patient, not interleaved, are the extreme of that.

**One shift, one event a signal.** After an event the signal's past begins at the change, and it is
not asked again for `Rule.cool_down` values, in which the new normal is learned.

**State.** The last `Rule.memory` values of all signals, and a few numbers a signal. River's
detectors are rebuilt from those values: an ADWIN is fed at most `Rule.memory` values and then begun
anew from the last half of them, so replaying what it was fed gives the same detector, bit for bit.
Values are 32-bit floats in a running monitor too, for the same reason. Nothing is pickled. The
result depends on nothing but the examples and their order: no clock, no random numbers, no batches.

What it is worth on recorded patients stands in docs/model.md; ``vigil evaluate drift`` measures it.
"""

import hashlib
import json
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from river.drift import ADWIN
from scipy.special import stdtr

from models.features import CURRENT, FEATURES
from models.quality import FAHRENHEIT, FRACTION, PRESSURE_IN_KPA

__all__ = [
    "DATA_SIGNALS",
    "DRIFT_RULE",
    "ERROR_SIGNALS",
    "EXAMPLE_SIGNALS",
    "MIXUPS",
    "DriftEvent",
    "DriftMonitor",
    "DriftStateError",
    "Rule",
    "example_signals",
    "stay_signals",
]

DRIFT_RULE: Final = "drift/1"

_AGO = [FEATURES.index(f"{vital}_hours_ago") for vital in CURRENT]
_VALUE = [FEATURES.index(vital) for vital in CURRENT]
_PRESSURES = [CURRENT.index(vital) for vital in ("sbp", "dbp", "map")]

DATA_SIGNALS: tuple[str, ...] = (
    *(f"{vital}_measured" for vital in CURRENT),
    "measured",
    "pressures_complete",
    *CURRENT,
)
EXAMPLE_SIGNALS: tuple[str, ...] = (*DATA_SIGNALS, "logit")
ERROR_SIGNALS: tuple[str, ...] = ("log_loss", "calibration", "f1")

#: Where the bulk of a signal's values lies. ADWIN's bound is for values from 0 to 1.
_RANGES: dict[str, tuple[float, float]] = {
    "measured": (0, len(CURRENT)),
    "heart_rate": (40, 160),
    "resp_rate": (5, 45),
    "temperature": (34, 41),
    "spo2": (80, 100),
    "sbp": (60, 220),
    "dbp": (30, 120),
    "map": (40, 140),
    "logit": (-9, 1),
    "log_loss": (0, 1),
    "calibration": (-0.5, 1),
}

#: Unit mix-ups: flag of `models.quality` → name, and the vital signs that may carry it.
MIXUPS: dict[int, tuple[str, tuple[str, ...]]] = {
    FAHRENHEIT: ("temperature_in_fahrenheit", ("temperature",)),
    FRACTION: ("spo2_as_fraction", ("spo2",)),
    PRESSURE_IN_KPA: ("pressure_in_kpa", ("sbp", "dbp", "map")),
}


class DriftStateError(ValueError):
    """Bytes are not the state of a monitor of this rule."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The numbers of the rule. Whoever changes one gives the rule another version.

    Attributes:
        memory: values kept.
        delta: significance of ADWIN, per signal.
        clock: values between two looks of ADWIN.
        suspect: values for which a signal stays suspected.
        every: values between two tests of a suspected signal at first; later a sixteenth of the
            values since it was suspected.
        reach: how many values ago a change may lie. One test for each: a small change long ago
            would hide a large one now.
        before: values that must lie before a change.
        after: values that must lie after it.
        patients: distinct patients that must lie after it; before it, four times as many.
        alpha: p-value below which a change of `_LONG` values or more is an event. A shorter one
            has more places to be found in by chance, and is allowed less in proportion.
        effect: smallest effect of an event, standard deviations of the values before.
        cool_down: values after an event in which the signal raises no other.
    """

    memory: int
    delta: float
    clock: int
    suspect: int
    every: int
    reach: tuple[int, ...]
    before: int
    after: int
    patients: int
    alpha: float
    effect: float
    cool_down: int


#: For examples: 17 signals at 100,000 examples are to raise no event by chance. Set on wards of 50
#: beds, orders 1 to 5 of ``vigil evaluate drift``. In their 500,000 readings without a change the
#: least p-value, brought to the level of a long change, was 3e-5.
EXAMPLES: Final = Rule(
    memory=16384,
    delta=0.05,
    clock=4,
    suspect=12288,
    every=8,
    reach=(256, 2048, 16384),
    before=2048,
    after=40,
    patients=16,
    alpha=5e-7,
    effect=0.2,
    cool_down=2048,
)
#: For stays, which are independent of each other and rarer by an order of magnitude or two.
STAYS: Final = Rule(
    memory=2048,
    delta=0.05,
    clock=4,
    suspect=1536,
    every=4,
    reach=(128, 2048),
    before=64,
    after=24,
    patients=16,
    alpha=1e-4,
    effect=0.2,
    cool_down=128,
)


@dataclass(frozen=True, slots=True)
class DriftEvent:
    """Something has changed.

    Attributes:
        id: the same for the same event, however often it is found again from the same examples.
        rule: version of the rule.
        layer: ``data``, ``score`` or ``error``.
        signal: one of `EXAMPLE_SIGNALS`, `ERROR_SIGNALS` or a name in `MIXUPS`.
        site: as the monitor was told.
        unit: where it happened, if it happened in one unit only; None = all over the site.
        device: of a unit mix-up, if it was given.
        since_ms: event time at the estimated change.
        found_ms: event time of the example (for the error layer: end of the stay) that gave proof.
        since_example: count of examples (error: stays) at the change, the first is 0.
        found_example: count at the proof.
        before: mean before the change; of ``f1`` the F1 itself.
        after: mean after it.
        effect: the difference in standard deviations of the values before.
        p_value: probability of a difference like this by chance, at one look; of a mix-up a bound
            on that of ever getting so far.
        values: values after the change.
        patients: distinct patients among them; 0 for a mix-up, which is a matter of a device.
    """

    id: str
    rule: str
    layer: str
    signal: str
    site: str | None
    unit: str | None
    device: str | None
    since_ms: int
    found_ms: int
    since_example: int
    found_example: int
    before: float
    after: float
    effect: float
    p_value: float
    values: int
    patients: int


def example_signals(
    features: NDArray[np.float64], logits: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Values of `EXAMPLE_SIGNALS`.

    Args:
        features: in the order of `models.features.FEATURES`, shape [n, features].
        logits: of the champion, NaN = not scored, shape [n].

    Returns:
        NaN where a signal has no value, shape [n, signals].
    """
    measured = features[:, _AGO] < 1.0  # false for NaN: never measured
    pressures = measured[:, _PRESSURES]
    signals = np.full((len(features), len(EXAMPLE_SIGNALS)), np.nan, np.float32)
    count = len(CURRENT)
    signals[:, :count] = measured
    signals[:, count] = measured.sum(axis=1)
    signals[:, count + 1] = np.where(pressures.any(axis=1), pressures.all(axis=1), np.nan)
    signals[:, count + 2 : -1] = np.where(measured, features[:, _VALUE], np.nan)
    signals[:, -1] = logits
    return signals


def stay_signals(
    labels: NDArray[np.int8], risks: NDArray[np.float64], alerted: bool
) -> NDArray[np.float32]:
    """Values of `ERROR_SIGNALS` for a stay whose outcome is known.

    Args:
        labels: of its examples, shape [n], n at least 1.
        risks: as they were predicted before anything was learned of the stay, shape [n].
        alerted: whether there was an alarm.

    Returns:
        Shape [signals]. Of ``f1`` a true alert is 1, a false or a missed one 0, and a stay without
        either NaN: the mean is J = TP / (TP + FP + FN), and F1 = 2 J / (1 + J).
    """
    p = np.clip(risks, 1e-6, 1 - 1e-6)
    loss = -np.where(labels == 1, np.log(p), np.log1p(-p)).mean()
    septic = bool(labels.any())
    hit = math.nan if not (septic or alerted) else float(septic and alerted)
    return np.array([loss, (labels - risks).mean(), hit], np.float32)


def _f1(jaccard: float) -> float:
    return 2 * jaccard / (1 + jaccard)


_LONG_AGO = -(2**40)


@dataclass(slots=True)
class _Signal:
    """What is known of one signal besides its values; indices count all rows ever taken in."""

    start: int = 0  # the past begins here
    anchor: int = 0  # the detector was fed from here on
    suspected: int = _LONG_AGO  # when the detector last spoke
    tested: int = 0
    quiet_until: int = 0


@dataclass(slots=True)
class _Proof:
    """A change that passed the test: at row ``at``, against the past from row ``start`` on."""

    start: int
    at: int
    before: float
    after: float
    effect: float
    p_value: float
    values: int
    patients: int


#: Columns of the keys of a row.
_PATIENT, _TIME, _UNIT, _KEYS = 0, 1, 2, 3


class _Rows:
    """The last rows of a layer, oldest first, in arrays that are contiguous at any time."""

    def __init__(self, memory: int, signals: int) -> None:
        self.memory, self.first, self.count = memory, 0, 0
        self._at = 0  # of the first row
        self.values = np.full((2 * memory, signals), np.nan, np.float32)
        self.keys = np.zeros((2 * memory, _KEYS), np.int64)

    def append(self, values: NDArray[np.float32], patient: int, at_ms: int, unit: int) -> None:
        if self._at + self.count == 2 * self.memory:
            self.values[: self.count] = self.values[self._at :]
            self.keys[: self.count] = self.keys[self._at :]
            self._at = 0
        if self.count == self.memory:
            self._at += 1
            self.first += 1
        else:
            self.count += 1
        end = self._at + self.count - 1
        self.values[end] = values
        self.keys[end] = patient, at_ms, unit

    @property
    def end(self) -> int:
        """Count of all rows ever."""
        return self.first + self.count

    def column(self, signal: int, start: int) -> NDArray[np.float32]:
        """Values of a signal from row ``start`` on."""
        return self.values[self._at + start - self.first : self._at + self.count, signal]

    def key(self, which: int, start: int) -> NDArray[np.int64]:
        """Patients, times or units from row ``start`` on."""
        return self.keys[self._at + start - self.first : self._at + self.count, which]

    def kept(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """All rows, oldest first."""
        rows = slice(self._at, self._at + self.count)
        return self.values[rows], self.keys[rows]

    def restore(self, first: int, values: NDArray[np.float32], keys: NDArray[np.int64]) -> None:
        self.first, self.count, self._at = first, len(values), 0
        self.values[: len(values)] = values
        self.keys[: len(keys)] = keys


class _Layer:
    """Signals that get a value each with every row."""

    def __init__(self, names: Sequence[str], rule: Rule) -> None:
        self.names, self.rule = tuple(names), rule
        ranges = np.array([_RANGES.get(name, (0, 1)) for name in names])
        self._low, self._width = ranges[:, 0], ranges[:, 1] - ranges[:, 0]
        self.rows = _Rows(rule.memory, len(names))
        self.signals = [_Signal() for _ in names]
        self._detectors = [self._detector() for _ in names]

    def _detector(self) -> Any:
        return ADWIN(delta=self.rule.delta, clock=self.rule.clock, grace_period=self.rule.after)

    def _scaled(self, values: NDArray[np.float32], signal: int | slice) -> NDArray[np.float64]:
        scaled = (values.astype(np.float64) - self._low[signal]) / self._width[signal]
        return np.asarray(np.clip(scaled, 0.0, 1.0))

    def add(
        self, values: NDArray[np.float32], patient: int, at_ms: int, unit: int
    ) -> list[tuple[int, _Proof]]:
        """Take a row in; return the signals that have changed."""
        rows, rule = self.rows, self.rule
        rows.append(values, patient, at_ms, unit)
        now = rows.end
        proofs = []
        for i, value in enumerate(self._scaled(values, slice(None)).tolist()):
            signal = self.signals[i]
            if value == value:  # not NaN
                detector = self._detectors[i]
                detector.update(value)
                if detector.drift_detected:
                    signal.suspected = signal.tested = now
            since = now - signal.suspected
            # more seldom as time goes by: proof that was not there takes as long again to come
            if (
                since <= rule.suspect
                and now >= signal.quiet_until
                and now - signal.tested >= max(rule.every, since // 16)
            ):
                signal.tested = now
                proof = self._test(i)
                if proof is not None:
                    proofs.append((i, proof))
                    self.signals[i] = _Signal(
                        start=proof.at,
                        anchor=proof.at,
                        quiet_until=now + rule.cool_down,
                        tested=now,
                    )
                    self._rebuild(i)
            if now - self.signals[i].anchor >= rule.memory:
                self.signals[i].anchor = now - rule.memory // 2
                self._rebuild(i)
        return proofs

    def _rebuild(self, i: int) -> None:
        """Feed a new detector what the signal's was fed; what it finds was found before."""
        detector = self._detectors[i] = self._detector()
        values = self._scaled(self.rows.column(i, self.signals[i].anchor), i)
        for value in values[~np.isnan(values)].tolist():
            detector.update(value)

    def _test(self, i: int) -> _Proof | None:
        """Test a signal at its most likely change point."""
        rule, rows = self.rule, self.rows
        start = max(self.signals[i].start, rows.first)
        column = rows.column(i, start)
        there = np.flatnonzero(~np.isnan(column))
        n = len(there)
        if n < rule.before + rule.after:
            return None
        x = column[there].astype(np.float64)
        patients = rows.key(_PATIENT, start)[there]
        best = None
        cusum = _cusum(x)
        splits = {
            _change_point(cusum, max(rule.before, n - reach), rule.after) for reach in rule.reach
        }
        for split in sorted(splits):
            found = _compare(x, patients, split, rule.patients, rule.effect)
            if found is None:
                continue
            before, after, effect, p_value, count = found
            allowed = rule.alpha * min(1.0, split / _LONG, (n - split) / _LONG)
            if p_value < allowed and (best is None or p_value < best.p_value):
                best = _Proof(start, split, before, after, effect, p_value, n - split, count)
        if best is None:
            return None
        # `Rule.after` values may have come before there was a change; so look again, without it
        split = _change_point(cusum, best.at, 1)
        after = float(x[split:].mean())
        return replace(
            best,
            at=start + int(there[split]),
            after=after,
            effect=best.effect * (after - best.before) / (best.after - best.before),
            values=n - split,
            patients=len(np.unique(patients[split:])),
        )

    def restore(self, told: dict[str, Any], data: bytes, at: int) -> int:
        """Take on a state; see `DriftMonitor.encode`. Return where in ``data`` it ends."""
        count, width = told["rows"], len(self.names)
        if not 0 <= count <= self.rule.memory or len(told["signals"]) != width:
            raise DriftStateError("more rows than a monitor keeps, or other signals")
        values = np.frombuffer(data, "<f4", count * width, at).reshape(width, count).T
        at += values.nbytes
        keys = np.frombuffer(data, "<i8", count * _KEYS, at).reshape(_KEYS, count).T
        self.rows.restore(told["first"], values, keys)
        self.signals = [_Signal(**signal) for signal in told["signals"]]
        for i in range(width):
            self._rebuild(i)
        return at + keys.nbytes

    def unit_of(self, i: int, proof: _Proof) -> int:
        """The unit that a change comes from, or -1: from several, or it cannot be told."""
        x = self.rows.column(i, proof.start).astype(np.float64)
        units = self.rows.key(_UNIT, proof.start)
        there = ~np.isnan(x)
        later = np.arange(len(x)) >= proof.at - proof.start
        after = np.count_nonzero(there & later)
        moved, share = {}, {}
        for unit in np.unique(units[there & later]).tolist():
            own = there & (units == unit)
            if unit < 0 or not (own & ~later).any():
                return -1
            share[unit] = np.count_nonzero(own & later) / after
            moved[unit] = (x[own & later].mean() - x[own & ~later].mean()) * share[unit]
        total = sum(moved.values())
        if total == 0:
            return -1
        most = max(moved, key=lambda unit: moved[unit] / total)
        alone = len(moved) == 1 or (moved[most] / total >= _MOST > share[most])
        return most if alone else -1


#: Values after a change from which on all of `Rule.alpha` is allowed.
_LONG = 1024
#: Share of a shift that one unit must make up to be named alone.
_MOST = 0.8


def _cusum(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standardised CUSUM at each split of ``x`` (to a factor): how far the means are apart.

    Args:
        x: values, shape [n].

    Returns:
        Of the split before each value; of the first, which splits nothing, 0; shape [n].
    """
    n = len(x)
    sums = np.cumsum(x)
    j = np.arange(1, n)
    away = np.abs(sums[:-1] - sums[-1] * (j / n)) / np.sqrt(j * (n - j) / n)
    return np.concatenate([[0.0], away])


def _change_point(cusum: NDArray[np.float64], before: int, after: int) -> int:
    """Where the CUSUM is largest, with so many values before and after it at least."""
    return before + int(np.argmax(cusum[before : len(cusum) - after + 1]))


def _compare(
    x: NDArray[np.float64],
    patients: NDArray[np.int64],
    split: int,
    least_patients: int,
    least_effect: float,
) -> tuple[float, float, float, float, int] | None:
    """Test whether the mean after ``split`` differs from that before; see the module.

    Returns:
        Mean before, mean after, effect, p-value and patients after; None for too few patients or
        too small an effect.
    """
    x0, x1 = x[:split], x[split:]
    m0, m1 = float(x0.mean()), float(x1.mean())
    spread = float(x0.std() or x.std())
    if abs(m1 - m0) < least_effect * spread or spread == 0:
        return None
    if len(np.unique(patients[split:])) < least_patients:  # soon told, and often
        return None
    _, code = np.unique(patients, return_inverse=True)
    count = int(code.max()) + 1
    n0 = np.bincount(code[:split], minlength=count).astype(np.float64)
    n1 = np.bincount(code[split:], minlength=count).astype(np.float64)
    k0, k1 = int(np.count_nonzero(n0)), int(np.count_nonzero(n1))
    if k0 < 4 * least_patients:
        return None
    total0, total1 = float(split), float(len(x1))
    # variance between and within patients on either side (one-way random effects, ANOVA)
    total, k = total0 + total1, count
    rest = np.concatenate([x0 - m0, x1 - m1])
    sizes = n0 + n1
    levels = np.bincount(code, rest) / sizes
    inside = float(np.square(rest - levels[code]).sum())
    among = float((sizes * np.square(levels)).sum())
    if total > k:
        within = inside / (total - k)
        size = (total - float(np.square(sizes).sum()) / total) / (k - 1)
        between = max(0.0, (among / (k - 1) - within) / size)
    else:
        within, between = among / (total - 1), 0.0
    shares = n1 / total1 - n0 / total0
    model = between * float(np.square(shares).sum()) + within * (1 / total1 + 1 / total0)
    # what the patients after the change say themselves
    sums1 = np.bincount(code[split:], x1 - m1, minlength=count) / total1
    seen = float(np.square(sums1).sum()) * k1 / (k1 - 1)
    past = between * float(np.square(n0 / total0).sum()) + within / total0
    variance, freedom = (model, k0 - 1) if model >= seen + past else (seen + past, k1 - 1)
    # a constant and then another one has no variance at all
    statistic = (m1 - m0) / math.sqrt(variance) if variance > 0 else math.inf
    p_value = 2 * float(stdtr(freedom, -abs(statistic)))
    return m0, m1, (m1 - m0) / spread, p_value, k1


# A CUSUM (Page, Biometrika 1954;41:100-115) of log-likelihood ratios: mixed up in one value of five
# against one of a thousand. Three hits with at most four others between them make an event.
_HIT = math.log(0.2 / 0.001)
_MISS = math.log((1 - 0.2) / (1 - 0.001))
_PROVEN = 15.0
#: Devices under suspicion at a time; beyond, the one that came first is let go.
_SUSPECTS = 4096
#: Units told apart; a site has fewer.
_MOST_UNITS = 1024


@dataclass(slots=True)
class _Mixup:
    """What one device (or unit, or site) has sent under a wrong unit of late."""

    weight: float = 0.0
    since_ms: int = 0
    since_example: int = 0
    values: int = 0
    hits: int = 0
    said: bool = False


class DriftMonitor:
    """Finds drift in what it is shown.

    Args:
        site: named in events.
    """

    def __init__(self, site: str | None = None) -> None:
        self.site = site
        self._examples = _Layer(EXAMPLE_SIGNALS, EXAMPLES)
        self._stays = _Layer(ERROR_SIGNALS, STAYS)
        self._mixups: dict[str, _Mixup] = {}
        self._units: dict[str, int] = {}

    @property
    def examples(self) -> int:
        """Examples taken in."""
        return self._examples.rows.end

    @property
    def stays(self) -> int:
        """Stays of known outcome taken in."""
        return self._stays.rows.end

    def observe(
        self,
        features: NDArray[np.float64],
        logits: NDArray[np.float64],
        at_ms: Sequence[int] | NDArray[np.int64],
        patients: Sequence[str],
        *,
        units: Sequence[str | None] | None = None,
        devices: Sequence[str | None] | None = None,
        flags: Sequence[int] | NDArray[np.int32] | None = None,
    ) -> list[DriftEvent]:
        """Take examples in, in the order given; in how many batches makes no difference.

        An example should be one reading a patient an hour. More do no harm to the test, which
        counts patients, but shorten the past that the monitor remembers.

        Args:
            features: in the order of `models.features.FEATURES`, shape [n, features].
            logits: of the champion, without the online layer, which moves by itself, shape [n].
            at_ms: observed times.
            patients: their ids.
            units: where they lie; None = not known.
            devices: what sent the reading; None = not known.
            flags: of `models.quality`; without them no unit mix-up is seen.

        Returns:
            What has changed, in the order in which it was found.
        """
        signals = example_signals(features, logits)
        measured_now = features[:, _AGO] == 0
        events = []
        for i, patient in enumerate(patients):
            at, unit = int(at_ms[i]), None if units is None else units[i]
            events += self.observe_signals(signals[i], patient, at, unit)
            if flags is not None:
                device = None if devices is None else devices[i]
                events += self._mixed_up(int(flags[i]), measured_now[i], at, unit, device)
        return events

    def observe_signals(
        self, signals: NDArray[np.float32], patient: str, at_ms: int, unit: str | None = None
    ) -> list[DriftEvent]:
        """Take one example in by its `example_signals`, shape [signals]; see `observe`."""
        return self._add(self._examples, signals, patient, at_ms, unit)

    def observe_stay(
        self,
        patient: str,
        ended_ms: int,
        labels: NDArray[np.int8],
        risks: NDArray[np.float64],
        alerted: bool,
        *,
        unit: str | None = None,
    ) -> list[DriftEvent]:
        """Take in a stay whose outcome is known.

        Args:
            patient: id.
            ended_ms: end of the stay.
            labels: of its examples, shape [n]; a stay without any is passed over.
            risks: predicted before anything was learned of the stay, shape [n].
            alerted: whether there was an alarm.
            unit: where the patient lay.

        Returns:
            What has changed.
        """
        if not len(labels):
            return []
        signals = stay_signals(labels, risks, alerted)
        return self._add(self._stays, signals, patient, ended_ms, unit)

    def _add(
        self, layer: _Layer, values: NDArray[np.float32], patient: str, at_ms: int, unit: str | None
    ) -> list[DriftEvent]:
        number = self._number(unit)
        return [
            self._event(layer, i, proof, at_ms)
            for i, proof in layer.add(values, _number_of(patient), at_ms, number)
        ]

    def _number(self, unit: str | None) -> int:
        if unit is None or (unit not in self._units and len(self._units) >= _MOST_UNITS):
            return -1
        return self._units.setdefault(unit, len(self._units))

    def _event(self, layer: _Layer, i: int, proof: _Proof, at_ms: int) -> DriftEvent:
        name, found = layer.names[i], layer.rows.end - 1
        kind = "error" if layer is self._stays else "score" if name == "logit" else "data"
        unit = layer.unit_of(i, proof)
        f1 = name == "f1"
        return DriftEvent(
            id=self._id(kind, name, "", found),
            rule=DRIFT_RULE,
            layer=kind,
            signal=name,
            site=self.site,
            unit=None if unit < 0 else list(self._units)[unit],
            device=None,
            since_ms=int(layer.rows.key(_TIME, proof.at)[0]),
            found_ms=at_ms,
            since_example=proof.at,
            found_example=found,
            before=_f1(proof.before) if f1 else proof.before,
            after=_f1(proof.after) if f1 else proof.after,
            effect=proof.effect,
            p_value=proof.p_value,
            values=proof.values,
            patients=proof.patients,
        )

    def _mixed_up(
        self,
        flags: int,
        measured: NDArray[np.bool_],
        at_ms: int,
        unit: str | None,
        device: str | None,
    ) -> list[DriftEvent]:
        events = []
        example = self.examples - 1
        for flag, (name, vitals) in MIXUPS.items():
            hit = bool(flags & flag)
            key = json.dumps([name, device, None if device is not None else unit])
            state = self._mixups.get(key)
            if state is None:
                if not hit:
                    continue
                if len(self._mixups) >= _SUSPECTS:
                    del self._mixups[next(iter(self._mixups))]
                state = self._mixups[key] = _Mixup(since_ms=at_ms, since_example=example)
            elif not (hit or any(measured[CURRENT.index(vital)] for vital in vitals)):
                continue
            state.values += 1
            state.hits += hit
            state.weight = min(state.weight + (_HIT if hit else _MISS), _PROVEN)
            if state.weight <= 0:  # as if it had never been
                del self._mixups[key]
            elif state.weight >= _PROVEN and not state.said:
                state.said = True
                events.append(self._mixup_event(name, state, at_ms, unit, device))
        return events

    def _mixup_event(
        self, name: str, state: _Mixup, at_ms: int, unit: str | None, device: str | None
    ) -> DriftEvent:
        example, share = self.examples - 1, state.hits / state.values
        return DriftEvent(
            id=self._id("data", name, f"{unit}/{device}", example),
            rule=DRIFT_RULE,
            layer="data",
            signal=name,
            site=self.site,
            unit=unit,
            device=device,
            since_ms=state.since_ms,
            found_ms=at_ms,
            since_example=state.since_example,
            found_example=example,
            before=0.0,
            after=share,
            # the share found against the one that is usual, on the scale of a share (Cohen's h)
            effect=2 * (math.asin(math.sqrt(share)) - math.asin(math.sqrt(0.001))),
            p_value=math.exp(-_PROVEN),  # a bound: of ever getting there by chance (Wald)
            values=state.values,
            patients=0,
        )

    def _id(self, layer: str, signal: str, where: str, example: int) -> str:
        text = json.dumps([DRIFT_RULE, self.site, layer, signal, where, example])
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def encode(self) -> bytes:
        """The monitor as bytes, from which `restore` makes one that goes on as this one would."""
        layers = (self._examples, self._stays)
        head = {
            "rule": DRIFT_RULE,
            "site": self.site,
            "units": list(self._units),
            "mixups": {key: asdict(state) for key, state in self._mixups.items()},
            "layers": [
                {
                    "names": layer.names,
                    "first": layer.rows.first,
                    "rows": layer.rows.count,
                    "signals": [asdict(signal) for signal in layer.signals],
                }
                for layer in layers
            ],
        }
        text = json.dumps(head).encode()
        parts = [_LENGTH.pack(len(text)), text]
        for layer in layers:
            values, keys = layer.rows.kept()
            # column by column: what is alike lies together, and half the bytes are saved
            parts += [values.T.astype("<f4").tobytes(), keys.T.astype("<i8").tobytes()]
        return _MAGIC + zlib.compress(b"".join(parts), 1)

    @classmethod
    def restore(cls, state: bytes) -> "DriftMonitor":
        """Make a monitor from `encode`'s bytes.

        Raises:
            DriftStateError: they are something else, broken, or of another version of the rule.
        """
        if not state.startswith(_MAGIC):
            raise DriftStateError("not the state of a drift monitor")
        try:
            data = zlib.decompress(state[len(_MAGIC) :])
            (length,) = _LENGTH.unpack_from(data)
            head = json.loads(data[_LENGTH.size : _LENGTH.size + length])
            if head["rule"] != DRIFT_RULE:
                raise DriftStateError(f"state of rule {head['rule']}, not {DRIFT_RULE}")
            monitor = cls(head["site"])
            monitor._units = {unit: number for number, unit in enumerate(head["units"])}
            monitor._mixups = {key: _Mixup(**mixup) for key, mixup in head["mixups"].items()}
            at = _LENGTH.size + length
            for layer, told in zip(
                (monitor._examples, monitor._stays), head["layers"], strict=True
            ):
                if tuple(told["names"]) != layer.names:
                    raise DriftStateError("state of other signals")
                at = layer.restore(told, data, at)
            if at != len(data):
                raise DriftStateError("state of another length than it says")
        except DriftStateError:
            raise
        except (zlib.error, struct.error, ValueError, KeyError, TypeError) as error:
            raise DriftStateError(f"the state of a drift monitor is broken: {error}") from error
        return monitor


_MAGIC = b"vigil-drift\0"
_LENGTH = struct.Struct("<I")


def _number_of(patient: str) -> int:
    """A number for a patient; two alike among thousands would do no harm."""
    digest = hashlib.blake2b(patient.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)

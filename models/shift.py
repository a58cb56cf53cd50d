"""A model that moves to another hospital: frozen, re-tuned, learning online, or retrained.

A champion is trained at home (`train_champion`). Then the patients of another hospital come in
(`admitted`), their stays overlapping, and each one's labels are known a declared time after it.
Four arms are measured as discharges are learned, all on the same patients of the new hospital whom
none of them learns from, beside the ICU clock:

frozen
    the champion with its own thresholds;
frozen, re-tuned
    with thresholds that follow (`models.thresholds`);
online
    the champion's leaves learned on, by the very learner of the stream (`models.learner`);
retrained
    fitted again at declared points on the old patients and those of the new hospital so far.

What the online arm and the thresholds are tuned on is never held out; settings were chosen on an
inner split (``Split = "inner"``), which leaves the held-out patients alone.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from lightgbm import LGBMClassifier
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from models.alarms import alert_figures
from models.cohort import held_out
from models.dataset import BASE_MS, Dataset
from models.evaluation import Row, probabilities, rule_rows
from models.features import FEATURE_SETS
from models.learner import DueStays, LabelledStay, Learner, Rules, Snapshot
from models.metrics import RiskReport, risk_report
from models.progress import track
from models.risk import ForestModel, RiskModel
from models.search import labels_of
from models.stay import Stay
from models.thresholds import Tally
from models.training import fit, known_features
from models.window import HOUR_MS

__all__ = [
    "ARMS",
    "Point",
    "Pupil",
    "Shift",
    "ShiftOptions",
    "admitted",
    "plot_shift",
    "refit",
    "run_shift",
    "split_patients",
    "train_champion",
]

#: The arms, in the order in which they are shown.
ARMS = ("frozen", "frozen, re-tuned", "online", "retrained")
_NEVER = 2**62
#: Axes of the plot: heading, and the figure of a row.
_PANELS: tuple[tuple[str, str], ...] = (
    ("utility", "normalised utility"),
    ("auroc", "AUROC"),
    ("calibration_error", "calibration error"),
    ("alerts_per_patient_day", "alerts per patient-day"),
)


@dataclass(frozen=True, slots=True)
class ShiftOptions:
    """How the shift is made and measured.

    Attributes:
        features: of `models.features.FEATURE_SETS`; what is trained looks at these.
        delay_hours: from the end of a stay to its labels.
        arrivals_per_hour: of the Poisson process by which patients come to the new hospital.
        points: numbers of learned discharges at which the arms are measured; the end always is.
        refit: those of the points at which the retrained arm is fitted again; the end always is.
            None = nothing is retrained.
        split: on whom the arms are measured: ``held-out``, or ``inner`` to choose settings by.
        trees: trees of a forest that is trained here.
        leaves: leaves of each of them.
        learning_rate: of their boosting.
        resamples: bootstrap resamples for the intervals at the end.
        seed: of the arrivals and of what is trained.
        threads: of the fits; the result does not depend on it.
        rules: how the online arm learns, and the thresholds follow.
    """

    features: str = "context"
    delay_hours: float = 12.0
    arrivals_per_hour: float = 4.0
    points: tuple[int, ...] = (100, 200, 500, 1_000, 2_000, 3_500, 5_000, 8_000, 11_000)
    refit: tuple[int, ...] | None = (500, 2_000, 5_000)
    split: Literal["held-out", "inner"] = "held-out"
    trees: int = 240
    leaves: int = 31
    learning_rate: float = 0.025
    resamples: int = 0
    seed: int = 1
    threads: int = 1
    rules: Rules = field(default_factory=Rules)


@dataclass(frozen=True, slots=True)
class Point:
    """The arms at one moment.

    Attributes:
        discharges: stays of the new hospital that were learned.
        rows: each arm at its own threshold, then the clock.
        urgent: alerts per patient-day that each arm's tier *urgent* raises, by arm.
        version: of the model that the online arm scores with.
    """

    discharges: int
    rows: list[Row]
    urgent: dict[str, float]
    version: str

    def to_dict(self) -> dict[str, Any]:
        """The point as JSON can hold it."""
        return {
            "discharges": self.discharges,
            "version": self.version,
            "figures": {row.name: row.report.to_dict() for row in self.rows},
            "urgent_alerts_per_patient_day": self.urgent,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Shift:
    """What came of a shift.

    Attributes:
        points: in the order of discharges; the first one before any.
        snapshot: the last version of the online layer; None where no block was completed.
        arms: the models as they are at the end, by name.
        unseen: the patients on whom the arms were measured.
        data: their features.
    """

    points: list[Point]
    snapshot: Snapshot | None
    arms: dict[str, RiskModel]
    unseen: list[Stay]
    data: Dataset


def split_patients(
    stays: Sequence[Stay], split: Literal["held-out", "inner"]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Whom to learn from and whom to measure on; stays of unknown outcome are neither.

    Args:
        stays: the patients.
        split: ``held-out`` measures on `models.cohort.held_out`; ``inner`` on a quarter of the
            others, and never looks at the held-out ones.

    Returns:
        Indices of the stays to learn from and of those to measure on, ascending.
    """
    known = [stay.labels is not None and len(stay.seconds) > 0 for stay in stays]
    out = np.array([held_out(stay.patient_id) for stay in stays], bool)
    if split == "held-out":
        return np.flatnonzero(known & ~out), np.flatnonzero(known & out)
    inner = np.array([_inner(stay.patient_id) for stay in stays], bool)
    return np.flatnonzero(known & ~out & ~inner), np.flatnonzero(known & ~out & inner)


def _inner(patient_id: str) -> bool:
    digest = hashlib.sha256(f"inner {patient_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % 4 == 0


def train_champion(stays: Sequence[Stay], data: Dataset, options: ShiftOptions) -> ForestModel:
    """Train a forest with fixed settings; thresholds as `models.training.fit` sets them.

    Args:
        stays: patients of known outcome, none of them held out.
        data: their features.
        options: the settings.

    Returns:
        The model.
    """
    features = known_features(data, FEATURE_SETS[options.features])
    model = fit(_pipeline(options), stays, data, features, options.seed)[0]
    assert isinstance(model, ForestModel), "LightGBM behind a scaler is a forest"
    return model


def admitted(
    stays: Sequence[Stay], data: Dataset, options: ShiftOptions
) -> list[tuple[int, LabelledStay]]:
    """Let patients come in, in an order that is drawn, as a Poisson process.

    Beds are taken on the hour, so that the features are bit for bit those of the data set.

    Args:
        stays: the patients, outcomes known.
        data: their features.
        options: seed, arrivals and delay.

    Returns:
        Index of each stay and the stay as the learner takes it, by the time at which it ends.
    """
    rng = np.random.default_rng(options.seed)
    order = rng.permutation(len(stays))
    waits = rng.exponential(1 / options.arrivals_per_hour, len(stays))
    start_ms = np.empty(len(stays), np.int64)
    start_ms[order] = BASE_MS + np.floor(np.cumsum(waits)).astype(np.int64) * HOUR_MS
    delay_ms = round(options.delay_hours * HOUR_MS)
    ends = np.flatnonzero(np.diff(data.patient)) + 1
    features, labels = np.split(data.X, ends), np.split(labels_of(data), ends)
    came = []
    for index, stay in enumerate(stays):
        at_ms = start_ms[index] + stay.seconds * 1000
        # of several readings in an hour the first is learned, as on the stream
        first = np.flatnonzero(np.diff(at_ms // HOUR_MS, prepend=-1))
        due_ms = int(at_ms[-1]) + delay_ms
        mine = features[index][first], labels[index][first].astype(np.int8)
        came.append((index, LabelledStay(stay.patient_id, at_ms[first], *mine, due_ms)))
    return sorted(came, key=lambda found: (found[1].due_ms, found[1].patient_id))


def run_shift(
    champion: ForestModel,
    home: tuple[Sequence[Stay], Dataset],
    away: tuple[Sequence[Stay], Dataset],
    options: ShiftOptions,
    stage: Callable[[str], None] = lambda name: None,
) -> Shift:
    """Move a champion to another hospital.

    Args:
        champion: trained at home.
        home: patients that the champion was trained on, for the retrained arm.
        away: patients of the new hospital.
        options: how.
        stage: called with the name of each longer step as it begins.

    Returns:
        The arms over time.

    Raises:
        ValueError: nobody is left to learn from or to measure on.
    """
    learning, unseen = split_patients(away[0], options.split)
    if not len(learning) or not len(unseen):
        raise ValueError(
            f"{len(learning)} patients to learn from and {len(unseen)} to measure on; "
            "give more patients of the new hospital"
        )
    students, taught = [away[0][i] for i in learning], away[1].take(learning)
    measure = _Measure([away[0][i] for i in unseen], away[1].take(unseen))
    arms: dict[str, RiskModel] = dict.fromkeys(ARMS, champion)
    if options.refit is None:
        del arms["retrained"]
    pupil = Pupil(champion, options.rules)
    snapshot: Snapshot | None = None
    points = [measure(0, arms)]
    seen: list[int] = []
    due = _as_labels_fall_due(admitted(students, taught, options))
    for number, (index, stay, now_ms) in enumerate(due, start=1):
        snapshot = pupil.take(stay, now_ms) or snapshot
        seen.append(index)
        last = number == len(students)
        if not (last or number in options.points):
            continue
        arms["frozen, re-tuned"] = pupil.retuned()
        if snapshot is not None:
            arms["online"] = snapshot.model(champion)
        if options.refit is not None and (last or number in options.refit):
            stage(f"Retraining after {number:,} discharges")
            so_far = np.sort(np.array(seen))
            arms["retrained"] = refit(home, students, taught, so_far, champion, options)
        points.append(measure(number, arms, options.resamples if last else 0))
    return Shift(points, snapshot, arms, measure.stays, measure.data)


class Pupil:
    """What learns of each stay whose labels are due: the layer, and thresholds for the champion.

    Args:
        champion: where to start.
        rules: how to learn.
    """

    def __init__(self, champion: ForestModel, rules: Rules) -> None:
        self._champion, self._rules = champion, rules
        self._learner = Learner(champion, rules)
        self._tally = Tally.empty()
        self._keep = 0.5 ** (1 / rules.half_life)

    @property
    def learned(self) -> int:
        """Stays that were learned."""
        return self._learner.learned

    def take(self, stay: LabelledStay, now_ms: int) -> Snapshot | None:
        """Take the next stay; return a new layer where it completed a block.

        Args:
            stay: the next one in the order of due times; of one who is held out nothing is learned.
            now_ms: event time that has been reached.
        """
        if not held_out(stay.patient_id):
            logits = self._champion.score(stay.features).logit
            self._tally.add(stay.at_ms, logits, stay.labels, keep=self._keep)
        return self._learner.take(stay, now_ms).snapshot

    def retuned(self) -> ForestModel:
        """The champion with thresholds as they are by now."""
        threshold, tiers = self._tally.tuned(self._champion, self._rules.prior)
        return replace(self._champion, threshold=threshold, tiers=tiers)


def _as_labels_fall_due(
    admitted: Sequence[tuple[int, LabelledStay]],
) -> Iterator[tuple[int, LabelledStay, int]]:
    """Stays as time goes by: each comes out at the first end of a stay at which it is due."""
    waiting, index_of = DueStays(), {stay.patient_id: index for index, stay in admitted}
    for _, stay in track(sorted(admitted, key=lambda found: found[1].at_ms[-1]), "Discharging"):
        waiting.add(stay)
        now_ms = int(stay.at_ms[-1])
        for due in waiting.pop(now_ms):
            yield index_of[due.patient_id], due, now_ms
    for due in waiting.pop(_NEVER):
        yield index_of[due.patient_id], due, _NEVER


class _Measure:
    """Measures arms on patients whom none of them has seen."""

    def __init__(self, stays: list[Stay], data: Dataset) -> None:
        self.stays = stays
        self.data = data
        self.clock = rule_rows(stays, data)[-1]
        #: By arm: the model it was measured with, its report and alerts of the tier urgent.
        self._known: dict[str, tuple[RiskModel, RiskReport, float]] = {}

    def __call__(self, discharges: int, arms: Mapping[str, RiskModel], resamples: int = 0) -> Point:
        if resamples:
            self._known.clear()
            self.clock = rule_rows(self.stays, self.data, resamples=resamples)[-1]
        for name, model in arms.items():
            if name not in self._known or self._known[name][0] is not model:
                self._known[name] = (model, *self._figures(model, resamples))
        rows = [Row(name, self._known[name][1]) for name in arms]
        urgent = {name: self._known[name][2] for name in arms}
        return Point(discharges, [*rows, self.clock], urgent, arms["online"].version)

    def _figures(self, model: RiskModel, resamples: int) -> tuple[RiskReport, float]:
        said = probabilities(model, self.data, len(self.stays))
        report = risk_report(self.stays, said, model.threshold, resamples=resamples)
        urgent = alert_figures(self.stays, said, model.tiers.urgent)
        return report, urgent.per_patient_day


def refit(
    home: tuple[Sequence[Stay], Dataset],
    students: Sequence[Stay],
    taught: Dataset,
    so_far: NDArray[np.int64],
    champion: ForestModel,
    options: ShiftOptions,
) -> RiskModel:
    """Train a forest of the champion's features on all that is known by now.

    Args:
        home: patients that the champion was trained on.
        students: patients of the new hospital.
        taught: their features.
        so_far: indices of those whose labels are known, ascending.
        champion: whose features are looked at.
        options: settings of the forest.

    Returns:
        The model.
    """
    new = taught.take(so_far)
    stays = [*home[0], *(students[i] for i in so_far)]
    data = Dataset(
        np.concatenate([home[1].X, new.X]),
        np.concatenate([labels_of(home[1]), labels_of(new)]),
        np.concatenate([home[1].patient, new.patient + len(home[0])]),
        np.concatenate([home[1].seconds, new.seconds]),
    )
    return fit(_pipeline(options), stays, data, champion.features, options.seed)[0]


def _pipeline(options: ShiftOptions) -> Pipeline:
    forest = LGBMClassifier(
        n_estimators=options.trees,
        num_leaves=options.leaves,
        learning_rate=options.learning_rate,
        colsample_bytree=0.3,
        min_child_samples=200,
        reg_lambda=50,
        random_state=options.seed,
        n_jobs=options.threads,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )
    return Pipeline([("scaler", StandardScaler()), ("model", forest)])


def plot_shift(points: Sequence[Point], title: str) -> Figure:
    """Draw the arms over the discharges.

    Args:
        points: from `run_shift`.
        title: shown above.

    Returns:
        Utility, AUROC, calibration error and alerts per patient-day.
    """
    figure = Figure(figsize=(10, 7), layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(2, 2)
    at = [point.discharges for point in points]
    names = [row.name for row in points[-1].rows]
    for axes, (name, heading) in zip(grid.flat, _PANELS, strict=True):
        for index, arm in enumerate(names):
            values = [getattr(point.rows[index].report, name) for point in points]
            # the clock gives no probability, and its alerts would hide the others
            if arm not in ARMS:
                if name != "calibration_error":
                    axes.plot(at, values, color="grey", linestyle=":", label=arm)
                continue
            # what was retrained stays as it is until it is retrained again
            style = "steps-post" if arm == "retrained" else "default"
            axes.plot(at, values, marker=".", label=arm, drawstyle=style)
        axes.set(title=heading, xlabel="discharges whose labels were known")
        axes.set_xscale("symlog", linthresh=100)
        axes.grid(alpha=0.3)
    figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure

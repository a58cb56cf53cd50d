"""A model that moves to another hospital, as the stream sees it: every reading is scored once.

`Course` says beforehand what is to be sent, in which order, and which layer is to score each
reading; it uses the learner of the stream and no stream. `streams.lockstep` sends it. What the
stream said is held against it bit for bit (`Course.differences`), and measured beside the other
arms (`stream_points`), which the same code as offline scores: a reading gets from each arm what was
known when it came.

A layer becomes known with the first reading at which the last label of its block is due. That
reading is scored before the layer is there, the next one with it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.alarms import alert_figures
from models.cohort import held_out
from models.dataset import Dataset
from models.evaluation import Row, rule_rows
from models.learner import Snapshot
from models.metrics import risk_report
from models.progress import track
from models.risk import ForestModel, RiskModel
from models.shift import Point, Pupil, ShiftOptions, admitted, refit
from models.stay import Stay
from models.window import HOUR_MS

__all__ = ["Course", "Said", "Segment", "chart_course", "follow_arms", "stream_points"]

#: Readings that are sent at once, at most.
_MOST = 5_000
_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Segment:
    """Readings that are sent together: no layer becomes known in between.

    Attributes:
        rows: places in `Course.order`, from and to.
        until_ms: observed time of the last one.
        layer: number of the layer that must score after them; None where none becomes known.
    """

    rows: tuple[int, int]
    until_ms: int
    layer: int | None


@dataclass(frozen=True, eq=False)
class Course:
    """What is to come, and what is to be said of it.

    Rows are those of the data set.

    Attributes:
        champion: scores until there is a layer.
        stays: patients of the new hospital, all of known outcome.
        data: their features.
        delay_ms: from the end of a stay to its labels.
        start_ms: admission to intensive care, ms since 1970, shape [stays].
        at_ms: observed times, shape [rows].
        order: rows in the order in which they are sent, shape [rows].
        layers: by number, the first one being 1.
        retuned: the champion with thresholds as they were when each layer was made.
        begins: place in ``order`` of the first reading that each layer scores.
        known: (index of the stay, time at which its labels were known), in the order of learning.
    """

    champion: ForestModel
    stays: Sequence[Stay]
    data: Dataset
    delay_ms: int
    start_ms: NDArray[np.int64]
    at_ms: NDArray[np.int64]
    order: NDArray[np.int64]
    layers: list[Snapshot]
    retuned: list[ForestModel]
    begins: list[int]
    known: list[tuple[int, int]]

    @cached_property
    def models(self) -> list[ForestModel]:
        """What scores with each layer; the champion is number 0."""
        return [self.champion, *(layer.model(self.champion) for layer in self.layers)]

    def layer_of(self) -> NDArray[np.int64]:
        """Number of the layer that is to score each row, 0 = none."""
        found = np.empty(len(self.order), np.int64)
        found[self.order] = np.searchsorted(self.begins, np.arange(len(self.order)), "right")
        return found

    def segments(self) -> Iterator[Segment]:
        """Cut what is to be sent where a layer becomes known, and before an outcome is due."""
        at_ms, stay_of = self.at_ms[self.order], self.data.patient[self.order]
        ends = np.sort(len(at_ms) - 1 - np.unique(stay_of[::-1], return_index=True)[1])
        number = {begin: layer for layer, begin in enumerate(self.begins, 1)}
        start = 0
        while start < len(at_ms):
            # the end of the first stay that ends from here on, and when its labels are due
            ended = ends[np.searchsorted(ends, start)]
            due = int(np.searchsorted(at_ms, at_ms[ended] + self.delay_ms))
            following = np.searchsorted(self.begins, start, "right")
            # the reading that makes a layer known goes alone
            cut = self.begins[following] if following < len(self.begins) else len(at_ms) + 1
            end = min(due, start + _MOST, len(at_ms), max(cut - 1, start + 1))
            yield Segment((start, end), int(at_ms[end - 1]), number.get(end))
            start = end

    def heard(
        self, probability: NDArray[np.float64], tier: NDArray[np.int8], version: Sequence[str]
    ) -> "Said":
        """What was read back from the stream; an alarm is one by the threshold of its version.

        Args:
            probability: NaN where a reading was not answered, shape [rows].
            tier: 0 none to 3 urgent, shape [rows].
            version: of the model, one a row.
        """
        models = self.models
        number = {model.version: i for i, model in enumerate(models)}
        named = np.array([number.get(name, -1) for name in version], np.int64)
        thresholds = np.array([model.threshold for model in models])
        return Said(probability, tier, named, probability >= thresholds[named])

    def differences(self, said: "Said") -> tuple[int, int]:
        """Hold what the stream said against what it was to say.

        Args:
            said: by the stream.

        Returns:
            Rows whose probability, bit for bit, or tier is not that of the model version that they
            name; and rows that name another version than they were to.
        """
        unequal = np.ones(len(said.version), np.bool_)
        for number, model in enumerate(self.models):
            rows = np.flatnonzero(said.version == number)
            if len(rows):
                same = Said.of(model, self.data, rows)
                unequal[rows] = (said.probability[rows] != same.probability) | (
                    said.tier[rows] != same.tier
                )
        return int(unequal.sum()), int((said.version != self.layer_of()).sum())


@dataclass(slots=True, eq=False)
class Said:
    """What an arm said of each row.

    Attributes:
        probability: shape [rows].
        tier: 0 none to 3 urgent, shape [rows].
        version: number of the layer, -1 = of no model that is known, shape [rows].
        alarm: whether it reached the threshold of its model, shape [rows].
    """

    probability: NDArray[np.float64]
    tier: NDArray[np.int8]
    version: NDArray[np.int64]
    alarm: NDArray[np.bool_]

    @classmethod
    def of(cls, model: RiskModel, data: Dataset, rows: NDArray[np.int64]) -> Self:
        """What one model says of some rows."""
        probability = model.score(data.X[rows]).probability
        tier = np.searchsorted(model.tiers, probability, "right").astype(np.int8)
        return cls(probability, tier, np.zeros(len(rows), np.int64), probability >= model.threshold)

    @classmethod
    def following(
        cls, models: Sequence[RiskModel], data: Dataset, number: NDArray[np.int64]
    ) -> Self:
        """What models say that follow each other.

        Args:
            models: by number.
            data: of all rows.
            number: of the model that says it, shape [rows].
        """
        made = cls.empty(len(number))
        for which, model in enumerate(models):
            rows = np.flatnonzero(number == which)
            if len(rows):
                one = cls.of(model, data, rows)
                made.probability[rows], made.tier[rows] = one.probability, one.tier
                made.version[rows], made.alarm[rows] = which, one.alarm
        return made

    @classmethod
    def empty(cls, rows: int) -> Self:
        """Nothing said yet."""
        return cls(
            np.full(rows, np.nan),
            np.full(rows, -1, np.int8),
            np.full(rows, -1, np.int64),
            np.zeros(rows, np.bool_),
        )


def chart_course(
    champion: ForestModel, stays: Sequence[Stay], data: Dataset, options: ShiftOptions
) -> Course:
    """Let the patients come in, and learn as the stream is to learn.

    Args:
        champion: trained at home.
        stays: patients of the new hospital; those of unknown outcome are left out.
        data: their features.
        options: seed, arrivals and delay.

    Raises:
        ValueError: nobody can be learned from, a patient has several readings in an hour, or labels
            are due as soon as a stay ends.
    """
    known = np.flatnonzero([stay.labels is not None and len(stay.seconds) > 0 for stay in stays])
    stays, data = [stays[i] for i in known.tolist()], data.take(known)
    if all(held_out(stay.patient_id) for stay in stays):
        raise ValueError("nobody to learn from; give more patients of the new hospital")
    if options.delay_hours <= 0:
        raise ValueError("on the stream an outcome comes after its stay: give a delay above 0")
    came = admitted(stays, data, options)
    start_ms = np.empty(len(stays), np.int64)
    for index, stay in came:
        if len(stay.at_ms) < len(stays[index].seconds):
            raise ValueError("a patient has several readings in an hour: the stream is not charted")
        start_ms[index] = stay.at_ms[0] - stays[index].seconds[0] * 1000
    at_ms = start_ms[data.patient] + data.seconds * 1000
    order = np.argsort(at_ms, kind="stable")
    sorted_ms = at_ms[order]
    pupil = Pupil(champion, options.rules)
    layers: list[Snapshot] = []
    retuned: list[ForestModel] = []
    begins: list[int] = []
    learned: list[tuple[int, int]] = []
    for index, stay in track(came, "Charting the course"):
        place = int(np.searchsorted(sorted_ms, stay.due_ms))
        if place == len(sorted_ms):
            break  # the last stays: nothing comes after them that would make them due
        now_ms = int(sorted_ms[place])
        before = pupil.learned
        layer = pupil.take(stay, now_ms)
        if pupil.learned > before:
            learned.append((index, now_ms))
        if layer is not None:
            layers.append(layer)
            retuned.append(pupil.retuned())
            begins.append(place + 1)
    return Course(
        champion=champion,
        stays=stays,
        data=data,
        delay_ms=round(options.delay_hours * HOUR_MS),
        start_ms=start_ms,
        at_ms=at_ms,
        order=order,
        layers=layers,
        retuned=retuned,
        begins=begins,
        known=learned,
    )


def follow_arms(
    course: Course,
    online: Said,
    home: tuple[Sequence[Stay], Dataset],
    options: ShiftOptions,
    stage: Callable[[str], None] = lambda name: None,
) -> dict[str, Said]:
    """What each arm said of each row when it came.

    Args:
        course: what was sent.
        online: what the stream said.
        home: patients that the champion was trained on, for the retrained arm.
        options: when it is trained, and how.
        stage: called with the name of each longer step as it begins.

    Returns:
        By name, in the order of `models.shift.ARMS`.
    """
    number = course.layer_of()
    champion = course.champion
    arms = {
        "frozen": Said.following([champion], course.data, np.zeros_like(number)),
        "frozen, re-tuned": Said.following([champion, *course.retuned], course.data, number),
        "online": online,
    }
    if options.refit is not None:
        models: list[RiskModel] = [champion]
        since: list[int] = []
        for point in [point for point in options.refit if point <= len(course.known)]:
            stage(f"Retraining after {point:,} discharges")
            so_far = np.sort(np.array([index for index, _ in course.known[:point]]))
            models.append(refit(home, course.stays, course.data, so_far, champion, options))
            since.append(course.known[point - 1][1])
        which = np.searchsorted(since, course.at_ms)  # scores what is observed later
        arms["retrained"] = Said.following(models, course.data, which)
    return arms


def stream_points(
    course: Course, arms: Mapping[str, Said], points: Sequence[int], resamples: int = 0
) -> tuple[list[Point], Point]:
    """Measure the arms on the stays that ended between moments, and on all.

    Args:
        course: what was sent.
        arms: from `follow_arms`.
        points: numbers of learned discharges at which one span ends and the next begins.
        resamples: bootstrap resamples for the intervals of the last figures.

    Returns:
        The spans in which a stay ended, each with the discharges learned at its end; and the whole.
    """
    lasts = np.flatnonzero(np.diff(course.data.patient, append=-1))
    ended_ms = course.at_ms[lasts]
    numbers = [point for point in sorted(points) if point < len(course.known)]
    until = [course.known[point - 1][1] for point in numbers]
    span_of = np.searchsorted(until, ended_ms)
    found = []
    for span, discharges in enumerate([*numbers, len(course.known)]):
        if (stays := np.flatnonzero(span_of == span)).size:
            found.append(_measure(course, arms, stays, discharges))
    everybody = np.arange(len(course.stays))
    return found, _measure(course, arms, everybody, len(course.known), resamples)


def _measure(
    course: Course,
    arms: Mapping[str, Said],
    chosen: NDArray[np.int64],
    discharges: int,
    resamples: int = 0,
) -> Point:
    stays, data = [course.stays[i] for i in chosen.tolist()], course.data.take(chosen)
    rows = np.flatnonzero(np.isin(course.data.patient, chosen))
    ends = np.flatnonzero(np.diff(data.patient)) + 1
    measured, urgent = [], {}
    for name, said in arms.items():
        probability = np.split(said.probability[rows], ends)
        alarms = np.split(said.alarm[rows], ends)
        report = risk_report(stays, probability, _NAN, alarms=alarms, resamples=resamples)
        measured.append(Row(name, report))
        pages = np.split((said.tier[rows] == 3).astype(np.float64), ends)
        urgent[name] = alert_figures(stays, pages, 1.0).per_patient_day
    measured.append(rule_rows(stays, data, resamples=resamples)[-1])
    newest = course.models[max(0, int(arms["online"].version[rows].max()))]
    return Point(discharges, measured, urgent, newest.version)

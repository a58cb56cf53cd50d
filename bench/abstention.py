"""When Vigil declines: fits ``rag/confidence.json`` and draws the curve behind its threshold.

    python -m bench.abstention --source MODULE:NAME --out rag/confidence.json --plot curve.svg

``MODULE:NAME`` is a function without arguments that gives a `Source`: documents and how they are
searched. One half of the subjects and wordings is fitted on, the other is only measured.
"""

import importlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from bench.abstention_questions import (
    ANSWERABLE,
    KINDS,
    Asked,
    Kind,
    made,
    non_medical,
    unanswered,
)
from rag.confidence import FEATURES, Confidence, features
from rag.documents import Document, Hit

__all__ = [
    "Figures",
    "Point",
    "Source",
    "as_json",
    "curve",
    "draw_curve",
    "fit",
    "measure",
    "searched",
    "threshold_for",
    "with_described",
]

#: Finds documents for each question, the best first, at most so many.
Search = Callable[[Sequence[str], int], Sequence[Sequence[Hit]]]

#: Hits that are asked for, so that enough are left when those of a subject are hidden.
_DEEP, _KEPT = 100, 10
#: What each kind weighs in the fit, all its questions together. That a question's subject is
#: missing can hardly be seen in these figures; it may bend the function, not rule it.
_WEIGHTS: dict[Kind, float] = {
    "answerable": 1.0, "described": 1.0, "non-medical": 2.0, "held out": 0.3, "unanswered": 0.3
}  # fmt: skip

#: Shares that a threshold must reach on the side that is fitted on; what it does on the other is in
#: `measure`. Of 146 non-medical questions one is .7 %.
DECLINED, ANSWERED = 0.975, 0.92


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What is asked, and how it is searched.

    Attributes:
        documents: with answers.
        questions: without: documents whose text is empty.
        search: of the documents.
        name: of encoder and search, for the version of the coefficients.
    """

    documents: Sequence[Document]
    questions: Sequence[Document]
    search: Search
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """Searches of the development set.

    Attributes:
        asked: questions.
        rows: see `rag.confidence.features`, shape [n, 6].
    """

    asked: tuple[Asked, ...]
    rows: NDArray[np.float64]

    def of(self, kind: Kind, side: str) -> NDArray[np.float64]:
        """Rows of one kind on one side, shape [m, 6]."""
        which = [a.kind == kind and a.side == side for a in self.asked]
        return self.rows[np.array(which, dtype=bool)]


@dataclass(frozen=True, slots=True)
class Point:
    """What a threshold does.

    Attributes:
        threshold: confidence from which a question is answered.
        answered: share of each kind's questions that is answered.
    """

    threshold: float
    answered: dict[Kind, float]


def searched(asked: Sequence[Asked], search: Search) -> Figures:
    """Search for each question, without the documents that are hidden from it."""
    found = search([each.text for each in asked], _DEEP)
    rows = [
        features(each.text, [h for h in hits if h.document.id not in each.hidden][:_KEPT])
        for each, hits in zip(asked, found, strict=True)
    ]
    return with_described(Figures(tuple(asked), np.array(rows).reshape(-1, len(FEATURES))))


def with_described(figures: Figures) -> Figures:
    """Add what the search would say had people described what they name.

    Answerable questions are made from names, and would teach that a name is all that matters. Here
    each is there once more with half of its name and a little further away.
    """
    which = [number for number, asked in enumerate(figures.asked) if asked.kind == "answerable"]
    rows = figures.rows[which].copy()
    rows[:, FEATURES.index("named")] *= 0.5
    rows[:, FEATURES.index("cosine")] *= 0.9
    cosine, covered = rows[:, FEATURES.index("cosine")], rows[:, FEATURES.index("covered")]
    rows[:, FEATURES.index("cosine_covered")] = cosine * covered
    described = tuple(replace(figures.asked[number], kind="described") for number in which)
    return Figures((*figures.asked, *described), np.concatenate([figures.rows, rows]))


def fit(figures: Figures, version: str) -> Confidence:
    """Fit the coefficients on the side that is for it; the threshold is still .5."""
    parts = [(kind, figures.of(kind, "fit")) for kind in KINDS]
    rows = np.concatenate([part for _, part in parts])
    labels = np.concatenate([np.full(len(part), kind in ANSWERABLE) for kind, part in parts])
    weights = np.concatenate(
        [np.full(len(part), _WEIGHTS[kind] / max(len(part), 1)) for kind, part in parts]
    )
    # weights of 1 on average, so that C means what it does without them
    model = LogisticRegression(C=10.0, max_iter=2_000).fit(
        rows, labels, sample_weight=weights * len(rows) / weights.sum()
    )
    rounded = tuple(round(float(weight), 4) for weight in model.coef_[0])
    return Confidence(version, rounded, round(float(model.intercept_[0]), 4), 0.5)


def curve(figures: Figures, confidence: Confidence, side: str) -> list[Point]:
    """What each threshold from 0 to 1 would do on a side, in steps of .01."""
    scores = {kind: confidence.of_features(figures.of(kind, side)) for kind in KINDS}
    return [
        Point(
            at / 100,
            {kind: float((s >= at / 100).mean()) for kind, s in scores.items() if len(s)},
        )
        for at in range(101)
    ]


def threshold_for(points: Sequence[Point], declined: float, answered: float) -> float:
    """The lowest threshold that declines enough non-medical questions, and some room beyond it.

    The room is a quarter of the way to where too few answerable questions would be answered: what
    people ask is further from the documents than what was made from them.

    Args:
        points: of the side that was fitted on.
        declined: share of non-medical questions, at least.
        answered: share of answerable ones, at least.

    Raises:
        ValueError: no threshold does both.
    """
    fits = [
        point.threshold
        for point in points
        if 1 - point.answered["non-medical"] >= declined
        and point.answered["answerable"] >= answered
    ]
    if not fits:
        raise ValueError(
            f"no threshold declines {declined:.0%} of the non-medical questions and answers "
            f"{answered:.0%} of the answerable ones: ask for less, or improve the search"
        )
    return round(fits[0] + (fits[-1] - fits[0]) / 4, 2)


def measure(figures: Figures, confidence: Confidence) -> dict[str, dict[str, float | int]]:
    """Questions of each kind and the share answered, on each side."""
    return {
        side: {
            label: value
            for kind in KINDS
            if len(rows := figures.of(kind, side))
            for label, value in (
                (f"{kind}: questions", len(rows)),
                (
                    f"{kind}: answered",
                    round(float((confidence.of_features(rows) >= confidence.threshold).mean()), 4),
                ),
            )
        }
        for side in ("fit", "unseen")
    }


def as_json(confidence: Confidence, measured: dict[str, Any]) -> str:
    """The text of ``rag/confidence.json``."""
    return (
        json.dumps(
            {
                "format": "vigil-confidence/1",
                "version": confidence.version,
                "features": list(FEATURES),
                "weights": list(confidence.weights),
                "bias": confidence.bias,
                "threshold": confidence.threshold,
                "measured": measured,
            },
            indent=1,
        )
        + "\n"
    )


def draw_curve(points: Sequence[Point], threshold: float, path: Path) -> None:
    """Draw what each threshold does, into an SVG or PNG file.

    Args:
        points: of the side that is only measured.
        threshold: the chosen one.
        path: of the file.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    at = [point.threshold for point in points]
    for kind, colour in zip(KINDS, ("C0", "C2", "C3", "C1", "0.6"), strict=True):
        if kind in points[0].answered:
            axes.plot(at, [point.answered[kind] for point in points], color=colour, label=kind)
    axes.axvline(threshold, color="0.3", linestyle=":", label=f"chosen: {threshold:.2f}")
    axes.set(
        xlabel="threshold of the confidence",
        ylabel="share of questions answered",
        title="What is answered, and what is declined (unseen questions)",
    )
    axes.legend()
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    # the same figures give the same file
    with rc_context({"svg.hashsalt": "vigil"}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


@click.command()
@click.option("--source", "place", required=True, metavar="MODULE:NAME", help="Gives a Source.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="confidence.json")
@click.option("--plot", type=click.Path(path_type=Path), help="SVG or PNG file of the curve.")
@click.option("--each", default=400, show_default=True, help="Questions of a kind on a side.")
@click.option("--threshold", type=click.FloatRange(0, 1), help="Default: chosen on one half.")
@click.option("--version", required=True, help="Of the coefficients, such as 1.")
def main(
    place: str, out: Path, plot: Path | None, each: int, threshold: float | None, version: str
) -> None:
    """Fit the coefficients of the confidence, choose the threshold, and draw the curve."""
    module, _, name = place.partition(":")
    source: Source = getattr(importlib.import_module(module), name)()
    asked = [
        *made(source.documents, each),
        *non_medical(),
        *unanswered(source.documents, source.questions, each // 2),
    ]
    figures = searched(asked, source.search)
    confidence = fit(figures, f"{version}/{source.name}")
    if threshold is None:
        threshold = threshold_for(curve(figures, confidence, "fit"), DECLINED, ANSWERED)
    confidence = replace(confidence, threshold=threshold)
    measured = measure(figures, confidence)
    out.write_text(as_json(confidence, measured))
    if plot is not None:
        draw_curve(curve(figures, confidence, "unseen"), threshold, plot)
    click.echo(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()

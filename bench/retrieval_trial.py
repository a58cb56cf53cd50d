"""How well and how fast documents are found, for `vigil evaluate retrieval`."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from bench.abstention_questions import non_medical
from bench.retrieval_sets import Asked, Part, answer_set, message_set, question_set
from rag.dense import recall
from rag.documents import Document
from rag.evaluation import Curve, Figures, abstention_curve, figures, quantile
from rag.index import Index
from rag.retriever import Retriever, Weights

__all__ = ["PARTS", "Latency", "Trial", "answers_alone", "draw", "trial", "without"]

#: Questions that are searched together, as a worker does.
_TOGETHER = 16
#: Questions before the clock runs: caches are filled by them.
_WARM_UP = 10

#: What an ablation takes away: each weight of its own.
PARTS = ("titles", "texts", "questions", "passages", "whole", "focus", "kind", "likely")


@dataclass(frozen=True, slots=True)
class Latency:
    """Of one question at a time, encoding and all, in ms."""

    questions: int
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Trial:
    """What was measured.

    Attributes:
        documents: searched.
        rows: name of a set of questions → figures at 10.
        latency: see `Latency`.
        ann_recall: share of the exact ten nearest that the index finds.
        abstention: thresholds on the best hit's cosine; the others are questions of no medicine.
    """

    documents: int
    rows: dict[str, Figures]
    latency: Latency
    ann_recall: float
    abstention: Curve


def trial(
    retriever: Retriever, documents: Sequence[Document], *, count: int, part: Part = "report"
) -> Trial:
    """Ask questions and messages made from the documents.

    Args:
        retriever: of these documents.
        documents: all of them.
        count: questions of each set.
        part: which half of foci and wordings.

    Raises:
        ValueError: the documents say neither focus nor question type, so nothing can be made.
    """
    questions = question_set(documents, part, count)
    messages = message_set(documents, part, count)
    if not questions:
        raise ValueError(
            "no questions can be made of this corpus: its documents have no focus and question "
            "type; use one that was made of MedQuAD"
        )
    rows = {
        "question": _found(retriever, questions, [each.query for each in questions]),
        "message, shortened by hand": _found(
            retriever, messages, [each.question for each in messages]
        ),
        "message": _found(retriever, messages, [each.query for each in messages]),
    }
    asked = [each.query for each in questions]
    vectors = retriever.index.encoder.encode(asked[:100])
    return Trial(
        len(documents),
        rows,
        _latency(retriever, asked),
        recall(retriever.index.dense, vectors),
        _abstention(retriever, asked),
    )


def without(
    retriever: Retriever, documents: Sequence[Document], *, count: int, part: Part = "report"
) -> dict[str, dict[str, Figures]]:
    """The same with one part left out at a time: set of questions → part → figures."""
    questions = question_set(documents, part, count)
    messages = message_set(documents, part, count)
    found: dict[str, dict[str, Figures]] = {"question": {}, "message": {}}
    for name in PARTS:
        nothing: dict[str, Any] = {name: 0.0}
        less = Retriever(retriever.index, weights=replace(Weights(), **nothing))
        for what, asked in (("question", questions), ("message", messages)):
            found[what][name] = _found(less, asked, [each.query for each in asked])
    return found


def answers_alone(index: Index, documents: Sequence[Document], count: int) -> Figures:
    """Question → its answer, where nothing but the answers' texts is known.

    Args:
        index: empty.
        documents: to choose from.
        count: answers.
    """
    chosen, asked = answer_set(documents, count)
    bare = [
        replace(each, title="", focus="", synonyms=(), question_type="", id=each.id)
        for each in chosen
    ]
    index.upsert(bare)
    return _found(Retriever(index), asked, [each.query for each in asked])


def _found(retriever: Retriever, asked: Sequence[Asked], queries: Sequence[str]) -> Figures:
    found: list[list[str]] = []
    for start in range(0, len(queries), _TOGETHER):
        for hits in retriever.search(queries[start : start + _TOGETHER]):
            found.append([hit.document.id for hit in hits])  # noqa: PERF401
    return figures(found, [each.relevant for each in asked])


def _latency(retriever: Retriever, queries: Sequence[str]) -> Latency:
    for query in queries[:_WARM_UP]:
        retriever.search([query])
    took = []
    for query in queries:
        start = time.perf_counter()
        retriever.search([query])
        took.append((time.perf_counter() - start) * 1_000)
    return Latency(len(took), quantile(took, 0.5), quantile(took, 0.99))


def _abstention(retriever: Retriever, answerable: Sequence[str]) -> Curve:
    others = [each.text for each in non_medical()]
    return abstention_curve(
        _cosines(retriever, answerable),
        _cosines(retriever, others),
        np.linspace(0, 1, 51).tolist(),
    )


def _cosines(retriever: Retriever, queries: Sequence[str]) -> list[float]:
    found = []
    for start in range(0, len(queries), _TOGETHER):
        for hits in retriever.search(queries[start : start + _TOGETHER]):
            found.append(max((hit.cosine for hit in hits), default=-1.0))  # noqa: PERF401
    return found


def draw(curve: Curve, path: Path) -> None:
    """Draw what a threshold answers and declines into an SVG or PNG file."""
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(curve.thresholds, curve.answered, label="answerable, answered")
    axes.plot(curve.thresholds, curve.declined, label="no medicine, declined")
    axes.set(xlabel="threshold on the nearest document's cosine", ylabel="share", ylim=(0, 1.02))
    axes.legend()
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context({"svg.hashsalt": "vigil"}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)

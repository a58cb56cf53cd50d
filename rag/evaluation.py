"""How good a ranking is: pure functions of what was found and what would have been right."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "Curve",
    "Figures",
    "abstention_curve",
    "average_precision",
    "figures",
    "ndcg",
    "quantile",
    "recall_at",
    "reciprocal_rank",
]

#: Right documents of a question: id → grade, above 0.
Relevant = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Figures:
    """Means over questions, each 0 to 1.

    Attributes:
        questions: how many; of them only those with a right document count.
        map: mean average precision.
        mrr: mean reciprocal rank of the first right document.
        ndcg: normalised discounted cumulative gain.
        recall: share of the right documents that were found.
    """

    questions: int
    map: float
    mrr: float
    ndcg: float
    recall: float


@dataclass(frozen=True, slots=True)
class Curve:
    """What a threshold on the confidence costs and gains.

    Attributes:
        thresholds: rising.
        answered: share of the answerable questions at or above each threshold.
        declined: share of the others that are below it.
    """

    thresholds: tuple[float, ...]
    answered: tuple[float, ...]
    declined: tuple[float, ...]


def average_precision(found: Sequence[str], relevant: Collection[str], k: int = 10) -> float:
    """Mean of the precision at each right document among the first k.

    A document that is found twice counts once. The divisor is how many there are to find within k
    places, min(k, right ones), so that 1 can be reached.
    """
    right, total, seen = 0, 0.0, set[str]()
    for place, each in enumerate(found[:k], 1):
        if each in relevant and each not in seen:
            right += 1
            total += right / place
        seen.add(each)
    return total / min(k, len(relevant)) if relevant else 0.0


def reciprocal_rank(found: Sequence[str], relevant: Collection[str], k: int = 10) -> float:
    """1 / place of the first right document among the first k; 0 where there is none."""
    places = (place for place, each in enumerate(found[:k], 1) if each in relevant)
    return 1 / next(places, math.inf)


def ndcg(found: Sequence[str], relevant: Relevant, k: int = 10) -> float:
    """Gain of the first k, discounted by log2(place + 1), over the best that is possible.

    The gain is the grade itself, as in scikit-learn and pytrec_eval.
    """
    seen = set[str]()
    gain = 0.0
    for place, each in enumerate(found[:k], 1):
        if each not in seen:
            gain += relevant.get(each, 0.0) / math.log2(place + 1)
        seen.add(each)
    best = sorted(relevant.values(), reverse=True)[:k]
    ideal = sum(grade / math.log2(place + 1) for place, grade in enumerate(best, 1))
    return gain / ideal if ideal else 0.0


def recall_at(found: Sequence[str], relevant: Collection[str], k: int = 10) -> float:
    """Share of the right documents that are among the first k."""
    return len({*found[:k]} & {*relevant}) / len(relevant) if relevant else 0.0


def figures(found: Sequence[Sequence[str]], relevant: Sequence[Relevant], k: int = 10) -> Figures:
    """Means over questions.

    Args:
        found: of each question the documents, best first.
        relevant: of each question; one with none does not count.
        k: places that are looked at.

    Raises:
        ValueError: so many questions here, so many there.
    """
    pairs = [(its, right) for its, right in zip(found, relevant, strict=True) if right]

    def mean(of: Callable[[Sequence[str], Relevant, int], float]) -> float:
        return sum(of(its, right, k) for its, right in pairs) / len(pairs) if pairs else 0.0

    return Figures(
        len(pairs), mean(average_precision), mean(reciprocal_rank), mean(ndcg), mean(recall_at)
    )


def abstention_curve(
    answerable: Sequence[float], others: Sequence[float], thresholds: Sequence[float]
) -> Curve:
    """What each threshold would answer of what it should, and decline of what it should.

    Args:
        answerable: confidence of questions that have an answer.
        others: of questions that have none.
        thresholds: to try.
    """

    def share(values: Sequence[float], threshold: float) -> float:
        return sum(value >= threshold for value in values) / len(values) if values else 0.0

    rising = tuple(sorted(thresholds))
    return Curve(
        rising,
        tuple(share(answerable, each) for each in rising),
        tuple(1 - share(others, each) if others else 0.0 for each in rising),
    )


def quantile(values: Sequence[float], share: float) -> float:
    """The value that so many are not above: the next higher one, never one in between.

    Raises:
        ValueError: there is none.
    """
    if not values:
        raise ValueError("a quantile of nothing: measure at least one question")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]

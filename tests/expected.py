"""What the stream must say, computed offline."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from models.dataset import featurise
from models.registry import SHIPPED, load_model
from models.stay import Stay

__all__ = ["all_of", "offline", "streamed"]

#: Patient and seconds since admission → probability.
Risks = dict[tuple[str, int], float]


def offline(stays: Sequence[Stay]) -> Risks:
    """Score every reading of every stay with the model that ships with the project."""
    data = featurise(stays)
    probability = load_model(SHIPPED).score(data.X).probability
    places = zip(data.patient.tolist(), data.seconds.tolist(), strict=True)
    return {
        (stays[patient].patient_id, seconds): p
        for (patient, seconds), p in zip(places, probability.tolist(), strict=True)
    }


def streamed(recommendations: Sequence[dict[str, Any]], stays: Sequence[Stay]) -> Risks:
    """Map recommendations to the same keys; repeats of an id count once and must agree.

    The n-th observed time of a patient belongs to the n-th reading of its stay.
    """
    by_id: dict[str, dict[str, Any]] = {}
    for recommendation in recommendations:
        first = by_id.setdefault(recommendation["recommendation_id"], recommendation)
        assert first["risk"] == recommendation["risk"], (
            f"{recommendation['recommendation_id']} came again with another risk: "
            f"{first['risk']} then {recommendation['risk']}"
        )
    times: dict[str, list[tuple[str, float]]] = {}
    for recommendation in by_id.values():
        of_patient = times.setdefault(recommendation["patient_id"], [])
        of_patient.append((recommendation["observed_at"], recommendation["risk"]))
    seconds = {stay.patient_id: stay.seconds.tolist() for stay in stays}
    return {
        (patient, at): risk
        for patient, readings in times.items()
        for at, (_, risk) in zip(seconds[patient], sorted(readings), strict=True)
    }


def all_of(readings: int) -> Callable[[list[Any]], bool]:
    """Whether every reading has its recommendation, repeats counted once."""
    seen: set[str] = set()
    read_to = 0

    def enough(found: list[Any]) -> bool:
        nonlocal read_to
        seen.update(json.loads(r.value)["recommendation_id"] for r in found[read_to:])
        read_to = len(found)
        return len(seen) >= readings

    return enough

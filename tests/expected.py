"""What the stream must say, computed offline."""

from collections.abc import Sequence
from typing import Any

from bench import ledger
from models.stay import Stay

__all__ = ["offline", "streamed"]

#: Patient and seconds since admission → probability.
Risks = dict[tuple[str, int], float]


def offline(stays: Sequence[Stay], feature_set: str = "context") -> Risks:
    """Score every reading of every stay with the model that ships with the project."""
    return {
        (stays[n].patient_id, at): p for (n, at), p in ledger.offline(stays, feature_set).items()
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

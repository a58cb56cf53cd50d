"""A topic of lessons made up for tests: stays, scored hour by hour, with their outcomes."""

import json
from collections.abc import Sequence

import numpy as np

from config.clock import iso
from models.dataset import featurise
from models.stay import Stay
from streams.lessons import encode_example, encode_outcome
from tests.helpers import HOUR, T0

__all__ = ["made_lessons"]


def made_lessons(
    stays: Sequence[Stay], *, apart_ms: int = 2 * HOUR
) -> list[tuple[str, int, bytes]]:
    """Patient, event time and value of every record, in the order of the topic.

    The stays begin one after another. Everything is sent at its event time.
    """
    data = featurise(stays)
    records = []
    for i, stay in enumerate(stays):
        base = T0 + i * apart_ms
        features = data.X[data.patient == i]
        for hour, (second, x) in enumerate(zip(stay.seconds, features, strict=True)):
            at_ms = base + int(second) * 1000
            id_ = f"vitals-0-{i}-{hour}"
            records.append((stay.patient_id, at_ms, encode_example(
                stay.patient_id, at_ms, id_, "ICU-1", x, -3.0 + hour / 10, "c1"
            )))  # fmt: skip
        assert stay.labels is not None
        end = base + int(stay.seconds[-1]) * 1000
        onset = None
        if stay.labels.any():
            onset = base + int(stay.seconds[np.argmax(stay.labels)]) * 1000 + 6 * HOUR
        ended = {
            "patient_id": stay.patient_id,
            "ended_at": iso(end),
            "septic": bool(stay.labels.any()),
            "onset_at": None if onset is None else iso(onset),
            "name": "somebody whose name is nobody's business",
        }
        records.append((stay.patient_id, end, encode_outcome(json.dumps(ended).encode())))
    return sorted(records, key=lambda record: record[1])

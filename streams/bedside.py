"""What the bedside application does with a batch of readings, without the engine around it.

    readings → (rejects, strays, own)
    own ⋈ stays, labs → windows → features → risk → recommendations, states

`Bedside` is called by `agents.vitals` and knows neither Faust nor the network.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np

from config.clock import iso, now_ms
from config.guidance import guidance
from models.features import BEDSIDE_FEATURES
from models.risk import RiskModel
from models.vitals import VITALS
from models.window import DUPLICATE, LATE, OUT_OF_ORDER, TAKEN
from streams.ids import recommendation_id
from streams.intake import Intake, IntakeRules, Reject, take
from streams.lessons import encode_example
from streams.partitions import partitions_of
from streams.recommend import Recommender, Scored
from tables.labs import Labs
from tables.stays import Stays
from tables.windows import REPEATED, Readings, Windows

__all__ = [
    "CORRELATION_HEADER",
    "DIRECT",
    "ORIGIN_HEADER",
    "ROUTED",
    "Bedside",
    "Results",
    "Sorted",
    "warm_up",
    "with_origin",
]

#: The source topics of readings, as `tables.windows` counts them.
DIRECT, ROUTED = 0, 1

#: Header of a routed reading: topic, partition and offset it was first read from.
ORIGIN_HEADER = "vigil-origin"
#: Header by which a device or gateway names a reading; it comes back on the recommendation.
CORRELATION_HEADER = "correlation-id"

_OUTCOMES = {
    TAKEN: "scored",
    OUT_OF_ORDER: "out_of_order",
    DUPLICATE: "duplicate",
    LATE: "late",
    REPEATED: "repeated",
}


@dataclass(slots=True)
class Sorted:
    """A batch sorted out.

    Attributes:
        own: readings whose patient belongs to this partition.
        strays: records of other patients, with the key to send them on under.
        rejects: what is no reading.
    """

    own: Intake
    strays: list[tuple[Any, bytes]]
    rejects: list[Reject]


@dataclass(slots=True)
class Results:
    """What came of a batch's own readings.

    Attributes:
        recommendations: key and JSON, in the order of the readings.
        lessons: key and example of each reading that is its patient's first in an hour.
        late: records beyond the grace.
        writes: key and state of every patient that was touched.
        counts: readings by what became of them.
        largest_state: bytes.
    """

    recommendations: list[tuple[bytes, bytes]] = field(default_factory=list)
    lessons: list[tuple[bytes, bytes]] = field(default_factory=list)
    late: list[tuple[bytes, Any]] = field(default_factory=list)
    writes: list[tuple[bytes, bytes]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    largest_state: int = 0


class Bedside:
    """Sorts, scores and recommends.

    Args:
        windows: of the patients.
        stays: of the patients.
        labs: laboratory results of the patients; None where the site sends none.
        recommender: model and texts.
        rules: of the intake.
        partitions: over which patients are spread.
        clock: milliseconds since 1970, for the time of scoring.
        learning: whether examples are to be made of the readings.
    """

    def __init__(
        self,
        windows: Windows,
        stays: Stays,
        labs: Labs | None,
        recommender: Recommender,
        rules: IntakeRules,
        partitions: int,
        clock: Callable[[], int] = now_ms,
        *,
        learning: bool = False,
    ) -> None:
        self.windows, self.stays, self.labs = windows, stays, labs
        self.recommender = recommender
        self._rules = rules
        self._partitions = partitions
        self._clock = clock
        self._learning = learning

    def sort(self, records: Sequence[Any], partition: int, *, routed: bool, whole: bool) -> Sorted:
        """Sort a batch out.

        Args:
            records: raw.
            partition: they were read from.
            routed: they were sent on by us, so they are where they belong.
            whole: the topic has as many partitions as there are of state; if not, all are strays.
        """
        intake = take(records, self._rules)
        rejects, intake.rejects = intake.rejects, []
        if routed:
            return Sorted(intake, [], rejects)
        homes = partitions_of(intake.keys, self._partitions).tolist()
        own = [
            whole and record.key == key and home == partition
            for record, key, home in zip(intake.records, intake.keys, homes, strict=True)
        ]
        if all(own):
            return Sorted(intake, [], rejects)
        strays = [
            (record, key)
            for record, key, mine in zip(intake.records, intake.keys, own, strict=True)
            if not mine
        ]
        return Sorted(intake.only(np.array(own, np.bool_)), strays, rejects)

    def strangers(self, partition: int, intake: Intake) -> bool:
        """Whether there is a patient of whom nothing is known, so that an admission may be due."""
        unknown = self.windows.unknown(partition, intake.keys)
        return None in self.stays.get(partition, unknown)

    def score(self, intake: Intake, partition: int, source: int) -> Results:
        """Take readings into the windows and write their recommendations."""
        started = time.perf_counter()
        facts = self.stays.get(partition, intake.keys)
        context = self.stays.contexts(facts)
        if self.labs is not None:
            found = self.labs.get(partition, intake.keys)
            context[:, -1] = self.labs.seen(found)
        # only our own router is believed about where a reading came from
        origins = [_origin(record) if source == ROUTED else _DIRECT for record in intake.records]
        applied = self.windows.apply(
            Readings(
                partition=partition,
                source=source,
                keys=intake.keys,
                offsets=np.array([record.offset for record in intake.records], np.int64),
                at_ms=intake.at_ms,
                values=intake.values,
                devices=intake.devices,
                context=context,
                origins=np.array([(o[1], o[2]) for o in origins], np.int64).reshape(-1, 2),
            )
        )
        if self.labs is not None:
            # of a reading that is delivered again, ``context`` now tells what it was scored with
            labs = applied.features[:, len(BEDSIDE_FEATURES) :]
            self.labs.fill(found, context[:, -1], intake.at_ms, labs)
        results = Results(writes=applied.writes)
        results.largest_state = max((len(state) for _, state in applied.writes), default=0)
        counts = np.bincount(applied.outcomes).tolist()
        results.counts = {_OUTCOMES[value]: n for value, n in enumerate(counts) if n}

        answered = (applied.outcomes != LATE) & (applied.outcomes != REPEATED)
        results.late = [
            (intake.keys[i], intake.records[i]) for i in np.flatnonzero(applied.outcomes == LATE)
        ]
        which = np.flatnonzero(answered).tolist()
        if not which:
            return results
        whole = len(which) == len(intake.keys)
        records = [intake.records[i] for i in which]
        scored = Scored(
            ids=[
                recommendation_id(origins[i][0], origins[i][1], origins[i][2], r.timestamp).encode()
                if origins[i][1] >= 0
                else recommendation_id(r.topic, r.partition, r.offset, r.timestamp).encode()
                for i, r in zip(which, records, strict=True)
            ],
            correlation_ids=[_correlation(record) for record in records],
            patient_ids=[intake.keys[i].decode() for i in which],
            rows=[intake.rows[i] for i in which],
            raw=[record.value for record in records],
            unit_ids=[None if (f := facts[i]) is None else f.unit_id for i in which],
            at_ms=intake.at_ms[which].tolist(),
            produced_ms=[record.timestamp for record in records],
            values=intake.values[which],
            flags=intake.flags[which],
            outcomes=applied.outcomes[which],
            sensors=applied.sensors[which],
            features=applied.features if whole else applied.features[which],
            original=applied.original[which],
            without_context=[facts[i] is None for i in which],
        )
        scores = self.recommender.model.score(scored.features)
        scoring_us = (time.perf_counter() - started) / len(which) * 1e6
        written = self.recommender.write(scored, scores, self._clock(), scoring_us)
        results.recommendations = [
            (intake.keys[i], value) for i, value in zip(which, written, strict=True)
        ]
        if self._learning:
            version = self.recommender.model.version
            results.lessons = [
                (
                    intake.keys[which[i]],
                    encode_example(
                        scored.patient_ids[i],
                        scored.at_ms[i],
                        scored.ids[i].decode(),
                        scored.rows[i].unit_id or scored.unit_ids[i],
                        scored.features[i],
                        float(scores.logit[i]),
                        version,
                        int(scored.flags[i]),
                        scored.rows[i].device_id,
                    ),
                )
                for i in np.flatnonzero(applied.first[which]).tolist()
            ]
        return results


_DIRECT = ("", -1, 0)
#: Topic names are ASCII; the numbers fit their types in Kafka.
_ORIGIN = re.compile(rb"([A-Za-z0-9._-]{1,249})/([0-9]{1,9})/([0-9]{1,18})")


def with_origin(record: Any) -> list[tuple[str, bytes]]:
    """Headers of a record and one that tells where it was read from, ours alone."""
    own = (ORIGIN_HEADER, f"{record.topic}/{record.partition}/{record.offset}".encode())
    return [header for header in record.headers if header[0] != ORIGIN_HEADER] + [own]


def _origin(record: Any) -> tuple[str, int, int]:
    """Where a reading was first read from; partition -1 where the record does not tell."""
    for name, value in record.headers:
        if name == ORIGIN_HEADER:
            told = _ORIGIN.fullmatch(value or b"")
            return (told[1].decode(), int(told[2]), int(told[3])) if told else _DIRECT
    return _DIRECT


def warm_up(model: RiskModel) -> None:
    """Score one made-up reading, so that the first real one does not wait for compilers."""
    reading = {"patient_id": "nobody", VITALS[0].wire: 80.0, "observed_at": iso(0)}
    record = SimpleNamespace(
        topic="", partition=0, offset=0, timestamp=0, key=b"nobody", headers=(),
        value=msgspec.json.encode(reading),
    )  # fmt: skip

    windows = Windows(lambda _, keys: [None] * len(keys), capacity=1, grace_ms=0)
    windows.resume(0, [0, 0])
    stays = Stays(lambda _, keys: [None] * len(keys), capacity=1)
    labs = Labs(lambda _, keys: [None] * len(keys), capacity=1)
    bedside = Bedside(windows, stays, labs, Recommender(model, guidance()), IntakeRules(), 1)
    own = bedside.sort([record], 0, routed=False, whole=True).own
    bedside.score(own, 0, DIRECT)
    # folding, which only a second batch would do
    windows.committed(0, DIRECT, 1)
    record.offset = 1
    bedside.score(bedside.sort([record], 0, routed=True, whole=True).own, 0, DIRECT)


def _correlation(record: Any) -> str | None:
    for name, value in record.headers:
        if name == CORRELATION_HEADER and value:
            return str(value, "utf-8", "replace")[:128]
    return None

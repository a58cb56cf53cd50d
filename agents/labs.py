"""Labs → results: what the laboratory has found of each patient."""

from typing import Any

from typing_extensions import override

from agents.facts import FactsAgent
from models.labs import index_of_loinc, to_thousandths
from streams.application import VigilApp
from streams.events import LabResult, struct_of
from streams.metrics import metrics
from streams.topics import Catalogue
from tables.labs import Labs
from tables.store import BatchTable

__all__ = ["LabsAgent"]

_LabResultRow: Any = struct_of(LabResult)


class LabsAgent(FactsAgent):
    """Keeps `results`.

    A laboratory sends hundreds of tests: those that the model has no use for are counted and passed
    over, as are values that are not plausible. A unit that a test does not come in is a dead
    letter: to guess at it would be to invent a result.
    """

    def __init__(self, app: VigilApp, topics: Catalogue, labs: Labs, table: BatchTable) -> None:
        super().__init__(app, topics, topics.labs, _LabResultRow, table, labs)
        self._labs = labs

    @override
    def keep(self, partition: int, key: bytes, fact: Any) -> bytes | None:
        lab = index_of_loinc(fact.code)
        if lab is None:
            metrics.labs.labels("unknown_code").inc()
            return None
        thousandths = to_thousandths(lab, fact.value, fact.unit)
        if thousandths is None:
            metrics.labs.labels("implausible").inc()
            return None
        at_ms = round(fact.observed_at.timestamp() * 1000)
        state, new = self._labs.add(partition, key, lab, at_ms, thousandths)
        metrics.labs.labels("kept" if new else "repeated").inc()
        return state

    @override
    def forget(self, partition: int, key: bytes) -> None:
        self._labs.discharge(partition, key)

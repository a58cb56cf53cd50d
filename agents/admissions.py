"""Admissions → stays: who the patients are to the model."""

from typing import Any

from typing_extensions import override

from agents.facts import FactsAgent
from streams.application import VigilApp
from streams.events import Admission, struct_of
from streams.topics import Catalogue
from tables.stays import Stays
from tables.store import BatchTable

__all__ = ["AdmissionsAgent"]

_AdmissionRow: Any = struct_of(Admission)


class AdmissionsAgent(FactsAgent):
    """Keeps `stays`."""

    def __init__(self, app: VigilApp, topics: Catalogue, stays: Stays, table: BatchTable) -> None:
        super().__init__(app, topics, topics.admissions, _AdmissionRow, table, stays)
        self._stays = stays

    @override
    def keep(self, partition: int, key: bytes, fact: Any) -> bytes:
        return self._stays.admit(partition, key, fact)

    @override
    def forget(self, partition: int, key: bytes) -> None:
        self._stays.discharge(partition, key)

"""The whole ward out of its parts: one `tables.ward.WardTable` a partition, and one of alerts.

A patient's recommendations are on one partition, and the worker that has it keeps the rows. Every
worker follows the rows of the others, because a question may be about anybody.
"""

from collections.abc import Iterable

from tables.ward import SILENT_MS, WardTable, Writes
from tables.ward_alerts import AlertStory
from tables.ward_rows import Snapshot

__all__ = ["Wards"]


class Wards:
    """Read access to all partitions together; see `rag.tools.scene.Ward`.

    Args:
        partitions: of the recommendations.
        silent_ms: without news for so long, event time, a patient is gone.
    """

    def __init__(self, partitions: int, *, silent_ms: int = SILENT_MS) -> None:
        self._silent_ms = silent_ms
        self._parts = [WardTable(silent_ms=silent_ms) for _ in range(partitions)]
        self._stories = WardTable(silent_ms=silent_ms)

    # -- what comes in

    def recommended(
        self, partition: int, values: Iterable[bytes | None]
    ) -> tuple[Writes, list[int]]:
        """Take in recommendations.

        Returns:
            What is to be stored, and the places of those that are none.
        """
        part, bad = self._parts[partition], []
        for number, value in enumerate(values):
            try:
                part.recommended(value)
            except ValueError:
                bad.append(number)
        return part.drain(), bad

    def begin(self, partition: int, stored: Iterable[tuple[bytes, bytes]]) -> None:
        """Go on from what is stored of a partition, and from nothing else."""
        self._parts[partition] = WardTable(silent_ms=self._silent_ms)
        self._parts[partition].restore(stored)

    def follow(self, partition: int, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take in what another worker has stored; without a row the patient is gone."""
        for key, row in rows:
            if row is None:
                self._parts[partition].forget(key)
            else:
                self._parts[partition].restore([(key, row)])

    def changed(self, value: bytes | None) -> None:
        """Take in a change of an alert.

        Raises:
            ValueError: it is none.
        """
        self._stories.advance(self.now_ms)
        self._stories.changed(value)
        self._stories.drain()  # `alerts` is read whole, so nothing of it is stored

    # -- what is asked

    @property
    def now_ms(self) -> int:
        """The newest observed time; 0 = there was none."""
        return max(part.now_ms for part in self._parts)

    def patient(self, patient_id: str) -> Snapshot | None:
        """What is known of a patient."""
        found = (part.patient(patient_id) for part in self._parts)
        return next((one for one in found if one is not None and self._speaks(one)), None)

    def unit(self, unit_id: str) -> list[Snapshot]:
        """Patients of a unit, the highest risk first."""
        found = [one for part in self._parts for one in part.unit(unit_id) if self._speaks(one)]
        return sorted(found, key=lambda one: (-one.newest.risk, one.patient_id))

    def units(self) -> list[str]:
        """Units that have patients, by name."""
        return sorted({name for part in self._parts for name in part.units()})

    def alert(self, name: str) -> AlertStory | None:
        """An alert by its id or reference."""
        return self._stories.alert(name)

    def alerts_of(self, patient_id: str) -> list[AlertStory]:
        """Alerts of a patient, the newest first."""
        return self._stories.alerts_of(patient_id)

    def paged(self, contact: str) -> list[AlertStory]:
        """Alerts that a person was paged about, the newest first."""
        return self._stories.paged(contact)

    def _speaks(self, one: Snapshot) -> bool:
        """Whether there is news of a patient, by the clock of all partitions."""
        return self.now_ms - one.newest.observed_ms <= self._silent_ms

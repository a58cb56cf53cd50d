"""The live state that questions are answered from: each patient, and their alerts.

    recommendations ─→ a snapshot of each patient ─┐
             alerts ─→ a story of each alert ──────┴─ joined by the alert's patient_id when read

**Join.** Recommendations are keyed by patient and alerts by alert, so the two topics spread one
patient over different partitions. Every change on `alerts` names its patient. The two kinds of rows
stay apart, each written under a key of its own, and meet only in the index in memory; so it does
not matter which comes first. A question may be about any patient of a ward: whoever answers reads
all partitions of both topics.

**Order.** What is kept is a maximum, minimum or union in event time, so the same records give the
same answers in any order, and a record that comes again changes nothing. A late recommendation is
sorted in and never overwrites a newer one.

**Forgetting.** The newest observed time is the watermark. A patient without news for
``silent_ms`` is shown no more; the row goes when nothing that may still come could need it.

Pure: bytes go in, and what is to be stored comes out of `drain`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from config.clock import HOUR_MS
from tables import ward_alerts, ward_rows
from tables.ward_alerts import AlertStory
from tables.ward_rows import SPAN_MS, SPANS, Snapshot, span_of
from tables.ward_wire import read_change, read_recommendation

__all__ = ["ALERTS_KEPT_MS", "SILENT_MS", "WardTable", "Writes"]

#: A patient without news for so long is gone, unless it is set otherwise.
SILENT_MS = 24 * HOUR_MS
#: An alert is kept so long after its last change, as the pager keeps it.
ALERTS_KEPT_MS = 7 * 24 * HOUR_MS
#: Alerts that are kept of one patient; lock-outs allow fewer in that time.
_MOST_ALERTS = 64
_SWEEP_EVERY_MS = HOUR_MS
_PATIENT, _ALERT = b"p", b"a"

Writes = dict[bytes, bytes | None]


class WardTable:
    """Patients and their alerts by their ids.

    Args:
        silent_ms: without news for so long, event time, a patient is gone.

    >>> WardTable().patient("p1") is None
    True
    """

    def __init__(self, *, silent_ms: int = SILENT_MS) -> None:
        if silent_ms <= 0:
            raise ValueError("a patient needs some time to have news in: give silent_ms above 0")
        self._silent_ms = silent_ms
        self._patients: dict[str, Snapshot] = {}
        self._alerts: dict[str, AlertStory] = {}
        self._on_unit: dict[str, set[str]] = defaultdict(set)
        self._of_patient: dict[str, set[str]] = defaultdict(set)
        self._references: dict[str, str] = {}
        self._dirty: set[bytes] = set()
        self._newest_ms = self._swept_ms = 0

    # -- what comes in

    def recommended(self, value: bytes | None) -> None:
        """Take in a record of `recommendations`.

        Raises:
            ValueError: it is none; the reason carries no values.
        """
        patient_id, newest, point = read_recommendation(value)
        if newest.observed_ms > self._newest_ms:
            self._newest_ms = newest.observed_ms
            self._sweep()
        elif newest.observed_ms < self._forgotten_ms:
            return
        known = self._patients.get(patient_id)
        if known is None:
            self._put(Snapshot(patient_id, newest, (point,), (span_of(point),)))
        else:
            self._put(known.joined(newest, point))

    def changed(self, value: bytes | None) -> None:
        """Take in a record of `alerts`; those about operations are passed over.

        Raises:
            ValueError: it is none; the reason carries no values.
        """
        read = read_change(value)
        if read is None:
            return
        alone, event = read
        if event.at_ms < self._newest_ms - ALERTS_KEPT_MS:
            return
        self._put_alert(self._alerts.get(alone.alert_id, alone).joined(event))

    # -- what is stored

    def drain(self) -> Writes:
        """What is to be stored since the last time: key and row, None deletes."""
        writes: Writes = {}
        for key in self._dirty:
            name = key[1:].decode()
            if key[:1] == _PATIENT:
                patient = self._patients.get(name)
                writes[key] = None if patient is None else ward_rows.encode(patient)
            else:
                alert = self._alerts.get(name)
                writes[key] = None if alert is None else ward_alerts.encode(alert)
        self._dirty.clear()
        return writes

    def restore(self, stored: Iterable[tuple[bytes, bytes]]) -> None:
        """Go on from what was stored; other keys are passed over.

        Raises:
            tables.ward_rows.RowError: a row cannot be read.
        """
        for key, row in stored:
            if key[:1] == _PATIENT:
                snapshot = ward_rows.decode(row)
                self._put(snapshot)
                self._newest_ms = max(self._newest_ms, snapshot.newest.observed_ms)
            elif key[:1] == _ALERT:
                self._put_alert(ward_alerts.decode(row))
        self._dirty.clear()

    def advance(self, now_ms: int) -> None:
        """Let time pass that others have told of."""
        if now_ms > self._newest_ms:
            self._newest_ms = now_ms
            self._sweep()

    def forget(self, key: bytes) -> None:
        """Drop what was stored under a key, because whoever keeps it has."""
        if key[:1] != _PATIENT:
            return
        known = self._patients.pop(key[1:].decode(), None)
        if known is not None:
            self._leave(known)

    # -- what is asked

    def __len__(self) -> int:
        return len(self._patients)

    @property
    def now_ms(self) -> int:
        """The newest observed time; 0 = there was none."""
        return self._newest_ms

    def patient(self, patient_id: str) -> Snapshot | None:
        """What is known of a patient, None where nothing is or no news came for long."""
        known = self._patients.get(patient_id)
        if known is None or self._newest_ms - known.newest.observed_ms > self._silent_ms:
            return None
        return known

    def unit(self, unit_id: str) -> list[Snapshot]:
        """Patients of a unit, the highest risk first."""
        found = [self.patient(name) for name in self._on_unit.get(unit_id, ())]
        return sorted(
            (one for one in found if one is not None),
            key=lambda one: (-one.newest.risk, one.patient_id),
        )

    def units(self) -> list[str]:
        """Units that have patients, by name."""
        return sorted(name for name, members in self._on_unit.items() if members)

    def alert(self, name: str) -> AlertStory | None:
        """Find an alert by its id, or by its reference in any case."""
        return self._alerts.get(name) or self._alerts.get(
            self._references.get(name.strip().upper(), "")
        )

    def alerts_of(self, patient_id: str) -> list[AlertStory]:
        """Alerts of a patient, the newest first."""
        return _newest_first(self._alerts, self._of_patient.get(patient_id, ()))

    def paged(self, contact: str) -> list[AlertStory]:
        """Alerts that a person was paged about, the newest first."""
        # a scan: a ward has some hundred alerts, and it is asked now and then
        names = [name for name, story in self._alerts.items() if contact in story.pages]
        return _newest_first(self._alerts, names)

    # -- bookkeeping

    @property
    def _forgotten_ms(self) -> int:
        # what comes so late is outside of every window of a patient who is still shown
        return self._newest_ms - self._silent_ms - SPANS * SPAN_MS

    def _put(self, snapshot: Snapshot) -> None:
        name = snapshot.patient_id
        before = self._patients.get(name)
        unit = snapshot.newest.unit_id
        if before is not None and before.newest.unit_id != unit:
            self._leave(before)
        self._patients[name] = snapshot
        if unit is not None:
            self._on_unit[unit].add(name)
        if snapshot != before:
            self._dirty.add(_PATIENT + name.encode())

    def _leave(self, snapshot: Snapshot) -> None:
        unit = snapshot.newest.unit_id
        if unit is not None:
            self._on_unit[unit].discard(snapshot.patient_id)
            if not self._on_unit[unit]:
                del self._on_unit[unit]

    def _put_alert(self, story: AlertStory) -> None:
        if self._alerts.get(story.alert_id) == story:
            return
        self._alerts[story.alert_id] = story
        self._references[story.reference.upper()] = story.alert_id
        self._of_patient[story.patient_id].add(story.alert_id)
        self._dirty.add(_ALERT + story.alert_id.encode())
        if len(self._of_patient[story.patient_id]) > _MOST_ALERTS:
            self._drop_alert(self.alerts_of(story.patient_id)[-1])

    def _drop_alert(self, story: AlertStory) -> None:
        del self._alerts[story.alert_id]
        if self._references.get(story.reference.upper()) == story.alert_id:
            del self._references[story.reference.upper()]
        mine = self._of_patient[story.patient_id]
        mine.discard(story.alert_id)
        if not mine:
            del self._of_patient[story.patient_id]
        self._dirty.add(_ALERT + story.alert_id.encode())

    def _sweep(self) -> None:
        """Drop what is too old, once an hour."""
        if self._newest_ms < self._swept_ms + _SWEEP_EVERY_MS:
            return
        self._swept_ms = self._newest_ms
        for one in list(self._patients.values()):
            if one.newest.observed_ms < self._forgotten_ms:
                self._leave(one)
                del self._patients[one.patient_id]
                self._dirty.add(_PATIENT + one.patient_id.encode())
        for story in list(self._alerts.values()):
            if story.newest_ms < self._newest_ms - ALERTS_KEPT_MS:
                self._drop_alert(story)


def _newest_first(alerts: Mapping[str, AlertStory], names: Iterable[str]) -> list[AlertStory]:
    return sorted(
        (alerts[name] for name in names),
        key=lambda story: (story.first.at_ms, story.alert_id),
        reverse=True,
    )

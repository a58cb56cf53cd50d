"""What a tool is handed: what it may look at, and nothing else.

A tool never sees the ward. It gets the one patient, unit or alert that it was called for, after
`rag.tools.registry` has made sure that whoever asks may see it.
"""

from dataclasses import dataclass
from typing import Protocol

from config.policy_models import EpisodeRules
from models.risk import Tiers
from tables.ward_alerts import AlertStory
from tables.ward_rows import Snapshot

__all__ = ["AlertView", "PatientView", "Scene", "UnitView", "Ward"]


class Ward(Protocol):
    """Read access to the live state; `tables.ward.WardTable` is one."""

    @property
    def now_ms(self) -> int:
        """The newest observed time; 0 = there was none."""

    def patient(self, patient_id: str) -> Snapshot | None:
        """What is known of a patient."""

    def unit(self, unit_id: str) -> list[Snapshot]:
        """Patients of a unit, the highest risk first."""

    def units(self) -> list[str]:
        """Units that have patients."""

    def alert(self, name: str) -> AlertStory | None:
        """An alert by its id or reference."""

    def alerts_of(self, patient_id: str) -> list[AlertStory]:
        """Alerts of a patient, the newest first."""

    def paged(self, contact: str) -> list[AlertStory]:
        """Alerts that a person was paged about, the newest first."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What all tools share.

    Attributes:
        now_ms: what ages are measured against, event time.
        rules: what raises an alert; None = it is not known here.
        tiers: lowest risk of each tier of the model that scores; None = it is not known here.
    """

    now_ms: int
    rules: EpisodeRules | None = None
    tiers: Tiers | None = None


@dataclass(frozen=True, slots=True)
class PatientView:
    """A patient who may be seen.

    Attributes:
        patient: what is known of them.
        alerts: theirs, the newest first.
    """

    patient: Snapshot
    alerts: tuple[AlertStory, ...]


@dataclass(frozen=True, slots=True)
class UnitView:
    """A unit that may be seen.

    Attributes:
        unit_id: its name.
        patients: the highest risk first.
        alerts: of these patients, the newest first.
    """

    unit_id: str
    patients: tuple[Snapshot, ...]
    alerts: tuple[AlertStory, ...]


@dataclass(frozen=True, slots=True)
class AlertView:
    """An alert that may be seen.

    Attributes:
        alert: its story.
        patient: whose it is; None where no news of them came for long.
    """

    alert: AlertStory
    patient: Snapshot | None

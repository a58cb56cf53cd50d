"""What tools are called with. An argument that a model invents is refused, and named."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "AlertArgs",
    "Arguments",
    "CompareArgs",
    "HistoryArgs",
    "PatientArgs",
    "RiskTrendArgs",
    "SickestArgs",
    "SilentArgs",
    "TierArgs",
    "UnitArgs",
    "UnitVitalArgs",
    "VitalArgs",
    "VitalName",
    "VitalTrendArgs",
    "WorsenedArgs",
]

#: The names in `models.vitals`.
VitalName = Literal[
    "heart_rate", "pulse_rate", "resp_rate", "temperature", "spo2", "sbp", "dbp", "map"
]

_Id = Annotated[str, Field(min_length=1, max_length=128)]
#: Charts go back a day.
_Hours = Annotated[float, Field(gt=0, le=24)]


class Arguments(BaseModel):
    """None."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PatientArgs(Arguments):
    """A patient."""

    patient_id: _Id = Field(description="Id of the patient.")


class VitalArgs(PatientArgs):
    """A patient's vital signs, or one of them."""

    vital: VitalName | None = Field(None, description="One vital sign; null = all.")


class VitalTrendArgs(PatientArgs):
    """A patient's vital sign over some hours."""

    vital: VitalName = Field(description="Which vital sign.")
    hours: _Hours = Field(24, description="How far back, in hours.")


class RiskTrendArgs(PatientArgs):
    """A patient's risk over some hours."""

    hours: _Hours = Field(24, description="How far back, in hours.")


class CompareArgs(PatientArgs):
    """A patient now and some hours ago."""

    hours: _Hours = Field(6, description="How many hours ago.")


class HistoryArgs(PatientArgs):
    """A patient's alerts of some hours."""

    hours: float = Field(168, gt=0, le=168, description="How far back, in hours; at most a week.")


class AlertArgs(Arguments):
    """An alert. With neither argument: the newest one that whoever asks was paged about."""

    reference: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        None, description="Reference of the alert as the page has it, or its id."
    )
    patient_id: _Id | None = Field(None, description="The newest alert of this patient instead.")


class TierArgs(Arguments):
    """A tier."""

    tier: Literal["none", "watch", "warning", "urgent"] | None = Field(
        None, description="Which tier; null = all."
    )


class UnitArgs(Arguments):
    """A unit."""

    unit_id: _Id | None = Field(
        None, description="Ward or unit; null = the only one that whoever asks has the right to."
    )


class SickestArgs(UnitArgs):
    """The patients of a unit at the highest risk."""

    count: int = Field(5, ge=1, le=50, description="How many patients.")


class WorsenedArgs(UnitArgs):
    """Patients of a unit who got worse."""

    hours: _Hours = Field(6, description="Since how many hours ago.")


class SilentArgs(UnitArgs):
    """Patients of a unit of whom nothing came."""

    hours: _Hours = Field(2, description="For at least so many hours.")


class UnitVitalArgs(UnitArgs):
    """One vital sign of everybody on a unit."""

    vital: VitalName = Field(description="Which vital sign.")
    first: Literal["highest", "lowest"] = Field("highest", description="What comes first.")
    count: int = Field(10, ge=1, le=50, description="How many patients.")

"""Event models: what is on the wire of each topic.

These pydantic models are the contract: `vigil schemas` exports them as JSON Schema, and tests and
tools validate with them. The hot path decodes the same fields with msgspec, through structs that
`struct_of` derives from the models, so there is one definition.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, get_args

import msgspec
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

from models.release_records import (
    LayerRecord,
    ModelEvent,
    ModelPointer,
    ModelRecord,
    ShadowRecord,
)

__all__ = [
    "Admission",
    "ChainedEntry",
    "DataQuality",
    "DeadLetter",
    "DriftEvent",
    "Factor",
    "LabResult",
    "LayerRecord",
    "ModelEvent",
    "ModelPointer",
    "ModelRecord",
    "News2",
    "Outcome",
    "ProcessingTimes",
    "Reading",
    "Recommendation",
    "ShadowRecord",
    "patient_key",
    "struct_of",
]


def patient_key(given: object) -> str:
    """Return a patient's id as text.

    The original producer reads its ids from a table, so a numeric id arrives as 3 or 3.0; both are
    the patient "3".

    Raises:
        ValueError: neither text nor a whole number, empty, or longer than 128 characters.
    """
    if isinstance(given, str):
        text = given
    elif isinstance(given, int | float) and not isinstance(given, bool) and given == given // 1:
        text = str(int(given))
    else:
        raise ValueError("patient_id is neither text nor a whole number")
    if 1 <= len(text) <= 128:
        return text
    raise ValueError("patient_id: over 128 characters" if text else "patient_id is empty")


PatientId = Annotated[str, BeforeValidator(patient_key), Field(min_length=1, max_length=128)]


class Event(BaseModel):
    """What every event has in common: unknown fields are kept out, values are not coerced."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


class ChainedEntry(Event):
    """An entry of a record that is kept for good: nobody changes or takes out one unnoticed."""

    number: int = Field(ge=0)
    previous: str = Field(description="Hash of the entry before; zeros for the first.")
    hash: str = Field(description="SHA-256 of this entry without its hash.")


class Reading(Event):
    """One set of vital signs of one patient, as a device or gateway produced it.

    The first five fields are the original feed. A vital sign that was not measured is null or
    absent; NaN and infinity are not JSON.
    """

    patient_id: PatientId
    MDC_PULS_OXIM_PULS_RATE_Result: float | None = Field(None, description="pulse rate, /min")
    MDC_TEMP_Result: float | None = Field(None, description="temperature, Cel")
    MDC_ECG_HEART_RATE_Result: float | None = Field(None, description="heart rate, /min")
    MDC_TTHOR_RESP_RATE_Result: float | None = Field(None, description="respiratory rate, /min")
    MDC_PULS_OXIM_SAT_O2_Result: float | None = Field(None, description="oxygen saturation, %")
    MDC_PRESS_BLD_NONINV_SYS_Result: float | None = Field(None, description="systolic, mm[Hg]")
    MDC_PRESS_BLD_NONINV_DIA_Result: float | None = Field(None, description="diastolic, mm[Hg]")
    MDC_PRESS_BLD_NONINV_MEAN_Result: float | None = Field(None, description="mean, mm[Hg]")
    observed_at: AwareDatetime | None = Field(
        None, description="Observed time with time zone; absent: the record's Kafka time."
    )
    device_id: str | None = Field(None, max_length=128)
    unit_id: str | None = Field(
        None, max_length=128, description="Ward or unit, for boards and paging."
    )


class Admission(Event):
    """A patient is admitted to a unit; a later one for the same patient replaces it."""

    patient_id: PatientId
    icu_admitted_at: AwareDatetime | None = None
    hospital_admitted_at: AwareDatetime | None = None
    age_years: float | None = Field(None, ge=0, le=130)
    sex: Literal["female", "male"] | None = None
    unit_id: str | None = Field(None, max_length=128)


class LabResult(Event):
    """One laboratory result of one patient."""

    patient_id: PatientId
    code: str = Field(max_length=32, description="LOINC code; codes of no use are passed over.")
    value: float
    unit: str | None = Field(
        None, max_length=32, description="UCUM code; absent: the unit of models.labs."
    )
    observed_at: AwareDatetime = Field(
        description="When it was known on the ward: it counts for readings from then on."
    )


class Outcome(Event):
    """A stay has ended and its outcome is known: the label that models learn from."""

    patient_id: PatientId
    ended_at: AwareDatetime
    septic: bool
    onset_at: AwareDatetime | None = Field(
        None, description="Clinical onset of sepsis; null where the patient was not septic."
    )


class Factor(Event):
    """One thing that drove a risk, in a clinician's words."""

    name: str = Field(description="Group of features, as in models.features.GROUPS.")
    text: str
    contribution: float = Field(description="Log-odds added (+) or taken away (-).")


class News2(Event):
    """NEWS2 without supplemental oxygen and consciousness: a lower bound."""

    total: int
    points: dict[str, int] = Field(description="Points of each vital sign that is known.")
    missing: list[str] = Field(description="Parts of NEWS2 that are not on the feed or not known.")
    rule: str


class DataQuality(Event):
    """What is to be known about the reading before its risk is believed."""

    flags: list[str]
    measured: int = Field(description="Vital signs on this reading.")


class ProcessingTimes(Event):
    """When things happened, RFC 3339 of one width; and how long scoring took."""

    produced_at: AwareDatetime = Field(description="Kafka time of the reading.")
    scored_at: AwareDatetime
    scoring_us: float = Field(description="Mean time a reading of its batch took, microseconds.")


Tier = Literal["none", "watch", "warning", "urgent"]


class Recommendation(Event):
    """The risk of one patient at one observed time, with its basis and what to do next."""

    recommendation_id: str = Field(description="Deterministic: a repeat has the same id.")
    correlation_id: str = Field(description="From the reading's header, or the recommendation id.")
    patient_id: PatientId
    unit_id: str | None
    observed_at: AwareDatetime
    prediction_probabilities: Annotated[list[float], Field(min_length=2, max_length=2)] = Field(
        description="[no sepsis, sepsis within the hours to come]"
    )
    risk: float
    tier: Tier
    factors: list[Factor]
    news2: News2
    next_steps: list[str]
    features: dict[str, float | None] = Field(description="The original feed's four features.")
    data_quality: DataQuality
    model_name: str
    model_version: str
    original_data: dict[str, Any]
    processing: ProcessingTimes
    disclaimer: str


class DeadLetter(Event):
    """A record that could not be used, whole, and why."""

    topic: str
    partition: int
    offset: int
    reason: str
    key: str | None = Field(description="base64 of the original bytes")
    value: str | None = Field(description="base64 of the original bytes")
    timestamp_ms: int = Field(description="Kafka time of the record")
    headers: list[tuple[str, str | None]] = Field(description="names and base64 of the values")
    header_names: list[str] | None = Field(
        None, description="base64 of the names' bytes, where one is not UTF-8"
    )


class DriftEvent(Event):
    """What patients, scores or errors are like has changed: what, where, since when, how much."""

    drift_id: str = Field(description="Deterministic: a repeat has the same id.")
    rule: str
    layer: Literal["data", "score", "error"] = Field(
        description="What comes in, what the model says of it, or how wrong that was."
    )
    signal: str = Field(description="What is watched, such as the rate of a vital sign.")
    unit_id: str | None = Field(None, description="Where; null = at the whole site.")
    device_id: str | None = Field(None, description="Of a unit mix-up, where it is known.")
    since: AwareDatetime = Field(description="When it began, as far as can be told; event time.")
    at: AwareDatetime = Field(description="When it was found; event time.")
    strength: float = Field(ge=0, description="How much changed, in standard deviations.")
    before: float | None = Field(None, description="Mean of the signal before.")
    after: float | None = Field(None, description="Mean of the signal since.")
    examples: int = Field(ge=0, description="Examples seen since it began.")
    model_version: str = Field(description="That scored when it was found.")
    detail: str = Field(description="For people.")


def _plain(annotation: Any, field: FieldInfo) -> Any:
    """Type that msgspec checks in place of a pydantic annotation, with the same bounds."""
    args = get_args(annotation)
    if type(None) in args:
        inner = [arg for arg in args if arg is not type(None)]
        return _plain(inner[0], field) | None
    bounds: dict[str, Any] = {}
    for constraint in field.metadata:
        for name in ("ge", "le", "min_length", "max_length"):
            if getattr(constraint, name, None) is not None:
                bounds[name] = getattr(constraint, name)
    if annotation is datetime or "AwareDatetime" in str(annotation):
        return Annotated[datetime, msgspec.Meta(tz=True)]
    return Annotated[annotation, msgspec.Meta(**bounds)] if bounds else annotation


def struct_of(model: type[BaseModel]) -> type[msgspec.Struct]:
    """Derive the msgspec struct that decodes what ``model`` describes, at a sixth of the cost.

    Supports the flat models of the inbound topics: scalars, optional scalars and literals, with
    bounds; unknown fields are ignored, nothing is coerced but a whole number to a float. A
    ``patient_id`` comes as it was sent; `patient_key` makes it text.
    """
    required, optional = [], []
    for name, field in model.model_fields.items():
        kind: Any = str | int | float
        if name != "patient_id":
            kind = _plain(field.annotation, field)
        if field.is_required():
            required.append((name, kind))
        else:
            optional.append((name, kind, field.default))
    return msgspec.defstruct(f"{model.__name__}Row", [*required, *optional], gc=False, frozen=True)

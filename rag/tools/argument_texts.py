"""What people read where a question does not fit its tool: a sentence that says what to write."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["UNCLEAR", "ToolArgumentError", "several_units", "what_to_write"]

#: Where nothing more particular can be said.
UNCLEAR = (
    "I could not tell what to look up. Please name the patient or the ward, and what you want to "
    'know, such as "What is the risk of patient p-77?".'
)
_VITALS = (
    "heart rate, pulse rate, respiratory rate, temperature, SpO2, systolic, diastolic or mean "
    "blood pressure"
)
_SAID = {
    "patient_id": "I could not tell which patient you mean. Please write the patient's id as it "
    'stands on the board, such as "patient p-77".',
    "unit_id": "I could not tell which ward you mean. Please write its name as it stands on the "
    'board, such as "ICU-1".',
    "reference": "I could not tell which alert you mean. Please write its reference as the page "
    'has it, such as "C7Q2XM".',
    "vital": f"I could not tell which vital sign you mean. Please write {_VITALS}.",
    "tier": "I could not tell which tier you mean. Please write none, watch, warning or urgent.",
    "first": "I could not tell what is to come first. Please write highest or lowest.",
}
#: Wards that are listed; more are named by nobody in a sentence.
_LISTED = 6


class ToolArgumentError(ValueError):
    """A tool was called with arguments that are none of its own.

    Args:
        told: what to change, for whoever calls tools: a model, a programmer.

    Attributes:
        said: what to write instead, for people.
    """

    def __init__(self, told: str, said: str = UNCLEAR) -> None:
        super().__init__(told)
        self.said = said


def what_to_write(errors: Sequence[Mapping[str, Any]]) -> str:
    """Say what to write instead, by the first mistake that people can do something about.

    Args:
        errors: as pydantic tells them.
    """
    for error in errors:
        field = str(error["loc"][0]) if error["loc"] else ""
        limits = error.get("ctx", {})
        if field in _SAID:
            return _SAID[field]
        if field == "hours":
            most = f" at most {limits['le']:g} hours" if "le" in limits else " some hours"
            return f'I can look back{most}. Please write how far, such as "in the last 6 hours".'
        if field == "count":
            most = f"at most {limits['le']}" if "le" in limits else "one or more"
            return f'I can list {most} patients. Please write how many, such as "the 5 sickest".'
    return UNCLEAR


def several_units(units: Sequence[str]) -> str:
    """Ask which ward is meant.

    Args:
        units: that whoever asks may see.
    """
    if len(units) > _LISTED:
        return f"You may see several wards. Please write which one you mean, such as {units[0]}."
    return f"Please write which ward you mean: {', '.join(units[:-1])} or {units[-1]}."

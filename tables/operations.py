"""Alerts to operators: made one way, whoever finds that they are needed."""

import hashlib
from typing import Literal

from tables.alert_rows import Alert

__all__ = ["operations_alert", "operations_id"]


def operations_id(name: str) -> str:
    """Id of an alert to operators, made of what it is about."""
    return hashlib.sha256(f"operations/{name}".encode()).hexdigest()[:32]


def operations_alert(
    name: str, tier: Literal["watch", "warning", "urgent"], subject: str, at_ms: int
) -> Alert:
    """Make an alert to operators; it has no reference yet.

    Args:
        name: what it is about: what has the same name is the same alert.
        tier: of the alert policy.
        subject: for people, without a patient.
        at_ms: when.
    """
    return Alert(operations_id(name), "", "operations", tier, subject, at_ms)

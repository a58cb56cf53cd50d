"""What a page says: ward, tier, an opaque reference, a link; never who the patient is.

Whoever finds the telephone learns nothing of anybody. A test greps every body for the identifiers
of the cohort.
"""

from collections.abc import Sequence

from streams.delivery.references import PAGES
from tables.alert_rows import Alert

__all__ = ["MAX_BUNDLE", "body", "subject"]

#: Alerts in one text: more would not fit the 1,600 characters that a provider takes.
MAX_BUNDLE = 12
#: Characters of what an alert is about: a ward's name may be longer, and a text of twelve not.
_MOST = 100

_TIER = {"urgent": "URGENT", "warning": "Warning", "watch": "Watch"}
_NO_DEVICE = "Vigil is not a medical device."


def subject(alerts: Sequence[Alert]) -> str:
    """Subject of a mail."""
    if len(alerts) == 1:
        return f"Vigil: {_what(alerts[0])}, ref {alerts[0].reference}"
    return f"Vigil: {len(alerts)} alerts, first ref {alerts[0].reference}"


def body(alerts: Sequence[Alert], link: str | None, possible_repeat: bool) -> str:
    """Text of a page.

    Args:
        alerts: that it is about, at most `MAX_BUNDLE`.
        link: with ``{reference}`` in it; None leaves it out.
        possible_repeat: whether the person may have got the same page before.
    """
    lines = ["(Possible repeat.)"] if possible_repeat else []
    for alert in alerts:
        line = f"{_what(alert)}. {PAGES}{alert.reference}"
        if link is not None and len(alerts) == 1:
            line += " " + link.replace("{reference}", alert.reference)
        lines.append(line)
    example = alerts[0].reference
    lines.append(f"Reply ACK {example} to accept, ESC to pass on, NO to decline. {_NO_DEVICE}")
    return "\n".join(lines)


def _what(alert: Alert) -> str:
    tier = _TIER[alert.tier]
    about = alert.subject
    if alert.kind == "patient":
        about = f"sepsis alert on {alert.unit_id or 'an unnamed unit'}"
    # in one line: a subject of a mail has no other
    said = f"{tier}: {' '.join(about.split())}"
    return said if len(said) <= _MOST else said[: _MOST - 1] + "…"

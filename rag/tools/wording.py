"""How numbers and times read: with unit, time, and how long ago that was."""

from collections.abc import Iterable, Sequence

from config.clock import from_ms
from config.guidance import guidance
from models.vitals import SCALE, VITALS, VitalSign
from streams.plain import plain
from tables.ward_rows import Snapshot

__all__ = [
    "OLD_MS",
    "about",
    "ago",
    "basis",
    "moment",
    "percent",
    "said",
    "signed",
    "table",
    "unit_of",
    "value_of",
    "when",
]

#: From this age on it is said that a reading is old; charts are kept hourly.
OLD_MS = 2 * 3_600_000

_MINUTE_MS = 60_000
#: UCUM is for machines.
_READABLE = {"/min": "/min", "Cel": "°C", "%": "%", "mm[Hg]": "mmHg"}


def unit_of(vital: VitalSign) -> str:
    """Unit as people write it."""
    return _READABLE[vital.unit]


def value_of(column: int, hundredths: int | None) -> str:
    """Value with its unit, as it is charted: whole, temperature to a tenth.

    >>> value_of(3, 3846)
    '38.5 °C'
    """
    if hundredths is None:
        return "-"
    vital = VITALS[column]
    digits = 1 if vital.name == "temperature" else 0
    return f"{hundredths / SCALE:.{digits}f} {unit_of(vital)}"


def percent(risk: float) -> str:
    """Risk as people read it.

    >>> percent(0.0421)
    '4.2%'
    """
    return f"{risk:.1%}"


def signed(number: float, digits: int = 2) -> str:
    """Number with its sign."""
    return f"{number:+.{digits}f}"


def ago(ms: int) -> str:
    """How long ago.

    >>> ago(0), ago(5 * 60_000), ago(125 * 60_000), ago(50 * 3_600_000)
    ('just now', '5 min ago', '2 h 5 min ago', '2 d 2 h ago')
    """
    minutes = max(ms, 0) // _MINUTE_MS
    if minutes == 0:
        return "just now"
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h")] if days else [(hours, "h"), (minutes, "min")]
    return " ".join(f"{n} {name}" for n, name in parts if n) + " ago"


def moment(ms: int, now_ms: int) -> str:
    """Time in UTC; with its date where that is not today's."""
    at, now = from_ms(ms), from_ms(now_ms)
    return f"{at:%H:%M} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M} UTC"


def when(ms: int, now_ms: int) -> str:
    """Time and how long ago it was."""
    return f"{moment(ms, now_ms)} ({ago(now_ms - ms)})"


def about(patient: Snapshot) -> str:
    """The patient, and where."""
    unit = patient.newest.unit_id
    return f"patient {plain(patient.patient_id)}" + (f" on {plain(unit)}" if unit else "")


def basis(patient: Snapshot, now_ms: int) -> str:
    """What it rests on: the reading, its age and the model."""
    newest = patient.newest
    text = (
        f"Basis: reading of {when(newest.observed_ms, now_ms)}, "
        f"model {plain(newest.model_name)} {plain(newest.model_version)}."
    )
    if now_ms - newest.observed_ms >= OLD_MS:
        text += " This is old: nothing newer has come. Look at the patient."
    return text


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Small table in plain text; cells of a feed are made safe for a terminal.

    >>> print(table(["a", "b"], [["1", "23"]]))
    a  b
    1  23
    """
    lines = [list(head), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def said(*parts: str) -> str:
    """The whole text: parts that say something, and the disclaimer."""
    return "\n".join([*(part for part in parts if part), guidance().disclaimer])

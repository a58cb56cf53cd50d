"""The ward board: the newest recommendation of each patient, highest risk first.

`Board` knows nothing of Kafka: recommendations go in, a rich renderable or a snapshot comes out.
Ages are measured against the newest observed time on the board, so that replayed history does not
look stale.
"""

import math
from bisect import bisect_left
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec
from rich.console import Group, RenderableType
from rich.text import Text

from config.clock import iso, to_ms
from models.vitals import VITALS
from streams.events import Tier
from streams.pagelist import PageList
from streams.plain import plain

__all__ = ["DISCLAIMER", "Board", "Status"]

DISCLAIMER = "Not a medical device"

#: Risks of a patient that the trend shows.
TREND = 12
#: A patient without readings for so long (event time) moves to the bottom of the board. Rows are
#: never taken off it: a lead that fell off must not look like a discharge.
SILENT_MS = 12 * 3_600_000
#: From this age on a reading's age is highlighted; charts are kept hourly.
OLD_MS = 2 * 3_600_000
#: An older value is not shown in place of one that is missing on the newest reading.
CARRIED_MS = 8 * 3_600_000

#: Lines of pages below the patients, with their head; and from which height on there are any.
_PAGES, _PAGES_FROM = 5, 16

#: Columns that it takes to show everybody's main factor; narrower: that of the highest risk.
_FACTOR_FROM = 104

TIERS: tuple[Tier, ...] = ("urgent", "warning", "watch", "none")
_STYLES = {"urgent": "bold white on red", "warning": "bold yellow", "watch": "cyan", "none": "dim"}
_BARS = "▁▂▃▄▅▆▇█"
_WIRE = {vital.name: vital.wire for vital in VITALS}


class _Factor(msgspec.Struct):
    name: str
    text: str
    contribution: float = 0.0


class _News2(msgspec.Struct):
    total: int


class _Shown(msgspec.Struct):
    """What the board needs of `streams.events.Recommendation`; the rest is ignored."""

    recommendation_id: str
    patient_id: str
    observed_at: datetime
    risk: float
    tier: Tier
    news2: _News2
    model_name: str
    model_version: str
    original_data: dict[str, Any]
    unit_id: str | None = None
    factors: list[_Factor] = []


_decode = msgspec.json.Decoder(_Shown).decode


@dataclass(slots=True)
class Status:
    """What a board's feed tells about itself; shown in the header.

    Attributes:
        rate: recommendations a second; None = not known.
        dead_letters: seen since the board was opened.
        lag: records that are there and not read yet.
        note: where the patients come from, or what is going on.
    """

    rate: float | None = None
    dead_letters: int = 0
    lag: int = 0
    note: str = ""


@dataclass(slots=True)
class _Row:
    shown: _Shown
    at_ms: int
    trend: list[tuple[int, float]] = field(default_factory=list)  # (ms, risk), ascending
    values: dict[str, tuple[int, float]] = field(default_factory=dict)  # wire name: (ms, value)


class Board:
    """The newest recommendation of each patient.

    Attributes:
        status: shown in the header; whoever feeds the board keeps it up to date.
        pages: shown below the patients where there are any; fed with the changes of alerts.
        taken: recommendations so far.
        skipped: messages that were no recommendation.

    >>> board = Board()
    >>> board.update({"patient_id": "p1"})
    False
    >>> board.skipped
    1
    """

    def __init__(self, *, unit: str | None = None, patients: int = 2_000) -> None:
        """Set up an empty board.

        Args:
            unit: only patients of this unit; None = all.
            patients: how many are kept; the one that was silent for longest makes room.
        """
        self.status = Status()
        self.pages = PageList()
        self.taken = self.skipped = 0
        self._measured = 0
        self._unit = unit
        self._limit = patients
        self._rows: OrderedDict[str, _Row] = OrderedDict()
        self._newest_ms = 0

    def __len__(self) -> int:
        return len(self._rows)

    def update(self, recommendation: dict[str, Any]) -> bool:
        """Take in a recommendation, as `streams.events.Recommendation` describes it.

        Returns:
            Whether it was one; what is not is counted in `skipped`.
        """
        return self._take(lambda: msgspec.convert(recommendation, _Shown))

    def update_json(self, value: bytes | None) -> bool:
        """Take in a recommendation as it is on the topic.

        Returns:
            Whether it was one; what is not is counted in `skipped`.
        """
        return self._take(lambda: _decode(value or b""))

    def _take(self, read: Callable[[], _Shown]) -> bool:
        try:
            shown = read()
            at_ms = to_ms(shown.observed_at)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self.skipped += 1
            return False
        self.taken += 1
        if self._unit is None or shown.unit_id == self._unit:
            self._put(shown, at_ms)
        return True

    def _put(self, shown: _Shown, at_ms: int) -> None:
        row = self._rows.get(shown.patient_id)
        if row is None:
            row = self._rows[shown.patient_id] = _Row(shown, at_ms)
            if len(self._rows) > self._limit:
                self._rows.popitem(last=False)
        self._rows.move_to_end(shown.patient_id)
        self._newest_ms = max(self._newest_ms, at_ms)
        # a late reading, or a repeat after a worker's restart, belongs into the past of the row
        if at_ms >= row.at_ms:
            row.shown, row.at_ms = shown, at_ms
        place = bisect_left(row.trend, (at_ms, -1.0))
        if place < len(row.trend) and row.trend[place][0] == at_ms:
            row.trend[place] = (at_ms, shown.risk)
        else:
            row.trend.insert(place, (at_ms, shown.risk))
            del row.trend[:-TREND]
        for wire in _WIRE.values():
            value = shown.original_data.get(wire)
            if isinstance(value, int | float) and at_ms >= row.values.get(wire, (at_ms,))[0]:
                row.values[wire] = (at_ms, float(value))

    def measure(self, seconds: float) -> None:
        """Work out the rate from what was taken in since the last call, so many seconds ago."""
        self.status.rate = (self.taken - self._measured) / seconds
        self._measured = self.taken

    def _sorted(self) -> list[_Row]:
        """Highest risk first; patients without news last."""
        return sorted(
            self._rows.values(),
            key=lambda row: (
                self._silent(row),
                -row.shown.risk,
                row.shown.patient_id,
            ),
        )

    def _silent(self, row: _Row) -> bool:
        return self._newest_ms - row.at_ms >= SILENT_MS

    def tiers(self) -> dict[str, int]:
        """Count patients by tier, most urgent first."""
        counts = Counter(row.shown.tier for row in self._rows.values())
        return {tier: counts[tier] for tier in TIERS}

    def snapshot(self) -> dict[str, Any]:
        """Return the board as JSON, patients in its order; vital signs of the newest reading."""
        return {
            "newest_observed_at": iso(self._newest_ms) if self._rows else None,
            "tiers": self.tiers(),
            "rate": self.status.rate,
            "dead_letters": self.status.dead_letters,
            "lag": self.status.lag,
            "skipped": self.skipped,
            "patients": [
                {
                    "patient_id": row.shown.patient_id,
                    "unit_id": row.shown.unit_id,
                    "observed_at": iso(row.at_ms),
                    "age_s": (self._newest_ms - row.at_ms) / 1000,
                    "risk": row.shown.risk,
                    "tier": row.shown.tier,
                    "trend": [risk for _, risk in row.trend],
                    "news2": row.shown.news2.total,
                    "factor": row.shown.factors[0].text if row.shown.factors else None,
                    **{
                        name: row.values[wire][1]
                        if wire in row.values and row.values[wire][0] == row.at_ms
                        else None
                        for name, wire in _WIRE.items()
                    },
                    "model_name": row.shown.model_name,
                    "model_version": row.shown.model_version,
                    "recommendation_id": row.shown.recommendation_id,
                }
                for row in self._sorted()
            ],
            "disclaimer": DISCLAIMER,
        }

    def render(self, width: int, height: int) -> RenderableType:
        """Draw the board into ``width`` columns and ``height`` lines.

        From 80 columns on every vital sign has its place; wider ones add the main factor, the unit
        and the model. Brackets mark a value that the newest reading did not carry.
        """
        rows = self._sorted()
        notes = [self._footer()]
        if height >= _PAGES_FROM:
            notes = [*self.pages.lines(_PAGES), *notes]
        if width < _FACTOR_FROM and rows and rows[0].shown.factors:
            notes.insert(0, Text(f"{plain(rows[0].shown.patient_id)}: ").append(_factor(rows[0])))
        room = max(1, height - 3 - len(notes))  # title, counts and column heads
        if len(rows) > room:
            shown = max(1, room - 1)
            notes.insert(0, Text(f"… and {len(rows) - shown} more patients", style="dim"))
            rows = rows[:shown]
        if not rows:
            notes.insert(0, Text("Waiting for recommendations …", style="dim"))
        heads = [self._title(), self._counts()]
        for line in (*heads, *notes):
            line.truncate(width, overflow="ellipsis")
        return Group(*heads, *self._lines(rows, width), *notes)

    def _title(self) -> Text:
        title = Text(f"Vigil  {len(self._rows):,} patients", style="bold")
        if self._unit is not None:
            title.append(f"  unit {plain(self._unit)}")
        if self._rows:
            title.append(f"  {iso(self._newest_ms)[:16].replace('T', ' ')} UTC", style="not bold")
        if self.status.note:
            title.append(f"  {plain(self.status.note)}", style="not bold italic")
        return title

    def _counts(self) -> Text:
        counts = Text("  ").join(
            Text(f"{tier} {count:,}", style=_STYLES[tier] if count else "dim")
            for tier, count in self.tiers().items()
        )
        if silent := sum(self._silent(row) for row in self._rows.values()):
            counts.append(f"  silent {silent:,}", style="yellow")
        status = self.status
        if status.rate is not None:
            counts.append(f"  {status.rate:,.0f}/s")
        counts.append(f"  lag {status.lag:,}")
        counts.append(
            f"  dead letters {status.dead_letters:,}", style="red" if status.dead_letters else ""
        )
        if self.skipped:
            counts.append(f"  skipped {self.skipped:,}", style="yellow")
        return counts

    def _footer(self) -> Text:
        models = Counter(
            f"{row.shown.model_name} {row.shown.model_version}" for row in self._rows.values()
        )
        footer = Text(DISCLAIMER, style="bold")
        if models:
            names = ", ".join(plain(name) for name, _ in models.most_common())
            footer.append(f"  model {names}", style="not bold dim")
        return footer

    def _lines(self, rows: Sequence[_Row], width: int) -> list[Text]:
        """Column heads and rows; laid out here because a rich table takes ten times as long."""
        units = any(row.shown.unit_id is not None for row in rows)
        columns = [
            column
            for column in _COLUMNS
            if width >= column.from_width and (units or column.head != "Unit")
        ]
        spare = max(0, width - sum(column.width + 1 for column in columns) + 1)
        grows = sum(column.grows for column in columns)
        widths = [column.width + spare * column.grows // grows for column in columns]

        def line(cells: Iterable[Text], style: str) -> Text:
            whole = Text(style=style, no_wrap=True, end="\n")
            for column, space, cell in zip(columns, widths, cells, strict=True):
                cell.truncate(space, overflow="ellipsis")
                cell.align(column.justify, space)
                whole.append_text(cell).append(" ")
            whole.right_crop()
            return whole

        lines = [line((Text(column.head) for column in columns), "bold")]
        for row in rows:
            age_ms = self._newest_ms - row.at_ms
            cells = (column.cell(row, age_ms) for column in columns)
            lines.append(line(cells, "dim" if self._silent(row) else ""))
        return lines


@dataclass(frozen=True, slots=True)
class _Column:
    head: str
    width: int
    cell: Callable[[_Row, int], Text]
    justify: Literal["left", "right"] = "right"
    from_width: int = 0
    grows: int = 0


def _vital(name: str, decimals: int = 0) -> Callable[[_Row, int], Text]:
    return lambda row, _: _value(row, [_WIRE[name]], f"{{:.{decimals}f}}")


def _value(row: _Row, wires: Sequence[str], pattern: str) -> Text:
    """Format values of one time; in brackets where they are older than the newest reading."""
    known = [row.values.get(wire) for wire in wires]
    if any(value is None for value in known):
        return Text("-", style="dim")
    times, values = zip(*[value for value in known if value is not None], strict=True)
    if row.at_ms - min(times) > CARRIED_MS:
        return Text("-", style="dim")
    text = pattern.format(*values)
    return Text(text) if min(times) == row.at_ms else Text(f"({text})", style="dim")


def _pulse(row: _Row, _: int) -> Text:
    """Heart rate of the ECG; the oximeter's pulse where there is none."""
    ecg, pulse = (row.values.get(_WIRE[name]) for name in ("heart_rate", "pulse_rate"))
    newer = pulse is not None and (ecg is None or pulse[0] > ecg[0])
    return _value(row, [_WIRE["pulse_rate" if newer else "heart_rate"]], "{:.0f}")


def _risk(row: _Row, _: int) -> Text:
    risk = f"{row.shown.risk:.1%}"
    return Text(risk if len(risk) <= 5 else f"{row.shown.risk:.0%}", style="bold")


def _trend(row: _Row, _: int) -> Text:
    """Sparkline of the last risks from 0 to 1, on a square-root scale: most risks are small."""
    tops = [math.sqrt(min(max(risk, 0.0), 1.0)) * len(_BARS) for _, risk in row.trend]
    bars = [_BARS[min(int(top), len(_BARS) - 1)] for top in tops]
    return Text("".join(bars), style=_STYLES[row.shown.tier].replace(" on red", ""))


def _age(_: _Row, age_ms: int) -> Text:
    minutes = age_ms // 60_000
    text = f"{minutes}m" if minutes < 60 else f"{minutes // 60}h"
    if minutes >= 2 * 1440:
        text = f"{minutes // 1440}d"
    return Text(text, style="yellow" if age_ms >= OLD_MS else "dim")


def _factor(row: _Row) -> Text:
    return Text(plain(row.shown.factors[0].text) if row.shown.factors else "")


_COLUMNS = (
    _Column("Patient", 9, lambda row, _: Text(plain(row.shown.patient_id)), "left", grows=1),
    _Column("Unit", 8, lambda row, _: Text(plain(row.shown.unit_id or "")), "left", 112),
    _Column("Risk", 5, _risk),
    _Column("Tier", 7, lambda row, _: Text(row.shown.tier, _STYLES[row.shown.tier]), "left"),
    _Column("Trend", TREND, _trend, "left"),
    _Column("HR", 5, _pulse),
    _Column("RR", 4, _vital("resp_rate")),
    _Column("Temp", 6, _vital("temperature", 1)),
    _Column("SpO2", 5, _vital("spo2")),
    _Column("BP", 9, lambda row, _: _value(row, [_WIRE["sbp"], _WIRE["dbp"]], "{:.0f}/{:.0f}")),
    _Column("NEWS2", 5, lambda row, _: Text(str(row.shown.news2.total))),
    _Column("Age", 3, _age),
    _Column("Main factor", 20, lambda row, _: _factor(row), "left", _FACTOR_FROM, grows=3),
    _Column(
        "Model",
        16,
        lambda row, _: Text(plain(f"{row.shown.model_name} {row.shown.model_version}")),
        "left",
        150,
    ),
)

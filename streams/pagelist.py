"""The newest pages on a board: who was paged about which ward, and what became of it.

Fed with the changes on `alerts`; knows nothing of Kafka. People stand in it by their contact ids,
patients not at all.
"""

from collections import OrderedDict

import msgspec
from rich.text import Text

from streams.plain import plain

__all__ = ["PageList"]

#: Pages that are kept; older ones make room.
_KEPT = 50
_OUT = ("sent", "delivered")
_OF_PAGES = frozenset(("queued", "sending", "sent", "delivered", "failed", "in_doubt"))
_STYLES = {"urgent": "bold white on red", "warning": "bold yellow", "watch": "cyan"}
_STATE_STYLES = {"sent": "green", "delivered": "green", "failed": "red", "in_doubt": "red"}
#: States of an alert that are worth a word behind its pages.
_WORTH = frozenset(("accepted", "declined", "unanswered", "resolved"))


class _Change(msgspec.Struct):
    """What is needed of `streams.alert_events.AlertChange`."""

    alert_id: str
    reference: str
    kind: str
    tier: str
    state: str
    subject: str = ""
    patient_id: str | None = None
    unit_id: str | None = None
    contact: str | None = None
    channel: str | None = None
    step: int | None = None
    possible_repeat: bool = False


_decode = msgspec.json.Decoder(_Change).decode


class PageList:
    """Alerts and pages by their ids.

    Attributes:
        hint: how an alert is accepted, with ``{reference}`` in it; "" = it is not told.
        alerts: of patients, so far.
        over_budget: of them, held back because their unit's budget is spent.

    >>> PageList().update_json(b"{}")
    False
    """

    def __init__(self) -> None:
        self.hint = ""
        self.alerts = self.over_budget = 0
        self._out: set[tuple[str, str]] = set()
        self._known: set[str] = set()
        self._newest: OrderedDict[tuple[str, str], _Change] = OrderedDict()
        self._alert_states: dict[str, str] = {}

    def update_json(self, value: bytes | None) -> bool:
        """Take in a change as it is on the topic; tell whether it was one."""
        try:
            change = _decode(value or b"")
        except msgspec.MsgspecError:
            return False
        if change.channel is not None and change.contact is not None:
            self._page(change, change.contact)
        elif change.state == "raised":
            if change.alert_id not in self._known and change.kind == "patient":
                self.alerts += 1
            self._known.add(change.alert_id)
        else:
            self.over_budget += change.state == "over_budget"
            self._alert_states[change.alert_id] = change.state
        return True

    def _page(self, change: _Change, contact: str) -> None:
        place = change.alert_id, contact
        if change.state in _OUT:
            self._out.add(place)
        self._newest.setdefault(place, change)
        self._newest[place] = change
        if len(self._newest) > _KEPT:
            self._newest.popitem(last=False)

    @property
    def pages(self) -> int:
        """Pages that a provider has taken, each to one person about one alert."""
        return len(self._out)

    @property
    def under_way(self) -> bool:
        """Whether a provider has one in hand."""
        return any(change.state in ("sending", "in_doubt") for change in self._newest.values())

    def lines(self, most: int) -> list[Text]:
        """Draw them, the newest first, in so many lines; none where there is no page."""
        if not self._newest or most < 2:
            return []
        head = Text(f"Pages  {self.pages:,} of {self.alerts:,} alerts", style="bold")
        if self.over_budget:
            head.append(f"  over budget {self.over_budget:,}", style="not bold yellow")
        newest = list(reversed(self._newest.values()))
        if self.hint:
            said = self.hint.replace("{reference}", newest[0].reference)
            head.append(f"  accept: {said}", style="not bold dim")
        return [head, *(self._line(change) for change in newest[: most - 1])]

    def _line(self, change: _Change) -> Text:
        about = f"ward {change.unit_id or 'unnamed'}"
        if change.kind != "patient":
            about = change.subject
        line = Text.assemble(
            (f"{plain(change.tier):<7}", _STYLES.get(change.tier, "")),
            f" {plain(about)}  ref {plain(change.reference)} to {plain(change.contact or '')}",
            f" by {plain(change.channel or '')}: ",
            (plain(change.state.replace("_", " ")), _STATE_STYLES.get(change.state, "")),
        )
        if change.possible_repeat:
            line.append(", possible repeat")
        alert = self._alert_states.get(change.alert_id)
        if alert in _WORTH:
            line.append(f", alert {alert}", style="dim")
        return line

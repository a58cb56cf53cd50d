"""All alerts and pages that are known, what has changed of them, and what is to be stored."""

from collections import defaultdict
from dataclasses import dataclass

from streams.delivery.references import new_reference
from tables.alert_rows import Alert, Page, Row, encode, key_of

__all__ = ["AlertBook", "Change"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change: of an alert, or of one page of it.

    Attributes:
        change_id: deterministic.
        alert: that it is of.
        state: that the alert, or the page, has from here on.
        at_ms: event time.
        step: of the escalation, at the time.
        page: None where it is of the alert.
        by: who brought it about, a contact of the policy or another name; None = nobody.
        channel: of the page, at the time.
        possible_repeat: of the page, at the time.
        detail: for people.
    """

    change_id: str
    alert: Alert
    state: str
    at_ms: int
    step: int
    page: Page | None = None
    by: str | None = None
    channel: str | None = None
    possible_repeat: bool = False
    detail: str = ""


class AlertBook:
    """Alerts and pages by their ids.

    Attributes:
        alerts: by alert id.
        pages: by page id.
        pages_of: ids of pages, by alert id.
        of_episode: ids of alerts, by patient and begin of the episode.
    """

    def __init__(self) -> None:
        self.alerts: dict[str, Alert] = {}
        self.pages: dict[str, Page] = {}
        self.pages_of: dict[str, list[str]] = defaultdict(list)
        self.of_episode: dict[tuple[str, int], list[str]] = defaultdict(list)
        self._references: dict[str, str] = {}
        self._changes: list[Change] = []
        self._dirty: dict[bytes, Row | None] = {}

    def find(self, name: str) -> Alert | None:
        """Find an alert by its id, or by its reference in any case."""
        return self.alerts.get(name) or self.alerts.get(
            self._references.get(name.strip().upper(), "")
        )

    def new_reference(self, alert_id: str) -> str:
        """Make a reference that no alert has that is kept."""
        return new_reference(alert_id, self._references)

    def index(self, row: Alert | Page) -> None:
        """Put in what was stored before."""
        if isinstance(row, Page):
            self.pages[row.page_id] = row
            self.pages_of[row.alert_id].append(row.page_id)
            return
        self.alerts[row.alert_id] = row
        self._references[row.reference] = row.alert_id
        if row.patient_id is not None:
            self.of_episode[row.patient_id, row.episode_ms or 0].append(row.alert_id)

    def add(self, row: Alert | Page) -> None:
        """Put in what is new."""
        self.index(row)
        self.touch(row)

    def touch(self, row: Row) -> None:
        """Note that a row is to be stored as it will be when `drain` is called."""
        self._dirty[key_of(row)] = row

    def drop(self, row: Row) -> None:
        """Note that a row is to be stored no more."""
        self._dirty[key_of(row)] = None

    def forget(self, alert: Alert) -> None:
        """Take out an alert with its pages."""
        for page_id in self.pages_of.pop(alert.alert_id, ()):
            self.drop(self.pages.pop(page_id))
        del self.alerts[alert.alert_id]
        del self._references[alert.reference]
        if alert.patient_id is not None:
            place = alert.patient_id, alert.episode_ms or 0
            self.of_episode[place].remove(alert.alert_id)
            if not self.of_episode[place]:
                del self.of_episode[place]
        self.drop(alert)

    def change(
        self,
        alert: Alert,
        state: str,
        at_ms: int,
        *,
        page: Page | None = None,
        by: str | None = None,
        detail: str = "",
    ) -> None:
        """Tell a change; the alert's or the page's row is stored with it.

        The id is made of the alert, the number of its change and the page, so that one that is told
        again after a crash has the id that it had before. What was told and not stored may come in
        another order then: without the page, two would pass for one.
        """
        of_page = "" if page is None else f"-{page.page_id[:8]}"
        change_id = f"{alert.alert_id}-{alert.changes}-{state}{of_page}"
        alert.changes += 1
        self.touch(alert)
        if page is not None:
            self.touch(page)
        self._changes.append(
            Change(
                change_id,
                alert,
                state,
                at_ms,
                alert.step if page is None else page.step,
                page,
                by,
                page.channels[0] if page is not None and page.channels else None,
                page is not None and page.possible_repeat,
                detail,
            )
        )

    def drain(self) -> tuple[list[Change], dict[bytes, bytes | None]]:
        """What has changed since the last time, in order, and what is to be stored."""
        changes, dirty = self._changes, self._dirty
        self._changes, self._dirty = [], {}
        return changes, {key: None if row is None else encode(row) for key, row in dirty.items()}

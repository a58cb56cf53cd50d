"""How many texts a person gets: limits, and what is over them waits and goes as one.

The limits are those of GoAlert: one a minute, five in a quarter of an hour, and so on. They count
requests that were begun, because one whose answer was lost may have arrived.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Protocol

__all__ = ["Limit", "Throttle"]

_MINUTE_MS = 60_000


class Limit(Protocol):
    """So many texts in so many minutes."""

    @property
    def texts(self) -> int:
        """How many."""

    @property
    def minutes(self) -> float:
        """In how long."""


class Throttle:
    """When each contact was last written to, in event time."""

    def __init__(self) -> None:
        self._sent: dict[str, deque[tuple[int, int]]] = defaultdict(deque)

    def allowed_at(self, contact: str, limits: Sequence[Limit]) -> int:
        """Event time, ms, from which a contact may be written to again; 0 = at once."""
        sent = self._sent.get(contact)
        if not sent:
            return 0
        free = 0
        for limit in limits:
            if len(sent) >= limit.texts:
                free = max(free, sent[-limit.texts][0] + round(limit.minutes * _MINUTE_MS))
        return free

    def note(self, contact: str, at_ms: int, limits: Sequence[Limit], mark: int) -> None:
        """Count a text, once however many alerts are in it.

        Args:
            contact: who gets it.
            at_ms: event time.
            limits: of the contact.
            mark: tells it from the contact's others.
        """
        sent = self._sent[contact]
        if sent and sent[-1][1] == mark:
            return
        sent.append((at_ms, mark))
        most = max((limit.texts for limit in limits), default=0)
        while len(sent) > most:
            sent.popleft()

    def take_back(self, contact: str, mark: int) -> None:
        """Do not count a text: the provider has not taken it."""
        sent = self._sent.get(contact)
        if sent:
            self._sent[contact] = deque(text for text in sent if text[1] != mark)

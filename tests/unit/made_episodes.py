"""Recommendations and a policy for tests of episodes."""

import math
from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec

from config.clock import iso
from config.policy import Policy, load_policy
from tables.episodes import Came, Episodes, Told, decode
from tests.helpers import HOUR, T0

__all__ = ["Ward", "events", "policy", "recommendation"]

#: Log-odds at which a tier begins here.
LINES = {"watch": -3.0, "warning": -2.0, "urgent": -1.0}
_CALM = -5.0


_shipped = cache(load_policy)


def policy(**rules: Any) -> Policy:
    """The policy that ships, with tiers that the risk alone leads to; other rules as given."""
    shipped = _shipped()
    plain = {tier: {"recommended": tier} for tier in LINES}
    episodes = {"tiers": plain} | rules
    return Policy.model_validate(shipped.model_dump() | {"episodes": episodes})


def tier_of(logit: float) -> str:
    return next((tier for tier in ("urgent", "warning", "watch") if logit >= LINES[tier]), "none")


def recommendation(
    hour: float,
    logit: float = _CALM,
    *,
    patient: str = "a",
    unit: str | None = "icu",
    tier: str | None = None,
    news2: int = 0,
    **more: Any,
) -> bytes:
    """Encode what the bedside would send, as far as it is looked at."""
    at = iso(T0 + round(hour * HOUR))
    told: dict[str, Any] = {
        "recommendation_id": f"{patient}-{hour}",
        "patient_id": patient,
        "unit_id": unit,
        "observed_at": at,
        "risk": 1 / (1 + math.exp(-logit)),
        "tier": tier or tier_of(logit),
        "news2": {"total": news2, "points": {}, "missing": [], "rule": "x"},
        "processing": {"produced_at": at, "scored_at": at, "scoring_us": 1.0},
        "factors": [],
    }
    return msgspec.json.encode(told | more)


def events(told: Iterable[tuple[bytes | None, bytes]], *, census: bool = False) -> list[Any]:
    """Decode what was told."""
    found = [msgspec.json.decode(value) for _, value in told]
    return [event for event in found if census or event["type"] != "census"]


class Ward:
    """Episodes in front of a store; each recommendation is the next record of partition 0."""

    def __init__(self, chosen: Policy | None = None, *, capacity: int = 100) -> None:
        self.policy, self._capacity = chosen or policy(), capacity
        self.stored: dict[bytes, bytes] = {}
        self.offset = 0
        self.now_ms = T0
        self.committed = 0
        self.restart()

    def restart(self) -> None:
        """Begin anew with what is stored."""
        self.episodes = Episodes(
            lambda _, keys: [self.stored.get(key) for key in keys],
            self.policy,
            capacity=self._capacity,
        )

    def apply(self, came: Came) -> Told:
        """Take in and store."""
        told = self.episodes.apply(0, came, self.committed)
        self.keep(told.writes)
        return told

    def keep(self, writes: dict[bytes, bytes | None]) -> None:
        """Store."""
        for key, value in writes.items():
            if value is None:
                self.stored.pop(key, None)
            else:
                self.stored[key] = value

    def told(self, *values: bytes, offset: int | None = None) -> Told:
        """Return what comes of recommendations in one batch, from an offset on or the next."""
        came = Came()
        at = self.offset if offset is None else offset
        for number, value in enumerate(values, at):
            came.add(decode(value), number, self.now_ms)
        self.offset = max(self.offset, at + len(values))
        return self.apply(came)

    def sees(self, hour: float, logit: float = _CALM, **more: Any) -> list[str]:
        """Return what one recommendation leads to, in a word each."""
        told = events(self.told(recommendation(hour, logit, **more)).events)
        return [_word(event) for event in told]


def _word(event: Any) -> str:
    if event["type"] == "resolved":
        return "resolved"
    return f"higher {event['tier']}" if event["higher"] else str(event["tier"])

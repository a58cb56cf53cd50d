"""The alert budget of each unit: so many pages a patient and day, by tier.

What a unit may have grows with the time that its patients were watched. That is counted on each
partition of the recommendations, and comes as a census of each.

Pure: says what is to be stored.
"""

from collections.abc import Iterable

import msgspec

from config.policy import Budget as Rules
from streams.alert_events import PagedTier

__all__ = ["Budget"]

_DAY_HOURS = 24
_UNIT, _NO_UNIT = b"bu", b"bn"


class _Unit(msgspec.Struct, array_like=True):
    """What is kept of a unit.

    Attributes:
        name: of it.
        hours: watched, by partition.
        spent: alerts, by tier.
    """

    name: str | None
    hours: dict[int, float] = {}
    spent: dict[str, int] = {}


_VERSION = b"\x01"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Unit).decode


class Budget:
    """What units have spent, and may.

    Args:
        rules: of the alert policy.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._units: dict[str | None, _Unit] = {}
        self._changed: set[str | None] = set()

    def census(self, unit: str | None, partition: int, hours: float) -> None:
        """Note how long a unit's patients were watched; one that comes late counts for nothing."""
        known = self._unit(unit)
        if hours > known.hours.get(partition, 0.0):
            known.hours[partition] = hours
            self._changed.add(unit)

    def admits(self, unit: str | None, tier: PagedTier) -> bool:
        """Whether one more alert of a tier is within the budget."""
        return self.spent(unit, tier) + 1 <= self.allowed(unit, tier)

    def spend(self, unit: str | None, tier: PagedTier) -> None:
        """Count an alert that pages, be it within the budget or not."""
        known = self._unit(unit)
        known.spent[tier] = known.spent.get(tier, 0) + 1
        self._changed.add(unit)

    def spent(self, unit: str | None, tier: PagedTier) -> int:
        """Alerts of a tier so far."""
        known = self._units.get(unit)
        return known.spent.get(tier, 0) if known else 0

    def allowed(self, unit: str | None, tier: PagedTier) -> float:
        """Alerts of a tier that the unit may have had by now; infinite where there is no limit.

        The burst is what a unit may have in any case, and not on top of the rest: else small units
        would be over the rate for good.
        """
        rate = self._rules.per_patient_day.get(tier)
        if rate is None:
            return float("inf")
        return max(self._rules.burst, rate * self.patient_days(unit))

    def patient_days(self, unit: str | None) -> float:
        """How long the unit's patients were watched."""
        known = self._units.get(unit)
        # in one order, so that a restored budget has the same sum
        hours = [known.hours[key] for key in sorted(known.hours)] if known else []
        return sum(hours) / _DAY_HOURS

    @property
    def units(self) -> list[str | None]:
        """Those that are known, by name."""
        return sorted(self._units, key=lambda name: name or "")

    def rows(self) -> dict[bytes, bytes]:
        """Return key and state of the units that have changed since it was last asked."""
        changed, self._changed = self._changed, set()
        return {_key(unit): _VERSION + _encode(self._units[unit]) for unit in changed}

    def restore(self, stored: Iterable[tuple[bytes, bytes]]) -> None:
        """Take in what was stored; keys of others are passed over.

        Raises:
            ValueError: it was written by another release.
        """
        for key, value in stored:
            if key[:2] in (_UNIT, _NO_UNIT):
                if value[:1] != _VERSION:
                    raise ValueError("the budget was written by another release: go back to it")
                unit = _decode(value[1:])
                self._units[unit.name] = unit

    def _unit(self, unit: str | None) -> _Unit:
        return self._units.setdefault(unit, _Unit(unit))


def _key(unit: str | None) -> bytes:
    return _NO_UNIT if unit is None else _UNIT + unit.encode()

"""The alert budget of each unit: so many pages a patient and day, by tier.

What a unit may have in a week grows with the time that its patients were watched in it. That is
counted on each partition of the recommendations, and comes as a census of each. A week, so that a
unit that was quiet for a year may not page all night, nor one that had a bad month be silent for
one.

Pure: says what is to be stored.
"""

from collections.abc import Iterable

import msgspec

from config.clock import DAY_MS
from config.policy import Budget as Rules
from streams.alert_events import PagedTier

__all__ = ["WINDOW_DAYS", "Budget"]

#: Days that are looked back on, event time.
WINDOW_DAYS = 7

_DAY_HOURS = 24
_UNIT, _NO_UNIT = b"bu", b"bn"


class _Day(msgspec.Struct, array_like=True):
    """One day of a unit.

    Attributes:
        hours: that patients were watched, all of them together.
        spent: alerts, by tier.
    """

    hours: float = 0.0
    spent: dict[str, int] = {}


class _Unit(msgspec.Struct, array_like=True):
    """What is kept of a unit.

    Attributes:
        name: of it.
        hours: watched since the beginning, by partition, as the newest census says.
        days: of the window, by their number since 1970.
    """

    name: str | None
    hours: dict[int, float] = {}
    days: dict[int, _Day] = {}


_VERSION = b"\x02"
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

    def census(self, unit: str | None, partition: int, hours: float, at_ms: int) -> None:
        """Note how long a unit's patients were watched; one that comes late counts for nothing.

        Args:
            unit: of the hospital; None = patients of none.
            partition: that was counted.
            hours: since the beginning.
            at_ms: event time.
        """
        known = self._unit(unit)
        before = known.hours.get(partition, 0.0)
        # the count began anew: the table that it stands in was made again
        more = hours if hours < before / 2 else hours - before
        if more > 0:
            known.hours[partition] = hours
            self._day(known, at_ms).hours += more
            self._changed.add(unit)

    def admits(self, unit: str | None, tier: PagedTier) -> bool:
        """Whether one more alert of a tier is within the budget."""
        return self.spent(unit, tier) + 1 <= self.allowed(unit, tier)

    def spend(self, unit: str | None, tier: PagedTier, at_ms: int) -> None:
        """Count an alert that pages, be it within the budget or not."""
        day = self._day(self._unit(unit), at_ms)
        day.spent[tier] = day.spent.get(tier, 0) + 1
        self._changed.add(unit)

    def spent(self, unit: str | None, tier: PagedTier) -> int:
        """Alerts of a tier in the window."""
        known = self._units.get(unit)
        return sum(day.spent.get(tier, 0) for day in known.days.values()) if known else 0

    def allowed(self, unit: str | None, tier: PagedTier) -> float:
        """Alerts of a tier that the unit may have in the window; infinite without a limit.

        The burst is what a unit may have in any case, and not on top of the rest: else small units
        would be over the rate for good.
        """
        rate = self._rules.per_patient_day.get(tier)
        if rate is None:
            return float("inf")
        return max(self._rules.burst, rate * self.patient_days(unit))

    def patient_days(self, unit: str | None) -> float:
        """How long the unit's patients were watched, in the window."""
        known = self._units.get(unit)
        # in one order, so that a restored budget has the same sum
        hours = [known.days[day].hours for day in sorted(known.days)] if known else []
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

    @staticmethod
    def _day(known: _Unit, at_ms: int) -> _Day:
        """Find the day of a time, the oldest for what comes late; days before the window go."""
        newest = max(known.days, default=at_ms // DAY_MS)
        number = max(at_ms // DAY_MS, newest - WINDOW_DAYS + 1)
        for day in [day for day in known.days if day <= number - WINDOW_DAYS]:
            del known.days[day]
        return known.days.setdefault(number, _Day())


def _key(unit: str | None) -> bytes:
    return _NO_UNIT if unit is None else _UNIT + unit.encode()

"""How much one session may ask: a token bucket in event time.

The state is two numbers, for a table; the same questions in the same order are limited alike on
every replay.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Bucket", "RateLimit"]


@dataclass(frozen=True, slots=True)
class Bucket:
    """What a session has left.

    Attributes:
        tokens: questions that it may still ask at once.
        at_ms: event time, ms, of its last question.
    """

    tokens: float
    at_ms: int

    def to_dict(self) -> dict[str, float]:
        """As plain values."""
        return {"tokens": self.tokens, "at_ms": self.at_ms}

    @classmethod
    def from_dict(cls, data: Mapping[str, float]) -> "Bucket":
        """Of plain values.

        Raises:
            ValueError: they are not a bucket's.
        """
        try:
            return cls(float(data["tokens"]), int(data["at_ms"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"not the state of a rate limit: {dict(data)!r}: delete the session's state"
            ) from error


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many questions a session may ask.

    Attributes:
        per_minute: in the long run.
        burst: at once.

    Raises:
        ValueError: it would let nothing through.
    """

    per_minute: float = 20.0
    burst: int = 10

    def __post_init__(self) -> None:
        if not (self.per_minute > 0 and self.burst >= 1):
            raise ValueError(
                f"a limit of {self.per_minute} a minute and {self.burst} at once lets nothing "
                "through: set per_minute above 0 and burst to 1 or more"
            )

    def take(self, bucket: Bucket | None, at_ms: int) -> tuple[bool, Bucket]:
        """Ask for a question.

        Args:
            bucket: of the session; None: it has asked nothing yet.
            at_ms: event time, ms. A time before the last one counts as the last one.

        Returns:
            Whether it may be asked, and the session's new state.
        """
        if bucket is None:
            bucket = Bucket(float(self.burst), at_ms)
        now = max(at_ms, bucket.at_ms)
        gained = (now - bucket.at_ms) * self.per_minute / 60_000
        tokens = min(float(self.burst), bucket.tokens + gained)
        if tokens >= 1:
            return True, Bucket(tokens - 1, now)
        return False, Bucket(tokens, now)

    def wait_ms(self, bucket: Bucket) -> int:
        """How long until the session may ask again, ms; 0 = at once."""
        missing = max(0.0, 1 - bucket.tokens)
        return -int(-missing * 60_000 // self.per_minute)

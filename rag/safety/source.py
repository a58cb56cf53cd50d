"""Where rules stand, so that a mistake in one can be shown there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["PatternError", "RulesError", "Source"]


class PatternError(ValueError):
    """A pattern is not in the language of rules."""


class RulesError(ValueError):
    """A file of rules is wrong; the message has one line a mistake: file, line, what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the rules of a file stand.

    Attributes:
        name: of the file.
        lines: of each value by its path.
    """

    name: str
    lines: Mapping[tuple[str | int, ...], int]

    def wrong(self, place: Sequence[str | int], said: str) -> RulesError:
        """The error of a mistake at a place."""
        for end in range(len(place), -1, -1):
            if (line := self.lines.get(tuple(place[:end]))) is not None:
                return RulesError(f"{self.name}, line {line}: {said}")
        return RulesError(f"{self.name}: {said}")

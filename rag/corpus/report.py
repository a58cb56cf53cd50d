"""What was read, what was left out and why: nothing is dropped in silence."""

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Report", "Unreadable"]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that could not be read.

    Attributes:
        name: of the file, from the path that was given on.
        reason: and what to do.
    """

    name: str
    reason: str


@dataclass(slots=True)
class Report:
    """Counts of one build.

    Attributes:
        answered: documents with a text, before duplicates went.
        dropped: reason → how many documents, rows or files were left out for it.
        warnings: what a person may want to mend → how often.
        files: that could not be read.
    """

    answered: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    files: list[Unreadable] = field(default_factory=list)

    def drop(self, reason: str, count: int = 1) -> None:
        """Count what was left out."""
        self.dropped[reason] += count

    def warn(self, text: str, count: int = 1) -> None:
        """Count what was read less well than it might be."""
        self.warnings[text] += count

    def unreadable(self, name: str, reason: str) -> None:
        """Name a file that could not be read."""
        self.files.append(Unreadable(name, reason))

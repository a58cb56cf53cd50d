"""Which documents a search may find."""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Filters"]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which documents may be found; an empty field does not restrict.

    Attributes:
        collections: any of these.
        question_types: any of these.
        focuses: any of these, spelt as in the documents.
    """

    collections: tuple[str, ...] = ()
    question_types: tuple[str, ...] = ()
    focuses: tuple[str, ...] = ()

    def items(self) -> Iterable[tuple[str, tuple[str, ...]]]:
        """Field of `Document` → what it may be; only the fields that restrict."""
        every = {
            "collection": self.collections,
            "question_type": self.question_types,
            "focus": self.focuses,
        }
        return [(field, values) for field, values in every.items() if values]

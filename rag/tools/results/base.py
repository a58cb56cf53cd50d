"""What every result has."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from config.guidance import guidance

__all__ = [
    "NothingKnown",
    "Part",
    "Result",
    "Tier",
]

Tier = Literal["none", "watch", "warning", "urgent"]


class Part(BaseModel):
    """Part of a result."""

    model_config = ConfigDict(frozen=True)


class Result(Part):
    """What every result has.

    Attributes:
        tool: that made it.
        as_of: what ages are measured against.
        text: for people: a sentence or a small table, times, basis and disclaimer.
        disclaimer: the project's.
    """

    tool: str
    as_of: datetime
    text: str
    disclaimer: str = Field(default_factory=lambda: guidance().disclaimer)


class NothingKnown(Result):
    """There is nothing that may be told, though whoever asks may see it."""

"""The gate: what is asked of each message before anything else is done with it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rag.answers import RuleMatch
from rag.safety.emergencies import Emergencies
from rag.safety.numbers import Numbers
from rag.safety.refusals import Refusals

__all__ = ["Safety", "Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say of a message.

    Attributes:
        outcome: None where the message may be answered.
        rules: those that decided, in the order of their files; empty where none did.
        text: for people; empty where the message may be answered.
    """

    outcome: Literal["emergency", "crisis", "refused"] | None
    rules: tuple[RuleMatch, ...] = ()
    text: str = ""


class Safety:
    """All rules about messages.

    Args:
        emergencies: those of emergencies and crises.
        refusals: those of what is not answered.
        numbers: of the region.
    """

    def __init__(self, emergencies: Emergencies, refusals: Refusals, numbers: Numbers) -> None:
        self._emergencies = emergencies
        self._refusals = refusals
        self._numbers = numbers

    @classmethod
    def load(cls, region: str | None = None, numbers: Path | None = None) -> "Safety":
        """Read the rules that ship.

        Args:
            region: whose numbers people are given, ``GB``; None: general words.
            numbers: a file of numbers instead of the one that ships.

        Raises:
            ValueError: there are no numbers for the region.
            RulesError: a file is wrong; the line is told.
            OSError: a file cannot be read.
        """
        return cls(Emergencies(), Refusals(), Numbers(region, numbers))

    @property
    def versions(self) -> tuple[str, str, str]:
        """Of the rules of emergencies, of refusals, and of the numbers."""
        return self._emergencies.version, self._refusals.version, self._numbers.version

    def check(self, message: str) -> Verdict:
        """What the rules say: an emergency comes before a crisis, both before a refusal.

        Args:
            message: as it was written.
        """
        if found := self._emergencies.find(message):
            emergency = any(each.rule.startswith("emergency/") for each in found)
            text = self._numbers.text(tuple(each.rule for each in found))
            return Verdict("emergency" if emergency else "crisis", found, text)
        if refused := self._refusals.find(message):
            return Verdict(
                "refused",
                refused,
                self._refusals.text(refused[0].rule, self._numbers.region.emergency),
            )
        return Verdict(None)

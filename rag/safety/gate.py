"""The gate: what is asked of each message before anything else is done with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rag.answers import RuleMatch
from rag.safety.emergencies import Emergencies
from rag.safety.net import Net, Urgent, shipped
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
        net: that looks a second time; None: the one that ships.
    """

    def __init__(
        self,
        emergencies: Emergencies,
        refusals: Refusals,
        numbers: Numbers,
        net: Net | None = None,
    ) -> None:
        self._emergencies = emergencies
        self._refusals = refusals
        self._numbers = numbers
        self._net = net or shipped()

    @classmethod
    def load(cls, region: str | None = None, numbers: Path | None = None) -> "Safety":
        """Read the rules that ship.

        Args:
            region: whose numbers people are given, ``GB``; None: general words.
            numbers: a file of numbers instead of the one that ships.

        Raises:
            ValueError: there are no numbers for the region.
            RulesError: a file is wrong, and its line is told; or it cannot be read.
            NetError: the net's coefficients are of another version.
        """
        return cls(Emergencies(), Refusals(), Numbers(region, numbers))

    @property
    def versions(self) -> tuple[str, str, str, str]:
        """Of the rules of emergencies, of refusals, of the numbers, and of the net."""
        return (
            self._emergencies.version,
            self._refusals.version,
            self._numbers.version,
            self._net.version,
        )

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

    def second_look(self, messages: Sequence[str], vectors: NDArray[np.float32]) -> list[Verdict]:
        """What the net says of messages that `check` let pass; it only adds to the rules.

        A message in which `check` finds an emergency or a crisis gets that verdict again.

        Args:
            messages: as they were written, not shortened.
            vectors: of the whole messages, as `rag.encoder.Encoder` makes them, shape [n, 384].

        Returns:
            One for each message, in their order.

        Raises:
            ValueError: there is not one vector a message.
        """
        against = [self._emergencies.look(message)[1] for message in messages]
        found = self._net.find(messages, vectors, against)
        return [
            self._with(message, urgent) for message, urgent in zip(messages, found, strict=True)
        ]

    def _with(self, message: str, urgent: Urgent | None) -> Verdict:
        verdict = self.check(message)
        if urgent is None or verdict.outcome in ("emergency", "crisis"):
            return verdict
        rule = RuleMatch(f"net/{urgent}", self._net.version, 0, len(message))
        return Verdict(urgent, (rule,), self._numbers.text((f"{urgent}/net",)))

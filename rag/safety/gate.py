"""The gate: what is asked of each message before anything else is done with it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rag.answers import RuleMatch
from rag.safety.emergencies import Emergencies
from rag.safety.net import Net, Reading, States, shipped
from rag.safety.numbers import Numbers
from rag.safety.refusals import Refusals

__all__ = ["Safety", "Verdict"]


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What rules and net say of a message.

    Attributes:
        outcome: None where the message may be answered.
        rules: those that decided, in the order of their files; empty where none did.
        text: for people; empty where the message may be answered.
        set_aside: rules that matched and do not count, and last the net that was sure of it; empty
            where none was.
    """

    outcome: Literal["emergency", "crisis", "refused"] | None
    rules: tuple[RuleMatch, ...] = ()
    text: str = ""
    set_aside: tuple[RuleMatch, ...] = ()


class Safety:
    """All that is asked of a message before it is answered.

    Args:
        emergencies: those of emergencies and crises.
        refusals: those of what is not answered.
        numbers: of the region.
        net: that reads what rules do not foresee; None: the one that ships.
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
    def load(
        cls,
        region: str | None = None,
        numbers: Path | None = None,
        encoder: States | None = None,
    ) -> "Safety":
        """Read the rules that ship.

        Args:
            region: whose numbers people are given, ``GB``; None: general words.
            numbers: a file of numbers instead of the one that ships.
            encoder: makes what the net reads; None: one of its own.

        Raises:
            ValueError: there are no numbers for the region.
            RulesError: a file is wrong, and its line is told; or it cannot be read.
            NetError: the net's weights are of another version.
        """
        return cls(Emergencies(), Refusals(), Numbers(region, numbers), shipped(encoder))

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
        found = self._emergencies.find(message)
        return self._of_rules(found) if found else self._refused(message)

    def verdicts(self, messages: Sequence[str]) -> list[Verdict]:
        """What rules and net say.

        A match counts unless it hangs on what else the message says and the net is sure that this
        is nothing urgent: a scene of a film, an exam, a figure of speech. What no rule knows the
        net finds. Either is deterministic, and a verdict names what decided it and what was set
        aside. Where the net fails, the rules decide alone.

        Args:
            messages: as they were written, not shortened.

        Returns:
            One for each message, in their order.
        """
        return [self._verdict(message) for message in messages]

    def _read(self, message: str) -> Reading:
        try:
            return self._net.read([message])[0]
        except Exception as error:
            log.error("the safety net cannot read a message: %s", type(error).__name__)
            return Reading(None, surely_not=False)

    def _verdict(self, message: str) -> Verdict:
        found = self._emergencies.look(message)
        if found.matches and found.certain:  # the net, which takes its time, would change nothing
            return self._of_rules(found.matches)
        reading = self._read(message)
        if found.matches and not reading.surely_not:
            return self._of_rules(found.matches)
        if reading.urgent is not None:
            text = self._numbers.text((f"{reading.urgent}/net",))
            return Verdict(reading.urgent, (self._of_net(reading.urgent, message),), text)
        refused = self._refused(message)
        if not found.matches:
            return refused
        return replace(refused, set_aside=(*found.matches, self._of_net("harmless", message)))

    def _of_net(self, what: str, message: str) -> RuleMatch:
        return RuleMatch(f"net/{what}", self._net.version, 0, len(message))

    def _of_rules(self, found: tuple[RuleMatch, ...]) -> Verdict:
        emergency = any(each.rule.startswith("emergency/") for each in found)
        text = self._numbers.text(tuple(each.rule for each in found))
        return Verdict("emergency" if emergency else "crisis", found, text)

    def _refused(self, message: str) -> Verdict:
        if not (refused := self._refusals.find(message)):
            return Verdict(None)
        number = self._numbers.region.emergency
        return Verdict("refused", refused, self._refusals.text(refused[0].rule, number))

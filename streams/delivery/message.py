"""A page to one person, what may become of it, and what delivers it.

An outcome says what is known, not what went wrong: whether the provider took the message is all
that decides what may be done next without paging somebody twice or not at all.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

__all__ = [
    "Accepted",
    "Busy",
    "Channel",
    "FindError",
    "InDoubt",
    "Message",
    "Outcome",
    "Provider",
    "Refused",
]

Channel = Literal["sms", "email", "local"]


@dataclass(frozen=True)
class Message:
    """What goes to one person; names no patient.

    Attributes:
        page_id: of the outbox; the same whenever this page is sent.
        channel: that it is meant for, whatever provider takes it.
        to: number or address.
        references: of the alerts that it is about, each of which is in the body.
        subject: of a mail; other channels leave it out.
        body: the text.
        message_id: for mail (RFC 5322), with its angle brackets; the same for the same page.
        possible_repeat: whether the person may have got it before.
    """

    page_id: str
    channel: Channel
    to: str
    references: tuple[str, ...]
    subject: str
    body: str
    message_id: str
    possible_repeat: bool


@dataclass(frozen=True)
class Accepted:
    """The provider has it; whether it arrives comes later, or never."""

    provider_id: str


@dataclass(frozen=True)
class Refused:
    """The provider will never take it for this contact: the next one, at once."""

    code: str
    reason: str


@dataclass(frozen=True)
class Busy:
    """The provider has not taken it: the same again later.

    Attributes:
        retry_after_s: what the provider asks for; None: it does not say.
        reason: for operators.
    """

    retry_after_s: float | None
    reason: str


@dataclass(frozen=True)
class InDoubt:
    """Nobody knows whether the provider has it: ask with `Provider.find` before anything else."""

    reason: str


Outcome = Accepted | Refused | Busy | InDoubt


class FindError(Exception):
    """Whether the provider has a message cannot be told: it does not answer, or never can."""


class Provider(Protocol):
    """What delivers messages of a channel. Reasons name no number, no address and no secret."""

    @property
    def channel(self) -> Channel:
        """What it really delivers by: local, where a channel's provider is not set up."""

    @property
    def name(self) -> str:
        """As it stands in receipts."""

    async def send(self, message: Message) -> Outcome:
        """Hand a message over, in one try; never raises for what a provider or a network does."""

    async def find(self, message: Message, since: datetime) -> str | None:
        """Look for a message that the provider has taken.

        Args:
            message: to the same person, with at least one of its references.
            since: older ones do not count.

        Returns:
            The provider's id of it, or None when the provider does not have it.

        Raises:
            FindError: it cannot be told.
        """

    async def close(self) -> None:
        """Let go of connections."""

"""What Twilio calls us back with: how a message fared, and what people reply.

Pure functions; whoever serves the pages checks the signature first, with `check`.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Literal, get_args

from twilio.request_validator import RequestValidator

from streams.alert_events import Acknowledgement, Receipt
from streams.delivery.references import LENGTH, find_references

__all__ = [
    "REPLY_PATH",
    "STATUS_PATH",
    "CallbackError",
    "Problem",
    "check",
    "receipt",
    "reply",
]

#: Under the public address; Twilio is told the first with each message, the second by hand.
STATUS_PATH = "/twilio/status"
REPLY_PATH = "/twilio/reply"

Answer = Literal["accepted", "declined", "escalated"]
Status = Literal["queued", "sending", "sent", "delivered", "undelivered", "failed"]


class CallbackError(ValueError):
    """A callback that is signed and yet makes no sense."""


@dataclass(frozen=True)
class Problem:
    """A reply that is no answer.

    Attributes:
        kind: why; after `opted_out` nothing can be sent to the number.
        text: for the person who replied.
    """

    kind: Literal[
        "no_reference", "many_references", "no_answer", "many_answers", "unknown_sender",
        "opted_out", "opted_in", "help",
    ]  # fmt: skip
    text: str


def check(url: str, params: Mapping[str, str], signature: str | None, token: str) -> bool:
    """Tell whether a callback comes from Twilio.

    Args:
        url: the public one that Twilio called, with its query; behind a proxy not the one served.
        params: of the form.
        signature: header ``X-Twilio-Signature``.
        token: of the account.
    """
    return bool(signature) and bool(RequestValidator(token).validate(url, params, signature))


# -- how a message fared

#: Twilio's further statuses, as those of a receipt.
_STATUSES: dict[str, Status] = {
    "accepted": "queued",
    "scheduled": "queued",
    "read": "delivered",
    "partially_delivered": "undelivered",
    "canceled": "failed",
    **{status: status for status in get_args(Status)},
}


def receipt(params: Mapping[str, str], now: datetime) -> Receipt:
    """Read a status callback.

    They come late, more than once and in any order, and bear no time: what has been delivered is
    not taken back by a late "sent".

    Raises:
        CallbackError: it names no message, or no status that there is.
    """
    status = _STATUSES.get(params.get("MessageStatus", params.get("SmsStatus", "")).lower())
    provider_id = params.get("MessageSid") or params.get("SmsSid") or ""
    if status is None or not re.fullmatch(r"[A-Za-z0-9]{1,64}", provider_id):
        raise CallbackError("a status callback without a message's id or a status that is known")
    code = params.get("ErrorCode", "")
    return Receipt(
        provider="twilio",
        provider_id=provider_id,
        status=status,
        error_code=int(code) if code.isdecimal() else None,
        at=now,
    )


# -- what people reply

_ANSWERS: dict[str, Answer] = {
    **dict.fromkeys(
        ("ACK", "AKC", "ACC", "ACKNOWLEDGE", "ACKNOWLEDGED", "ACCEPT", "ACCEPTED", "YES", "OK"),
        "accepted",
    ),
    **dict.fromkeys(("DECLINE", "DECLINED", "NO", "NOPE"), "declined"),
    **dict.fromkeys(("ESCALATE", "ESCALATED", "ESC"), "escalated"),
}
#: One letter counts only where no word says more: "accept, a nurse is there".
_LETTERS: dict[str, Answer] = {
    "A": "accepted", "Y": "accepted", "D": "declined", "N": "declined", "E": "escalated",
}  # fmt: skip
#: Turns an answer around; nobody may be taken to come who has just said that he cannot.
_NEGATIONS = frozenset(
    {"NOT", "CANT", "CANNOT", "DONT", "WONT", "NEVER", "UNABLE", "HAVENT", "COULDNT", "WOULDNT"}
)
_GLUED = frozenset(_ANSWERS) | frozenset(_LETTERS)
_LONG_WORDS = [word for word in _ANSWERS if len(word) >= 5]

#: What carriers and Twilio act upon by themselves when it is the whole text.
_OPT_OUT = frozenset(
    {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}
)
_OPT_IN = frozenset({"START", "UNSTOP"})
_HELP = frozenset({"HELP", "INFO"})

_HOW = (
    'Reply ACCEPT, DECLINE or ESCALATE and the reference of the page, for example "accept C7Q2XM".'
)
_MAX = 1_600


def reply(
    params: Mapping[str, str], now: datetime, contact_of: Callable[[str], str | None]
) -> Acknowledgement | Problem:
    """Read a text that somebody has sent, most likely with one thumb.

    Args:
        params: of the callback.
        now: when it came.
        contact_of: the contact of a number.
    """
    contact = contact_of(params.get("From", ""))
    tokens = _tokens(params.get("Body", "")[:_MAX])
    keyword = _keyword(params.get("OptOutType", ""), tokens)
    if keyword:
        return keyword
    if contact is None:
        return Problem("unknown_sender", "This number belongs to no contact of the alert policy.")

    references = find_references(tokens, _GLUED)
    answers = _answers(tokens, references)
    if len(references) != 1:
        if references:
            return Problem("many_references", f"One reference a text, please. {_HOW}")
        return Problem("no_reference", f"No reference of {LENGTH} characters found. {_HOW}")
    if len(answers) != 1:
        if answers:
            return Problem("many_answers", f"That can be read in two ways. {_HOW}")
        return Problem("no_answer", f"No answer found. {_HOW}")
    return Acknowledgement(
        alert=references[0], answer=answers.pop(), by=contact, at=now, channel="sms"
    )


def _tokens(body: str) -> list[str]:
    """Words in capitals, with full-width letters and accents made plain, without punctuation."""
    text = unicodedata.normalize("NFKD", body)
    text = "".join(c for c in text if not unicodedata.combining(c)).upper()
    return re.findall(r"[A-Z0-9]+", re.sub(r"['\u2019]", "", text))


def _keyword(opt_out_type: str, tokens: list[str]) -> Problem | None:
    """Tell keywords that carriers know, by Twilio's word for it or where they are all there is."""
    said = opt_out_type.upper() or "".join(tokens)
    if said in _OPT_OUT:
        return Problem("opted_out", "No more texts to this number. START ends that.")
    if said in _OPT_IN:
        return Problem("opted_in", "Texts to this number again.")
    if said in _HELP:
        return Problem("help", _HOW)
    return None


def _answers(tokens: list[str], references: list[str]) -> set[Answer]:
    """Every answer that can be read from it; none or several are for the person to sort out."""
    words = [_unglued(token, references) for token in tokens]
    found = {_ANSWERS[word] for word in map(_nearest, words) if word}
    if not found:
        found = {_LETTERS[word] for word in words if word in _LETTERS}
    if not _NEGATIONS.isdisjoint(words):
        return set(get_args(Answer)) if found else set()
    return found


def _unglued(token: str, references: list[str]) -> str:
    """Return the word of ``ACKC7Q2XM``."""
    before = token[:-LENGTH]
    return before if before in _GLUED and references else token


def _nearest(word: str) -> str | None:
    """Return the answer that is meant, as "acept" means "accept"."""
    if word in _ANSWERS:
        return word
    if len(word) < 5:
        return None
    return next(iter(get_close_matches(word, _LONG_WORDS, 1, 0.8)), None)

"""Delivery by SMS through Twilio: one POST a message, never a second one.

Twilio takes a message once for each request that it gets; there is no key that would make a second
one harmless. So an answer that says nothing of the message, or none, leaves it in doubt; whether
Twilio has it is then looked up by the reference in its text.
"""

import asyncio
import re
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from aiohttp import ClientError
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance

from config.clock import from_ms, now_ms
from config.settings import Settings
from streams.delivery.callbacks import STATUS_PATH
from streams.delivery.message import (
    Accepted,
    Busy,
    Channel,
    FindError,
    InDoubt,
    Message,
    Outcome,
    Refused,
)
from streams.delivery.references import PAGES
from streams.delivery.twilio_http import Exchange, TwilioHttp, exchange

__all__ = ["Twilio"]

T = TypeVar("T")

#: What Twilio's codes say of a contact; others have only their number.
_CONTACT = {
    21211: "the contact's number is not valid",
    21408: "the account may not send to the contact's country",
    21608: "a trial account does not send to the contact's number",
    21610: "the contact has opted out by STOP; START ends that",
    21612: "the sender cannot reach the contact's number",
    21614: "the contact's number is not a mobile one",
    21617: "the text is longer than Twilio's 1,600 characters",
}

#: Codes of status 400 that are ours to mend: every other contact would be refused as well.
_ACCOUNT = {
    14107: "too many messages",
    20005: "the account is not active",
    21212: "VIGIL_TWILIO_FROM is not a valid number",
    21603: "no sender: set VIGIL_TWILIO_FROM",
    21606: "VIGIL_TWILIO_FROM is not a number of the account that can send texts",
    21609: "VIGIL_PUBLIC_URL is not an address that Twilio can call",
    21611: "too many messages wait for VIGIL_TWILIO_FROM",
    21659: "VIGIL_TWILIO_FROM is not a number of the account",
    21660: "VIGIL_TWILIO_FROM is not a number of the account",
    21701: "VIGIL_TWILIO_MESSAGING_SERVICE_SID does not exist",
    21703: "the messaging service has no sender",
    21704: "the messaging service has no sender",
    21705: "VIGIL_TWILIO_MESSAGING_SERVICE_SID is not valid",
    30001: "too many messages wait",
    30002: "the account is suspended",
}

#: Twilio gives whole seconds by its own clock.
_CLOCKS = timedelta(seconds=60)


class Twilio:
    """Twilio's programmable messaging.

    Args:
        settings: with `twilio_account_sid` and what belongs to it.
        page_size: of the list that `find` reads.
    """

    channel: Channel = "sms"
    name = "twilio"

    def __init__(self, settings: Settings, page_size: int = 200) -> None:
        if not (settings.twilio_account_sid and settings.twilio_auth_token):
            raise ValueError("SMS needs VIGIL_TWILIO_ACCOUNT_SID and VIGIL_TWILIO_AUTH_TOKEN")
        self._account = settings.twilio_account_sid
        self._token = settings.twilio_auth_token
        self._base_url = settings.twilio_base_url
        self._timeout_s = settings.provider_timeout_s
        self._page_size = page_size
        self._arguments: dict[str, Any] = (
            {"from_": settings.twilio_from}
            if settings.twilio_from
            else {"messaging_service_sid": settings.twilio_messaging_service_sid}
        )
        if settings.public_url:
            self._arguments["status_callback"] = settings.public_url.rstrip("/") + STATUS_PATH
        self._http: TwilioHttp | None = None
        self._client: Client | None = None

    @property
    def _messages(self) -> Any:
        if self._client is None:  # made at the first request: it needs a running loop
            self._http = TwilioHttp(self._base_url, self._timeout_s)
            self._client = Client(
                self._account, self._token.get_secret_value(), http_client=self._http
            )
        return self._client.messages

    async def _once(self, request: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wait_for(request, self._timeout_s)

    async def send(self, message: Message) -> Outcome:
        """Hand a text to Twilio."""
        current = Exchange()
        exchange.set(current)
        try:
            taken: MessageInstance = await self._once(
                self._messages.create_async(to=message.to, body=message.body, **self._arguments)
            )
        except (TwilioRestException, TwilioServiceException) as error:
            return _answered(int(error.status), int(error.code or 0), current)
        except (TimeoutError, ClientError, OSError) as error:
            reason = f"Twilio: {type(error).__name__}"
            return InDoubt(reason) if current.connected else Busy(None, f"{reason}, not reached")
        except (TwilioException, ValueError) as error:
            return InDoubt(f"Twilio: an answer that is none ({type(error).__name__})")
        if not taken.sid:
            return InDoubt("Twilio: an answer without the message's id")
        return Accepted(taken.sid)

    async def find(self, message: Message, since: datetime) -> str | None:
        """Look a message up in the list of those to its number, newest first."""
        earliest = since - _CLOCKS
        named = re.compile(
            rf"\b{PAGES}(" + "|".join(map(re.escape, message.references)) + r")\b", re.IGNORECASE
        )
        exchange.set(Exchange())
        try:
            page = await self._once(
                # not by the date of sending, which a message does not have while it is queued
                self._messages.page_async(to=message.to, page_size=self._page_size)
            )
            while page is not None:
                recent = [
                    text
                    for text in page
                    if text.date_created is None or _utc(text.date_created) >= earliest
                ]
                for text in recent:
                    if named.search(text.body or ""):
                        return str(text.sid)
                if not recent:
                    return None
                page = await self._once(page.next_page_async())
        except (TwilioException, TimeoutError, ClientError, OSError, ValueError) as error:
            # not its words, nor where it comes from: both have the number in them
            raise FindError(f"Twilio cannot be asked: {type(error).__name__}") from None
        return None

    async def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        http, self._http, self._client = self._http, None, None
        if http is not None:
            await http.close()


def _answered(status: int, code: int, current: Exchange) -> Outcome:
    """What an error means; Twilio's own words may repeat the number and are left out."""
    what = f"Twilio error {code}" if code > 999 else f"status {status} from Twilio"
    if status == 429 or code == 20429:
        return Busy(_seconds(current.retry_after), f"{what}: too many requests")
    if status >= 500 or status < 400:
        return InDoubt(what)
    if code in _ACCOUNT:
        return Busy(_seconds(current.retry_after), f"{what}: {_ACCOUNT[code]}")
    if status == 400 and code > 999:
        return Refused(str(code), _CONTACT.get(code, what))
    # a login, an address, or a proxy on the way; Twilio speaks of contacts with 400 and a code
    return Busy(_seconds(current.retry_after), f"{what}: look at VIGIL_TWILIO_…")


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds of a Retry-After header; it may be a date."""
    if not retry_after:
        return None
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        until = _utc(parsedate_to_datetime(retry_after))
    except ValueError:
        return None
    return max(0.0, (until - from_ms(now_ms())).total_seconds())


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

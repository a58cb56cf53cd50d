"""Twilio as it behaves on bad days: a stateful simulator of its messages.

Messages.json as the real client uses it (POST, list with pages, GET of one), with its errors for
bad numbers, and faults by script: a queue, a function of the request, or an outage. Every request
and every message that was taken is on record, so that a test can tell how often somebody was paged.

    async with TwilioSimulator() as twilio:
        twilio.script.append(ERROR_AFTER_ACCEPTING)
        Settings(..., **twilio.settings)
"""

import asyncio
import base64
import json
import re
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Self

from aiohttp import web

from bench.simulators.callbacks import Caller, Change, Delivered
from streams.delivery.references import ALPHABET, LENGTH

ACCOUNT = "AC" + "0" * 32
TOKEN = "t0ken-of-the-simulator"
SENDER = "+15005550006"

_REFERENCE = re.compile(rf"\b[{ALPHABET}]{{{LENGTH}}}\b")


@dataclass(frozen=True)
class Fault:
    """How one request is treated.

    Attributes:
        status: of the answer.
        accepts: whether the message is taken all the same.
        hangs: no answer ever comes.
        resets: the connection is cut instead of an answer.
        retry_after: header.
        code: Twilio's.
    """

    status: int = 500
    accepts: bool = False
    hangs: bool = False
    resets: bool = False
    retry_after: str | None = None
    code: int | None = None


TOO_MANY = Fault(429, code=20429)
ERROR_BEFORE_ACCEPTING = Fault(500, code=20500)
ERROR_AFTER_ACCEPTING = Fault(500, code=20500, accepts=True)
UNAVAILABLE = Fault(503, code=20503)
HANG_BEFORE_ACCEPTING = Fault(hangs=True)
HANG_AFTER_ACCEPTING = Fault(hangs=True, accepts=True)
RESET_BEFORE_ACCEPTING = Fault(resets=True)
RESET_AFTER_ACCEPTING = Fault(resets=True, accepts=True)

#: Twilio's own magic numbers.
BAD_NUMBER = "+15005550001"
NO_ROUTE = "+15005550002"
NO_PERMISSION = "+15005550003"
OPTED_OUT = "+15005550004"
NOT_MOBILE = "+15005550009"

_ERRORS = {
    BAD_NUMBER: (21211, "The 'To' number {to} is not a valid phone number."),
    NO_ROUTE: (21612, "The 'To' phone number {to} is not currently reachable."),
    NO_PERMISSION: (21408, "Permission to send an SMS has not been enabled for {to}."),
    OPTED_OUT: (21610, "Attempt to send to unsubscribed recipient {to}"),
    NOT_MOBILE: (21614, "'To' number {to} is not a valid mobile number."),
}


@dataclass(frozen=True)
class Request:
    """What came in."""

    method: str
    path: str
    form: dict[str, str]
    authorized: bool
    at: datetime


@dataclass
class Text:
    """A message that was taken, or one that somebody has sent to us."""

    sid: str
    to: str
    sender: str
    body: str
    created: datetime
    status_callback: str | None
    status: str = "queued"
    sent: datetime | None = None
    error_code: int | None = None
    direction: str = "outbound-api"

    def as_json(self) -> dict[str, Any]:
        """As the API gives it."""
        return {
            "sid": self.sid,
            "account_sid": ACCOUNT,
            "to": self.to,
            "from": self.sender,
            "body": self.body,
            "status": self.status,
            "direction": self.direction,
            "date_created": format_datetime(self.created),
            "date_updated": format_datetime(self.created),
            "date_sent": format_datetime(self.sent) if self.sent else None,
            "error_code": self.error_code,
            "error_message": None,
            "num_segments": "1",
            "num_media": "0",
            "price": None,
            "price_unit": "USD",
            "api_version": "2010-04-01",
            "messaging_service_sid": None,
            "uri": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{self.sid}.json",
            "subresource_uris": {},
        }


def delivered(text: Text) -> list[Change]:
    """What becomes of a message by default."""
    return [Change("sent"), Change("delivered")]


def nothing(text: Text) -> list[Change]:
    """Nothing: the message stays queued, and the test says what becomes of it."""
    return []


@dataclass
class TwilioSimulator:
    """Twilio.

    Attributes:
        script: faults of the POSTs to come, in order; None is a POST that goes well.
        rule: fault of any request, by what it is; asked when the script has none.
        outages: from, to, and what requests meet in between, by `clock`.
        fate: what becomes of a message, as callbacks with their delays.
        carrier_failures: number -> code that comes by a later callback.
        opted_out: numbers that have sent STOP.
        list_lag: how long a message that was taken is not in the list yet.
        requests: everything that came.
        texts: everything that was taken, in order.
        caller: sends callbacks and replies, and keeps what was answered.
    """

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    script: deque[Fault | None] = field(default_factory=deque)
    rule: Callable[[Request], Fault | None] = lambda request: None
    outages: list[tuple[datetime, datetime, Fault]] = field(default_factory=list)
    fate: Callable[[Text], Iterable[Change]] = delivered
    carrier_failures: dict[str, int] = field(default_factory=dict)
    opted_out: set[str] = field(default_factory=set)
    list_lag: timedelta = timedelta(0)
    requests: list[Request] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    caller: Caller = field(default_factory=lambda: Caller(ACCOUNT, TOKEN))
    port: int = 0
    #: Held here: a request that waits for what nobody knows is taken for garbage, with a complaint.
    _never: asyncio.Event = field(default_factory=asyncio.Event)

    # -- what a test asks

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that lead here."""
        return {
            "twilio_account_sid": ACCOUNT,
            "twilio_auth_token": TOKEN,
            "twilio_from": SENDER,
            "twilio_base_url": self.url,
        }

    @property
    def posts(self) -> list[Request]:
        """Requests to send a message, taken or not."""
        return [request for request in self.requests if request.method == "POST"]

    def pages(self) -> Counter[tuple[str, str]]:
        """How often each (reference, number) was taken; a bundle counts for each in it."""
        return Counter(
            (reference, text.to)
            for text in self.texts
            if text.direction == "outbound-api"
            for reference in set(_REFERENCE.findall(text.body))
        )

    # -- its life

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self.caller.close()

    async def start(self) -> None:
        """Listen, on the same port after a `stop`."""
        app = web.Application()
        messages = f"/2010-04-01/Accounts/{ACCOUNT}/Messages"
        app.router.add_post(f"{messages}.json", self._handled(self._create))
        app.router.add_get(f"{messages}.json", self._handled(self._list))
        app.router.add_get(messages + "/{sid}.json", self._handled(self._get))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Refuse connections."""
        await self._runner.cleanup()

    # -- requests

    def _handled(self, answer: Callable[[web.Request, dict[str, str]], web.Response]) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            form = {k: str(v) for k, v in (await request.post()).items()}
            came = Request(
                request.method, request.path_qs, form, self._authorized(request), self.clock()
            )
            self.requests.append(came)
            if not came.authorized:
                return _error(401, 20003, "Authenticate")
            fault = self._fault(came)
            if fault is None:
                return answer(request, form)
            if fault.accepts:
                answer(request, form)
            if fault.hangs:
                await self._never.wait()
            if fault.resets and request.transport is not None:
                request.transport.abort()
            headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            return _error(fault.status, fault.code, "as scripted", headers)

        return handle

    @staticmethod
    def _authorized(request: web.Request) -> bool:
        given = request.headers.get("Authorization", "")
        return given == "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()

    def _fault(self, request: Request) -> Fault | None:
        for begin, end, fault in self.outages:
            if begin <= request.at < end:
                return fault
        if request.method == "POST" and self.script:
            return self.script.popleft()
        return self.rule(request)

    def _create(self, request: web.Request, form: dict[str, str]) -> web.Response:
        refused = self._refused(form)
        if refused:
            return _error(400, *refused)
        text = Text(
            "SM" + uuid.uuid4().hex,
            form["To"],
            form.get("From", SENDER),
            form["Body"],
            self.clock(),
            form.get("StatusCallback"),
        )
        self.texts.append(text)
        failure = self.carrier_failures.get(text.to)
        fate = [Change("sent"), Change("undelivered", failure)] if failure else self.fate(text)
        self.caller.later(self._become(text, change) for change in fate)
        return web.json_response(text.as_json(), status=201)

    def _refused(self, form: dict[str, str]) -> tuple[int, str] | None:
        to = form.get("To", "")
        if not (form.get("From") or form.get("MessagingServiceSid")):
            return 21603, "A 'From' phone number is required."
        if form.get("From", SENDER) != SENDER:
            return 21606, f"The 'From' phone number {form['From']} is not a valid number."
        if not form.get("Body"):
            return 21602, "Message body is required."
        if len(form["Body"]) > 1600:
            return 21617, "The concatenated message body exceeds the 1600 character limit."
        if to in self.opted_out:
            return 21610, f"Attempt to send to unsubscribed recipient {to}"
        if to in _ERRORS or not re.fullmatch(r"\+[1-9]\d{6,14}", to):
            code, words = _ERRORS.get(to, _ERRORS[BAD_NUMBER])
            return code, words.format(to=to)
        return None

    def _list(self, request: web.Request, form: dict[str, str]) -> web.Response:
        query = request.query
        shown_until = self.clock() - self.list_lag
        found = [
            text
            for text in reversed(self.texts)
            if text.created <= shown_until
            and query.get("To", text.to) == text.to
            and query.get("From", text.sender) == text.sender
            # a queued one has no date that any filter could let pass
            and (not any(name.startswith("DateSent") for name in query) or text.sent)
        ]
        size = min(int(query.get("PageSize", 50)), 1000)
        page = int(query.get("Page", 0))
        shown = found[page * size : (page + 1) * size]
        more = len(found) > (page + 1) * size
        following = request.rel_url.update_query(
            {"Page": str(page + 1), "PageSize": str(size), "PageToken": f"PA{page + 1}"}
        )
        return web.json_response(
            {
                "messages": [text.as_json() for text in shown],
                "page": page,
                "page_size": size,
                "start": page * size,
                "end": page * size + len(shown),
                "uri": str(request.rel_url),
                "first_page_uri": str(request.rel_url),
                "previous_page_uri": None,
                "next_page_uri": str(following) if more else None,
            }
        )

    def _get(self, request: web.Request, form: dict[str, str]) -> web.Response:
        for text in self.texts:
            if text.sid == request.match_info["sid"]:
                return web.json_response(text.as_json())
        return _error(404, 20404, "The requested resource was not found")

    # -- what happens later

    async def _become(self, text: Text, change: Change) -> None:
        await asyncio.sleep(change.after_s)
        await self.become(text, change)

    async def become(self, text: Text, change: Change) -> Delivered | None:
        """Change a message's status and call back; a late or repeated change only calls back."""
        order = ["queued", "sending", "sent", "delivered", "undelivered", "failed"]
        if order.index(change.status) > order.index(text.status):
            text.status, text.error_code = change.status, change.error_code
            if change.status != "sending":
                text.sent = text.sent or self.clock()
        if text.status_callback is None:
            return None
        params = {
            "MessageSid": text.sid,
            "SmsSid": text.sid,
            "MessageStatus": change.status,
            "SmsStatus": change.status,
            "To": text.to,
            "From": text.sender,
            "AccountSid": ACCOUNT,
            "ApiVersion": "2010-04-01",
            **({"ErrorCode": str(change.error_code)} if change.error_code else {}),
        }
        return await self.caller.call(text.status_callback, params, forged=change.forged)

    async def reply(self, number: str, body: str, to: str, forged: bool = False) -> Delivered:
        """Somebody answers: Twilio calls the page of replies; STOP opts out before that.

        Args:
            number: of who answers.
            body: what they type.
            to: the public address of the page.
            forged: signed by somebody who does not have the token.
        """
        text = Text(
            "SM" + uuid.uuid4().hex, SENDER, number, body, self.clock(), None, "received",
            direction="inbound",
        )  # fmt: skip
        self.texts.append(text)
        keyword = body.strip().upper()
        opted: dict[str, str] = {}
        if keyword in ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"):
            self.opted_out.add(number)
            opted = {"OptOutType": "STOP"}
        elif keyword in ("START", "UNSTOP", "YES") and number in self.opted_out:
            self.opted_out.discard(number)
            opted = {"OptOutType": "START"}
        params = {
            "MessageSid": text.sid, "SmsSid": text.sid, "SmsMessageSid": text.sid,
            "AccountSid": ACCOUNT, "From": number, "To": SENDER, "Body": body,
            "NumMedia": "0", "NumSegments": "1", "SmsStatus": "received",
            "ApiVersion": "2010-04-01", **opted,
        }  # fmt: skip
        return await self.caller.call(to, params, forged=forged)


def _error(
    status: int, code: int | None, message: str, headers: dict[str, str] | None = None
) -> web.Response:
    body = {
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return web.Response(
        text=json.dumps(body), status=status, headers=headers, content_type="application/json"
    )

"""The pages that Twilio calls: receipts and replies come in, signed, and go to a topic.

All that is served to the outside. A proxy should pass on these two paths and nothing else; they
answer nothing that is not signed with the account's token.
"""

import logging
from typing import Any
from xml.sax.saxutils import escape

from aiohttp.web import Response
from faust.web import View

from config.clock import from_ms, now_ms
from config.policy import Policy
from streams.alert_events import AlertRaised
from streams.application import VigilApp
from streams.delivery.callbacks import (
    REPLY_PATH,
    STATUS_PATH,
    CallbackError,
    Problem,
    check,
    receipt,
    reply,
)
from streams.intake_alerts import operations_event
from streams.topics import Catalogue

__all__ = ["opted_out", "serve_callbacks"]

log = logging.getLogger(__name__)

#: Twilio's forms are some hundred bytes; a text at most 1,600 characters.
_MOST_BYTES = 64 * 1024


class _RefusedError(Exception):
    """A call that is not Twilio's; carries the HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


def serve_callbacks(app: VigilApp, topics: Catalogue, policy: Policy) -> None:
    """Add the pages to an application.

    Args:
        app: the application; without a Twilio account it gets no page.
        topics: all of them.
        policy: whose number belongs to whom.
    """
    settings = app.settings
    token, public_url = settings.twilio_auth_token, settings.public_url
    # with an empty token anybody could sign
    if token is None or not token.get_secret_value() or not public_url:
        return
    secret, base = token.get_secret_value(), public_url.rstrip("/")
    contacts = {known.sms: name for name, known in policy.contacts.items() if known.sms}

    async def params(request: Any, path: str) -> dict[str, str]:
        """Return the form of a call that is Twilio's."""
        if (request.content_length or 0) > _MOST_BYTES:
            raise _RefusedError(413)
        form = {name: str(value) for name, value in (await request.post()).items()}
        query = f"?{request.query_string}" if request.query_string else ""
        signature = request.headers.get("X-Twilio-Signature")
        if not check(f"{base}{path}{query}", form, signature, secret):
            log.warning("a call of %s was not signed with the account's token", path)
            raise _RefusedError(403)
        return form

    async def tell(alert: AlertRaised) -> None:
        await app.batch_producer.send_and_wait(
            topics.alerts_raised.name,
            alert.model_dump_json().encode(),
            key=alert.alert_id.encode(),
            partition=0,
        )

    @app.page(STATUS_PATH)
    class Status(View):
        """How a message fared."""

        async def post(self, request: Any) -> Any:
            try:
                found = receipt(await params(request, STATUS_PATH), from_ms(now_ms()))
            except _RefusedError as error:
                return Response(status=error.status)
            except CallbackError as error:
                log.warning("%s", error)
                return Response(status=400)
            value = found.model_dump_json().encode()
            await app.batch_producer.send_and_wait(
                topics.delivery_receipts.name, value, partition=0
            )
            return Response(status=204)

    @app.page(REPLY_PATH)
    class Reply(View):
        """What somebody has replied."""

        async def post(self, request: Any) -> Any:
            try:
                form = await params(request, REPLY_PATH)
            except _RefusedError as error:
                return Response(status=error.status)
            found = reply(form, from_ms(now_ms()), contacts.get)
            if isinstance(found, Problem):
                log.info("a reply was no answer: %s", found.kind)
                contact = contacts.get(form.get("From", ""))
                if found.kind == "opted_out" and contact is not None:
                    await tell(opted_out(contact, form.get("MessageSid", ""), policy))
                # to somebody who has opted out, or is nobody, nothing is said
                silent = found.kind in ("opted_out", "opted_in", "unknown_sender")
                return _twiml(None if silent else found.text)
            # the time is of the call; one that is made again is known by the message
            found = found.model_copy(update={"answer_id": form.get("MessageSid")})
            await app.batch_producer.send_and_wait(
                topics.alerts_acknowledged.name,
                found.model_dump_json().encode(),
                key=found.alert.encode(),
                partition=0,
            )
            return _twiml(_THANKS[found.answer])


def opted_out(contact: str, message_id: str, policy: Policy) -> AlertRaised:
    """Make the alert that tells operators of somebody whom no text reaches any more.

    Args:
        contact: id of the policy; the number is not told.
        message_id: the provider's id of the reply: one that is delivered again is the same alert.
        policy: its version goes on the alert.
    """
    return operations_event(
        f"opted_out/{contact}/{message_id}",
        "warning",
        f"contact {contact} has opted out of texts: START from that telephone ends it",
        now_ms(),
        policy.version,
    )


#: Without the reference: a text that has it could be taken for the page.
_THANKS: dict[str, str] = {
    "accepted": "Received: you accept. Thank you.",
    "declined": "Received: you decline. The next person is called.",
    "escalated": "Received: you pass it on. The next person is called.",
}


def _twiml(text: str | None) -> Response:
    said = f"<Message>{escape(text)}</Message>" if text is not None else ""
    return Response(
        text=f'<?xml version="1.0" encoding="UTF-8"?><Response>{said}</Response>',
        content_type="text/xml",
    )

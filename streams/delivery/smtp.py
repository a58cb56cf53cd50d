"""Delivery by mail: one try, one connection a message.

A mail is handed over in steps, and only the last one moves it to the server: what fails before the
text is sent has left nothing there, what is cut off while or after it is sent is in doubt. Mail
cannot be asked for afterwards; a repeat has the same Message-ID, by which many mail programs show
it once.
"""

import asyncio
import ssl
from contextlib import suppress
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime, parseaddr

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
)

from config.clock import from_ms, now_ms
from config.settings import Settings
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

__all__ = ["Smtp", "compose"]

_PORTS = {"starttls": 587, "tls": 465, "none": 25}

#: Codes that speak of our login or of our rights, not of the person who should get the mail.
_OURS = frozenset({530, 534, 535, 538})

#: Longest wait for the server's goodbye, once the mail is its own.
_GOODBYE_S = 1.0


class Smtp:
    """A mail server.

    Args:
        settings: with `smtp_host` and `smtp_from`.
    """

    channel: Channel = "email"
    name = "smtp"

    def __init__(self, settings: Settings) -> None:
        if not (settings.smtp_host and settings.smtp_from):
            raise ValueError("mail needs VIGIL_SMTP_HOST and VIGIL_SMTP_FROM")
        self._host = settings.smtp_host
        self._from = settings.smtp_from
        self._port = settings.smtp_port or _PORTS[settings.smtp_security]
        self._security = settings.smtp_security
        self._timeout_s = settings.provider_timeout_s
        self._login = (
            (settings.smtp_username, settings.smtp_password.get_secret_value())
            if settings.smtp_username and settings.smtp_password
            else None
        )
        self._tls = (
            None
            if settings.smtp_security == "none"
            else ssl.create_default_context(cafile=settings.smtp_cafile)
        )

    async def send(self, message: Message) -> Outcome:
        """Hand a mail to the server."""
        client = SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._security == "tls",
            start_tls=self._security == "starttls",
            tls_context=self._tls,
            timeout=self._timeout_s,
        )
        handing_over = False
        try:
            content = compose(message, self._from).as_bytes(policy=WIRE)
            async with asyncio.timeout(self._timeout_s):
                await client.connect()
                if self._login:
                    await client.login(*self._login)
                await client.mail(parseaddr(self._from)[1])
                await client.rcpt(message.to)
                handing_over = True
                await client.data(content)
        except SMTPResponseException as error:
            return _answered(error)
        except (
            SMTPException,
            TimeoutError,
            OSError,
        ) as error:  # certificates too, before ValueError
            reason = f"mail server: {type(error).__name__}"
            return InDoubt(reason) if handing_over else Busy(None, reason)
        except ValueError:
            return Refused("address", "the contact's address is not one that mail can go to")
        else:
            with suppress(SMTPException, TimeoutError, OSError):
                async with asyncio.timeout(_GOODBYE_S):
                    await client.quit()
            return Accepted(message.message_id)
        finally:
            client.close()

    async def find(self, message: Message, since: datetime) -> str | None:
        """Mail servers cannot be asked what they have taken.

        Raises:
            FindError: always.
        """
        raise FindError("a mail server cannot be asked whether it has taken a mail")

    async def close(self) -> None:
        """Nothing is kept open."""


def compose(message: Message, sender: str) -> EmailMessage:
    """Make the mail; the same page makes the same one but for its date.

    Raises:
        ValueError: the address cannot stand in a mail.
    """
    name, at, domain = message.to.rpartition("@")
    if not (name and at and domain) or not message.to.isascii():
        raise ValueError("no address")
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = message.to
    mail["Subject"] = " ".join(message.subject.split())
    mail["Date"] = format_datetime(from_ms(now_ms()))
    mail["Message-ID"] = message.message_id
    # no out-of-office replies to it, neither by the standard nor by Exchange
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(message.body, cte="quoted-printable")
    return mail


def _answered(error: SMTPResponseException) -> Outcome:
    """What an answer means; the server's own words may repeat the address and are left out."""
    code = error.code
    if isinstance(error, SMTPRecipientRefused | SMTPDataError) and code not in _OURS:
        if code >= 500:
            return Refused(str(code), f"the mail server refuses the contact's mail with {code}")
        if code < 400:
            return InDoubt(f"mail server: an answer that is none ({code})")
        return Busy(None, f"the mail server asks to come again: {code}")
    return Busy(None, f"the mail server does not serve us: {type(error).__name__} {code}")

"""A mail server as it behaves on bad days: aiosmtpd with a script."""

import asyncio
import ssl
import warnings
from collections import deque
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Literal, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

Step = Literal["hello", "from", "to", "data"]


@dataclass(frozen=True)
class Fault:
    """How one mail is treated at one step.

    Attributes:
        at: the step.
        answer: line of the answer, "451 4.3.0 Try again".
        accepts: whether the mail is taken all the same.
        drops: the connection is cut instead of an answer.
        hangs: no answer ever comes.
    """

    at: Step
    answer: str = ""
    accepts: bool = False
    drops: bool = False
    hangs: bool = False


TRY_AGAIN = Fault("to", "451 4.3.0 Mailbox busy")
NO_MAILBOX = Fault("to", "550 5.1.1 No such user here")
CLOSING = Fault("from", "421 4.3.2 Service closing")
DROP_BEFORE_TEXT = Fault("to", drops=True)
DROP_AFTER_TEXT = Fault("data", drops=True, accepts=True)
HANG_AFTER_TEXT = Fault("data", hangs=True, accepts=True)


@dataclass
class MailServer:
    """A mail server of the running loop.

    Attributes:
        security: as in the settings.
        certificate: of the server, with its key; needed unless security is none.
        login: user and password that it asks for.
        script: faults of the mails to come, in order; None is one that goes well.
        mails: everything that was taken, in order.
        recipients: of each of them.
        tried: how many mails were begun.
    """

    security: Literal["starttls", "tls", "none"] = "none"
    certificate: Path | None = None
    login: tuple[str, str] | None = None
    script: deque[Fault | None] = field(default_factory=deque)
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    tried: int = 0
    port: int = 0
    _sessions: list[Any] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that lead here."""
        chosen: dict[str, Any] = {
            "smtp_host": "localhost",
            "smtp_port": self.port,
            "smtp_security": self.security,
            "smtp_cafile": self.certificate,
            "smtp_from": "Vigil <vigil@hospital.example>",
        }
        if self.login:
            chosen |= {"smtp_username": self.login[0], "smtp_password": self.login[1]}
        return chosen

    async def __aenter__(self) -> Self:
        context = None
        if self.security != "none":
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            assert self.certificate, "TLS needs a certificate"
            context.load_cert_chain(self.certificate)
        loop = asyncio.get_running_loop()
        starttls = context if self.security == "starttls" else None

        def session() -> SMTP:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # aiosmtpd does not know that it is within TLS
                made = SMTP(
                    self,
                    hostname="mail.example",
                    loop=loop,
                    tls_context=starttls,
                    require_starttls=starttls is not None,
                    authenticator=self._authenticate,
                    auth_required=self.login is not None,
                    auth_require_tls=self.security == "starttls",
                )
            self._sessions.append(made)
            return made

        self._server = await loop.create_server(
            session, "localhost", self.port, ssl=context if self.security == "tls" else None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for session in self._sessions:
            if session.transport is not None:
                session.transport.abort()
        await asyncio.sleep(0.05)  # connections that were cut are closed in the loop's next rounds

    def _authenticate(
        self, server: SMTP, session: Any, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self.login, handled=False)

    # -- hooks of aiosmtpd

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.tried += 1
        session.fault = self.script.popleft() if self.script else None
        envelope.mail_from = address
        return await self._answer(server, session, "from") or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return await self._answer(server, session, "to") or "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Any, envelope: Envelope
    ) -> str:
        fault: Fault | None = session.fault
        if fault is None or fault.at != "data" or fault.accepts:
            assert isinstance(envelope.content, bytes)
            self.mails.append(message_from_bytes(envelope.content, policy=default))
            self.recipients += envelope.rcpt_tos
        return await self._answer(server, session, "data") or "250 OK queued"

    @staticmethod
    async def _answer(server: Any, session: Any, step: Step) -> str | None:
        fault: Fault | None = session.fault
        if fault is None or fault.at != step:
            return None
        if fault.hangs:
            await asyncio.Event().wait()
        if fault.drops:
            server.transport.abort()
        return fault.answer or "250 OK"

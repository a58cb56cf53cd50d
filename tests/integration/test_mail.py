"""The real mail client against a real mail server: what each bad day leaves known of a page."""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from config.clock import from_ms, now_ms
from config.settings import Settings
from streams.delivery.message import Accepted, Busy, FindError, InDoubt, Message, Outcome, Refused
from streams.delivery.smtp import Smtp
from tests.simulator import mail as simulated
from tests.simulator.mail import Fault, MailServer

ANNA = "anna@hospital.example"
PAGE = Message(
    page_id="p1",
    channel="email",
    to=ANNA,
    references=("C7Q2XM",),
    subject="Urgent on W3: C7Q2XM",
    body="Dringend auf Station Süd: C7Q2XM\n.\nhttps://vigil.example/a/C7Q2XM",
    message_id="<p1@vigil.example>",
    possible_repeat=False,
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of localhost, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def client(server: MailServer, **changed: Any) -> Smtp:
    return Smtp(Settings(**{"provider_timeout_s": 2, **server.settings, **changed}))


async def test_a_mail_has_one_message_id_and_asks_for_no_answer_by_machine() -> None:
    async with MailServer() as server:
        assert await client(server).send(PAGE) == Accepted(PAGE.message_id)
        (mail,) = server.mails
    assert mail["Message-ID"] == PAGE.message_id
    assert mail["Auto-Submitted"] == "auto-generated"
    assert (mail["Subject"], mail["To"]) == (PAGE.subject, ANNA)
    assert mail["From"] == "Vigil <vigil@hospital.example>"
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().splitlines() == PAGE.body.splitlines()
    assert server.recipients == [ANNA]


async def test_a_repeat_has_the_same_message_id() -> None:
    async with MailServer() as server:
        sender = client(server)
        await sender.send(PAGE)
        await sender.send(replace(PAGE, possible_repeat=True))
        assert [mail["Message-ID"] for mail in server.mails] == [PAGE.message_id] * 2


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_mail_goes_encrypted_and_with_a_login(security: str, certificate: Path) -> None:
    async with MailServer(security, certificate, ("vigil", "s3cret-phrase")) as server:
        assert isinstance(await client(server).send(PAGE), Accepted)
        wrong = await client(server, smtp_password="other").send(PAGE)
        assert isinstance(wrong, Busy)
        assert "other" not in wrong.reason
        assert len(server.mails) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_server_whose_certificate_is_not_trusted_gets_no_mail(
    security: str, certificate: Path
) -> None:
    async with MailServer(security, certificate) as server:
        assert isinstance(await client(server, smtp_cafile=None).send(PAGE), Busy)
        assert server.tried == 0


async def test_a_server_without_starttls_gets_no_mail_in_clear(certificate: Path) -> None:
    async with MailServer() as server:
        assert isinstance(await client(server, smtp_security="starttls").send(PAGE), Busy)
        assert server.tried == 0


@pytest.mark.parametrize(
    ("fault", "kind", "taken"),
    [
        pytest.param(simulated.TRY_AGAIN, Busy, 0, id="451 for the recipient"),
        pytest.param(simulated.NO_MAILBOX, Refused, 0, id="550 for the recipient"),
        pytest.param(simulated.CLOSING, Busy, 0, id="421"),
        pytest.param(Fault("from", "530 5.7.0 Log in"), Busy, 0, id="530 is ours"),
        pytest.param(Fault("from", "550 5.7.1 Not you"), Busy, 0, id="550 for the sender is ours"),
        pytest.param(Fault("data", "452 4.3.1 Full"), Busy, 0, id="452 for the text"),
        pytest.param(Fault("data", "554 5.6.0 No"), Refused, 0, id="554 for the text"),
        pytest.param(simulated.DROP_BEFORE_TEXT, Busy, 0, id="lost before the text"),
        pytest.param(simulated.DROP_AFTER_TEXT, InDoubt, 1, id="lost after the text"),
        pytest.param(simulated.HANG_AFTER_TEXT, InDoubt, 1, id="time-out after the text"),
        pytest.param(Fault("to", hangs=True), Busy, 0, id="time-out before the text"),
    ],
)
async def test_what_a_server_does_to_a_mail_and_what_is_then_known(
    fault: Fault, kind: type[Outcome], taken: int
) -> None:
    async with MailServer() as server:
        server.script.append(fault)
        outcome = await client(server, provider_timeout_s=0.5).send(PAGE)
        assert isinstance(outcome, kind)
        assert ANNA not in str(outcome)
        await asyncio.sleep(0.2)  # a second try would come by now
        assert (server.tried, len(server.mails)) == (1, taken)


async def test_451_and_550_are_told_apart_by_their_code() -> None:
    """Both come as the same exception."""
    async with MailServer() as server:
        server.script.extend([simulated.TRY_AGAIN, simulated.NO_MAILBOX])
        sender = client(server)
        assert isinstance(await sender.send(PAGE), Busy)
        refused = await sender.send(PAGE)
        assert isinstance(refused, Refused)
        assert refused.code == "550"


async def test_a_server_that_is_away_has_taken_nothing() -> None:
    async with MailServer() as server:
        sender = client(server)
    assert isinstance(await sender.send(PAGE), Busy)


@pytest.mark.parametrize("address", ["anna\r\nBcc: x@y.example", "", "änna@hospital.example"])
async def test_an_address_that_is_none_is_refused_and_adds_no_header(address: str) -> None:
    async with MailServer() as server:
        assert isinstance(await client(server).send(replace(PAGE, to=address)), Refused)
        assert not server.mails


async def test_a_subject_is_one_line() -> None:
    async with MailServer() as server:
        await client(server).send(replace(PAGE, subject="Urgent\r\nBcc: x@y.example"))
        assert server.mails[0]["Subject"] == "Urgent Bcc: x@y.example"
        assert server.mails[0]["Bcc"] is None


async def test_mail_cannot_be_looked_up() -> None:
    async with MailServer() as server:
        with pytest.raises(FindError):
            await client(server).find(PAGE, from_ms(now_ms()))


async def test_no_address_and_no_password_is_ever_logged(
    certificate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # the server's own
    async with MailServer("tls", certificate, ("vigil", "s3cret-phrase")) as server:
        server.script.extend([None, simulated.NO_MAILBOX])
        sender = client(server)
        await sender.send(PAGE)
        await sender.send(PAGE)
    assert ANNA not in caplog.text
    assert "s3cret-phrase" not in caplog.text

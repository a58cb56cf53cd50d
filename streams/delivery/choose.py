"""Which provider delivers what: as set up, and the local outbox for the rest."""

from rich.console import Console

from config.settings import Settings
from streams.delivery.local import LocalOutbox
from streams.delivery.message import Channel, Provider
from streams.delivery.smtp import Smtp

__all__ = ["providers"]


def providers(settings: Settings, console: Console | None = None) -> dict[Channel, Provider]:
    """Make the providers of every channel; none of them connects before it sends.

    Args:
        settings: of this process.
        console: where local messages are shown; None: where `local_print` says so, on standard
            output.
    """
    if console is None and settings.local_print:
        console = Console()
    local = LocalOutbox(settings.outbox_path, console)
    chosen: dict[Channel, Provider] = {"sms": local, "email": local, "local": local}
    if settings.twilio_account_sid:
        # imported here: Twilio's client takes a second, and not every site has an account
        from streams.delivery.twilio import Twilio

        chosen["sms"] = Twilio(settings)
    if settings.smtp_host:
        chosen["email"] = Smtp(settings)
    return chosen

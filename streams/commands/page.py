"""``vigil page``: try the way from here to a person."""

import asyncio
import json
from uuid import uuid4

import click
from rich.console import Console

from config.policy import Policy, load_policy
from config.settings import settings
from streams.delivery.choose import providers
from streams.delivery.message import Accepted, Channel, Message, Outcome
from streams.delivery.references import new_reference

__all__ = ["page"]

_BODY = "Vigil: this is a test, nobody is ill. Ref {}. No answer is needed."


@click.group(epilog="Example: vigil page test nurse-night")
def page() -> None:
    """Try the way to people."""


@page.command(epilog="Example: vigil page test nurse-night --channel sms")
@click.argument("contact", required=False)
@click.option(
    "--channel",
    type=click.Choice(["sms", "email", "local"]),
    help="Default: all that the contact has.",
)
@click.option("--json", "as_json", is_flag=True, help="A line of JSON a message.")
@click.pass_context
def test(ctx: click.Context, contact: str | None, channel: Channel | None, as_json: bool) -> None:
    """Send a test page to CONTACT of the alert policy, or to everybody in it.

    It goes by the providers that are set up, past the escalation and past every limit.

    \b
    Exit codes: 0 every provider has taken it; 1 one has not.
    """
    chosen = settings()
    policy = load_policy(chosen.policy)
    if contact is not None and contact not in policy.contacts:
        raise click.BadParameter(
            f"{contact!r} is none of the alert policy: {', '.join(policy.contacts)}"
        )
    outcomes = asyncio.run(_send(policy, contact, channel))
    if not outcomes:
        raise click.UsageError("there is no address to send to: see the contacts of the policy")
    console = Console()
    for who, by, name, outcome in outcomes:
        taken = isinstance(outcome, Accepted)
        said = "taken" if taken else f"{type(outcome).__name__}: {getattr(outcome, 'reason', '')}"
        if as_json:
            line = {"contact": who, "channel": by, "provider": name, "taken": taken, "said": said}
            click.echo(json.dumps(line))
        else:
            style = "green" if taken else "red"
            console.print(f"{who}, {by} by {name}: {said}", style=style, highlight=False)
    ctx.exit(0 if all(isinstance(outcome, Accepted) for *_, outcome in outcomes) else 1)


async def _send(
    policy: Policy, contact: str | None, channel: Channel | None
) -> list[tuple[str, Channel, str, Outcome]]:
    chosen = providers(settings())
    found: list[tuple[str, Channel, str, Outcome]] = []
    try:
        for who in [contact] if contact is not None else list(policy.contacts):
            known = policy.contacts[who]
            addresses: dict[Channel, str | None] = {"sms": known.sms, "email": known.email}
            if channel == "local" or not any(addresses.values()):
                addresses = {"local": known.name}
            for by, address in addresses.items():
                if address is None or channel not in (None, by):
                    continue
                known_as = uuid4().hex
                reference = new_reference(known_as, ())
                message = Message(
                    page_id=known_as,
                    channel=by,
                    to=address,
                    references=(reference,),
                    subject="Vigil: test",
                    body=_BODY.format(reference),
                    message_id=f"<{known_as}@vigil.invalid>",
                    possible_repeat=False,
                )
                outcome = await chosen[by].send(message)
                found.append((who, by, chosen[by].name, outcome))
    finally:
        for provider in set(chosen.values()):
            await provider.close()
    return found

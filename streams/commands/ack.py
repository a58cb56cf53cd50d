"""``vigil ack``: answer an alert from the command line."""

import asyncio
import json
from typing import Literal

import click

from config.clock import from_ms, now_ms
from config.settings import settings
from streams.alert_events import Acknowledgement
from streams.commands.people import me
from streams.topics import catalogue
from streams.whole_topic import send

__all__ = ["ack"]

Answer = Literal["accepted", "declined", "escalated"]
_DONE: dict[Answer, str] = {
    "accepted": "accepted: nobody else is called",
    "declined": "declined: the next person is called",
    "escalated": "passed on: the next person is called",
}


@click.command(epilog="Example: vigil ack C7Q2XM --by nurse-night")
@click.argument("reference")
@click.option("--decline", "answer", flag_value="declined", help="You do not come.")
@click.option(
    "--escalate", "answer", flag_value="escalated", help="The next person is to come, too."
)
@click.option("--by", help="Who answers. Default: you, at this machine.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def ack(reference: str, answer: Answer | None, by: str | None, as_json: bool) -> None:
    """Accept the alert of a page, by its REFERENCE; or decline it, or pass it on.

    What follows is on the topic `alerts`; an answer to an alert that there is not becomes a dead
    letter.
    """
    chosen = settings()
    given: Answer = answer or "accepted"
    acknowledgement = Acknowledgement(
        alert=reference, answer=given, by=by or me(), at=from_ms(now_ms()), channel="command"
    )
    topic = catalogue(chosen).alerts_acknowledged.name
    value = acknowledgement.model_dump_json().encode()
    asyncio.run(send(chosen, topic, reference.encode(), value))
    if as_json:
        click.echo(json.dumps({"alert": reference, "answer": given, "by": acknowledgement.by}))
    else:
        click.echo(f"{reference.upper()} {_DONE[given]}.")

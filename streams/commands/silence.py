"""``vigil silence``: for a while nobody is paged about something, because somebody says so."""

import asyncio
import json
import re
import uuid
from datetime import datetime, timedelta
from typing import Any, get_args

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.clock import from_ms, now_ms
from config.settings import settings
from streams.alert_events import PagedTier, Silence
from streams.commands.people import me
from streams.silencing import publish_silence, read_silences

__all__ = ["silence"]

#: A silence that is forgotten must end by itself.
_LONGEST = timedelta(days=30)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_TIERS = click.Choice(get_args(PagedTier))


def _duration(ctx: click.Context, option: click.Parameter, text: str | None) -> timedelta | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,6})([mhd])", text)
    length = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta()
    if not timedelta() < length <= _LONGEST:
        raise click.BadParameter(f"write 30m, 2h or 1d, up to {_LONGEST.days}d, not {text!r}")
    return length


@click.command(
    epilog="Examples: vigil silence --unit icu-a --for 2h --reason 'monitors are replaced' ;  "
    "vigil silence --end s-5f0c2a91"
)
@click.option("--unit", help="Only alerts of this unit. Default: everywhere.")
@click.option("--kind", type=click.Choice(["patient", "operations"]), help="Default: both.")
@click.option("--tier", "tiers", multiple=True, type=_TIERS, help="Default: all but urgent.")
@click.option(
    "--for", "length", metavar="TIME", callback=_duration, help="From now: 30m, 2h or 1d."
)
@click.option("--reason", help="Why; kept with the silence.")
@click.option("--who", help="Who decides. Default: you, at this machine.")
@click.option("--list", "listed", is_flag=True, help="Show the silences that are not over.")
@click.option("--end", "ended", metavar="ID", help="End a silence now.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def silence(
    unit: str | None,
    kind: Any,
    tiers: tuple[Any, ...],
    length: timedelta | None,
    reason: str | None,
    who: str | None,
    listed: bool,
    ended: str | None,
    as_json: bool,
) -> None:
    """Keep alerts from paging anybody for a while; they are still on the boards.

    Urgent alerts are silenced only where --tier says so, and those about patients only of one unit.
    """
    new = bool(unit or kind or tiers or length or reason)
    if [new, listed, ended is not None].count(True) != 1:
        raise click.UsageError("give --for and --reason, or --list, or --end ID")
    if listed:
        _list(as_json)
    elif ended is not None:
        _end(ended, as_json)
    else:
        if length is None or not (reason or "").strip():
            raise click.UsageError("a silence needs --for and --reason")
        if "urgent" in tiers and unit is None and kind != "operations":
            raise click.UsageError(
                "urgent alerts about patients are silenced for one unit at a time: give --unit"
            )
        now = from_ms(now_ms())
        _begin(
            Silence(
                silence_id=f"s-{uuid.uuid4().hex[:8]}", kind=kind, unit_id=unit, tiers=[*tiers],
                starts_at=now, ends_at=now + length, by=who or me(), reason=reason or "",
            ),
            as_json,
        )  # fmt: skip


def _begin(made: Silence, as_json: bool) -> None:
    asyncio.run(publish_silence(settings(), made.silence_id, made))
    if as_json:
        click.echo(made.model_dump_json())
        return
    click.echo(
        f"{made.silence_id}: nobody is paged about {_about(made)} until {_shown(made.ends_at)}. "
        f"End it with `vigil silence --end {made.silence_id}`."
    )


def _end(silence_id: str, as_json: bool) -> None:
    chosen = settings()
    if silence_id not in asyncio.run(read_silences(chosen)).known:
        raise click.ClickException(
            f"there is no silence {silence_id!r}: `vigil silence --list` shows them"
        )
    asyncio.run(publish_silence(chosen, silence_id, None))
    click.echo(json.dumps({"ended": silence_id}) if as_json else f"{silence_id} is over.")


def _list(as_json: bool) -> None:
    found = asyncio.run(read_silences(settings()))
    now = from_ms(now_ms())
    current = [each for each in found.known.values() if each.ends_at > now]
    if as_json:
        plain = [each.model_dump(mode="json") for each in current]
        click.echo(json.dumps({"silences": plain, "problems": found.problems}))
        return
    console = Console()
    if not current:
        console.print("No silences.")
    else:
        table = Table("id", "about", "until", "why and who", title="Silences")
        for each in current:
            why = f"{each.reason}\n{each.by}"
            # as it is: a reason in brackets is no markup
            table.add_row(*map(Text, (each.silence_id, _about(each), _shown(each.ends_at), why)))
        console.print(table)
    for line in found.problems:
        console.print(line, style="yellow", markup=False, highlight=False)


def _about(made: Silence) -> str:
    tiers = " and ".join(made.tiers) or "all but urgent"
    kind = {None: "alerts", "patient": "alerts about patients", "operations": "operations"}
    place = "everywhere" if made.unit_id is None else f"of {made.unit_id}"
    return f"{kind[made.kind]} {place}, {tiers}"


def _shown(at: datetime) -> str:
    return at.astimezone().strftime("%d %b %H:%M %Z")

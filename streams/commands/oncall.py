"""``vigil oncall``: who is on call, who is next, and whether the policy is in order."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.clock import from_ms, iso, now_ms, to_ms
from config.policy import SHIPPED, Policy, PolicyError, load_policy
from config.settings import settings

__all__ = ["oncall"]


def _moment(ctx: click.Context, option: click.Parameter, text: str | None) -> datetime:
    try:
        return from_ms(now_ms() if text is None else to_ms(datetime.fromisoformat(text)))
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is not a moment: write it with its time zone, 2026-12-24T07:00+01:00"
        ) from None


@click.command(
    epilog="Examples: vigil oncall nurse --at 2026-12-24T22:00Z ;  "
    "vigil oncall --check --policy new-policy.yaml"
)
@click.argument("schedule", required=False)
@click.option("--at", metavar="TIME", callback=_moment, help="With its time zone. Default: now.")
@click.option("--check", is_flag=True, help="Only check the policy; mistakes with their lines.")
@click.option(
    "--policy",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Alert policy. Default: VIGIL_POLICY, or the one that ships.",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def oncall(
    schedule: str | None, at: datetime, check: bool, path: Path | None, as_json: bool
) -> int:
    """Say who is on call, until when, and who is next: of SCHEDULE, or of each.

    \b
    Exit codes: 0 done; 1 the policy is wrong; 2 the command line was wrong.
    """
    path = path or settings().policy
    if check:
        return _check(path, as_json)
    policy = load_policy(path)
    if schedule is not None and schedule not in policy.schedules:
        known = ", ".join(policy.schedules) or "none"
        raise click.UsageError(f"there is no schedule {schedule!r}; there are: {known}")
    rows = [_row(policy, name, at) for name in policy.schedules if schedule in (None, name)]
    if as_json:
        click.echo(json.dumps({"policy": policy.version, "at": _iso(at), "schedules": rows}))
        return 0
    table = Table("schedule", "on call", "until", "then", title=f"Policy {policy.version}")
    for row in rows:
        zone = ZoneInfo(policy.schedules[row["schedule"]].time_zone)
        until = row["until"] and datetime.fromisoformat(row["until"]).astimezone(zone)
        table.add_row(
            row["schedule"],
            _names(policy, row["on_call"]),
            f"{until:%a %d %b %H:%M %Z}" if until else "further notice",
            _names(policy, row["then"]),
        )
    Console().print(table)
    return 0


def _check(path: Path | None, as_json: bool) -> int:
    problems: tuple[str, ...] = ()
    version = None
    try:
        version = load_policy(path).version
    except PolicyError as error:
        problems = error.problems
    if as_json:
        click.echo(json.dumps({"policy": version, "problems": problems}))
    elif problems:
        click.echo("\n".join(problems), err=True)
    else:
        click.echo(f"{path or SHIPPED} is in order: policy {version}.")
    return 1 if problems else 0


def _row(policy: Policy, name: str, at: datetime) -> dict[str, Any]:
    until = policy.schedules[name].handover(at)
    return {
        "schedule": name,
        "on_call": policy.on_call(name, at),
        "until": None if until is None else _iso(until),
        "then": () if until is None else policy.on_call(name, until),
    }


def _names(policy: Policy, contacts: tuple[str, ...]) -> Text:
    return Text("\n".join(f"{policy.contacts[each].name} ({each})" for each in contacts))


def _iso(at: datetime) -> str:
    return iso(to_ms(at.astimezone(UTC)))

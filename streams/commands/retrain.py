"""``vigil retrain``: train a challenger in a process of its own and let it score in the shadow."""

import asyncio
import json
import signal
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import click

from config.settings import settings
from models import retraining
from streams.commands.people import me
from streams.releases import publish

__all__ = ["retrain"]


@click.command(
    epilog="Example: vigil data collect --out sets/ && vigil retrain --data sets/ -- --candidate "
    "lightgbm",
)
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="What to train on; best a folder of collected sets, of which the newest is taken.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the model and its log.")
@click.option(
    "--timeout",
    "hours",
    type=click.FloatRange(0, min_open=True),
    default=6,
    show_default=True,
    metavar="HOURS",
    help="Then training is ended.",
)
@click.option("--reason", default="retrained by hand", show_default=True, help="Kept with it.")
@click.option("--publish/--no-publish", "send", default=True, help="Whether it is a challenger.")
@click.option("--site", help="Hospital. Default: VIGIL_SITE.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def retrain(
    data: Path,
    out: Path | None,
    hours: float,
    reason: str,
    send: bool,
    site: str | None,
    as_json: bool,
    arguments: tuple[str, ...],
) -> None:
    """Train a model and publish it as a challenger, which scores in the shadow.

    Training is `vigil train` in a process of its own; what follows -- goes to it. It is tracked in
    MLflow with the data's span and hash. Whether the challenger takes over is for the rule of
    promotion: see `vigil model promote`.
    """
    # a learner that stops ends this process, and with it goes the training
    with suppress(ValueError):  # in a thread it is for whoever runs the thread
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    chosen = settings()
    folder = out or chosen.home / "retraining" / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    made = asyncio.run(
        retraining.retrain(data, folder, timeout_s=hours * 3600, arguments=arguments)
    )
    if send:
        record = retraining.challenger(made, site=site or chosen.site, who=me(), why=reason)
        asyncio.run(publish(chosen, [record]))
    if as_json:
        shown = {
            "version": made.version,
            "folder": str(made.folder),
            "log": str(made.log),
            "seconds": made.seconds,
            "challenger": send,
            "data": made.summary.get("data"),
        }
        click.echo(json.dumps(shown))
    else:
        what = "scores in the shadow" if send else "was not published"
        click.echo(f"{made.version} {what}; model folder {made.folder}, log {made.log}.")

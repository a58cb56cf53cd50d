"""``vigil worker``: run a worker of an application."""

import importlib
import logging
from pathlib import Path

import click
import uvloop

from config import logs

__all__ = ["worker"]

APPLICATIONS = ("bedside",)


@click.command(epilog="Example: VIGIL_BROKER=kafka:9092 vigil worker bedside --loglevel info")
@click.argument("application", type=click.Choice(APPLICATIONS))
@click.option(
    "--loglevel",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
)
def worker(application: str, loglevel: str) -> None:
    """Run a worker; stop it with Ctrl-C or SIGTERM.

    Run as many as there are partitions, each with its own VIGIL_HOME and VIGIL_WEB_PORT: they share
    the patients among them. /live, /ready and /metrics answer on VIGIL_WEB_HOST:VIGIL_WEB_PORT.
    """
    logs.configure(loglevel.upper())
    uvloop.install()
    app = importlib.import_module(f"streams.apps.{application}").app
    Path(app.conf.datadir).mkdir(parents=True, exist_ok=True)
    app.finalize()
    # our own logging is set up; Faust would replace it
    app.Worker(loglevel=logging.getLevelName(loglevel.upper()), redirect_stdouts=False,
               override_logging=False, quiet=True).execute_from_commandline()  # fmt: skip

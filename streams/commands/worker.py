"""``vigil worker``: run a worker of an application."""

import asyncio
import importlib
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click
import uvloop

from config import logs
from config.policy import load_policy
from config.settings import settings
from streams.topics import prepare

__all__ = ["limit_threads", "worker"]

APPLICATIONS = ("bedside", "learning", "paging", "answers")


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
    A broker that is away is waited for, VIGIL_BROKER_WAIT_S long.

    Of several workers of paging one pages and the others stand by; so it is with learning.
    """
    logs.configure(loglevel.upper())
    # who is told to stop before the engine runs, which has its own way, has nothing to leave behind
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if application == "paging":
        load_policy(settings().policy)  # said before a broker is waited for
    elif application == "answers":
        from rag.safety.numbers import Numbers

        Numbers(settings().region, settings().emergency_numbers)  # likewise
    # what is wrong with the broker or the topics is said here in a sentence
    asyncio.run(prepare(settings()))
    uvloop.install()
    app = importlib.import_module(f"streams.apps.{application}").app
    limit_threads()
    Path(app.conf.datadir).mkdir(parents=True, exist_ok=True)
    app.finalize()
    # our own logging is set up; Faust would replace it
    engine = app.Worker(
        loglevel=logging.getLevelName(loglevel.upper()),
        redirect_stdouts=False,
        override_logging=False,
        quiet=True,
    )
    engine.spinner = None  # it would write cursor codes into a file
    try:
        engine.execute_from_commandline()
    except SystemExit as ended:
        # why it stopped comes last, below what Faust says while it goes down
        if ended.code and app.crash_reason is not None:
            raise click.ClickException(str(app.crash_reason)) from app.crash_reason
        raise


def limit_threads() -> None:
    """Give numpy one thread unless ``OMP_NUM_THREADS`` says otherwise.

    An agent's threads and numpy's own would fight over the cores: answers took seconds.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        threads: Any = importlib.import_module("threadpoolctl")  # it ships no types
        threads.threadpool_limits(1)

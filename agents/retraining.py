"""Retraining that nobody had to ask for: after drift, or when it is due.

Two commands in processes of their own, one after the other: ``vigil data collect`` makes a set of
what the topic ``lessons`` has by now, ``vigil retrain`` trains a challenger on it, which then
scores in the shadow: gradient-boosted trees, so that learning can go on over its leaves, of the
features that the site sends. Nothing of it runs in the event loop that learns.
"""

import asyncio
import logging
import sys
from pathlib import Path

from config.settings import Settings
from models.registry import store_exists
from streams.metrics import metrics

__all__ = ["Retraining"]

log = logging.getLogger(__name__)

#: Lines of a command's last words that are logged where it fails.
_TAIL = 5
_GRACE_S = 5.0


class Retraining:
    """Waits to be asked, and retrains, one at a time.

    Args:
        settings: with `Settings.retrain_dir`; without it nobody is heard.
        command: what Python runs; the command line of Vigil.
    """

    def __init__(
        self, settings: Settings, command: tuple[str, ...] = ("-m", "streams.cli")
    ) -> None:
        self._folder: Path | None = settings.retrain_dir
        self._command = command
        # What is learned between two trainings is learned on leaves. One thread: a training shares
        # its machine with workers, and LightGBM's threads wait for each other in busy loops.
        self._training = (
            *("--candidate", "lightgbm", "--features", settings.feature_set),
            *("--threads", "1"),
        )
        self._why: list[str] = []
        self._asked = asyncio.Event()
        self._tracking_uri = settings.tracking_uri
        self._untold = asyncio.Event()

    def ask(self, why: str) -> None:
        """Ask for a retraining; while one is under way, once more after it.

        Args:
            why: in words; kept with the challenger.
        """
        if self._folder is not None:
            self._why += [why] if why not in self._why else []
            self._asked.set()

    async def keep(self) -> None:
        """Retrain whenever asked, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            why, self._why = "; ".join(self._why), []
            await self.retrain(why)

    def track(self) -> None:
        """Ask for MLflow to be told what happened to the site's models, where there is one."""
        if store_exists(self._tracking_uri):
            self._untold.set()

    async def keep_track(self) -> None:
        """Tell MLflow whenever asked, until cancelled."""
        while True:
            await self._untold.wait()
            self._untold.clear()
            await self._run("model", "track")

    async def retrain(self, why: str) -> bool:
        """Collect and train; tell whether a challenger came of it."""
        folder = str(self._folder)
        log.info("retraining: %s", why)
        done = await self._run("data", "collect", "--out", folder) and await self._run(
            "retrain", "--data", folder, "--reason", why, "--", *self._training
        )
        metrics.retrainings.labels("trained" if done else "failed").inc()
        return done

    async def _run(self, *words: str) -> bool:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self._command,
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
        except OSError as error:
            log.error("vigil %s cannot be started: %s", words[0], error)
            return False
        try:
            said, _ = await process.communicate()
        except asyncio.CancelledError:
            process.terminate()
            await asyncio.wait_for(process.wait(), _GRACE_S)
            raise
        if process.returncode:
            last = said.decode(errors="replace").splitlines()[-_TAIL:]
            log.error("vigil %s ended with %d: %s", words[0], process.returncode, " | ".join(last))
        return process.returncode == 0

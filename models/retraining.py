"""Training in a process of its own: never in the event loop that scores or learns.

The process is ``vigil train``: it logs to MLflow with the data's span and hash, registers the model
without making it the champion, and writes the model folder. What it says goes into a log file. It
ends with its parent's patience: after a time-out, or when whoever waits is cancelled, it is ended
with all that it started.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, Self

from models.registry import facts_of, load_files, read_folder
from models.release_records import ModelRecord

__all__ = ["Retrained", "RetrainingError", "challenger", "retrain"]

#: Time that a process has to end by itself when it is told to.
_GRACE_S = 5.0
#: Lines of the log that an error quotes.
_TAIL = 5


class RetrainingError(RuntimeError):
    """No model came of it; the message says why, and where the log is."""


@dataclass(frozen=True, slots=True)
class Retrained:
    """A model that was trained.

    Attributes:
        version: its number in the registry and its fingerprint, ``7-3fc1a9…``.
        folder: the model folder.
        log: what the process said.
        seconds: how long it took.
        summary: what ``vigil train --json`` tells.
    """

    version: str
    folder: Path
    log: Path
    seconds: float
    summary: dict[str, Any]


async def retrain(
    data: Path,
    out: Path,
    *,
    timeout_s: float,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    command: Sequence[str] = ("-m", "streams.cli", "train"),
) -> Retrained:
    """Train a model in a process of its own.

    Args:
        data: anything that `models.sources.read_patients` reads; best a collected set.
        out: folder for ``model/``, ``train.log`` and ``result.json``; created where it is missing.
        timeout_s: after which it is ended.
        arguments: further ones of ``vigil train``.
        environment: of the process; None = as here.
        command: what Python runs.

    Returns:
        The model.

    Raises:
        RetrainingError: it failed, took too long, or left no model that can be used.
    """
    run = _Run.under(out)
    given = ["--data", str(data), "--out", str(run.folder), "--no-promote", "--json", *arguments]
    began = monotonic()
    process = await run.start([*command, *given], environment)
    try:
        async with asyncio.timeout(timeout_s):
            code = await process.wait()
    except TimeoutError:
        raise RetrainingError(
            f"training took longer than {timeout_s:g} s and was ended; its log is {run.log}"
        ) from None
    finally:
        await _end(process)
    return run.made(code, round(monotonic() - began, 1))


def challenger(retrained: Retrained, *, site: str, who: str, why: str) -> ModelRecord:
    """The record that makes a model score in the shadow.

    Args:
        retrained: from `retrain`.
        site: hospital.
        who: started the training.
        why: drift, a schedule, somebody's wish; in words.
    """
    files = read_folder(retrained.folder)
    facts = facts_of(files)
    return ModelRecord.of(
        files,
        kind="challenger",
        site=site,
        version=retrained.version,
        created_at=datetime.now(UTC),
        who=who,
        why=why,
        facts={
            "data": facts.get("data") or {},
            "trained_on": facts.get("trained_on") or {},
            "registry": retrained.summary["version"],
            "seconds": retrained.seconds,
        },
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """Where the files of a training are."""

    folder: Path
    log: Path
    result: Path

    @classmethod
    def under(cls, out: Path) -> Self:
        out.mkdir(parents=True, exist_ok=True)
        return cls(out / "model", out / "train.log", out / "result.json")

    async def start(
        self, arguments: Sequence[str], environment: Mapping[str, str] | None
    ) -> asyncio.subprocess.Process:
        with open(self.log, "wb") as said, open(self.result, "wb") as told:  # noqa: ASYNC230 - empty
            return await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=told,
                stderr=said,
                env=None if environment is None else dict(environment),
                # so that it can be ended with all that it starts
                start_new_session=True,
            )

    def made(self, code: int, seconds: float) -> Retrained:
        """What came of it."""
        if code != 0:
            tail = self.log.read_text(errors="replace").splitlines()[-_TAIL:]
            why = " ".join(line.strip() for line in tail) or "it said nothing"
            raise RetrainingError(f"training ended with exit code {code}: {why} (log: {self.log})")
        try:
            summary = json.loads(self.result.read_text().splitlines()[-1])
            fingerprint = load_files(read_folder(self.folder)).version
            version = f"{summary['version']}-{fingerprint}"
        except (IndexError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise RetrainingError(
                f"training left no model that can be used: {error} (log: {self.log})"
            ) from error
        return Retrained(version, self.folder, self.log, seconds, summary)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process and all that it started, if it has not ended."""
    if process.returncode is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                await process.wait()
                return

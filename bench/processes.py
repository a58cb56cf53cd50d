"""A bedside worker as an operator runs it: a process of its own that can be killed."""

import asyncio
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from bench.common import ROOT, environment
from config.settings import Settings

__all__ = ["Worker", "free_port"]


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(eq=False)
class Worker:
    """A worker of an application.

    Attributes:
        settings: of the worker; every worker needs its own ``home`` and ``web_port``.
        log: file for what it says, added to at every start.
        application: which.
        process: None before the first start.
    """

    settings: Settings
    log: Path
    application: str = "bedside"
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> "Worker":
        """Start it, or start it again."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", "worker", self.application],
                env=environment(self.settings),
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        return self

    def kill(self) -> None:
        """SIGKILL, as when the power fails."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def pause(self) -> None:
        """SIGSTOP, as when a virtual machine is moved."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    async def stop(self) -> int:
        """SIGTERM, as when a deployment rolls; return the exit code."""
        assert self.process is not None
        self.process.terminate()
        return await self.exited()

    async def exited(self) -> int:
        """Wait until it has gone by itself; return the exit code."""
        assert self.process is not None
        return await asyncio.to_thread(self.process.wait)

    @property
    def alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def said(self) -> str:
        """What went wrong first and what came last, for a failure to explain itself."""
        lines = self.log.read_text(errors="replace").splitlines()
        wrong = [line for line in lines if '"info"' not in line]
        why = [line for line in wrong if '"critical"' in line]
        return "\n".join([line[:3000] for line in wrong[:3]] + ["…"] + why[-1:] + lines[-3:])

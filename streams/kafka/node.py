"""One node of the cluster: a folder, a supervisor and its Java process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from streams.kafka import supervisor
from streams.kafka.errors import NodeDiedError, disk_error
from streams.kafka.java import Java
from streams.kafka.properties import Ports, log4j2_properties, server_properties

__all__ = ["Node"]

_LAST_LINES = 15
#: A supervisor that takes longer, in seconds, to kill Java hangs.
_KILL_S = 10


class Node:
    """A broker and controller in one process.

    Attributes:
        id: number of the node, from 1.
        folder: its data, its settings and its logs.
        port: where clients reach it, once launched.
    """

    def __init__(self, number: int, folder: Path, java: Java) -> None:
        self.id = number
        self.folder = folder
        self.port = 0
        self._java = java
        self._supervisor: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Kafka's log."""
        return self.folder / "server.log"

    @property
    def pid(self) -> int | None:
        """Process of the supervisor, while it runs."""
        return self._supervisor.pid if self._supervisor and self.alive else None

    @property
    def alive(self) -> bool:
        """Whether its Java runs, or is about to."""
        return self._supervisor is not None and self._supervisor.poll() is None

    def launch(self, cluster_id: str, cluster: dict[int, Ports]) -> None:
        """Start Java, on a folder that is formatted first if it is new; does not wait.

        Args:
            cluster_id: Kafka's id of the cluster.
            cluster: the ports of every node.

        Raises:
            DiskError: the folder cannot be written.
        """
        self.port = cluster[self.id].clients
        data, settings = self.folder / "data", self.folder / "server.properties"
        commands = self._java.command("kafka.Kafka", self.folder, [settings])
        if not (data / "meta.properties").exists():
            arguments: list[str | Path] = [
                "format",
                "--ignore-formatted",
                "-t",
                cluster_id,
                "-c",
                settings,
            ]
            storage = self._java.command("kafka.tools.StorageTool", self.folder, arguments)
            commands = [*storage, "--", *commands]
        try:
            (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
            for left_over in (self.folder / "tmp").iterdir():
                left_over.unlink()
            settings.write_text(server_properties(self.id, cluster, data))
            (self.folder / "log4j2.properties").write_text(log4j2_properties(self.log))
            # what is told when it dies shall be of this run
            if self.log.exists():
                self.log.replace(f"{self.log}.1")
            out = self._out.open("wb")
        except OSError as error:
            raise disk_error(error, self.folder) from error
        with out:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-IS", supervisor.__file__, str(os.getpid()), *commands],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self._java.environment(),
                # Ctrl-C in the terminal is for Vigil, which decides what becomes of Java
                start_new_session=True,
            )

    def terminate(self) -> None:
        """Ask it to shut down in order; does not wait."""
        if self._supervisor and self.alive:
            self._supervisor.send_signal(signal.SIGTERM)

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds for its end; tell whether it has ended."""
        if self._supervisor:
            try:
                self._supervisor.wait(timeout)
            except subprocess.TimeoutExpired:
                return False
        return True

    def kill(self) -> None:
        """End it at once, as a power cut would; returns when Java is gone."""
        if self._supervisor and self._supervisor.stdin:
            # the supervisor kills Java, waits for it, and goes
            self._supervisor.stdin.close()
            if not self.wait(_KILL_S):
                os.killpg(self._supervisor.pid, signal.SIGKILL)
                self._supervisor.wait()

    def release(self) -> None:
        """Let it outlive this process.

        Raises:
            NodeDiedError: it has ended.
        """
        if self._supervisor and self._supervisor.stdin:
            try:
                self._supervisor.stdin.write(b"detach")
                self._supervisor.stdin.close()
            except BrokenPipeError:
                raise self.died() from None
            # Popen warns of a child that still runs when it is let go: here, that is the point
            self._supervisor.returncode = 0
            self._supervisor = None

    def died(self) -> NodeDiedError:
        """Return the error that tells why Java has ended."""
        lines = [
            line
            for file in (self._out, self.log)
            if file.exists()
            for line in file.read_text(errors="replace").splitlines()
            # the places in Kafka's source tell nothing that the message does not
            if not line.startswith("\tat ")
        ]
        log = self.log if self.log.exists() and self.log.stat().st_size else self._out
        return NodeDiedError(self.id, log, lines[-_LAST_LINES:])

    @property
    def _out(self) -> Path:
        """What Java itself has to say; Kafka says nothing there."""
        return self.folder / "java.log"

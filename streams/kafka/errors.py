"""What can go wrong with the local broker, each message with its remedy."""

import errno
from pathlib import Path

__all__ = [
    "AlreadyRunningError",
    "DiskError",
    "LocalKafkaError",
    "NodeDiedError",
    "disk_error",
]


class LocalKafkaError(RuntimeError):
    """The local broker cannot do what was asked; the message names the remedy."""


class AlreadyRunningError(LocalKafkaError):
    """A cluster of this home runs already.

    Attributes:
        bootstrap: its address.
    """

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        super().__init__(
            f"Kafka is already running at {bootstrap}; stop it with `vigil kafka stop`."
        )


class DiskError(LocalKafkaError):
    """A folder cannot be written."""


class NodeDiedError(LocalKafkaError):
    """The Java process of a node has ended by itself.

    Attributes:
        port_taken: it ended because another program has its port.
    """

    def __init__(self, node: int, log: Path, last_lines: list[str]) -> None:
        text = "\n".join(f"  {line}" for line in last_lines) or "  (it wrote nothing)"
        self.port_taken = "BindException" in text or "Address already in use" in text
        if self.port_taken:
            remedy = "Another program has its port: choose one with --port, or leave --port out."
        elif "No space left on device" in text:
            remedy = "The disk is full: free some space, then start again."
        elif "heap" in text.lower() or "OutOfMemoryError" in text:
            remedy = "It has too little memory: --heap 512m is what it needs, 1g is plenty."
        else:
            remedy = (
                f"If that does not tell, delete {log.parent} and start again; "
                "the topics in it are lost."
            )
        super().__init__(f"Java of node {node} has ended. Last lines of {log}:\n{text}\n{remedy}")


def disk_error(error: OSError, folder: Path) -> DiskError:
    """Explain why ``folder`` cannot be written.

    Args:
        error: what the operating system said.
        folder: where Vigil wanted to write.

    Returns:
        The error to raise, with its remedy.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskError(f"The disk of {folder} is full: free at least 300 MB, then start again.")
    return DiskError(
        f"{folder} cannot be written ({error.strerror or error}): give yourself the right to, "
        "or choose another folder with VIGIL_HOME (data) or VIGIL_CACHE (downloads)."
    )

"""One process at a time, and a place to work in that leaves nothing half done behind."""

import fcntl
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.kafka.errors import disk_error

__all__ = ["locked", "scratch"]

log = logging.getLogger(__name__)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``; wait while another process has it.

    The operating system holds the lock, so a killed process leaves none behind.

    Raises:
        DiskError: the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise disk_error(error, path.parent) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("another process holds %s: waiting for it", path)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """Make an empty folder for the time of the block.

    What a killed process left in it goes first, so only one process may use it: hold a lock.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)

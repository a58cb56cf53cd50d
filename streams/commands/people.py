"""Who gives a command."""

import getpass
import socket

__all__ = ["me"]


def me() -> str:
    """Name of the user and of the machine, for what is kept of a decision."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may know no user by this number
        user = "somebody"
    return f"{user}@{socket.gethostname()}"

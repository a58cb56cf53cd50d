"""Free ports on this machine."""

import random
import socket

__all__ = ["HOST", "free_ports", "is_free"]

HOST = "127.0.0.1"

#: Below the ports that Linux (32768 up) and macOS (49152 up) hand to outgoing connections: one of
#: those could take a node's port while the node is down.
_RANGE = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Whether nothing listens on ``port`` of 127.0.0.1 and a broker could."""
    with socket.socket() as probe:
        # macOS lets two sockets bind a port, one to 0.0.0.0 and one to 127.0.0.1: bind is no proof
        if probe.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket() as probe:
        # as Java does: connections that are only waiting to expire do not count
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Find ``count`` different free ports.

    Random ones, so that clusters which start at the same time rarely meet.
    """
    ports: list[int] = []
    for port in random.sample(_RANGE, len(_RANGE)):
        if len(ports) == count:
            break
        if is_free(port):
            ports.append(port)
    return ports

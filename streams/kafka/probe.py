"""Asks one broker what it knows of its cluster.

A blocking request of its own, not a client: it works inside a running event loop too, gives up at
once, and a client would log an error for every time it asks a broker that is still starting.
"""

import socket
import struct
from dataclasses import dataclass
from io import BytesIO

from aiokafka.protocol.metadata import MetadataRequest_v1

from streams.kafka.ports import HOST

__all__ = ["View", "view"]


@dataclass(frozen=True, slots=True)
class View:
    """What a broker knows.

    Attributes:
        brokers: numbers of the nodes that are registered and alive.
        has_controller: whether one of them leads the quorum.
        complete: whether every partition has a leader and all its copies up to date, those on
            nodes that are down left aside.
    """

    brokers: frozenset[int]
    has_controller: bool
    complete: bool


def view(port: int, timeout: float = 1.0) -> View | None:
    """Ask the broker at ``port``.

    Args:
        port: of 127.0.0.1.
        timeout: seconds to wait for each step.

    Returns:
        Its view, or None where no broker answers.
    """
    request = MetadataRequest_v1(None)
    frame = request.build_request_header(1, "vigil").encode() + request.encode()
    try:
        with socket.create_connection((HOST, port), timeout) as connection:
            connection.sendall(struct.pack(">i", len(frame)) + frame)
            with connection.makefile("rb") as answer:
                (size,) = struct.unpack(">i", answer.read(4))
                body = BytesIO(answer.read(size))
        request.parse_response_header(body)
        found = request.RESPONSE_TYPE.decode(body).to_object()
    except (OSError, ValueError, struct.error):
        return None
    brokers = frozenset(broker["node_id"] for broker in found["brokers"])
    return View(
        brokers=brokers,
        has_controller=found["controller_id"] in brokers,
        complete=all(
            partition["leader"] in brokers
            and set(partition["replicas"]) & brokers <= set(partition["isr"])
            for topic in found["topics"]
            for partition in topic["partitions"]
        ),
    )

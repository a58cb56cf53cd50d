"""The settings of a node, and where it logs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streams.kafka.ports import HOST

__all__ = ["Ports", "log4j2_properties", "server_properties"]


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a node listens on 127.0.0.1.

    Attributes:
        clients: for clients and the other brokers.
        controller: for the controllers' quorum.
        proxied: for what a proxy passes on; None = no proxy is expected.
        proxy: where the proxy listens, which is what clients that come through it are told.
    """

    clients: int
    controller: int
    proxied: int | None = None
    proxy: int | None = None


def server_properties(node: int, cluster: Mapping[int, Ports], data: Path) -> str:
    """Write ``server.properties`` of one combined broker and controller.

    Args:
        node: its number.
        cluster: the ports of every node, this one included.
        data: folder of the logs.

    Returns:
        The file's text. Three nodes keep three copies of everything, of which two must be written
        before a record is acknowledged, so that one may be lost.
    """
    copies, written = (3, 2) if len(cluster) >= 3 else (1, 1)
    # alone, there is nobody to hand over to by mistake when the machine stalls
    session = 4000 if copies == 3 else 2000
    voters = ",".join(f"{n}@{HOST}:{ports.controller}" for n, ports in cluster.items())
    mine = cluster[node]
    listeners = {"PLAINTEXT": mine.clients, "CONTROLLER": mine.controller}
    advertised = {"PLAINTEXT": mine.clients}
    if mine.proxied is not None and mine.proxy is not None:
        listeners["PROXIED"], advertised["PROXIED"] = mine.proxied, mine.proxy
    return f"""\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners={_addresses(listeners)}
advertised.listeners={_addresses(advertised)}
listener.security.protocol.map={",".join(f"{name}:PLAINTEXT" for name in listeners)}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={data}

default.replication.factor={copies}
min.insync.replicas={written}
offsets.topic.replication.factor={copies}
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={written}
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={written}

# A topic that nobody made is an error, not a topic.
auto.create.topics.enable=false
# A lone worker need not wait for others that might join.
group.initial.rebalance.delay.ms=0
# Tests of dead workers may choose short sessions.
group.min.session.timeout.ms=1000
# A dead node is noticed after {session} ms, not 9000; it cannot come back earlier.
broker.heartbeat.interval.ms={session // 8}
broker.session.timeout.ms={session}

# Small: few partitions of internal topics, few threads, little memory and disk before use.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
share.coordinator.state.topic.num.partitions=1
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
log.segment.bytes=67108864
log.index.size.max.bytes=1048576
"""


def _addresses(ports: Mapping[str, int]) -> str:
    return ",".join(f"{name}://{HOST}:{port}" for name, port in ports.items())


def log4j2_properties(log: Path) -> str:
    """Write Log4j's settings: warnings into ``log``, 10 MB and one older file at most.

    Args:
        log: the log file.

    Returns:
        The file's text.
    """
    return f"""\
status=error
appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName={log}
appender.file.filePattern={log}.1
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d{{yyyy-MM-dd HH:mm:ss,SSS}} %-5p %m (%c{{1}})%n%throwable
appender.file.policies.type=Policies
appender.file.policies.size.type=SizeBasedTriggeringPolicy
appender.file.policies.size.size=10MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=1
# "could not be established", for every try while another node starts or is down
logger.connections.name=org.apache.kafka.clients.NetworkClient
logger.connections.level=error
rootLogger.level=warn
rootLogger.appenderRef.file.ref=file
"""

"""A local Kafka cluster of one or three nodes."""

from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from streams.kafka import state
from streams.kafka.class_cache import class_cache
from streams.kafka.errors import AlreadyRunningError, LocalKafkaError, NodeDiedError
from streams.kafka.identity import identify
from streams.kafka.jars import KAFKA_VERSION, MAVEN_CENTRAL, install
from streams.kafka.java import Java
from streams.kafka.lock import locked
from streams.kafka.node import Node
from streams.kafka.ports import HOST, free_ports, is_free
from streams.kafka.probe import view
from streams.kafka.properties import Ports
from streams.kafka.waiting import until

__all__ = ["LocalKafka"]

#: Another program may take a port between our look and Java's; then other ports are tried.
_TRIES = 3
_STOP_NODE_S = 20.0


class LocalKafka:
    """A Kafka of its own on 127.0.0.1, whose Java never outlives the process that started it.

    Not after an exception, not after Ctrl-C, not after SIGKILL (see `streams.kafka.supervisor`);
    unless it is told to by `detach`. Data stays in ``home`` and is found again at the next start.

        with LocalKafka(home, cache, nodes=3) as kafka:
            kafka.kill(2)
            kafka.wait_healthy()

    Args:
        home: Vigil's folder; the cluster is kept in ``home/kafka``.
        cache: folder for Kafka's jars, filled at the first start.
        nodes: 1 or 3.
        port: for clients of node 1; None takes free ones for all nodes.
        proxied: whether clients may come through a proxy in front of each node, see `proxies`.
        heap: the most memory for objects of each node, as Java writes it.
        start_timeout: seconds a start may take, downloads left aside.
        repository: URL of a Maven repository.

    Raises:
        ValueError: there cannot be so many nodes.
    """

    def __init__(
        self,
        home: Path,
        cache: Path,
        nodes: int = 1,
        port: int | None = None,
        *,
        proxied: bool = False,
        heap: str = "512m",
        start_timeout: float = 60.0,
        repository: str = MAVEN_CENTRAL,
    ) -> None:
        if nodes not in (1, 3):
            raise ValueError(f"a cluster has 1 node or 3, not {nodes}: two cannot outvote one")
        self.home = home.absolute()
        self.nodes: dict[int, Node] = {}
        self._cache = cache.absolute() / f"kafka-{KAFKA_VERSION}"
        self._count = nodes
        self._port = port
        self._proxied = proxied
        self._heap = heap
        self._timeout = start_timeout
        self._repository = repository
        self._cluster_id = ""
        self._ports: dict[int, Ports] = {}

    @property
    def bootstrap(self) -> str:
        """Addresses for clients, ``host:port`` with commas."""
        return ",".join(f"{HOST}:{ports.clients}" for ports in self._ports.values())

    @property
    def proxies(self) -> dict[int, tuple[int, int]]:
        """Per node the port on which a proxy is to listen, and the one that it passes on to.

        Nothing listens on the first ones: whoever asked for ``proxied`` does. Clients that connect
        there are told the other nodes' proxies, too, and never the nodes themselves.
        """
        return {
            node: (ports.proxy, ports.proxied)
            for node, ports in self._ports.items()
            if ports.proxy is not None and ports.proxied is not None
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start all nodes and wait until the cluster is healthy.

        The first start downloads Kafka (46 MB) and takes 20 seconds, others one.

        Raises:
            AlreadyRunningError: a cluster of this home runs.
            LocalKafkaError: it cannot be started; nothing is left running.
        """
        folder = self.home / "kafka"
        try:
            with locked(folder / "start.lock"):
                self._check()
                self._cluster_id = identify(self.home, self._count)
                classpath = install(self._cache, repository=self._repository)
                archive = class_cache(self._cache, classpath)
                options = (f"-XX:AOTCache={archive}",) if archive else ()
                java = Java(classpath, self._heap, options)
                self.nodes = {
                    n: Node(n, folder / f"node-{n}", java) for n in range(1, self._count + 1)
                }
                self._launch()
                self._save()
        except AlreadyRunningError:
            raise
        except BaseException:
            self.stop(grace=0)
            raise

    def stop(self, grace: float = state.GRACE_S) -> None:
        """End all nodes.

        Args:
            grace: seconds they have for an orderly shutdown; what is left then is killed.
        """
        nodes = list(self.nodes.values())
        self.nodes = {}
        try:
            if grace:
                for node in nodes:
                    node.terminate()
                until(lambda: state.too_few(sum(n.alive for n in nodes), len(nodes)), grace)
        finally:
            # also where Ctrl-C comes a second time
            for node in nodes:
                node.kill()
            if nodes:
                state.forget(self.home)

    def detach(self) -> None:
        """Let the cluster run on when this process ends; `streams.kafka.stop` ends it.

        Raises:
            NodeDiedError: a node has ended; the others are stopped.
        """
        try:
            for node in self.nodes.values():
                node.release()
        except BaseException:
            # those already released are out of `stop`'s reach
            state.stop(self.home)
            raise
        self.nodes = {}

    def kill(self, node: int) -> None:
        """Take a node down as a power cut would; returns when its Java is gone.

        The others notice after 4 s: `wait_healthy` returns when they have.
        """
        self.nodes[node].kill()
        self._save()

    def stop_node(self, node: int) -> None:
        """Shut a node down in order; it hands its partitions over first.

        Raises:
            LocalKafkaError: it does not end, and was killed.
        """
        self.nodes[node].terminate()
        ended = self.nodes[node].wait(_STOP_NODE_S)
        self.kill(node)
        if not ended:
            raise LocalKafkaError(
                f"Node {node} did not shut down within {_STOP_NODE_S:.0f} s and was killed. "
                "Do more than half of the nodes run? Without them, use kill()."
            )

    def start_node(self, node: int, wait: bool = True) -> None:
        """Start a node that is down, on its old data and ports.

        Args:
            node: its number.
            wait: until the cluster is healthy, all copies up to date.

        Raises:
            LocalKafkaError: it runs already, it dies, or the cluster does not become healthy.
        """
        if self.nodes[node].alive:
            raise LocalKafkaError(f"Node {node} runs already: kill or stop it first.")
        self.nodes[node].launch(self._cluster_id, self._ports)
        if wait:
            self.wait_healthy()
        self._save()

    def wait_healthy(self, timeout: float | None = None) -> None:
        """Wait until what the nodes know is true and complete.

        That is: every node that runs answers, all of them know exactly the nodes that run, one
        leads the quorum, and every partition has a leader and all its copies on running nodes up
        to date.

        Args:
            timeout: seconds, by default those of a start.

        Raises:
            LocalKafkaError: it takes longer.
            NodeDiedError: a node dies meanwhile.
        """
        timeout = self._timeout if timeout is None else timeout
        expected = {number: node for number, node in self.nodes.items() if node.alive}

        def healthy() -> bool:
            for node in expected.values():
                if not node.alive:
                    raise node.died()
                seen = view(node.port)
                if not (
                    seen and seen.brokers == set(expected) and seen.has_controller and seen.complete
                ):
                    return False
            return bool(expected)

        if not until(healthy, timeout):
            logs = ", ".join(str(node.log) for node in expected.values()) or "no node runs"
            raise LocalKafkaError(
                f"The cluster is not healthy after {timeout:.0f} s: is this machine overloaded? "
                f"What the nodes say: {logs}"
            )

    def _check(self) -> None:
        """Tell what is wrong before anything is started."""
        if address := state.running(self.home):
            raise AlreadyRunningError(address)
        if (cluster := state.load(self.home)) and any(node.alive for node in cluster.nodes):
            raise LocalKafkaError(
                f"A Kafka of {self.home} runs but does not answer: wait, or end it with "
                "`vigil kafka stop`."
            )
        if self._port is not None and not is_free(self._port):
            raise LocalKafkaError(
                f"Port {self._port} is taken by another program: end it, choose another --port, "
                "or leave --port out and a free one is found."
            )

    def _launch(self) -> None:
        for tries_left in reversed(range(_TRIES)):
            each = 4 if self._proxied else 2
            free = free_ports(each * self._count)
            self._ports = {n: Ports(*(free.pop() for _ in range(each))) for n in self.nodes}
            if self._port is not None:
                self._ports[1] = replace(self._ports[1], clients=self._port)
            try:
                for node in self.nodes.values():
                    node.launch(self._cluster_id, self._ports)
                self.wait_healthy()
                return
            except NodeDiedError as error:
                if not (error.port_taken and tries_left and self._port is None):
                    raise
                for node in self.nodes.values():
                    node.kill()

    def _save(self) -> None:
        members = tuple(
            state.Member(n, node.port, state.processes_of(node.pid))
            for n, node in self.nodes.items()
        )
        state.Cluster(self.bootstrap, KAFKA_VERSION, members).save(self.home)

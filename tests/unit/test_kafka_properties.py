from pathlib import Path

import pytest

from streams.kafka.properties import Ports, log4j2_properties, server_properties

pytestmark = pytest.mark.unit

THREE = {n: Ports(9000 + n, 9100 + n) for n in (1, 2, 3)}


def settings(node: int, cluster: dict[int, Ports]) -> dict[str, str]:
    found = {}
    for line in server_properties(node, cluster, Path("/data")).splitlines():
        if line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found[name] = value
    return found


@pytest.mark.parametrize(
    ("cluster", "copies", "written"), [({1: Ports(9001, 9101)}, "1", "1"), (THREE, "3", "2")]
)
def test_everything_is_kept_as_often_as_the_cluster_can_and_one_node_may_be_lost(
    cluster: dict[int, Ports], copies: str, written: str
) -> None:
    found = settings(1, cluster)
    kept = {name: value for name, value in found.items() if name.endswith("replication.factor")}
    assert len(kept) == 4
    assert set(kept.values()) == {copies}
    assert found["min.insync.replicas"] == written
    assert found["transaction.state.log.min.isr"] == written
    assert found["share.coordinator.state.topic.min.isr"] == written


def test_a_node_listens_on_this_machine_only() -> None:
    found = settings(2, THREE)
    assert found["listeners"] == "PLAINTEXT://127.0.0.1:9002,CONTROLLER://127.0.0.1:9102"
    assert found["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9002"


def test_every_node_votes_and_knows_itself() -> None:
    found = settings(3, THREE)
    assert found["node.id"] == "3"
    assert found["process.roles"] == "broker,controller"
    assert found["controller.quorum.voters"] == "1@127.0.0.1:9101,2@127.0.0.1:9102,3@127.0.0.1:9103"


def test_no_topic_is_made_by_writing_to_it_and_no_group_waits_for_more_members() -> None:
    found = settings(1, THREE)
    assert found["auto.create.topics.enable"] == "false"
    assert found["group.initial.rebalance.delay.ms"] == "0"


def test_kafka_writes_warnings_into_its_file_and_nothing_to_the_console() -> None:
    text = log4j2_properties(Path("/home/node-1/server.log"))
    assert "appender.file.fileName=/home/node-1/server.log" in text
    assert "rootLogger.level=warn" in text
    assert "Console" not in text


def test_clients_that_come_through_a_proxy_are_told_of_proxies_only() -> None:
    found = settings(2, {n: Ports(9000 + n, 9100 + n, 9200 + n, 9300 + n) for n in (1, 2, 3)})
    assert "PROXIED://127.0.0.1:9202" in found["listeners"]
    assert found["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9002,PROXIED://127.0.0.1:9302"
    assert found["inter.broker.listener.name"] == "PLAINTEXT"

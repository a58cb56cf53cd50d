"""Three real brokers: one may be lost, and comes back."""

from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from config.settings import Settings
from streams.kafka import LocalKafka, LocalKafkaError, load
from streams.kafka.probe import view

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    with LocalKafka(tmp_path_factory.mktemp("three"), Settings().cache, nodes=3) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _everything_is_up(kafka: LocalKafka) -> Iterator[None]:
    yield
    for number, node in kafka.nodes.items():
        if not node.alive:
            kafka.start_node(number)


def known_to(kafka: LocalKafka, node: int) -> frozenset[int]:
    seen = view(kafka.nodes[node].port)
    assert seen
    return seen.brokers


def test_every_node_knows_all_three(kafka: LocalKafka) -> None:
    assert len(kafka.bootstrap.split(",")) == 3
    assert all(known_to(kafka, node) == {1, 2, 3} for node in kafka.nodes)


async def test_offsets_of_groups_are_kept_three_times(kafka: LocalKafka) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("grouped", 1, 3)])
        consumer = AIOKafkaConsumer("grouped", bootstrap_servers=kafka.bootstrap, group_id="g")
        await consumer.start()
        await consumer.stop()
        (topic,) = await admin.describe_topics(["__consumer_offsets"])
    finally:
        await admin.close()
    assert {len(partition["replicas"]) for partition in topic["partitions"]} == {3}


async def test_writing_goes_on_when_a_node_is_lost_and_the_node_catches_up(
    kafka: LocalKafka,
) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("goes-on", 3, 3)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as producer:
        for partition in range(3):
            await producer.send_and_wait("goes-on", b"before", partition=partition)
        kafka.kill(2)
        kafka.wait_healthy()
        assert known_to(kafka, 1) == {1, 3}
        for partition in range(3):
            await producer.send_and_wait("goes-on", b"meanwhile", partition=partition)
        kafka.start_node(2)
    assert known_to(kafka, 2) == {1, 2, 3}
    assert all(seen and seen.complete for seen in map(view, ports(kafka)))


def ports(kafka: LocalKafka) -> list[int]:
    return [node.port for node in kafka.nodes.values()]


def test_a_node_that_is_stopped_in_order_is_known_to_be_gone_at_once(kafka: LocalKafka) -> None:
    kafka.stop_node(3)
    assert not kafka.nodes[3].alive
    # well before the four seconds after which a silent node is given up
    kafka.wait_healthy(timeout=3)
    assert known_to(kafka, 1) == {1, 2}


def test_the_record_on_disk_tells_which_nodes_are_up(kafka: LocalKafka) -> None:
    kafka.stop_node(1)
    cluster = load(kafka.home)
    assert cluster
    assert [node.alive for node in cluster.nodes] == [False, True, True]


def test_a_node_that_runs_cannot_be_started_again(kafka: LocalKafka) -> None:
    with pytest.raises(LocalKafkaError, match="runs already"):
        kafka.start_node(1)

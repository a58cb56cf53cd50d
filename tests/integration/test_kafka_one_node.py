"""One real broker: what clients can rely on, and what a power cut may not take away."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from config.settings import Settings
from streams.kafka import AlreadyRunningError, LocalKafka, LocalKafkaError, load, running

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    with LocalKafka(tmp_path_factory.mktemp("one"), Settings().cache) as cluster:
        yield cluster


async def make(kafka: LocalKafka, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()


async def send(kafka: LocalKafka, topic: str, count: int) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as producer:
        for number in range(count):
            await producer.send_and_wait(topic, b"%d" % number, partition=0)


async def read(kafka: LocalKafka, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


async def test_a_record_sent_is_a_record_read(kafka: LocalKafka) -> None:
    await make(kafka, "there-and-back")
    await send(kafka, "there-and-back", 3)
    assert await read(kafka, "there-and-back", 3) == [b"0", b"1", b"2"]


async def test_a_topic_that_nobody_made_is_not_made_by_writing_to_it(kafka: LocalKafka) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, request_timeout_ms=1_000)
    async with producer:
        with pytest.raises(KafkaError):
            await producer.send_and_wait("nobody-made-me", b"")


def test_every_port_is_open_on_this_machine_only(kafka: LocalKafka) -> None:
    cluster = load(kafka.home)
    assert cluster
    java = psutil.Process(cluster.nodes[0].processes[-1].pid)
    listening = [c.laddr for c in java.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert len(listening) == 2
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_the_running_cluster_is_found_by_its_home(kafka: LocalKafka) -> None:
    assert running(kafka.home) == kafka.bootstrap


def test_a_second_cluster_on_the_same_home_is_refused_and_the_first_lives_on(
    kafka: LocalKafka,
) -> None:
    with pytest.raises(AlreadyRunningError, match=kafka.bootstrap):
        LocalKafka(kafka.home, Settings().cache).start()
    assert running(kafka.home) == kafka.bootstrap


def test_a_port_in_use_is_told_before_anything_is_started(
    kafka: LocalKafka, tmp_path: Path
) -> None:
    port = int(kafka.bootstrap.split(":")[1])
    with pytest.raises(LocalKafkaError, match=f"Port {port} is taken"):
        LocalKafka(tmp_path, Settings().cache, port=port).start()
    assert not list(tmp_path.glob("kafka/node-*"))


async def test_what_was_acknowledged_survives_a_power_cut(kafka: LocalKafka) -> None:
    await make(kafka, "survivors")
    await send(kafka, "survivors", 100)
    kafka.kill(1)
    assert running(kafka.home) is None
    kafka.start_node(1)
    assert running(kafka.home) == kafka.bootstrap
    assert await read(kafka, "survivors", 100) == [b"%d" % n for n in range(100)]


def test_a_java_that_dies_at_its_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    before = psutil.Process(os.getpid()).children()
    with pytest.raises(
        LocalKafkaError, match=r"(?s)node-1/java.log.*Too small maximum heap.*--heap"
    ):
        LocalKafka(tmp_path, Settings().cache, heap="1m").start()
    assert psutil.Process(os.getpid()).children() == before
    assert load(tmp_path) is None


def test_a_stopped_cluster_leaves_no_process_and_no_record_and_keeps_its_data(
    tmp_path: Path,
) -> None:
    with LocalKafka(tmp_path, Settings().cache) as kafka:
        cluster = load(tmp_path)
    assert cluster
    assert len(cluster.nodes[0].processes) == 2
    assert not cluster.nodes[0].alive
    assert load(tmp_path) is None
    assert kafka.nodes == {}
    assert (tmp_path / "kafka" / "node-1" / "data" / "meta.properties").exists()

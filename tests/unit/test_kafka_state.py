import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from streams.kafka.errors import LocalKafkaError
from streams.kafka.identity import identify, nodes_on_disk
from streams.kafka.state import Cluster, Member, Process, load, running, stop, too_few

pytestmark = pytest.mark.unit

#: A process that does not listen to SIGTERM, and says when it does not.
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('deaf', flush=True); time.sleep(99)"
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "kafka").mkdir()
    return tmp_path


@pytest.fixture
def stubborn() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-IS", "-c", STUBBORN]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


def record(home: Path, pid: int, started: float, port: int = 1) -> Cluster:
    """Write down a cluster of one process."""
    member = Member(1, port, (Process(pid, started),))
    cluster = Cluster("127.0.0.1:1", "4.1.2", (member,))
    cluster.save(home)
    return cluster


def test_what_is_written_down_is_read_back(home: Path) -> None:
    cluster = record(home, os.getpid(), 1.5)
    assert load(home) == cluster


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"nodes": [{"id": 1}]}'])
def test_a_damaged_record_is_no_cluster(home: Path, text: str) -> None:
    (home / "kafka" / "cluster.json").write_text(text)
    assert load(home) is None
    assert running(home) is None


def test_nothing_runs_where_nothing_was_started(tmp_path: Path) -> None:
    assert running(tmp_path) is None
    assert stop(tmp_path) is False


def test_a_process_that_lives_but_does_not_answer_is_no_running_cluster(home: Path) -> None:
    cluster = record(home, os.getpid(), psutil.Process().create_time())
    assert cluster.nodes[0].alive
    assert running(home) is None


def test_a_process_that_got_the_number_of_a_dead_one_is_left_alone(
    home: Path, stubborn: subprocess.Popen[bytes]
) -> None:
    an_hour_ago = time.time() - 3600
    cluster = record(home, stubborn.pid, an_hour_ago)
    assert not cluster.nodes[0].alive
    assert stop(home, grace=0.1) is False
    assert stubborn.poll() is None
    assert load(home) is None


def test_what_does_not_end_by_itself_is_killed(
    home: Path, stubborn: subprocess.Popen[bytes]
) -> None:
    record(home, stubborn.pid, psutil.Process(stubborn.pid).create_time())
    assert stop(home, grace=0.1) is True
    assert stubborn.wait(5) == -signal.SIGKILL
    assert load(home) is None


@pytest.mark.parametrize(
    ("alive", "nodes", "over"), [(1, 1, False), (0, 1, True), (2, 3, False), (1, 3, True)]
)
def test_a_shutdown_is_waited_for_while_the_nodes_left_have_a_majority(
    alive: int, nodes: int, over: bool
) -> None:
    assert too_few(alive, nodes) is over


def formatted(home: Path, node: int = 1) -> None:
    data = home / "kafka" / f"node-{node}" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").touch()


def test_a_cluster_keeps_its_id_as_long_as_its_data(home: Path) -> None:
    first = identify(home, 1)
    formatted(home)
    assert identify(home, 1) == first
    assert len(first) == 22
    assert "-" not in first


def test_three_nodes_do_not_start_on_the_data_of_one(home: Path) -> None:
    identify(home, 1)
    formatted(home)
    assert nodes_on_disk(home) == 1
    with pytest.raises(LocalKafkaError, match=r"cluster of 1 node: start it with --nodes 1"):
        identify(home, 3)


def test_a_first_start_that_was_interrupted_half_way_can_be_repeated(home: Path) -> None:
    first = identify(home, 3)
    formatted(home, node=2)
    assert identify(home, 3) == first
    assert nodes_on_disk(home) == 3


def test_a_start_that_came_to_nothing_binds_nobody_to_its_size(home: Path) -> None:
    identify(home, 3)
    identify(home, 1)
    formatted(home)
    assert nodes_on_disk(home) == 1


def test_data_whose_identity_is_lost_is_not_mixed_with_another_cluster(home: Path) -> None:
    formatted(home)
    with pytest.raises(LocalKafkaError, match="begin anew"):
        identify(home, 1)

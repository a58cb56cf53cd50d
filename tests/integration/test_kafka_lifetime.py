"""No Java outlives the process that started it, however that ends; a detached one does."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from config.settings import Settings
from streams.kafka import LocalKafka, load, running, stop
from streams.kafka.state import Process
from streams.kafka.waiting import until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]

HOLDS_A_CLUSTER = """
import sys, time
from pathlib import Path
from streams.kafka import LocalKafka
with LocalKafka(Path(sys.argv[1]), Path(sys.argv[2])):
    print("up", flush=True)
    time.sleep(99)
"""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds a cluster."""
    command = [sys.executable, "-c", HOLDS_A_CLUSTER, str(tmp_path), str(Settings().cache)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        yield process
        process.kill()
    stop(tmp_path)


def family(home: Path) -> tuple[Process, ...]:
    """Return the supervisor and Java of a cluster's only node."""
    cluster = load(home)
    assert cluster
    assert cluster.nodes[0].alive
    return cluster.nodes[0].processes


def all_gone(processes: tuple[Process, ...]) -> bool:
    return until(lambda: not any(process.find() for process in processes), 5)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_java_is_gone_when_its_parent_ends_by_a_signal(
    parent: subprocess.Popen[bytes], tmp_path: Path, how: signal.Signals
) -> None:
    processes = family(tmp_path)
    parent.send_signal(how)
    parent.wait(10)
    assert all_gone(processes)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent's life")
def test_java_is_gone_when_its_parent_and_its_supervisor_are_killed_together(
    parent: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    processes = family(tmp_path)
    parent.kill()
    os.kill(processes[0].pid, signal.SIGKILL)
    assert all_gone(processes)


def test_java_is_gone_after_an_exception(tmp_path: Path) -> None:
    processes: list[Process] = []

    def fail() -> None:
        with LocalKafka(tmp_path, Settings().cache):
            processes.extend(family(tmp_path))
            raise RuntimeError("anything")

    with pytest.raises(RuntimeError, match="anything"):
        fail()
    assert all_gone(tuple(processes))


def vigil(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", "kafka", *arguments],
        cwd=ROOT,
        env=os.environ | {"VIGIL_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_background_cluster_outlives_its_command_until_it_is_stopped(tmp_path: Path) -> None:
    try:
        started = vigil(tmp_path, "start", "--json")
        assert started.returncode == 0, started.stderr
        bootstrap = json.loads(started.stdout)["bootstrap"]
        assert running(tmp_path) == bootstrap
        processes = family(tmp_path)

        again = vigil(tmp_path, "start")
        assert (again.returncode, again.stderr) == (0, "")
        assert f"already running at {bootstrap}" in again.stdout
        assert family(tmp_path) == processes

        assert vigil(tmp_path, "status").stdout.startswith("Kafka 4.1.2 is running at")
        more = vigil(tmp_path, "start", "--nodes", "3")
        assert more.returncode == 1
        assert "already running with 1 node" in more.stderr

        assert vigil(tmp_path, "stop").stdout == "Kafka has stopped.\n"
        assert all_gone(processes)
        assert vigil(tmp_path, "status").returncode == 1
    finally:
        stop(tmp_path)


def test_ctrl_c_during_the_start_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "streams.cli", "kafka", "start"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"VIGIL_HOME": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        starter = psutil.Process(process.pid)
        try:
            assert until(lambda: len(starter.children(recursive=True)) == 2, 30)
            processes = tuple(
                Process(child.pid, child.create_time())
                for child in starter.children(recursive=True)
            )
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
            assert all_gone(processes)
            assert load(tmp_path) is None
        finally:
            process.kill()
            stop(tmp_path)

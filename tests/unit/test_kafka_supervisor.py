"""The supervisor with small programs in Java's place."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest

from streams.kafka import supervisor
from streams.kafka.waiting import until

pytestmark = pytest.mark.unit

#: Writes its process id, then waits for longer than any test takes.
WAITS = [sys.executable, "-IS", "-c", "import os,time; print(os.getpid(), flush=1); time.sleep(99)"]
SAYS = [sys.executable, "-IS", "-c", "print('said', flush=1)"]
FAILS = [sys.executable, "-IS", "-c", "raise SystemExit(7)"]

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(*command: str, parent: int | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-IS", supervisor.__file__, str(parent or os.getpid()), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.stdin and not process.stdin.closed:
            process.stdin.close()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout
        process.stdout.close()


def gone(process: psutil.Process) -> bool:
    """Whether it has ended; its parent may still have to bury it."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def child_of(process: subprocess.Popen[str]) -> psutil.Process:
    """Return the process that the supervisor runs, once it has said that it runs."""
    assert process.stdout
    return psutil.Process(int(process.stdout.readline()))


def test_the_child_is_gone_when_the_parents_end_of_the_pipe_closes(start: Start) -> None:
    process = start(*WAITS)
    child = child_of(process)
    assert process.stdin
    process.stdin.close()
    process.wait(5)
    assert gone(child)


def test_the_child_is_gone_when_the_parent_is_another_although_the_pipe_is_open(
    start: Start,
) -> None:
    process = start(*WAITS, parent=os.getppid())
    assert process.wait(5) == -signal.SIGKILL
    assert psutil.Process().children() == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent's life")
def test_the_child_is_gone_when_the_supervisor_itself_is_killed(start: Start) -> None:
    process = start(*WAITS)
    child = child_of(process)
    process.kill()
    process.wait(5)
    assert until(lambda: gone(child), 5)


def test_a_detached_child_outlives_the_pipe_and_ends_with_sigterm(start: Start) -> None:
    process = start(*WAITS)
    child = child_of(process)
    assert process.stdin
    process.stdin.write("detach")
    process.stdin.close()
    # longer than the supervisor looks after the pipe: it would be gone by now
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(4 * supervisor.POLL_S)
    assert child.is_running()
    process.terminate()
    assert process.wait(5) == 128 + signal.SIGTERM
    assert gone(child)


def test_the_second_command_runs_after_the_first(start: Start) -> None:
    process = start(*SAYS, "--", *SAYS)
    assert process.wait(5) == 0
    assert process.stdout
    assert process.stdout.read() == "said\nsaid\n"


def test_the_second_command_does_not_run_where_the_first_failed(start: Start) -> None:
    process = start(*FAILS, "--", *SAYS)
    assert process.wait(5) == 7
    assert process.stdout
    assert process.stdout.read() == ""

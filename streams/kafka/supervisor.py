"""Runs Java for Vigil and takes it down when whoever started it is gone.

A parent that is killed with SIGKILL can clean up nothing, and only Linux can tie a child's life to
its parent's (`PR_SET_PDEATHSIG`, and there to the life of the *thread* that forked). So between the
two stands this small process, which reads a pipe whose other end only the parent holds: when the
parent is gone for whatever reason, the operating system closes the pipe and Java is killed.

It is run as a file by a bare interpreter (``python -IS``): the standard library only, ready in
20 ms, and not one thread.

    supervisor.py PARENT_PID COMMAND… [-- COMMAND…]

The commands run one after the other, each if the one before it succeeded. Standard input: nothing
for as long as the parent wants Java to live; ``detach`` lets Java outlive the parent. SIGTERM is
passed on to Java.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys

__all__: list[str] = []

#: How often a child that has ended, or a parent that is not ours any more, is looked for.
POLL_S = 0.05

PR_SET_PDEATHSIG = 1


class Supervisor:
    """One Java process at a time, and the pipe to the parent."""

    def __init__(self, parent: int) -> None:
        self.parent = parent
        self.detached = False
        self.stopping = False
        self.child: subprocess.Popen[bytes] | None = None
        signal.signal(signal.SIGTERM, self.stop)

    def stop(self, *_: object) -> None:
        """Pass SIGTERM on."""
        self.stopping = True
        if self.child:
            self.child.terminate()

    def run(self, command: list[str]) -> int:
        """Run ``command`` to its end and return its exit code."""
        libc = ctypes.CDLL(None) if sys.platform == "linux" else None
        me = os.getpid()

        def die_with_me() -> None:
            # for the day on which somebody kills this process with SIGKILL as well
            if libc:
                libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                if os.getppid() != me:
                    os._exit(1)

        self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=die_with_me)
        if self.stopping:
            self.child.terminate()
        while not self.detached and self.child.poll() is None:
            self.watch()
        return self.child.wait()

    def watch(self) -> None:
        """Wait a moment for word from the parent, or for its end."""
        readable, _, _ = select.select([sys.stdin], [], [], POLL_S)
        if readable:
            self.detached = os.read(sys.stdin.fileno(), 16) == b"detach"
        # a process that the parent forked holds the pipe open too: then only this tells
        if (readable and not self.detached) or os.getppid() != self.parent:
            self.abandon()

    def abandon(self) -> None:
        """Kill Java, wait until it is gone, then what it may have started, and this process."""
        if self.child:
            self.child.kill()
            self.child.wait()
        os.killpg(0, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """Run the commands."""
    supervisor = Supervisor(int(arguments[0]))
    commands: list[list[str]] = [[]]
    for word in arguments[1:]:
        if word == "--":
            commands.append([])
        else:
            commands[-1].append(word)
    for command in commands:
        code = supervisor.run(command)
        if code or supervisor.stopping:
            return code if code >= 0 else 128 - code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

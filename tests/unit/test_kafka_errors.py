import errno
import socket
from pathlib import Path
from threading import Thread

import pytest

from streams.kafka import LocalKafka
from streams.kafka.errors import NodeDiedError, disk_error
from streams.kafka.probe import view

pytestmark = pytest.mark.unit

LOG = Path("/home/node-1/server.log")


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("Caused by: java.net.BindException: Address already in use", "--port"),
        ("java.io.IOException: No space left on device", "disk is full"),
        ("Invalid maximum heap size: -Xmx5x", "--heap"),
        ("java.lang.OutOfMemoryError: Java heap space", "--heap"),
        ("something new", "delete /home/node-1"),
    ],
)
def test_a_death_is_told_with_its_last_words_its_log_and_a_remedy(said: str, remedy: str) -> None:
    message = str(NodeDiedError(1, LOG, ["a line before", said]))
    assert said in message
    assert str(LOG) in message
    assert remedy in message


def test_only_a_taken_port_is_worth_another_try() -> None:
    assert NodeDiedError(1, LOG, ["BindException"]).port_taken
    assert not NodeDiedError(1, LOG, ["anything else"]).port_taken


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, "300 MB"), (errno.EDQUOT, "300 MB"), (errno.EACCES, "VIGIL_HOME")],
)
def test_a_folder_that_cannot_be_written_is_told_with_a_remedy(number: int, remedy: str) -> None:
    message = str(disk_error(OSError(number, "the reason"), Path("/some/folder")))
    assert "/some/folder" in message
    assert remedy in message


def test_two_nodes_are_refused_for_they_could_not_outvote_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 node or 3"):
        LocalKafka(tmp_path, tmp_path, nodes=2)


def test_a_port_where_nobody_listens_has_no_view() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert view(port) is None


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\0\4\0\0\0\1"])
def test_another_program_at_the_port_is_not_taken_for_a_broker(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = Thread(target=serve)
        thread.start()
        assert view(server.getsockname()[1]) is None
        thread.join()

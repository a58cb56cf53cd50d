import gc
import hashlib
import threading
import warnings
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from streams.kafka.errors import DiskError, LocalKafkaError
from streams.kafka.jars import KAFKA_VERSION, Jar, install, pinned


@pytest.fixture(autouse=True)
def _collect_what_jgo_leaves_open() -> Iterator[None]:
    """A request that fails leaves its socket to the collector, which would warn in another test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


pytestmark = pytest.mark.unit

ONE, TWO = b"the first jar", b"the second jar"


def jar(name: str, content: bytes) -> Jar:
    return Jar(hashlib.sha256(content).hexdigest(), len(content), f"org.example:{name}:1.0")


JARS = (jar("one", ONE), jar("two", TWO))


class Repository(ThreadingHTTPServer):
    """A Maven repository on this machine that remembers what was asked of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        repository = self

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                repository.asked.append(self.path.rsplit("/", 1)[-1])

        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def has(self, name: str, content: bytes) -> None:
        path = self.folder / "org" / "example" / name / "1.0" / f"{name}-1.0.jar"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    (tmp_path / "repository").mkdir()
    with Repository(tmp_path / "repository") as server:
        server.has("one", ONE)
        server.has("two", TWO)
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server
        server.shutdown()


def test_every_jar_of_kafka_is_pinned_to_the_version_of_the_project() -> None:
    kafka = [j for j in pinned() if j.coordinate.startswith("org.apache.kafka:")]
    assert len(kafka) >= 10
    assert {j.coordinate.rsplit(":", 1)[1] for j in kafka} == {KAFKA_VERSION}


def test_no_two_pinned_jars_share_a_name_and_each_has_a_hash_and_a_size() -> None:
    jars = pinned()
    assert len({j.name for j in jars}) == len(jars)
    assert all(len(j.sha256) == 64 and j.size > 0 for j in jars)


def test_the_pinned_jars_can_log_for_kafkas_pom_brings_no_binding() -> None:
    assert any("log4j-slf4j-impl" in j.coordinate for j in pinned())


def test_jars_are_downloaded_once_and_returned_in_the_order_of_the_class_path(
    repository: Repository, tmp_path: Path
) -> None:
    paths = install(tmp_path / "jars", JARS, repository.url)
    assert [path.read_bytes() for path in paths] == [ONE, TWO]
    repository.asked.clear()
    assert install(tmp_path / "jars", JARS, repository.url) == paths
    assert repository.asked == []


def test_an_interrupted_download_goes_on_where_it_stopped(
    repository: Repository, tmp_path: Path
) -> None:
    folder = tmp_path / "jars"
    folder.mkdir()
    (folder / "one-1.0.jar").write_bytes(ONE)
    (folder / "two-1.0.jar").write_bytes(TWO[:5])
    (folder / "part").mkdir()
    (folder / "part" / "left over by a killed process").touch()

    paths = install(folder, JARS, repository.url)

    assert [path.read_bytes() for path in paths] == [ONE, TWO]
    assert "one-1.0.jar" not in repository.asked
    assert sorted(path.name for path in folder.iterdir()) == ["one-1.0.jar", "two-1.0.jar"]


def test_a_jar_that_is_not_the_pinned_one_is_refused_and_not_kept(
    repository: Repository, tmp_path: Path
) -> None:
    repository.has("two", b"not the second jar")
    with pytest.raises(LocalKafkaError, match=r"two-1.0.jar is not the file that Vigil pins"):
        install(tmp_path / "jars", JARS, repository.url)
    assert not (tmp_path / "jars" / "two-1.0.jar").exists()


def test_a_mirror_that_lacks_a_jar_is_named_with_the_jar(
    repository: Repository, tmp_path: Path
) -> None:
    wanted = (*JARS, jar("three", b"the third jar"))
    with pytest.raises(LocalKafkaError, match=r"has no org.example:three:1.0.*--repository"):
        install(tmp_path / "jars", wanted, repository.url)


def test_without_a_network_the_message_tells_three_ways_out(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as closed:
        nobody = f"http://127.0.0.1:{closed.server_port}"
    with pytest.raises(LocalKafkaError, match=r"HTTPS_PROXY.*--repository.*copy"):
        install(tmp_path / "jars", JARS, nobody)


def test_a_cache_that_cannot_be_written_names_the_setting_that_moves_it(
    repository: Repository, tmp_path: Path
) -> None:
    (tmp_path / "a file").touch()
    with pytest.raises(DiskError, match="VIGIL_CACHE"):
        install(tmp_path / "a file" / "jars", JARS, repository.url)

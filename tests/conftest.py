"""Fixtures for all tests; those that need a broker start it once a run, when first asked for."""

import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from config.settings import Settings, settings
from models.registry import SHIPPED, load_model
from streams.bedside import warm_up
from streams.kafka import LocalKafka
from tests.live import Worker, free_port

_FOLDER_MARKERS = ("unit", "topology", "integration", "faults")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test carries the marker of its folder."""
    root = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(root).parts[0]
        if folder in _FOLDER_MARKERS:
            item.add_marker(folder)


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the shell that runs the tests must not decide their outcome."""
    for name in list(os.environ):
        if name.startswith("VIGIL_") and name != "VIGIL_DATA":
            monkeypatch.delenv(name)
    settings.cache_clear()


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of the real patients; without it the test is skipped."""
    folder = Path(os.environ.get("VIGIL_DATA", "../shared/data"))
    if not (folder / "sepsis2019").is_dir():
        pytest.skip(f"no real patients: {folder}/sepsis2019 is not there, set VIGIL_DATA")
    return folder


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A real Kafka of one node, for the whole run."""
    with LocalKafka(tmp_path_factory.mktemp("broker"), Settings().cache) as kafka:
        yield kafka


@pytest.fixture
def live(broker: LocalKafka, tmp_path: Path) -> Settings:
    """Settings of a test against the broker: topics, group and folder of its own."""
    return Settings(
        broker=broker.bootstrap,
        home=tmp_path / "home",
        topic_prefix=f"t{uuid.uuid4().hex[:8]}.",
        web_port=free_port(),
        commit_interval_s=0.2,
        session_timeout_s=6,
    )


@pytest.fixture(scope="session")
def _kernels() -> None:
    """Compile what a worker compiles at its start, once for all.

    In a fresh checkout on a busy machine that takes minutes, in which a test would wait in vain.
    """
    warm_up(load_model(SHIPPED["context"]))


@pytest.fixture
async def start_worker(tmp_path: Path, _kernels: None) -> AsyncIterator[Callable[..., Worker]]:
    """Start workers that are gone when the test ends, whatever happens."""
    async with AsyncExitStack() as stack:

        def start(chosen: Settings, application: str = "bedside") -> Worker:
            worker = Worker(chosen, tmp_path / f"worker-{uuid.uuid4().hex[:6]}.log", application)
            stack.callback(worker.kill)
            return worker.start()

        yield start

"""Workers of one application: they join, are killed, and are started again."""

from pathlib import Path
from typing import Any

from bench.processes import Worker, free_port
from config.settings import Settings

__all__ = ["Crew"]


class Crew:
    """Workers with a folder each.

    Args:
        settings: of the workers but for their ``home`` and ``web_port``.
        folder: for the workers' homes and logs.
        bootstrap: where workers find the broker, if not where the others do.
        application: that they are of.

    Attributes:
        workers: those that were started and have not left.
        exits: exit codes other than zero of workers that ended by themselves.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        bootstrap: str | None = None,
        application: str = "bedside",
    ) -> None:
        self.settings, self.folder = settings, folder
        self.workers: list[Worker] = []
        self.exits: list[int] = []
        self._application = application
        self._bootstrap = bootstrap or settings.bootstrap
        self._started = 0

    def join(self, **given: Any) -> Worker:
        """Start another worker, with a folder of its own.

        Args:
            given: further settings.
        """
        self._started += 1
        home = self.folder / f"worker-{self._started}"
        home.mkdir(parents=True)
        chosen: dict[str, Any] = {
            "broker": self._bootstrap,
            "home": home / "home",
            "web_port": free_port(),
        }
        settings = self.settings.model_copy(update=chosen | given)
        worker = Worker(settings, home / "worker.log", self._application)
        self.workers.append(worker)
        return worker.start()

    def revive(self) -> list[Worker]:
        """Start again what has ended by itself, as an orchestrator does; return what had."""
        ended = [worker for worker in self.workers if not worker.alive]
        for worker in ended:
            assert worker.process is not None
            self.exits.append(worker.process.returncode)
            worker.start()
        return ended

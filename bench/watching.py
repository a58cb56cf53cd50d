"""A bedside worker under a bench: started on its core, watched through its own metrics."""

import json
import re
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from bench.common import Child, Scratch, environment
from bench.processes import free_port
from config.settings import Settings

__all__ = ["Watched"]


class Watched(Child):
    """A worker that is asked how it is.

    Args:
        bench: broker, folder, cores.
        name: of the worker's folder and log.
        pinned: it has the engine's core for itself.
        given: further settings.

    Attributes:
        settings: of the worker.
    """

    def __init__(self, bench: Scratch, name: str, *, pinned: bool = True, **given: object) -> None:
        self.settings: Settings = bench.settings(name, web_port=free_port(), **given)
        self.log = bench.folder / f"{name}.log"
        self._started_at = 0.0
        super().__init__(
            ["python", "-m", "streams.cli", "worker", "bedside"],
            self.log,
            env=environment(self.settings),
            core=bench.cores.engine if pinned else None,
            name=f"worker {name}",
        )

    def start(self) -> Self:
        """Start it, with a log of its own."""
        self.log.unlink(missing_ok=True)
        self._started_at = time.monotonic()
        return super().start()

    @property
    def since_start(self) -> float:
        """Seconds since it was last started."""
        return time.monotonic() - self._started_at

    @property
    def ready(self) -> bool:
        """Whether its partitions are assigned and its tables there."""
        return self._page("ready").startswith("ready")

    @property
    def readings(self) -> int:
        """Records of vitals that it has read since its start."""
        return round(sum(self.metrics("vigil_readings_total")))

    def metrics(self, name: str) -> list[float]:
        """Return the values of a metric, one for each set of labels."""
        found = re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", self._page("metrics"), re.M)
        return [float(value) for value in found]

    def logged(self, text: str) -> list[str]:
        """Return the messages of its log that contain ``text``."""
        lines = self.log.read_text(errors="replace").splitlines()
        messages = (json.loads(line)["message"] for line in lines if line.startswith("{"))
        return [message for message in messages if text in message]

    @property
    def tables(self) -> Path:
        """Folder of its local state."""
        return self.settings.home / f"{self.settings.topic_prefix}bedside"

    @property
    def bytes_on_disk(self) -> int:
        """Size of its local state; ask when it has stopped."""
        files = self.tables.rglob("*")
        return sum(file.stat().st_size for file in files if file.is_file())

    def lose_tables(self) -> None:
        """Delete its local state, as when its disk is replaced."""
        shutil.rmtree(self.tables)

    def _page(self, name: str) -> str:
        url = f"http://127.0.0.1:{self.settings.web_port}/{name}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return str(error.read().decode())
        except OSError:
            return ""  # not up yet

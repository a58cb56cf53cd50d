"""Logging: readable lines on a terminal, one JSON object a line everywhere else.

No message carries a patient's identity: code logs counts, places (topic, partition, offset) and
correlation ids.
"""

import logging
import sys
from collections.abc import Callable
from time import monotonic
from typing import Any

import msgspec
from rich.console import Console
from rich.logging import RichHandler

from config.clock import iso

__all__ = ["Calm", "configure"]

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

#: Engines that tell each of their steps; the last three are ours by name only: Faust's services log
#: under the module of their subclass.
_NOISY = (
    "aiokafka", "faust", "mode", "kafka",
    "streams.application", "streams.recovery", "streams.transport",
)  # fmt: skip

#: Of theirs, what tells one thing alone below a warning: that the offset to be read next is not
#: there any more. Retention deletes records whether anybody has read them or not.
_TELLING = ("aiokafka.consumer.fetcher",)

#: Clients that repeat themselves thousands of times a second while a broker is away.
_REPETITIVE = ("aiokafka", "faust", "kafka")
#: Of such a client, one message of each place in the code is let through in so many seconds.
_CALM_S = 5.0


class Calm(logging.Filter):
    """Lets one message of each place in a client's code through once in a while.

    The next one that is let through carries how many were not, as ``suppressed``. A message of
    another level, or from another line, is another one; its arguments do not matter.

    Args:
        every_s: seconds from one message of a place to the next.
        names: loggers that this is for; what others say always passes.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        every_s: float = _CALM_S,
        names: tuple[str, ...] = _REPETITIVE,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__()
        self._every_s, self._names, self._clock = every_s, names, clock
        #: Per place: when a message was last let through, and how many were not since.
        self._places: dict[tuple[str, str, int, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a message may pass, and note on it how many of its kind did not."""
        if record.name.partition(".")[0] not in self._names:
            return True
        place = record.name, record.pathname, record.lineno, record.levelno
        now = self._clock()
        last, suppressed = self._places.get(place, (-self._every_s, 0))
        if now - last < self._every_s:
            self._places[place] = last, suppressed + 1
            return False
        self._places[place] = now, 0
        if suppressed:
            record.suppressed = suppressed
            record.msg, record.args = f"{record.getMessage()} (and {suppressed} more)", None
        return True


class _JsonFormatter(logging.Formatter):
    """Time, level, logger, message, and whatever was given as ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": iso(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {k: v for k, v in vars(record).items() if k not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def configure(level: int | str = logging.INFO) -> None:
    """Send all logs to standard error in the form that fits it."""
    handler: logging.Handler
    if sys.stderr.isatty():
        handler = RichHandler(console=Console(stderr=True), show_path=False)
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(_JsonFormatter())
    # on the handler: a logger's filter does not see what its children say
    handler.addFilter(Calm())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    least = logging.getLevelNamesMapping()[level] if isinstance(level, str) else level
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, least))
    for telling in _TELLING:
        logging.getLogger(telling).setLevel(max(logging.INFO, least))

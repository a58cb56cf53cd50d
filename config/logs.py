"""Logging: readable lines on a terminal, one JSON object a line everywhere else.

No message carries a patient's identity: code logs counts, places (topic, partition, offset) and
correlation ids.
"""

import logging
import sys
from typing import Any

import msgspec
from rich.console import Console
from rich.logging import RichHandler

from config.clock import iso

__all__ = ["configure"]

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

#: Engines that tell each of their steps; the last two are ours by name only: Faust's services log
#: under the module of their subclass.
_NOISY = ("aiokafka", "faust", "mode", "kafka", "streams.application", "streams.transport")


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
    logging.basicConfig(level=level, handlers=[handler], force=True)
    quiet = max(
        logging.WARNING, logging.getLevelNamesMapping()[level] if isinstance(level, str) else level
    )
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(quiet)

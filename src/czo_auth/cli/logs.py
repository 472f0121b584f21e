"""What the process says on stderr: plain lines, which nobody who sends us text can forge (S29)."""

from __future__ import annotations

import logging
import logging.config
from typing import Any, Literal

from czo_auth.core.text import escape_control

_MAX_LINE = 8192
_CONTINUED = "\n    "


class PlainFormatter(logging.Formatter):
    """
    One record a line, the further lines of a mail or a traceback indented below it.

    Everything is escaped here once more, no matter who logged it: a line that begins at the left margin is ours.
    """

    default_msec_format = "%s.%03d"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        lines = super().format(record).rstrip("\n").split("\n")
        return _CONTINUED.join(escape_control(line, limit=_MAX_LINE) for line in lines)


def logging_config(level: Literal["INFO", "WARNING"]) -> dict[str, Any]:
    """Return a configuration for `logging.config`: ours from *level* on, everybody else's warnings, all to stderr."""
    logger = {"handlers": ["stderr"], "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"()": f"{__name__}.PlainFormatter"}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stderr"}
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "czo_auth": {**logger, "level": level},
            # The server's own; its level is an argument of it, and requests are never logged (S20).
            "_granian": {**logger, "level": "WARNING"},
            "granian.access": {"handlers": [], "propagate": False},
        },
    }


def configure_logging(level: Literal["INFO", "WARNING"]) -> None:
    """Let the process log to stderr; for commands, never when embedded in a host."""
    logging.config.dictConfig(logging_config(level))

"""The log on stderr: plain lines or JSON, which text from outside cannot forge (S29)."""

from __future__ import annotations

import json
import logging
import logging.config
from datetime import UTC, datetime
from typing import Any, Literal

from czo_auth.core.text import escape_control

_MAX_LINE = 8192
_CONTINUED = "\n    "


class PlainFormatter(logging.Formatter):
    """
        One record per line; further lines of a mail or a traceback are indented below it. Everything is escaped here
    again, regardless of who logged it: a line that begins at the left margin is always ours.
    """

    default_msec_format = "%s.%03d"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        lines = super().format(record).rstrip("\n").split("\n")
        return _CONTINUED.join(escape_control(line, limit=_MAX_LINE) for line in lines)


class JsonFormatter(logging.Formatter):
    """
    One JSON object per line, for log collectors.

    ``time`` (UTC), ``level``, ``logger``, ``message``, and where they apply ``exception``, ``request_id`` (the one of
    audit records), ``trace_id`` and ``span_id``. Control characters except line breaks are escaped here, and all of
    them by JSON.
    """

    def format(self, record: logging.LogRecord) -> str:
        # Imported late: commands that never log this way do not need it.
        from czo_auth.runtime.telemetry import REQUEST_ID, current_trace

        logged: dict[str, str] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _escaped(record.getMessage()),
        }
        if record.exc_info:
            logged["exception"] = _escaped(self.formatException(record.exc_info))
        if (request_id := REQUEST_ID.get()) is not None:
            logged["request_id"] = request_id
        if (ids := current_trace()) is not None:
            logged["trace_id"], logged["span_id"] = ids
        return json.dumps(logged)


def _escaped(text: str) -> str:
    return "\n".join(escape_control(line, limit=_MAX_LINE) for line in text.split("\n"))


def logging_config(
    level: Literal["INFO", "WARNING"], *, log_format: Literal["plain", "json"] = "plain"
) -> dict[str, Any]:
    """Return a configuration for `logging.config`: ours from *level* on, everybody else's warnings, all to stderr."""
    logger = {"handlers": ["stderr"], "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "plain": {"()": f"{__name__}.PlainFormatter"},
            "json": {"()": f"{__name__}.JsonFormatter"},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": log_format,
                "stream": "ext://sys.stderr",
            }
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "czo_auth": {**logger, "level": level},
            # The server's own; its level is an argument of it, and requests are never logged (S20).
            "_granian": {**logger, "level": "WARNING"},
            "granian.access": {"handlers": [], "propagate": False},
        },
    }


def configure_logging(
    level: Literal["INFO", "WARNING"], *, log_format: Literal["plain", "json"] = "plain"
) -> None:
    """Make the process log to stderr; for commands, never when embedded in a host."""
    logging.config.dictConfig(logging_config(level, log_format=log_format))

"""Translating database errors: an outage, or a bug of ours."""

from __future__ import annotations

import logging
import sqlite3

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    SQLAlchemyError,
)

from czo_auth.core.errors import StorageUnavailable, TablesMissing
from czo_auth.core.limits import MAX_LOGGED_CAUSES

log = logging.getLogger("czo_auth.storage")

_logged: set[str] = set()

OUR_ERRORS = (IntegrityError, ProgrammingError, DataError, NotSupportedError)


class StorageError(Exception):
    """
    The database refused the statement itself: a bug, never caused by the caller.

    Holds the first line of the database's message, which names the constraint and not the values.
    """


class DatabaseMisconfigured(StorageUnavailable):
    """
    The database refuses for a reason that does not go away by waiting.

    To a client it is an outage like any other; an operator reads *advice*.

    Attributes:
        advice: What is wrong and what to do, in one sentence that names the setting.
    """

    def __init__(self, advice: str) -> None:
        super().__init__()
        self.advice = advice


def sqlite_error(error: Exception) -> Exception:
    """Return what *error*, from sqlite3 or from SQLAlchemy over it, means to the caller."""
    original = error.orig if isinstance(error, DBAPIError) else error
    text = first_line(original)
    if isinstance(original, sqlite3.OperationalError) and "no such" in text:
        return unavailable(TablesMissing(), text)
    if "closed database" in text:
        return unavailable(StorageUnavailable(), text)
    if isinstance(error, DBAPIError | sqlite3.Error) and not isinstance(error, OUR_ERRORS):
        return unavailable(StorageUnavailable(), text)
    return StorageError(text) if isinstance(error, SQLAlchemyError) else error


def is_outage(error: BaseException) -> bool:
    """Whether *error* says that the database itself fails: neither a statement of ours nor another writer's lock."""
    if not isinstance(error, DBAPIError | sqlite3.Error) or isinstance(error, OUR_ERRORS):
        return False
    code = getattr(getattr(error, "orig", error), "sqlite_errorcode", 0)
    return code & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def unavailable(refusal: StorageUnavailable, cause: str) -> StorageUnavailable:
    """Log the reason, because the caller only learns that something is wrong; commands show it as a note."""
    log.warning("storage is unavailable: %s", cause)
    refusal.add_note(cause)
    return refusal


def misconfigured(advice: str, cause: str) -> DatabaseMisconfigured:
    """Log *advice*, once for each cause: every request would say the same."""
    if cause not in _logged:
        if len(_logged) >= MAX_LOGGED_CAUSES:
            _logged.clear()
        _logged.add(cause)
        log.error("%s (%s)", advice, cause)
    refusal = DatabaseMisconfigured(advice)
    refusal.add_note(cause)
    return refusal


def first_line(error: BaseException | None) -> str:
    """Return the kind of *error* and the first line of what it says; further lines may hold values."""
    text = str(error).partition("\n")[0].strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

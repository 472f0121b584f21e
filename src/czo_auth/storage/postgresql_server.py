"""How a PostgreSQL server is reached, and what its errors mean. The only place that imports asyncpg."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from czo_auth.core.errors import StorageUnavailable
from czo_auth.storage.column_types import json_text
from czo_auth.storage.faults import StorageFault, TablesMissing, first_line, unavailable

try:
    import asyncpg
except ImportError as missing:  # pragma: no cover
    raise RuntimeError("PostgreSQL needs a driver: install czo-auth[postgres]") from missing

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]

PATIENCE_SECONDS: Final = 5.0
_RETRYABLE: Final = frozenset({"40001", "40P01"})
_OUTAGES: Final = frozenset({"25006", "3D000", "40001", "40P01", "42501", "55P03", "57014"})
_OUTAGE_CLASSES: Final = frozenset({"08", "28", "53", "57", "58", "XX"})
_TABLES_MISSING: Final = frozenset({"42P01", "42703", "3F000"})
"""Source: PostgreSQL 18, appendix A, error codes."""


class PostgresServer:
    """
    An address, and the connections that can be made from it.

    asyncpg reads the address, which is libpq's kind: several hosts, ``sslmode`` and sockets included.

    Args:
        patience: Seconds that connecting, one statement, and waiting for a free connection may each take.

    Raises:
        ValueError: The address is not one.
    """

    def __init__(self, url: str, *, patience: float = PATIENCE_SECONDS) -> None:
        if not url.startswith(("postgresql://", "postgres://")):
            raise ValueError("a PostgreSQL address begins with postgresql://")
        self._url = url
        self.patience = patience

    async def connect(self) -> Connection:
        """Open one connection."""
        return await asyncpg.connect(
            self._url,
            timeout=self.patience,
            command_timeout=self.patience,
            server_settings={"application_name": "czo-auth"},
        )

    def engine(self, *, pool_size: int) -> AsyncEngine:
        """Give an engine for steps; it belongs to the running event loop."""
        return create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self.connect,
            isolation_level="READ COMMITTED",
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=self.patience,
            json_serializer=json_text,
            hide_parameters=True,
        )

    async def pool(self, *, size: int) -> Pool:
        """Give a pool for lookups; it belongs to the running event loop, and connects when asked for the first row."""
        return await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=size,
            max_inactive_connection_lifetime=0,
            timeout=self.patience,
            command_timeout=self.patience,
            server_settings={"application_name": "czo-auth"},
            init=_plan_once,
            reset=_leave_as_it_is,
        )


async def ask(url: str, question: str) -> str | None:
    """
    Read one text over a connection of its own; None when there is no such table.

    Raises:
        StorageUnavailable: The server does not answer.
    """
    try:
        connection = await PostgresServer(url).connect()
        try:
            answer = await connection.fetchval(question)
        finally:
            await connection.close(timeout=PATIENCE_SECONDS)
    except Exception as error:
        if isinstance(error, asyncpg.UndefinedTableError):
            return None
        known = postgres_fault(error)
        if known is error:
            raise
        raise known from None
    return None if answer is None else str(answer)


def postgres_fault(error: Exception) -> Exception:
    """Say what *error*, from asyncpg, from SQLAlchemy over it or from a socket, means to the caller."""
    original = _driver_error(error)
    if isinstance(original, OSError | PoolTimeout):
        return unavailable(StorageUnavailable(), first_line(original))
    state = getattr(original, "sqlstate", None)
    if state in _TABLES_MISSING:
        return unavailable(TablesMissing(), first_line(original))
    if state in _OUTAGES or (state is not None and state[:2] in _OUTAGE_CLASSES):
        return unavailable(StorageUnavailable(), first_line(original))
    # Of the driver's own refusals, those about a value are ours; the rest say that a connection or pool is closed.
    if isinstance(original, asyncpg.InterfaceError | asyncpg.InternalClientError) and not isinstance(
        original, asyncpg.exceptions.DataError
    ):
        return unavailable(StorageUnavailable(), first_line(original))
    if isinstance(error, SQLAlchemyError) or isinstance(
        original, asyncpg.PostgresError | asyncpg.InterfaceError
    ):
        return StorageFault(first_line(original))
    return error


def is_retryable(error: Exception) -> bool:
    """Say whether the same transaction may succeed when it is run again from the start."""
    original = _driver_error(error)
    return getattr(original, "sqlstate", None) in _RETRYABLE or isinstance(
        original, asyncpg.InvalidCachedStatementError
    )


def is_broken_connection(error: Exception) -> bool:
    """Say whether *error* is about a connection that ended, rather than about a server that cannot be reached."""
    original = _driver_error(error)
    if isinstance(original, asyncpg.PostgresConnectionError | ConnectionResetError):
        return True
    if isinstance(original, asyncpg.InterfaceError):
        return "closed" in str(original)
    # Between the server's last word and the end of the connection; nothing was sent.
    if isinstance(original, asyncpg.InternalClientError):
        return "cannot switch to state" in str(original)
    # An administrator's restart ends connections with a last word.
    return getattr(original, "sqlstate", None) in ("57P01", "57P02")


def _driver_error(error: BaseException) -> BaseException:
    """Find asyncpg's error below SQLAlchemy's two wrappings."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig.__cause__ or error.orig
    return error


async def _plan_once(connection: Any) -> None:
    """
    Plan each lookup once, and by its indexes.

    Left to itself PostgreSQL plans the list of values anew each time, which takes several times as long as the answer,
    and may hash all users for the sake of thirty keys. A set-up of its own instead of start-up options, which
    connection poolers refuse.
    """
    await connection.execute(
        "SET plan_cache_mode = force_generic_plan;"
        "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"
    )


async def _leave_as_it_is(connection: Any) -> None:
    """Do nothing when a connection comes back: lookups leave nothing to reset, and the question would double them."""


__all__ = [
    "PATIENCE_SECONDS",
    "PostgresServer",
    "ask",
    "is_broken_connection",
    "is_retryable",
    "postgres_fault",
]

"""How a PostgreSQL server is reached, and what its errors mean. The only place that imports asyncpg."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final

try:
    import asyncpg
except ImportError:
    # Migrations, backups and the doctor come here without opening the storage, which checks it too.
    from czo_auth.extras import require_extra

    require_extra("postgres", "PostgreSQL")
    raise
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from czo_auth.core.errors import StorageUnavailable, TablesMissing
from czo_auth.storage.column_types import json_text
from czo_auth.storage.errors import (
    DatabaseMisconfigured,
    StorageError,
    first_line,
    misconfigured,
    unavailable,
)
from czo_auth.storage.postgresql_address import read_address

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]

TIMEOUT_SECONDS: Final = 5.0
IDLE_TIMEOUT_SECONDS: Final = 10.0
"""
How long a transaction may wait for this process, which never pauses inside one. Otherwise the locks of a machine that
froze or lost its network would block others until TCP times out, after hours.
"""
_RETRYABLE: Final = frozenset({"40001", "40P01"})
_OUTAGES: Final = frozenset({"25P03", "25P04", "40001", "40P01", "55P03", "57014"})
_OUTAGE_CLASSES: Final = frozenset({"08", "53", "57", "58", "XX"})
_TABLES_MISSING: Final = frozenset({"42P01", "42703"})
"""Source: PostgreSQL 18, appendix A, error codes."""

POOLED: Final = (
    "CZO_AUTH_DATABASE_URL leads to a pooler in transaction mode: name PostgreSQL itself in "
    "CZO_AUTH_DATABASE_DIRECT_URL as well, or let the pooler work in session mode."
)
_ADVICE: Final = {
    "26000": POOLED,
    "42P05": POOLED,
    "25006": "PostgreSQL takes no writes here, as on a standby: name the primary in CZO_AUTH_DATABASE_URL, or add "
    "target_session_attrs=read-write to it.",
    "28000": "PostgreSQL does not admit this user from this machine: check the user in CZO_AUTH_DATABASE_URL and "
    "pg_hba.conf on the server.",
    "28P01": "PostgreSQL refuses the user or the password in CZO_AUTH_DATABASE_URL: correct them.",
    "3D000": "PostgreSQL has no database of the name in CZO_AUTH_DATABASE_URL: create it, or correct the name.",
    "3F000": "PostgreSQL has no schema to keep the tables in: create the one that the user's search_path names.",
    "42501": "The user in CZO_AUTH_DATABASE_URL lacks a privilege: grant it CREATE and USAGE on its schema, and all "
    "rights on the tables there.",
}
"""What to do about permanent errors, by SQLSTATE."""

_NO_SUCH_ROLE: Final = (
    "PostgreSQL has no role of the user's name in CZO_AUTH_DATABASE_URL: create it, or correct the name."
)
_NEEDS_TLS: Final = (
    "PostgreSQL admits this user over TLS only: add sslmode=require, or better verify-full, to "
    "CZO_AUTH_DATABASE_URL."
)
_HAS_NO_TLS: Final = (
    "PostgreSQL has no TLS, which sslmode in CZO_AUTH_DATABASE_URL demands: switch it on in the server, or change "
    "sslmode."
)
_NOT_TRUSTED: Final = (
    "PostgreSQL's TLS certificate is not trusted: name its authority in sslrootcert of CZO_AUTH_DATABASE_URL, and the "
    "host as the certificate does."
)
_WRONG_OPTIONS: Final = (
    "PostgreSQL refuses a setting in the options of CZO_AUTH_DATABASE_URL: correct or remove it."
)
_ROUNDS: Final = 5
_START_UP_REFUSALS: Final = frozenset({"22023", "42601", "42704", "55P02"})


class PostgresServer:
    """
    An address, and the connections that can be made from it.

    The address is libpq's kind: several hosts, ``sslmode`` and sockets included.

    Args:
        timeout: Seconds that connecting, one statement, and waiting for a free connection may each take; for
            connecting, ``connect_timeout`` of the address wins.
        pooled: Whether the address is that of a pooler in transaction mode: a connection is another one after each
            transaction, so that nothing may be left in it, neither prepared statements nor settings.

    Raises:
        ValueError: The address is not one.
    """

    def __init__(self, url: str, *, timeout: float = TIMEOUT_SECONDS, pooled: bool = False) -> None:
        address = read_address(url)
        self.timeout = timeout
        self.pooled = pooled
        self._arguments: dict[str, Any] = {
            **address.arguments,
            "timeout": address.connect_timeout or timeout,
            "command_timeout": timeout,
            "server_settings": dict(address.server_settings),
        }
        # Statements instead of settings at the start of the connection, which poolers refuse.
        self._set_up = "" if pooled else _timeouts(timeout, address.server_settings.get("options", ""))
        if pooled:
            self._arguments["statement_cache_size"] = 0

    async def connect(self) -> Connection:
        """Open one connection."""
        connection = await self._connect()
        if self._set_up:
            try:
                await connection.execute(self._set_up)
            except BaseException:
                connection.terminate()
                raise
        return connection

    async def _connect(self) -> Connection:
        try:
            return await asyncpg.connect(**self._arguments)
        except asyncpg.PostgresError as error:
            if error.sqlstate in _START_UP_REFUSALS:
                raise misconfigured(_WRONG_OPTIONS, first_line(error)) from None
            raise

    def engine(self, *, pool_size: int) -> AsyncEngine:
        """Return an engine for steps; it belongs to the running event loop."""
        return create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self.connect,
            isolation_level="READ COMMITTED",
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=self.timeout,
            json_serializer=json_text,
            hide_parameters=True,
            # Unnamed statements: each lives for one transaction, and so on one connection.
            connect_args={"prepared_statement_cache_size": 0, "prepared_statement_name_func": str}
            if self.pooled
            else {},
        )

    async def pool(self, *, size: int) -> Pool:
        """Return a pool for lookups; it belongs to the running event loop, and connects when asked for the first
        row."""
        return await asyncpg.create_pool(
            **self._arguments,
            min_size=0,
            max_size=size,
            max_inactive_connection_lifetime=0,
            init=self._set_up_lookups,
            reset=_leave_as_it_is,
        )

    async def _set_up_lookups(self, connection: Any) -> None:
        if not self.pooled:
            await _plan_once(connection, self._set_up)

    async def is_transaction_pooler(self) -> bool:
        """
        Return whether the server is a pooler in transaction mode, which reassigns a connection after each transaction.

        Poolers report their own process ids. Transaction mode shows if two open connections share one server process,
        or if one connection has two.
        """
        first = await self._connect()
        try:
            if await _process_of(first) == first.get_server_pid():
                return False
            second = await self._connect()
            try:
                seen: tuple[set[int], set[int]] = (set(), set())
                for _ in range(_ROUNDS):
                    for connection, pids in zip((first, second), seen, strict=True):
                        pids.add(await _process_of(connection))
                return len(seen[0]) > 1 or len(seen[1]) > 1 or seen[0] == seen[1]
            finally:
                await second.close(timeout=self.timeout)
        finally:
            await first.close(timeout=self.timeout)


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
            await connection.close(timeout=TIMEOUT_SECONDS)
    except Exception as error:
        if isinstance(error, asyncpg.UndefinedTableError | asyncpg.UndefinedColumnError):
            return None
        known = postgres_error(error)
        if known is error:
            raise
        raise known from None
    return None if answer is None else str(answer)


def postgres_error(error: Exception) -> Exception:
    """Return what *error*, from asyncpg, from SQLAlchemy over it or from a socket, means to the caller."""
    original = _driver_error(error)
    if isinstance(original, DatabaseMisconfigured):
        return original
    if (advice := _advice(original)) is not None:
        return misconfigured(advice, first_line(original))
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
        return StorageError(first_line(original))
    return error


def _advice(error: BaseException) -> str | None:
    """Return what to do about a permanent error; None for any other."""
    text = str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _NOT_TRUSTED
    if isinstance(error, ConnectionError) and "rejected SSL upgrade" in text:
        return _HAS_NO_TLS
    if isinstance(error, asyncpg.exceptions.ClientConfigurationError):
        return f"CZO_AUTH_DATABASE_URL cannot be used: {text.partition(chr(10))[0]}."
    state = getattr(error, "sqlstate", None)
    # The server may use another language; then the advice is less exact.
    if state == "28000" and "does not exist" in text:
        return _NO_SUCH_ROLE
    if state == "28000" and "no encryption" in text:
        return _NEEDS_TLS
    return _ADVICE.get(state or "")


def is_retryable(error: Exception) -> bool:
    """Return whether the same transaction may succeed when it is run again from the start."""
    original = _driver_error(error)
    return getattr(original, "sqlstate", None) in _RETRYABLE or isinstance(
        original, asyncpg.InvalidCachedStatementError
    )


def is_broken_connection(error: Exception) -> bool:
    """Return whether *error* is about a connection that ended, rather than about a server that cannot be reached."""
    original = _driver_error(error)
    if isinstance(original, asyncpg.PostgresConnectionError | ConnectionResetError):
        return True
    if isinstance(original, asyncpg.InterfaceError):
        return "closed" in str(original)
    # Between the server's last message and the end of the connection; nothing was sent.
    if isinstance(original, asyncpg.InternalClientError):
        return "cannot switch to state" in str(original)
    # A restart by an administrator ends connections with a final message.
    return getattr(original, "sqlstate", None) in ("25P03", "25P04", "57P01", "57P02")


def _driver_error(error: BaseException) -> BaseException:
    """Find asyncpg's error below SQLAlchemy's two wrappings."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig.__cause__ or error.orig
    return error


async def _process_of(connection: Connection) -> int:
    """Ask which process of PostgreSQL serves *connection*, in a transaction so that no pooler changes it meanwhile."""
    async with connection.transaction():
        # Unnamed: a pooler may have another connection's statement of the same name.
        statement = await connection.prepare("SELECT pg_backend_pid()", name="")
        return int(await statement.fetchval())


def _timeouts(timeout: float, options: str) -> str:
    """Return statements that set the server's time limits for this process; *options* take precedence."""
    chosen = {
        "statement_timeout": timeout,
        "idle_in_transaction_session_timeout": max(timeout, IDLE_TIMEOUT_SECONDS),
    }
    return "".join(
        f"SET {name} = {round(seconds * 1000)};" for name, seconds in chosen.items() if name not in options
    )


PLAN_SETTINGS: Final = (
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
)
BEGIN_LOOKUP: Final = "BEGIN READ ONLY;" + ";".join(
    f"SET LOCAL {name} = {value}" for name, value in PLAN_SETTINGS
)


async def _plan_once(connection: Any, more: str) -> None:
    """
    Plan each lookup once, using indexes.

    By default PostgreSQL plans the list of values each time, which takes several times as long as the query, and may
    hash all users for thirty keys. Set by statements instead of start-up options, which connection poolers refuse.
    """
    await connection.execute(more + ";".join(f"SET {name} = {value}" for name, value in PLAN_SETTINGS))


async def _leave_as_it_is(connection: Any) -> None:
    """
    Do nothing when a connection is returned: lookups leave nothing to reset, and the extra round trip would double
    their cost.
    """


__all__ = [
    "BEGIN_LOOKUP",
    "TIMEOUT_SECONDS",
    "PostgresServer",
    "ask",
    "is_broken_connection",
    "is_retryable",
    "postgres_error",
]

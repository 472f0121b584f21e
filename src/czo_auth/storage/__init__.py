"""
Storage: the only SQL in the code.

``open_storage(url)`` returns one object for either database. It is cheap: drivers are imported once their database is
chosen, and connections are opened by ``start`` or the first use.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol

from czo_auth.core.transaction import Lookup, Transactions
from czo_auth.extras import require_extra

if TYPE_CHECKING:
    from czo_auth.storage.facts import DatabaseFacts

DEFAULT_TABLE_PREFIX = "czo_auth_"

__all__ = ["DEFAULT_TABLE_PREFIX", "Storage", "open_storage"]


class Storage(Protocol):
    """
    One database.

    Attributes:
        url: As given; it may hold a password.
        transactions: Runs steps.
        lookup: The reads of the hot path.
    """

    url: str

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]: ...
    @property
    def transactions(self) -> Transactions: ...
    @property
    def lookup(self) -> Lookup: ...

    async def check_address(self) -> None:
        """
        Refuse the address of a pooler in transaction mode, which only fails once several transactions run.

        Raises:
            DatabaseMisconfigured: It is such a pooler.
            StorageUnavailable: The database does not answer.
        """

    async def start(self) -> None:
        """
        Open connections, so that a wrong address is detected now; creates an empty SQLite file (mode 0600).

        Not needed for correctness: connections are also opened when first used. A read-only database starts, with a
        warning.

        Raises:
            StorageUnavailable: The database does not answer.
        """

    async def close(self) -> None:
        """Close all connections; harmless when repeated, and `start` works again afterwards."""

    async def facts(self, *, now: Callable[[], datetime]) -> DatabaseFacts:
        """
        Ask the database for its version and settings; needs no tables, and changes nothing.

        Args:
            now: This machine's clock.

        Raises:
            StorageUnavailable: The database does not answer.
        """

    async def ping(self) -> None:
        """
        Read something from a table.

        Raises:
            StorageUnavailable: The database does not answer, or its migrations have not run.
        """


def open_storage(
    url: str,
    *,
    table_prefix: str = DEFAULT_TABLE_PREFIX,
    pool_size: int = 8,
    lookup_pool_size: int = 4,
    cache_bound: timedelta | None = None,
    direct_url: str | None = None,
) -> Storage:
    """
    Return the storage at *url*; nothing is opened yet.

    Args:
        url: ``sqlite:///path`` or ``postgresql://…`` (``postgres://`` and libpq's ``host=… dbname=…`` too; a Unix
            socket as ``?host=/folder``).
        table_prefix: Every table's name begins with it.
        pool_size, lookup_pool_size: PostgreSQL connections for steps and for lookups; per process and event loop.
        cache_bound: On PostgreSQL, how long a revocation may go unnoticed by a cached credential; None turns the cache
            off. On SQLite the cache is exact and always on.
        direct_url: Where PostgreSQL itself is, if *url* leads to a pooler in transaction mode.

    Raises:
        ValueError: The address or the prefix is not usable.
        MissingExtra: The address needs a driver that is not installed.
    """
    if url.startswith("sqlite:"):
        from czo_auth.storage.sqlite import SqliteStorage

        return SqliteStorage(url, table_prefix=table_prefix)
    from czo_auth.storage.postgresql_address import is_postgres

    if not is_postgres(url):
        raise ValueError("a database address begins with sqlite:/// or postgresql://")
    require_extra("postgres", "PostgreSQL")
    from czo_auth.storage.postgresql import PostgresStorage

    return PostgresStorage(
        url,
        table_prefix=table_prefix,
        pool_size=pool_size,
        lookup_pool_size=lookup_pool_size,
        cache_bound=cache_bound,
        direct_url=direct_url,
    )

"""Storage in PostgreSQL, for any number of processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection

from czo_auth.core.context import Context
from czo_auth.core.transaction import CredentialRecord, Transaction
from czo_auth.storage.errors import misconfigured
from czo_auth.storage.lookup_batches import LookupBatches
from czo_auth.storage.lookup_sql import api_key_record, lookup_sql, session_record
from czo_auth.storage.postgresql_server import (
    BEGIN_LOOKUP,
    POOLED,
    TIMEOUT_SECONDS,
    PostgresServer,
    is_broken_connection,
    is_retryable,
    postgres_error,
)
from czo_auth.storage.postgresql_watch import ChangeWatch
from czo_auth.storage.tables import Tables, tables_of
from czo_auth.storage.transaction import bound, perform

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from czo_auth.storage.facts import DatabaseFacts
    from czo_auth.storage.postgresql_server import Pool

T = TypeVar("T")

TRIES: Final = 3
_PAUSE_SECONDS: Final = 0.01


class _Connections:
    """The connections of one event loop: an engine for steps, and a pool for lookups, which run in batches."""

    def __init__(self, server: PostgresServer, *, pool_size: int, lookup_pool_size: int) -> None:
        self._server = server
        self._lookup_pool_size = lookup_pool_size
        self._pool: Pool | None = None
        self._making = asyncio.Lock()
        self.engine: AsyncEngine = server.engine(pool_size=pool_size)
        self.lookups = LookupBatches(self._ask, at_once=lookup_pool_size)

    async def pool(self) -> Pool:
        if self._pool is None:
            async with self._making:
                if self._pool is None:
                    self._pool = await self._server.pool(size=self._lookup_pool_size)
        return self._pool

    async def _ask(self, sql: str, values: Sequence[str]) -> Sequence[Any]:
        """Query some rows; a read can be retried, so a broken connection is not yet an outage."""
        tried = 0
        while True:
            tried += 1
            try:
                return await self._ask_once(sql, values)
            except Exception as error:
                if tried == TRIES or not is_broken_connection(error):
                    raise

    async def _ask_once(self, sql: str, values: Sequence[str]) -> Sequence[Any]:
        pool = await self.pool()
        connection = await pool.acquire(timeout=self._server.timeout)
        try:
            if self._server.pooled:
                return await _ask_in_transaction(connection, sql, values)
            return await connection.fetch(sql, values)
        except TimeoutError:
            connection.terminate()
            raise
        finally:
            await pool.release(connection)

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        await self.engine.dispose()
        if pool is not None:
            try:
                await asyncio.wait_for(pool.close(), self._server.timeout)
            except TimeoutError:
                pool.terminate()


async def _ask_in_transaction(connection: Any, sql: str, values: Sequence[str]) -> Sequence[Any]:
    """Query on one connection behind the pooler; its planner settings end with the transaction."""
    try:
        await connection.execute(BEGIN_LOOKUP)
        statement = await connection.prepare(sql, name="")
        found: Sequence[Any] = await statement.fetch(values)
        await connection.execute("COMMIT")
    except BaseException:
        # A transaction that is left open would hold a connection of the pooler.
        connection.terminate()
        raise
    return found


class _PerLoop:
    """
    The connections of each event loop: asyncpg ties a connection to the loop that opened it.

    A host that runs one loop has one entry; tests, command lines and threads of a synchronous host have more.
    """

    def __init__(self, server: PostgresServer, *, pool_size: int, lookup_pool_size: int) -> None:
        self.timeout = server.timeout
        self._make: Callable[[], _Connections] = lambda: _Connections(
            server, pool_size=pool_size, lookup_pool_size=lookup_pool_size
        )
        self._known: WeakKeyDictionary[asyncio.AbstractEventLoop, _Connections] = WeakKeyDictionary()

    def here(self) -> _Connections:
        loop = asyncio.get_running_loop()
        found = self._known.get(loop)
        if found is None:
            for other in [known for known in self._known if known.is_closed()]:
                del self._known[other]
            found = self._known[loop] = self._make()
        return found

    async def close(self) -> None:
        loop = asyncio.get_running_loop()
        while self._known:
            owner, connections = self._known.popitem()
            if owner is loop:
                await connections.close()
            elif owner.is_running():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(connections.close(), owner))


class PostgresTransactions:
    """
    Implements `czo_auth.core.transaction.Transactions` at READ COMMITTED.

    Steps lock the rows they decide on, so this level is enough. A step runs again if PostgreSQL aborts it for a
    deadlock, or if its connection turns out to be dead before the commit.
    """

    def __init__(self, connections: _PerLoop, tables: Tables) -> None:
        self._connections = connections
        self._tables = tables

    async def run(self, step: Callable[[Transaction], T], context: Context | None = None) -> T:
        return await self._run(bound(step, context), {})

    async def read(self, step: Callable[[Transaction], T], context: Context | None = None) -> T:
        # One snapshot for the whole step, as in SQLite; a transaction that only reads is never refused for it.
        return await self._run(
            bound(step, context), {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        )

    async def _run(self, step: Callable[[Transaction], T], options: dict[str, Any]) -> T:
        tried = 0
        while True:
            tried += 1
            attempt = _Attempt(step, self._tables, options)
            try:
                async with self._connections.here().engine.connect() as connection:
                    return await connection.run_sync(attempt)
            except Exception as error:
                # An interrupted commit may have happened; for a read-only step it does not matter.
                harmless = bool(options) or not attempt.committing
                again = is_retryable(error) or (is_broken_connection(error) and harmless)
                if again and tried < TRIES:
                    await asyncio.sleep(_PAUSE_SECONDS * tried)
                    continue
                known = postgres_error(error)
                if known is error:
                    raise
                raise known from None


class _Attempt:
    """One run of a step, from BEGIN to COMMIT."""

    def __init__(self, step: Callable[[Transaction], Any], tables: Tables, options: dict[str, Any]) -> None:
        self._step = step
        self._tables = tables
        self._options = options
        self.committing = False

    def __call__(self, connection: Connection) -> Any:
        if self._options:
            connection = connection.execution_options(**self._options)
        driver: Any = connection.connection.driver_connection
        transaction = connection.begin()
        try:
            result = perform(self._step, connection, self._tables)
            self.committing = True
            transaction.commit()
        except BaseException as error:
            # After these the state of the statement on the server is unknown, and a rollback would wait for the same
            # unresponsive server. It rolls back by itself when the connection is closed. And a broken connection must
            # not go back to the pool, where the next attempt would get it.
            broken = isinstance(error, Exception) and is_broken_connection(error)
            if broken or isinstance(error, TimeoutError | asyncio.CancelledError):
                driver.terminate()
                if not connection.invalidated:
                    connection.invalidate()
            # The caller gets the first error.
            with suppress(Exception):
                transaction.rollback()
            raise
        return result


class PostgresLookup:
    """
    Implements `czo_auth.core.transaction.Lookup` on asyncpg itself, which prepares each statement once a connection.

    Lookups that wait at the same time share a query.
    """

    def __init__(
        self,
        connections: _PerLoop,
        prefix: str,
        *,
        watch: ChangeWatch | None = None,
        bound: timedelta | None = None,
    ) -> None:
        self._connections = connections
        self._sql = lookup_sql(prefix, placeholder="ANY($1)")
        self._watch = watch
        self._bound = bound

    @property
    def bound(self) -> timedelta | None:
        """How long a change may take to be noticed."""
        return self._bound

    def change_token(self) -> object | None:
        """Return the change token of the watch; without one nothing may be cached."""
        return None if self._watch is None else self._watch.change_token()

    async def find_api_key(self, digest: str) -> CredentialRecord | None:
        row = await self._row(self._sql.api_key, digest)
        return None if row is None else api_key_record(row)

    async def find_api_key_by_id(self, key_id: str) -> CredentialRecord | None:
        row = await self._row(self._sql.api_key_by_id, key_id)
        return None if row is None else api_key_record(row)

    async def find_session(self, digest: str) -> CredentialRecord | None:
        row = await self._row(self._sql.session, digest)
        return None if row is None else session_record(row)

    async def find_session_by_id(self, session_id: str) -> CredentialRecord | None:
        row = await self._row(self._sql.session_by_id, session_id)
        return None if row is None else session_record(row)

    async def _row(self, sql: str, value: str) -> Any | None:
        try:
            return await self._connections.here().lookups.find(sql, value)
        except Exception as error:
            known = postgres_error(error)
            if known is error:
                raise
            raise known from None


class PostgresStorage:
    """
    Implements `czo_auth.storage.Storage` over one PostgreSQL database.

    Args:
        direct_url: The same database without the transaction-mode pooler of *url*. Used for what must outlive a
            transaction: LISTEN.

    Raises:
        ValueError: The address or the prefix is not usable.
    """

    dialect: Final[Literal["postgresql"]] = "postgresql"

    def __init__(
        self,
        url: str,
        *,
        table_prefix: str,
        pool_size: int = 8,
        lookup_pool_size: int = 4,
        cache_bound: timedelta | None = None,
        timeout: float = TIMEOUT_SECONDS,
        direct_url: str | None = None,
    ) -> None:
        self.url = url
        self.direct_url = direct_url or url
        self.tables = tables_of(table_prefix)
        self._server = server = PostgresServer(url, timeout=timeout, pooled=direct_url is not None)
        direct = server if direct_url is None else PostgresServer(direct_url, timeout=timeout)
        self._connections = _PerLoop(server, pool_size=pool_size, lookup_pool_size=lookup_pool_size)
        self._watch = (
            None
            if cache_bound is None
            else ChangeWatch(direct, channel=f"{table_prefix}changed", bound=cache_bound)
        )
        self.transactions = PostgresTransactions(self._connections, self.tables)
        self.lookup = PostgresLookup(self._connections, table_prefix, watch=self._watch, bound=cache_bound)

    async def check_address(self) -> None:
        if self._server.pooled:
            return
        try:
            pooled = await self._server.is_transaction_pooler()
        except Exception as error:
            known = postgres_error(error)
            if known is error:
                raise
            raise known from None
        if pooled:
            raise misconfigured(POOLED, "the server's process changes between transactions")

    async def start(self) -> None:
        await self.transactions.read(lambda tx: None)
        if self._watch is not None:
            await self._watch.start()

    async def close(self) -> None:
        if self._watch is not None:
            await self._watch.stop()
        await self._connections.close()

    async def facts(self, *, now: Callable[[], datetime]) -> DatabaseFacts:
        from czo_auth.storage.facts import postgres_facts

        return await postgres_facts(self.direct_url, now=now)

    async def ping(self) -> None:
        await self.transactions.read(lambda tx: tx.key_checks.find_all())

"""A database of another system, opened for reading only: SQLite or PostgreSQL."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote

from czo_auth.extras import require_extra

if TYPE_CHECKING:
    import asyncpg

BATCH: Final = 500
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_MAX_PARAMETERS: Final = 500
Row = dict[str, Any]


class SourceRefused(Exception):
    """The source cannot be read; the message says why in one sentence, without secrets."""


class Source(Protocol):
    """The queries that a reader can make."""

    async def columns(self, table: str) -> frozenset[str]:
        """Return the names of a table's columns; none if there is no such table."""

    def rows(self, table: str, *, key: str = "id") -> AsyncIterator[list[Row]]:
        """Read a table in batches, in the order of *key*."""

    async def among(self, table: str, column: str, values: Sequence[object]) -> list[Row]:
        """Read the rows whose *column* is one of *values*."""


@asynccontextmanager
async def open_source(address: str) -> AsyncIterator[Source]:
    """
    Open a database: a file's name, ``sqlite:///path`` or ``postgresql://…``.

    Raises:
        SourceRefused: It does not exist, cannot be read, or is a database of another kind.
        MissingExtra: PostgreSQL needs its driver.
    """
    if address.startswith(("postgres://", "postgresql://")):
        require_extra("postgres", "PostgreSQL")
        import asyncpg

        try:
            connection = await asyncpg.connect(
                address, server_settings={"default_transaction_read_only": "on"}
            )
        except (OSError, asyncpg.PostgresError, ValueError) as error:
            raise SourceRefused(f"the source's database cannot be opened ({type(error).__name__})") from None
        try:
            yield _PostgresSource(connection)
        finally:
            await connection.close()
        return
    scheme, separator, _ = address.partition("://")
    if separator and scheme != "sqlite":
        # Without the rest of the address, which may hold a password.
        raise SourceRefused(
            f"{scheme}:// is not read, only postgresql:// and SQLite files: copy the database into one of them, or "
            "write JSON lines"
        )
    file = _open_file(Path(address.removeprefix("sqlite:///") if address.startswith("sqlite:") else address))
    try:
        yield _SqliteSource(file)
    finally:
        file.close()


def _open_file(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise SourceRefused(f"there is no file {path}")
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)


def quoted(name: str) -> str:
    """
    Quote the name of a table or column.

    Raises:
        SourceRefused: It is not valid.
    """
    if not _NAME.fullmatch(name):
        raise SourceRefused(f"{name!r} is not the name of a table")
    return f'"{name}"'


class _SqliteSource:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.row_factory = sqlite3.Row

    async def columns(self, table: str) -> frozenset[str]:
        return frozenset(row["name"] for row in self._ask(f"PRAGMA table_info({quoted(table)})"))

    async def rows(self, table: str, *, key: str = "id") -> AsyncIterator[list[Row]]:
        after: object = None
        while True:
            where = "" if after is None else f" WHERE {quoted(key)} > ?"
            batch = self._ask(
                f"SELECT * FROM {quoted(table)}{where} ORDER BY {quoted(key)} LIMIT {BATCH}",  # noqa: S608 - quoted
                *(() if after is None else (after,)),
            )
            if not batch:
                return
            yield batch
            after = batch[-1][key]

    async def among(self, table: str, column: str, values: Sequence[object]) -> list[Row]:
        found: list[Row] = []
        for begin in range(0, len(values), _MAX_PARAMETERS):
            part = values[begin : begin + _MAX_PARAMETERS]
            marks = ", ".join("?" * len(part))
            statement = f"SELECT * FROM {quoted(table)} WHERE {quoted(column)} IN ({marks})"  # noqa: S608 - quoted
            found += self._ask(statement, *part)
        return found

    def _ask(self, statement: str, *parameters: object) -> list[Row]:
        try:
            return [dict(row) for row in self._connection.execute(statement, parameters)]
        except sqlite3.Error as error:
            raise SourceRefused(f"the source cannot be read: {error}") from None


class _PostgresSource:
    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._connection = connection

    async def columns(self, table: str) -> frozenset[str]:
        quoted(table)
        rows = await self._ask(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(quote_ident($1)) "
            "AND attnum > 0 AND NOT attisdropped",
            table,
        )
        return frozenset(row["attname"] for row in rows)

    async def rows(self, table: str, *, key: str = "id") -> AsyncIterator[list[Row]]:
        after: object = None
        while True:
            where = "" if after is None else f" WHERE {quoted(key)} > $1"
            batch = await self._ask(
                f"SELECT * FROM {quoted(table)}{where} ORDER BY {quoted(key)} LIMIT {BATCH}",  # noqa: S608 - quoted
                *(() if after is None else (after,)),
            )
            if not batch:
                return
            yield batch
            after = batch[-1][key]

    async def among(self, table: str, column: str, values: Sequence[object]) -> list[Row]:
        statement = f"SELECT * FROM {quoted(table)} WHERE {quoted(column)} = ANY($1)"  # noqa: S608 - quoted
        return await self._ask(statement, list(values))

    async def _ask(self, statement: str, *parameters: object) -> list[Row]:
        import asyncpg

        try:
            return [dict(row) for row in await self._connection.fetch(statement, *parameters)]
        except (OSError, asyncpg.PostgresError) as error:
            raise SourceRefused(f"the source cannot be read: {type(error).__name__}") from None


async def require_tables(source: Source, *tables: str) -> None:
    """
    Refuse a database without *tables*: it is not the intended one.

    Raises:
        SourceRefused: It names the first that is missing.
    """
    for table in tables:
        if not await source.columns(table):
            raise SourceRefused(f"the database has no table {table}")


def time_of(value: object) -> datetime | None:
    """
    Read a time as databases store it: aware, naive in UTC, as ISO text, or as milliseconds since 1970.

    Returns:
        None for what is not one; else to the millisecond, in UTC.
    """
    try:
        found = _aware_time_of(value)
        return None if found is None else found.replace(microsecond=found.microsecond // 1000 * 1000)
    except (ValueError, OverflowError, OSError):
        # Not a time, or outside the years that Python knows.
        return None


def _aware_time_of(value: object) -> datetime | None:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # Seconds of the present have ten digits.
        value = datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC) if isinstance(value, date) else None
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return aware.astimezone(UTC)


def json_of(value: object) -> Any:
    """Read a JSON column, which drivers return as text or parsed; None if it is not JSON."""
    if not isinstance(value, (str, bytes)):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None

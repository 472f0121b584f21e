"""
Statements that are compiled once and then run by the driver.

Building an expression, hashing it for SQLAlchemy's cache and setting up its result costs ten times what SQLite needs
to run it. The statements of the busiest steps never change, so they are written with SQLAlchemy as usual, compiled once
for each database, and run as text; what their columns mean to Python is taken from the same expression. On SQLite the
text goes to the driver's connection, whose own cache keeps the statement; on PostgreSQL to SQLAlchemy's, which adapts
the driver.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Dialect, Insert, Select, Table, Update, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import Delete

from czo_auth.storage.errors import StorageError, first_line
from czo_auth.storage.tables import Tables

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

T = TypeVar("T")

Statement = Select[Any] | Insert | Update | Delete
Build = Callable[[Tables], Statement]
_Convert = Callable[[Any], Any]


class PreparedStatement:
    """
    One statement as the driver takes it.

    Args:
        statement: With a `bindparam` for each value; anything else in it is part of the text.
        column_names: Of an INSERT: the columns that a row gives.
    """

    def __init__(
        self, statement: Statement, dialect: Dialect, *, column_names: Sequence[str] | None = None
    ) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=column_names)
        self._sql = str(compiled)
        self._dialect = dialect
        self._is_sqlite = dialect.name == "sqlite"
        self._constants = compiled.params
        self._names = tuple(compiled.positiontup or ())
        binds = (_bind_conversion(compiled.binds[name].type, dialect) for name in self._names)
        self._bind_conversions = [
            (position, convert) for position, convert in enumerate(binds) if convert is not None
        ]
        found = list(statement.exported_columns)
        self.names = tuple(column.name for column in found)
        conversions = (_result_conversion(column.type, dialect) for column in found)
        self._conversions = [
            (position, convert) for position, convert in enumerate(conversions) if convert is not None
        ]

    def rows(self, connection: Connection, **values: Any) -> list[tuple[Any, ...]]:
        """Run a SELECT, or a change that returns rows, and return them with Python's values."""
        found = self._run(connection, self._arguments(values)).fetchall()
        return [self._converted(row) for row in found] if self._conversions else found

    def one(self, connection: Connection, kind: Callable[..., T], **values: Any) -> T | None:
        """Run a statement with at most one row, and make a *kind* of it, whose fields are called like the columns."""
        rows = self.rows(connection, **values)
        return kind(**dict(zip(self.names, rows[0], strict=True))) if rows else None

    def value(self, connection: Connection, **values: Any) -> Any:
        """Run a statement with at most one row, and return its first value; None if there is no row."""
        rows = self.rows(connection, **values)
        return rows[0][0] if rows else None

    def count(self, connection: Connection, **values: Any) -> int:
        """Run a change, and return how many rows it met."""
        return int(self._run(connection, self._arguments(values)).rowcount)

    def each(self, connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run a change once with each of *rows*, which give all of its parameters."""
        arguments = [self._arguments(row) for row in rows]
        if len(arguments) == 1:
            self._run(connection, arguments[0])
        elif self._is_sqlite and not _is_observed(connection):
            try:
                _driver_connection(connection).executemany(self._sql, arguments)
            except sqlite3.Error as error:
                raise self._translated(error) from error
        else:
            connection.exec_driver_sql(self._sql, arguments)

    def _run(self, connection: Connection, arguments: tuple[Any, ...]) -> Any:
        if not self._is_sqlite or _is_observed(connection):
            return connection.exec_driver_sql(self._sql, arguments)
        try:
            return _driver_connection(connection).execute(self._sql, arguments)
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def _translated(self, error: sqlite3.Error) -> BaseException:
        """Return *error* as SQLAlchemy raises it, so that callers need not know who ran a statement."""
        # No parameters: they may be secrets.
        return DBAPIError.instance(
            self._sql, None, error, sqlite3.Error, hide_parameters=True, dialect=self._dialect
        )

    def _converted(self, row: Sequence[Any]) -> tuple[Any, ...]:
        values = list(row)
        for position, convert in self._conversions:
            values[position] = convert(values[position])
        return tuple(values)

    def _arguments(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        given = [values[name] if name in values else self._constants[name] for name in self._names]
        try:
            for position, convert in self._bind_conversions:
                given[position] = convert(given[position])
        except Exception as error:
            raise StorageError(first_line(error)) from None
        return tuple(given)


def prepared(
    tables: Tables, build: Callable[..., Statement], dialect: Dialect, *more: object
) -> PreparedStatement:
    """
    Return the statement that *build* writes.

    Args:
        build: A plain function, so that its identity can serve as the key.
        more: What it takes besides the tables; the same for each call on one database.
    """
    key = (dialect.name, build)
    known: PreparedStatement | None = tables.prepared.get(key)
    if known is None:
        known = tables.prepared[key] = PreparedStatement(build(tables, *more), dialect)
    return known


def prepared_insert(
    table: Table, names: Iterable[str], tables: Tables, dialect: Dialect
) -> PreparedStatement:
    """Return an INSERT of rows with the columns *names*."""
    columns = tuple(names)
    key = (dialect.name, table.name, columns)
    known: PreparedStatement | None = tables.prepared.get(key)
    if known is None:
        statement = PreparedStatement(insert(table), dialect, column_names=columns)
        known = tables.prepared[key] = statement
    return known


def _is_observed(connection: Connection) -> bool:
    """Whether somebody listens to SQLAlchemy's events, as tracing does, and has to see each statement."""
    return bool(connection.dispatch.before_cursor_execute)


def _driver_connection(connection: Connection) -> sqlite3.Connection:
    raw: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
    return raw


def _bind_conversion(kind: TypeEngine[Any], dialect: Dialect) -> _Convert | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _result_conversion(kind: TypeEngine[Any], dialect: Dialect) -> _Convert | None:
    return kind.dialect_impl(dialect).result_processor(dialect, None)

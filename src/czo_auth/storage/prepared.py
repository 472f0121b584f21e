"""
Statements that are compiled once and then run by the driver.

Building an expression, hashing it for SQLAlchemy's cache and setting up its result costs ten times what SQLite needs
to run it. The statements of the busiest steps never change, so they are written with SQLAlchemy as usual, compiled once
for each database, and run as text; what their columns mean to Python is taken from the same expression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Dialect, Insert, Select, Table, Update, insert
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
        self._constants = compiled.params
        self._binds = [
            (name, _bind_conversion(compiled.binds[name].type, dialect))
            for name in compiled.positiontup or ()
        ]
        if isinstance(statement, Select):
            found = statement.selected_columns
            self.names = tuple(column.name for column in found)
            self._results = [_result_conversion(column.type, dialect) for column in found]
        else:
            self.names, self._results = (), []

    def rows(self, connection: Connection, **values: Any) -> list[tuple[Any, ...]]:
        """Run a SELECT, and return its rows with Python's values."""
        found = connection.exec_driver_sql(self._sql, self._arguments(values)).fetchall()
        return [
            tuple(
                value if convert is None else convert(value)
                for convert, value in zip(self._results, row, strict=True)
            )
            for row in found
        ]

    def one(self, connection: Connection, kind: Callable[..., T], **values: Any) -> T | None:
        """Run a SELECT of at most one row, and make a *kind* of it, whose fields are called like the columns."""
        rows = self.rows(connection, **values)
        return kind(**dict(zip(self.names, rows[0], strict=True))) if rows else None

    def count(self, connection: Connection, **values: Any) -> int:
        """Run a change, and return how many rows it met."""
        return connection.exec_driver_sql(self._sql, self._arguments(values)).rowcount

    def insert(self, connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Insert *rows*, each with the columns that this statement was prepared for."""
        connection.exec_driver_sql(self._sql, [self._arguments(row) for row in rows])

    def _arguments(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        given = [
            (values[name] if name in values else self._constants[name], convert)
            for name, convert in self._binds
        ]
        try:
            return tuple(value if convert is None else convert(value) for value, convert in given)
        except Exception as error:
            raise StorageError(first_line(error)) from None


def prepared(tables: Tables, build: Build, dialect: Dialect) -> PreparedStatement:
    """Return the statement that *build* writes: a plain function, so that its identity can serve as the key."""
    key = (dialect.name, build)
    known: PreparedStatement | None = tables.prepared.get(key)
    if known is None:
        known = tables.prepared[key] = PreparedStatement(build(tables), dialect)
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


def _bind_conversion(kind: TypeEngine[Any], dialect: Dialect) -> _Convert | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _result_conversion(kind: TypeEngine[Any], dialect: Dialect) -> _Convert | None:
    return kind.dialect_impl(dialect).result_processor(dialect, None)

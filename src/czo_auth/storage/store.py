"""The base of all stores: the connection of one transaction, and mapping rows to the core's dataclasses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Connection,
    Delete,
    Executable,
    FromClause,
    Row,
    Select,
    String,
    Table,
    Update,
    any_,
    delete,
    func,
    literal,
    select,
    tuple_,
)

from czo_auth.core.ids import is_id
from czo_auth.core.paging import PageQuery, Position
from czo_auth.storage.prepared import Build, PreparedStatement, prepared, prepared_insert
from czo_auth.storage.tables import Tables

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite
    from sqlalchemy.sql.dml import ReturningInsert

    Insert = postgresql.Insert | sqlite.Insert
    NewInsert = Callable[[Table], Insert]
    BuildUpsert = Callable[[Tables, NewInsert], Insert | ReturningInsert[Any]]

PRUNED_AT_ONCE = 1000

T = TypeVar("T")


class Store:
    """Statements on one connection. The code that opened the transaction also ends it."""

    def __init__(self, connection: Connection, tables: Tables) -> None:
        self._connection = connection
        self._tables = tables

    def _count(self, statement: Update | Delete) -> int:
        """Run a change and count its rows, which decides who was first."""
        return self._connection.execute(statement).rowcount

    def _one(self, kind: type[T], statement: Executable, *, ids: Sequence[str] = ()) -> T | None:
        """
        Read the row of a *statement* that finds one at most.

        Args:
            ids: The identifiers that it looks for. One without the form of an identifier finds nothing and is not
                sent: PostgreSQL cannot compare with every text that a request may hold.
        """
        if not all(map(is_id, ids)):
            return None
        row = self._connection.execute(statement).one_or_none()
        return None if row is None else from_row(kind, row)

    def _all(self, kind: type[T], statement: Executable) -> list[T]:
        return [from_row(kind, row) for row in self._connection.execute(statement)]

    def _prepared(self, build: Build) -> PreparedStatement:
        """Return the statement that *build* writes, compiled once for this database."""
        return prepared(self._tables, build, self._connection.dialect)

    def _prepared_upsert(self, build: BuildUpsert) -> PreparedStatement:
        """Return the INSERT that *build* writes with `_insert`, compiled once for this database."""
        return prepared(self._tables, build, self._connection.dialect, self._insert)

    def _add(self, table: Table, *rows: Mapping[str, Any]) -> None:
        """Insert *rows*, which all have the same columns."""
        statement = prepared_insert(table, rows[0], self._tables, self._connection.dialect)
        statement.each(self._connection, rows)

    def _insert(self, table: Table) -> Insert:
        """Begin an INSERT that may say ON CONFLICT, which each dialect spells in a class of its own."""
        if self._connection.dialect.name == "sqlite":
            from sqlalchemy.dialects import sqlite

            return sqlite.insert(table)
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)

    def _insert_unless(self, table: Table, taken: Sequence[str], values: Mapping[str, Any]) -> bool:
        """Insert a row; False when there is one with the same values in the columns *taken*. One statement."""
        statement = (
            self._insert(table)
            .values(**values)
            .on_conflict_do_nothing(index_elements=taken)
            .returning(*table.primary_key)
        )
        return self._connection.execute(statement).one_or_none() is not None

    def _page(
        self,
        statement: Select[Any],
        table: Table,
        after: Position | None,
        *,
        limit: int,
        newest_first: bool = True,
        sorted_by: str = "created_at",
    ) -> Select[Any]:
        """Sort by a time and the id, and take the rows that follow *after*; see `czo_auth.core.paging`."""
        created, row_id = table.c[sorted_by], table.c.id
        if after is not None:
            row = tuple_(created, row_id)
            bound = tuple_(literal(after[0], created.type), literal(after[1], row_id.type))
            statement = statement.where(row < bound if newest_first else row > bound)
        order = (created.desc(), row_id.desc()) if newest_first else (created, row_id)
        return statement.order_by(*order).limit(limit)

    def _page_by_id(
        self, statement: Select[Any], table: Table, page: PageQuery, *, newest_first: bool = False
    ) -> list[Row[Any]]:
        """Read the rows of a page of a list that sorts by id alone, plus one more if there is a next page."""
        row_id, descending = table.c.id, newest_first != page.backward
        if page.last_id is not None:
            statement = statement.where(row_id < page.last_id if descending else row_id > page.last_id)
        ordered = statement.order_by(row_id.desc() if descending else row_id).limit(page.limit + 1)
        found = list(self._connection.execute(ordered))
        return found[::-1] if page.backward else found

    def _count_up_to(
        self, table: FromClause, *conditions: ColumnElement[bool], up_to: int | None = None
    ) -> int:
        """Count rows, at most *up_to*."""
        statement = select(func.count()).select_from(table).where(*conditions)
        if up_to is not None:
            some = select(literal(1)).select_from(table).where(*conditions).limit(up_to)
            statement = select(func.count()).select_from(some.subquery())
        return self._connection.execute(statement).scalar_one()

    def _prune(self, table: Table, due: Column[Any], before: datetime) -> int:
        """Delete a batch of the rows whose time *due* lies before *before*, except locked ones."""
        (key,) = table.primary_key
        return self._count(delete(table).where(key.in_(unlocked_batch(select(key).where(due < before)))))

    def _lock_free(self, table: Table, ids: Collection[str]) -> frozenset[str]:
        """
        Lock those of the rows *ids* that are not locked, so that a change of many owners' rows waits for none of them.

        Returns:
            The ids of those that are locked by others.
        """
        if self._connection.dialect.name != "postgresql":
            return frozenset()
        is_wanted = table.c.id == any_(literal(sorted(ids), ARRAY(String)))
        mine = (
            select(table.c.id).where(is_wanted).with_for_update(key_share=True, skip_locked=True).cte("mine")
        )
        others = select(table.c.id).where(is_wanted, table.c.id.not_in(select(mine.c.id)))
        return frozenset(self._connection.execute(others).scalars())


def unlocked_batch(rows: Select[Any]) -> Select[Any]:
    """
    Limit a SELECT of rows to delete to a batch of unlocked rows, and lock it.

    Locked rows are skipped until the next time, so that deleting the rows of many owners waits for none of them and
    cannot cause a deadlock.
    """
    return rows.limit(PRUNED_AT_ONCE).with_for_update(skip_locked=True)


def columns(table: Table, kind: type, *, but: Sequence[str] = ()) -> list[Column[Any]]:
    """Return the columns that are called like the fields of the dataclass *kind*."""
    return [table.c[field.name] for field in fields(kind) if field.name not in but]


def values(thing: Any, *, but: Sequence[str] = ()) -> dict[str, Any]:
    """Return the fields of a dataclass as column values."""
    return {
        field.name: dict(value) if isinstance(value, Mapping) else value
        for field in fields(thing)
        if field.name not in but
        for value in (getattr(thing, field.name),)
    }


def from_row(kind: type[T], row: Row[Any]) -> T:
    """Make a *kind* from a row with its fields."""
    return kind(**row._mapping)

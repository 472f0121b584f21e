"""Statements that are compiled once mean what SQLAlchemy means by them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Select, bindparam, event, select
from sqlalchemy.exc import IntegrityError

from czo_auth.core.transaction import Transaction
from czo_auth.storage.errors import StorageError
from czo_auth.storage.prepared import prepared, prepared_insert
from czo_auth.storage.tables import Tables
from tests.support.records import NOW, a_digest, a_key, a_session
from tests.support.rows import Rows


def connection_of(tx: Transaction) -> tuple[Connection, Tables]:
    return tx.connection, tx.tables  # type: ignore[attr-defined]


def all_of_a_key(tables: Tables) -> Select[Any]:
    return select(tables.api_keys).where(tables.api_keys.c.id == bindparam("id"))


async def test_every_column_type_comes_back_as_sqlalchemy_reads_it(rows: Rows) -> None:
    user = await rows.user()
    key = await rows.key(user, metadata={"a": [1, None, "ü"]}, expires_at=NOW, allowed_ips=("192.0.2.1",))

    def read_both_ways(tx: Transaction) -> tuple[dict[str, Any], dict[str, Any]]:
        connection, tables = connection_of(tx)
        statement = prepared(tables, all_of_a_key, connection.dialect)
        (ours,) = statement.rows(connection, id=key.id)
        theirs = connection.execute(all_of_a_key(tables), {"id": key.id}).one()
        return dict(zip(statement.names, ours, strict=True)), dict(theirs._mapping)

    ours, theirs = await rows.run(read_both_ways)
    assert ours == theirs


async def test_statement_is_compiled_once_for_each_set_of_tables(rows: Rows) -> None:
    def look(tx: Transaction) -> None:
        connection, tables = connection_of(tx)
        first = prepared(tables, all_of_a_key, connection.dialect)
        assert prepared(tables, all_of_a_key, connection.dialect) is first
        assert prepared(Tables("other_"), all_of_a_key, connection.dialect) is not first

    await rows.run(look)


async def test_value_that_cannot_be_stored_is_a_fault_and_not_shown(rows: Rows) -> None:
    user = await rows.user()
    with pytest.raises(StorageError) as caught:
        await rows.session(user, created_at="yesterday")
    assert "yesterday" not in str(caught.value)
    with pytest.raises(StorageError):
        await rows.run(lambda tx: tx.api_keys.add(a_key(user.id, scopes=("a b",)), digest=a_digest()))


async def test_many_rows_are_inserted_in_one_call(rows: Rows) -> None:
    user = await rows.user()

    def add_many(tx: Transaction) -> int:
        connection, tables = connection_of(tx)
        found_rows = [
            {"id": one.id, "digest": a_digest(), "session_id": one.id, "parent_id": None, "created_at": NOW}
            for one in sessions
        ]
        statement = prepared_insert(tables.refresh_tokens, found_rows[0], tables, connection.dialect)
        statement.each(connection, found_rows)
        return len(connection.execute(select(tables.refresh_tokens)).all())

    sessions = [a_session(user.id) for _ in range(3)]
    for session in sessions:
        await rows.run(lambda tx, one=session: tx.sessions.add(one, token_digest=a_digest()))  # type: ignore[misc]
    assert await rows.run(add_many) == 3


async def test_who_listens_to_sqlalchemy_sees_each_prepared_statement(rows: Rows) -> None:
    user = await rows.user()
    key = await rows.key(user)
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    def find(tx: Transaction) -> object:
        return tx.api_keys.find(key.id)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        observed = await rows.run(find)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert any("_api_keys" in statement for statement in seen)
    assert await rows.run(find) == observed == key


async def test_row_that_is_refused_raises_what_sqlalchemy_raises_without_its_values(rows: Rows) -> None:
    user, digest = await rows.user(), a_digest()
    first, second = a_key(user.id), a_key(user.id)
    await rows.run(lambda tx: tx.api_keys.add(first, digest=digest))

    def add_again(tx: Transaction) -> str:
        with pytest.raises(IntegrityError) as caught, connection_of(tx)[0].begin_nested():
            tx.api_keys.add(second, digest=digest)
        return str(caught.value)

    message = await rows.run(add_again)
    assert digest not in message
    with pytest.raises(StorageError) as caught:
        await rows.run(lambda tx: tx.api_keys.add(second, digest=digest))
    assert digest not in str(caught.value)

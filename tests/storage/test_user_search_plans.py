"""Plans of searches by a text, among many users that the databases know about."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from czo_auth.core.paging import PageQuery
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.store import UserFilter
from czo_auth.storage import Storage, open_storage, user_search
from tests.migrations.databases import execute
from tests.storage.test_plans import explain_on_postgresql, explain_on_sqlite
from tests.storage.test_user_search import adding, found_by, is_sqlite, number_id
from tests.support.postgres import PostgresServer
from tests.support.rows import Rows


async def test_search_by_a_text_uses_the_index(crowded: Storage) -> None:
    """Among many users that the database knows about, and without any setting of the planner."""
    sent = await plans_of(crowded, UserFilter(text="person17@"))
    assert await found_by(Rows(crowded), "person17@") == ([number_id(17)], 1)
    sent = [(sql, plan) for sql, plan in sent if is_sqlite(crowded) or "ILIKE" in sql]
    assert len(sent) >= 2
    for sql, plan in sent:
        if is_sqlite(crowded):
            assert not any(line.startswith("SCAN czo_auth_users") for line in plan), (sql, plan)
            assert "czo_auth_user_search VIRTUAL TABLE INDEX" in str(plan) or "IN (" in sql, (sql, plan)
        else:
            (read,) = reads_of_users(plan)
            assert read["Node Type"] == "Bitmap Heap Scan", (sql, plan)
            assert "czo_auth_users_search_ix" in str(read), (sql, plan)


@pytest.mark.parametrize("crowded", ["crowded_postgres_url"], indirect=True)
async def test_postgresql_is_not_asked_for_trigrams_that_all_users_have(crowded: Storage) -> None:
    """Its index would go through the users of each, so that a search costs more the more users there are."""
    sent = await plans_of(crowded, UserFilter(text="Person17@example.com"))
    assert await found_by(Rows(crowded), "Person17@example.com") == ([number_id(17)], 1)
    read = [reads_of_users(plan)[0] for sql, plan in sent if "ILIKE" in sql]
    assert len(read) == 2
    for each in read:
        conditions = re.findall(r"~~\* '([^']*)'", str([index["Index Cond"] for index in index_scans(each)]))
        assert conditions == ["%on17@%", "%on17@%"], each


async def test_page_of_a_text_that_everybody_has_ends_early(
    crowded: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_search, "MAX_LISTED", 50)
    monkeypatch.setattr(user_search, "MAX_CANDIDATES", 100)
    page = [
        plan
        for sql, plan in await plans_of(crowded, UserFilter(text="person"))
        if "ORDER BY" in sql and "LIKE" in sql.upper()
    ]
    (plan,) = page
    if is_sqlite(crowded):
        assert plan[0] == "SCAN czo_auth_users USING INDEX sqlite_autoindex_czo_auth_users_1"
        assert not any("TEMP B-TREE" in line for line in plan)
    else:
        (read,) = reads_of_users(plan)
        assert read["Index Name"] == "czo_auth_users_pk"


async def test_count_of_a_text_that_everybody_has_ends_at_its_bound(
    crowded: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond it nobody is read, so the cost does not grow with the number of users."""
    monkeypatch.setattr(user_search, "MAX_LISTED", 50)
    monkeypatch.setattr(user_search, "MAX_CANDIDATES", 100)

    def count(tx: Transaction) -> int:
        return tx.users.count(UserFilter(text="person"), up_to=101)

    assert await crowded.transactions.read(count) == 101
    sent = await plans_of(crowded, UserFilter(text="person"), up_to=101)
    candidates = [" ".join(sql.split()) for sql, _ in sent if "MATCH" in sql]
    assert len(candidates) == (4 if is_sqlite(crowded) else 0)
    # SQLite lists all that IN names before it reads a row: a limit outside would come too late.
    assert all(re.search(r"MATCH \? LIMIT \?", sql) for sql in candidates)
    ((sql, plan),) = [each for each in sent if "ORDER BY" not in each[0] and "MATCH" not in each[0]]
    if is_sqlite(crowded):
        assert "LIMIT" in sql
        assert not any("TEMP B-TREE" in line for line in plan), sql
    else:
        assert limits_of(plan) == [101]


def limits_of(node: dict[str, Any]) -> list[int]:
    """List how many rows each limit in a plan of PostgreSQL lets through."""
    inner = [rows for each in node.get("Plans", ()) for rows in limits_of(each)]
    return [node["Plan Rows"], *inner] if node["Node Type"] == "Limit" else inner


def reads_of_users(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Find what PostgreSQL does with the table of users."""
    inner = [read for each in node.get("Plans", ()) for read in reads_of_users(each)]
    return [node, *inner] if node.get("Relation Name") == "czo_auth_users" else inner


def index_scans(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Find where a plan of PostgreSQL reads an index for a bitmap."""
    inner = [scan for each in node.get("Plans", ()) for scan in index_scans(each)]
    return [node, *inner] if node["Node Type"] == "Bitmap Index Scan" else inner


@pytest.fixture(scope="module")
def _crowded_database(postgres_server: PostgresServer, migrated_template: str) -> str:
    """With so many users that PostgreSQL would not rather read them all; copied, since writing them takes seconds."""
    name = postgres_server.create_database(template=migrated_template)
    postgres_server.execute(";\n".join(adding(20_000)), database=name)
    return name


@pytest.fixture
def crowded_postgres_url(postgres_server: PostgresServer, _crowded_database: str) -> Iterator[str]:
    name = postgres_server.create_database(template=_crowded_database)
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture(params=["migrated_sqlite_url", "crowded_postgres_url"], ids=["sqlite", "postgres"])
async def crowded(request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
    """Started storage of each kind with many users."""
    url: str = request.getfixturevalue(request.param)
    if url.startswith("sqlite:"):
        await execute(url, *adding(3_000))
    storage = open_storage(url)
    await storage.start()
    yield storage
    await storage.close()


async def plans_of(
    storage: Storage, matching: UserFilter, *, up_to: int | None = None
) -> list[tuple[str, Any]]:
    """Search and count, and return the statements on users with their plans."""
    explain = explain_on_sqlite if is_sqlite(storage) else explain_on_postgresql
    found: list[tuple[str, Any]] = []
    explains = False

    def note(connection: Connection, _cursor: object, statement: str, values: Any, *_: Any) -> None:
        nonlocal explains
        if not explains and "czo_auth_user" in statement and statement.startswith("SELECT"):
            explains = True
            found.append((statement, explain(connection, statement, values)))
            explains = False

    def read(tx: Transaction) -> None:
        event.listen(Engine, "before_cursor_execute", note)
        try:
            tx.users.search(matching, page=PageQuery(limit=100))
            tx.users.count(matching, up_to=up_to)
        finally:
            event.remove(Engine, "before_cursor_execute", note)

    await storage.transactions.read(read)
    return found

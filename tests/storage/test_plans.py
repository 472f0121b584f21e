"""
What the databases would do for every statement of the stores: no table that grows with the deployment is read whole.

SQLite says SCAN where it reads a whole table or index. PostgreSQL is forbidden to read a table from its beginning, so
that it still does means that no index serves; an index without a condition is read whole too.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import Connection

from czo_auth.storage import Storage, open_storage
from czo_auth.storage.migrate import upgrade
from czo_auth.storage.postgresql_server import PostgresServer
from czo_auth.storage.sqlite_file import database_path
from czo_auth.storage.tables import DEFAULT_PREFIX, tables_of
from tests.storage.every_statement import Sent, every_statement

SMALL = frozenset(
    [
        "change_count",
        "key_checks",
        "signing_keys",
        "sinks",
        "webhook_cursors",
        "version",
        "mail_queue",
        "password_guesses",
        "device_authorizations",
    ]
)
"""Tables with a bound of their own, whatever the deployment grows to."""

_COUNTS = "the overview of the administrators and the doctor count everybody"
_TEXT = "a text is looked for anywhere in names and addresses, and few may match"
_USERS = (
    "filters and texts under three characters that few match read everybody; "
    "test_user_search_plans.py has the others"
)
_OPERATOR = "a command of the operator, which goes through everything"
_HOLDERS = "goes through the holders of an actor type, who may be everybody"
_KEYS = "filters that few keys meet read every key; those that ended are deleted in time"
_RULE = "a rule of the whole deployment goes through all keys"
READ_WHOLE: dict[str, str] = {
    "api_keys.count_found": _KEYS,
    "api_keys.search": _KEYS,
    "actor_type_deadlines.count_due": _HOLDERS,
    "factor_rules.count_due": _COUNTS,
    "actor_type_deadlines.list_due": _HOLDERS,
    "key_expiry.cap_ends": _RULE,
    "key_expiry.expire_unused": _RULE,
    "key_expiry.list_unused": _RULE,
    "key_uses.forget_addresses": "once at the start, where addresses are not to be kept",
    "organizations.count": _TEXT,
    "organizations.search": _TEXT,
    "outbox.state": _COUNTS,
    "passkeys.count_by_rp_id": _COUNTS,
    "two_factor.count_by_kid": _COUNTS,
    "challenges.count_locks": _COUNTS,
    "two_factor.count_renewals": _COUNTS,
    "two_factor.count_sealed": _OPERATOR,
    "users.count": _USERS,
    "users.count_by_state": _COUNTS,
    "users.count_factors": _COUNTS,
    "users.count_foreign_hashes": _COUNTS,
    "users.list_folded": _OPERATOR,
    "users.sample_foreign_hashes": _OPERATOR,
    "users.search": _USERS,
    "webhooks.list_all": _OPERATOR,
    "webhooks.replay_since": "follows the outbox from its beginning to the moment that is asked for",
}
"""Methods that may read a whole table or index, and why."""

MISLED: dict[str, str] = {
    "organizations.list_unused_rules": "organizations are fewer than keys, and this is asked once an hour",
    "users.count_administrators": "asked here for no actor type, which SQLite cannot know",
}
"""The same on SQLite once it has statistics."""

FILLED = """
INSERT INTO czo_auth_users (id, email, name, email_verified, actor_types, credential_version, created_at, updated_at)
WITH RECURSIVE each(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM each WHERE n < 500)
SELECT printf('u%d', n), printf('u%d@example.com', n), 'Somebody', 1, 'customer', 1, n, n FROM each;
INSERT INTO czo_auth_organizations (id, name, slug, created_at, updated_at)
SELECT replace(id, 'u', 'o'), name, id, 1, 1 FROM czo_auth_users LIMIT 50;
INSERT INTO czo_auth_members (id, organization_id, user_id, role, created_at)
SELECT replace(id, 'u', 'm'), printf('o%d', 1 + created_at % 50), id, 'owner', 1 FROM czo_auth_users;
INSERT INTO czo_auth_service_accounts (id, organization_id, name, scopes, enabled, created_at, updated_at)
SELECT replace(id, 'u', 's'), printf('o%d', 1 + created_at % 50), name, '', 1, 1, 1 FROM czo_auth_users;
"""

KEYS = """
INSERT INTO czo_auth_api_keys (
    id, digest, user_id, service_account_id, organization_id, expires_at, actor_type, name, prefix, scopes, enabled,
    created_at, updated_at
)
WITH RECURSIVE each(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM each WHERE n < 5000)
SELECT printf('k%d', n), printf('d%d', n), {columns}, 'customer', 'Key', 'czo_abcd', '', 1, n, n FROM each;
ANALYZE;
"""
_OF_USERS = "printf('u%d', 1 + n % 500), NULL"
_OF_ORGANIZATIONS = "printf('o%d', 1 + n % 50)"
DEPLOYMENTS = {
    "people without organizations": f"{_OF_USERS}, NULL, NULL",
    "people with ends": f"{_OF_USERS}, iif(n % 4, NULL, {_OF_ORGANIZATIONS}), iif(n % 2, NULL, n)",
    "service accounts": f"NULL, printf('s%d', 1 + n % 500), {_OF_ORGANIZATIONS}, NULL",
    "service accounts with ends": f"NULL, printf('s%d', 1 + n % 500), {_OF_ORGANIZATIONS}, iif(n % 2, NULL, n)",
}
"""What keys have in a deployment: their user or service account, organization and end."""

SETTINGS = "SELECT " + ", ".join(
    f"set_config('enable_{name}', 'off', true)" for name in ("seqscan", "mergejoin", "hashjoin")
)
"""PostgreSQL's tables are empty here, where reading all of them costs as little as anything else."""


PARTIAL = frozenset(
    index.name
    for table in tables_of(DEFAULT_PREFIX).metadata.sorted_tables
    for index in table.indexes
    if index.dialect_options["postgresql"]["where"] is not None
)
"""Indexes of the few rows that something is still to be done with."""


async def test_no_statement_reads_a_table_that_grows(storage: Storage) -> None:
    is_sqlite = type(storage).__name__ == "SqliteStorage"
    sent = await every_statement(
        storage,
        explain_on_sqlite if is_sqlite else explain_on_postgresql,
        before=None if is_sqlite else SETTINGS,
    )
    read = scanned_on_sqlite if is_sqlite else scanned_on_postgresql
    assert read_whole(sent, read, allowed=READ_WHOLE) == {}


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
async def test_statistics_mislead_no_statement(sqlite_url: str, deployment: str) -> None:
    """SQLite's count NULL as a value: an index seems useless where most rows have it, or to find few rows by it."""
    await upgrade(sqlite_url)
    with closing(sqlite3.connect(database_path(sqlite_url))) as connection:
        connection.executescript(FILLED + KEYS.format(columns=DEPLOYMENTS[deployment]))
    storage = open_storage(sqlite_url)
    await storage.start()
    sent = await every_statement(storage, explain_on_sqlite, before=None)
    await storage.close()
    assert read_whole(sent, scanned_on_sqlite, allowed=READ_WHOLE | MISLED) == {}
    by_null = {
        (each.method, line)
        for each in sent
        for line in each.plan
        if (found := re.search(r"czo_auth_api_keys USING .*\((\w+)=[^)]*\)", line))
        and f"api_keys.{found[1]} = " not in each.sql
        and f"api_keys.{found[1]} IS NULL" in each.sql
        and each.method not in READ_WHOLE
    }
    assert by_null == set()


def read_whole(
    sent: Iterable[Sent], read: Callable[[Sent], Iterator[str]], *, allowed: Mapping[str, str]
) -> dict[tuple[str, str], set[str]]:
    """Find the statements of other methods than those *allowed* that read a whole table."""
    whole = {}
    for each in sent:
        tables = {table.removeprefix(DEFAULT_PREFIX) for table in read(each)} - SMALL
        if tables and each.method not in allowed:
            whole[each.method, each.sql] = tables
    return whole


async def test_no_index_lists_all_keys_that_live(migrated_postgres_url: str) -> None:
    """
    A ban looks for the keys of a user that were not revoked. Before PostgreSQL knows how many those of all users are,
    it would combine an index of them with that of the user's keys. SQLite combines none.
    """
    connection = await PostgresServer(migrated_postgres_url).connect()
    for kind in ("seqscan", "indexscan"):
        await connection.execute(f"SET enable_{kind} = off")
    live = f"EXPLAIN SELECT id FROM {DEFAULT_PREFIX}api_keys WHERE revoked_at IS NULL"
    plan = [line for (line,) in await connection.fetch(live)]
    await connection.close()
    assert "Seq Scan" in plan[0], plan


def explain_on_sqlite(connection: Connection, statement: str, values: Any) -> Any:
    return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]


def explain_on_postgresql(connection: Connection, statement: str, values: Any) -> Any:
    (found,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values).one()
    (plan,) = json.loads(found) if isinstance(found, str) else found
    return plan["Plan"]


def scanned_on_sqlite(sent: Sent) -> Iterator[str]:
    """Name the tables that are read whole."""
    takes_all = not re.search(r" WHERE (?!1 = 1)", sent.sql)
    is_first_rows = takes_all and " LIMIT " in sent.sql and "TEMP B-TREE" not in str(sent.plan)
    if is_first_rows or " WHERE 0 = 1" in sent.sql:
        return
    names = dict(re.findall(rf"({DEFAULT_PREFIX}\w+) AS (\w+)", sent.sql))
    aliases = {alias: table for table, alias in names.items()}
    for line in sent.plan:
        found = re.match(r"SCAN (\w+)", line)
        if (
            found
            and PARTIAL.isdisjoint(line.split())
            and (found[1].startswith(DEFAULT_PREFIX) or found[1] in aliases)
        ):
            yield aliases.get(found[1], found[1])


def scanned_on_postgresql(sent: Sent) -> Iterator[str]:
    """Name the tables that are read whole."""

    def walk(node: dict[str, Any], *, is_limited: bool) -> Iterator[str]:
        kind = node["Node Type"]
        if kind == "Seq Scan" or (kind in ("Index Scan", "Index Only Scan") and "Index Cond" not in node):
            is_first_rows = is_limited and "Filter" not in node
            if not is_first_rows and node.get("Index Name") not in PARTIAL:
                yield node["Relation Name"]
        for inner in node.get("Plans", ()):
            yield from walk(inner, is_limited=kind == "Limit")

    return walk(sent.plan, is_limited=False)


@pytest.mark.parametrize(
    "table", tables_of(DEFAULT_PREFIX).metadata.sorted_tables, ids=lambda each: each.name
)
def test_rows_deleted_by_cascade_are_found_by_an_index(table: Any) -> None:
    firsts = {next(iter(index.columns)).name for index in table.indexes if index.name not in PARTIAL}
    firsts |= {
        next(iter(rule.columns)).name
        for rule in table.constraints
        if type(rule).__name__ in ("UniqueConstraint", "PrimaryKeyConstraint") and len(rule.columns)
    }
    assert {key.parent.name for key in table.foreign_keys} <= firsts

"""
Triggers that detect when a right may have been removed, so that no code path can forget it.

A cached credential is valid as long as the change token stays the same. What changes the token is defined here once for
both databases: the columns that the lookups of the hot path read. New sessions, keys, audit records and uses do not
change it. On SQLite the triggers count in a table of one row, which is read when the file's header shows a commit; on
PostgreSQL they notify a listening connection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, inspect

from czo_auth.storage.tables import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedTable:
    """
    Attributes:
        columns: Those that a lookup reads and that an UPDATE may change.
        inserts: Whether a new row may remove a right, or lift a cached restriction.
        ignored_once_set: A column that is set once the row no longer matters; deleting such a row changes nothing.
    """

    columns: tuple[str, ...] = ()
    inserts: bool = False
    ignored_once_set: str | None = None


WATCHED: Final[dict[str, WatchedTable]] = {
    "users": WatchedTable(columns=("actor_type_grants", "actor_types", "banned_at", "passkeys_enabled_at")),
    "factors": WatchedTable(columns=("renew_by",), inserts=True),
    "passkeys": WatchedTable(inserts=True),
    "members": WatchedTable(columns=("role", "two_factor_due_at"), inserts=True),
    "sessions": WatchedTable(
        columns=(
            "aal",
            "actor_type",
            "amr",
            "auth_time",
            "expires_at",
            "factor_proved_at",
            "organization_id",
            "revoked_at",
        ),
        ignored_once_set="revoked_at",
    ),
    "service_accounts": WatchedTable(columns=("enabled", "scopes")),
    "api_keys": WatchedTable(
        columns=(
            "actor_type",
            "allowed_ips",
            "enabled",
            "expires_at",
            "organization_id",
            "quota_id",
            "quota_max",
            "quota_period",
            "rate_limit_max",
            "rate_limit_window_seconds",
            "revoked_at",
            "scopes",
        ),
        ignored_once_set="revoked_at",
    ),
}


def install_change_triggers(connection: Connection, tables: Tables) -> None:
    """
    Create the triggers again; part of every migration, because SQLite drops them when a table is rebuilt.

    Tables and columns that a partially migrated schema does not have yet are skipped.
    """
    inspector = inspect(connection)
    if connection.dialect.name == "sqlite" and not inspector.has_table(tables.change_count_table):
        return
    for name, watched in WATCHED.items():
        table = tables.prefix + name
        if not inspector.has_table(table):
            continue
        present = {column["name"] for column in inspector.get_columns(table)}
        columns = [column for column in watched.columns if column in present]
        if connection.dialect.name == "sqlite":
            statements = [
                statement
                for trigger, definition in _sqlite_triggers(tables, table, watched, columns)
                for statement in (f"DROP TRIGGER IF EXISTS {trigger}", definition)
            ]
        else:
            statements = _postgresql_trigger(tables, table, watched, columns)
        for statement in statements:
            connection.exec_driver_sql(statement)


def has_all_change_triggers(connection: sqlite3.Connection, tables: Tables) -> bool:
    """
    Whether every trigger is in the file as this version defines it; otherwise nothing may be cached.

    By their definitions, because a trigger of the same name may watch fewer columns, or do nothing.
    """
    question = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE ? ESCAPE '\\'"
    pattern = tables.prefix.replace("_", "\\_") + "changed\\_%"
    return {sql for (sql,) in connection.execute(question, (pattern,))} == _sqlite_definitions(tables)


def _sqlite_definitions(tables: Tables) -> set[str]:
    """Return what SQLite stores of the triggers of a migrated file: the statements that made them."""
    return {
        definition
        for name, watched in WATCHED.items()
        for _, definition in _sqlite_triggers(tables, tables.prefix + name, watched, watched.columns)
    }


def change_count_sql(tables: Tables) -> str:
    """Return the SELECT of the number that the triggers move on SQLite."""
    return f"SELECT count FROM {tables.change_count_table}"  # noqa: S608 - the prefix was checked


def tell_change_function(tables: Tables, *, schema: str) -> tuple[str, str]:
    """Return how PostgreSQL makes and drops the function that the triggers call; the first migration makes the same."""
    quoted = schema.replace('"', '""')
    function = f'"{quoted}".{tables.prefix}tell_change()'
    notify = f"PERFORM pg_notify('{tables.prefix}changed', '')"
    body = f"RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {notify}; RETURN NULL; END$$"
    return f"CREATE OR REPLACE FUNCTION {function} {body}", f"DROP FUNCTION IF EXISTS {function}"


def _sqlite_triggers(
    tables: Tables, table: str, watched: WatchedTable, columns: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Return the name of each trigger of a table, and the statement that creates it."""
    prefix = f"{tables.prefix}changed_{table.removeprefix(tables.prefix)}"
    counting = f"BEGIN UPDATE {tables.change_count_table} SET count = count + 1; END"  # noqa: S608
    alive = f"WHEN OLD.{watched.ignored_once_set} IS NULL " if watched.ignored_once_set else ""
    wanted = {"delete": f"AFTER DELETE ON {table} {alive}"}
    if columns:
        differs = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in columns)
        wanted["update"] = f"AFTER UPDATE OF {', '.join(columns)} ON {table} WHEN {differs} "
    if watched.inserts:
        wanted["insert"] = f"AFTER INSERT ON {table} "
    for event, condition in wanted.items():
        yield f"{prefix}_{event}", f"CREATE TRIGGER {prefix}_{event} {condition}{counting}"


def _postgresql_trigger(tables: Tables, table: str, watched: WatchedTable, columns: list[str]) -> list[str]:
    events = ["DELETE"]
    if columns:
        events.append(f"UPDATE OF {', '.join(columns)}")
    if watched.inserts:
        events.append("INSERT")
    changes = " OR ".join(events)
    calling = f"FOR EACH STATEMENT EXECUTE FUNCTION {tables.prefix}tell_change()"
    return [
        f"DROP TRIGGER IF EXISTS {tables.prefix}tell ON {table}",
        f"CREATE TRIGGER {tables.prefix}tell AFTER {changes} ON {table} {calling}",
    ]

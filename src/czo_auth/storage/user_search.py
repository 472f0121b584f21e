"""
Index of the trigrams in users' addresses and names, so that a search by a text does not read every user.

A trigram is three characters in a row. The index only names candidates: `czo_auth.storage.users` compares their texts
as it would without an index, so both find the same users. PostgreSQL has a GIN index of the extension ``pg_trgm``.
SQLite has a full-text table (FTS5) without content, and a table that numbers the users, because VACUUM may renumber
rows; triggers maintain both. Where the database has no such index, every user is read.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    TableClause,
    column,
    func,
    inspect,
    literal_column,
    or_,
    select,
    table,
    text,
    true,
)
from sqlalchemy.exc import DBAPIError

from czo_auth.core.limits import MAX_CANDIDATES, MAX_LISTED, MAX_TRIGRAMS
from czo_auth.storage.sqlite_file import connect_to_write
from czo_auth.storage.tables import Tables

_LEAST_SQLITE: Final = (3, 34)
"""The first whose FTS5 has trigrams. Source: SQLite's release notes for 3.34.0."""
_EVENTS: Final = ("insert", "delete", "update")
_COLUMNS: Final = frozenset({"id", "email", "name"})
_ALPHABETS: Final = ((0x20, 0x24F), (0x370, 0x3F2), (0x3F4, 0x523), (0x1E00, 0x1FFF))
"""Ranges of letters whose case FTS5 folds as Python does, but for ``İ``, which the triggers replace."""


def install_search_index(connection: Connection, tables: Tables) -> None:
    """
    Make the index where it is missing and the database allows it; part of every migration.

    SQLite drops triggers when a table is rebuilt. What changed since is unknown, so the index is filled again.
    """
    inspector = inspect(connection)
    if not inspector.has_table(tables.users.name):
        return
    if not {column["name"] for column in inspector.get_columns(tables.users.name)} >= _COLUMNS:
        return
    if has_search_index(connection, tables):
        return
    if connection.dialect.name == "postgresql":
        _install_on_postgresql(connection, tables)
    else:
        _install_on_sqlite(connection, tables)


def has_search_index(connection: Connection, tables: Tables) -> bool:
    """Return whether the index is there and complete."""
    if connection.dialect.name == "sqlite":
        found = connection.execute(_COUNT_TRIGGERS, _trigger_names(tables)).scalar_one()
        return found == len(_EVENTS) and sqlite_has_trigrams()
    found = connection.execute(_FIND_INDEX, {"name": tables.search_index}).scalar_one_or_none()
    return found is not None


def sqlite_has_trigrams() -> bool:
    """Return whether this program's SQLite can have the index."""
    with closing(sqlite3.connect(":memory:")) as connection:
        (modules,) = connection.execute(
            "SELECT count(*) FROM pragma_module_list WHERE name = 'fts5'"
        ).fetchone()
    return modules > 0 and sqlite3.sqlite_version_info >= _LEAST_SQLITE


def drop_search_triggers(path: str, tables: Tables) -> None:
    """
    Drop SQLite's triggers: where there is no FTS5, no user could be added because of them.

    A file moves from one machine to another. ``czo-auth migrate`` makes the index again where it can be used.

    Raises:
        sqlite3.Error: The file cannot be written.
    """
    with closing(connect_to_write(path)) as connection:
        for name in _trigger_names(tables).values():
            connection.execute(f"DROP TRIGGER IF EXISTS {name}")


def drop_search_index(connection: sqlite3.Connection, tables: Tables) -> None:
    """
    Drop the index from a SQLite file, whose script for empty files is without it: not every SQLite can have it.

    Raises:
        sqlite3.Error: The file cannot be written, or SQLite has no FTS5.
    """
    for name in _trigger_names(tables).values():
        connection.execute(f"DROP TRIGGER IF EXISTS {name}")
    for name in (tables.user_search_table, tables.user_numbers_table):
        connection.execute(f"DROP TABLE IF EXISTS {name}")


def user_contains(connection: Connection, tables: Tables, searched: str) -> ColumnElement[bool]:
    """
    Return the condition that the address or the name of a user contains *searched*, whatever the case.

    It is made for the users of now, and for one statement of this transaction.
    """
    users = tables.users
    texts: tuple[ColumnElement[str], ...] = (users.c.email, users.c.name)
    if connection.dialect.name == "sqlite":
        return sqlite_candidates(connection, tables, searched) & _contain(texts, searched)
    # The planner selects the index by itself, but only if the plan is made for this text.
    connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_custom_plan")
    pattern = rare_part(searched, _some_texts(connection, tables) if len(searched) > _SIZE else ())
    if pattern is None:
        return _contain(texts, searched)
    # As an expression that is not indexed, or the index would be asked for the whole text nevertheless.
    return or_(*(each.ilike(pattern, escape=_ESCAPE) for each in texts)) & _contain(
        [each.concat("") for each in texts], searched
    )


def _contain(texts: Iterable[ColumnElement[str]], searched: str) -> ColumnElement[bool]:
    return or_(*(each.icontains(searched, autoescape=True) for each in texts))


def trigram_query(searched: str) -> str | None:
    """
    Return FTS5's query for users that may have the text *searched* in the address or the name.

    Returns:
        None if the text has no three characters in a row whose case FTS5 folds as Python does.
    """
    folded = searched.lower()
    found = [folded[at : at + 3] for at in range(len(folded) - 2)]
    usable = [each for each in dict.fromkeys(found) if all(map(_is_folded_alike, each))]
    if not usable:
        return None
    # Evenly spread: the rare part of a long text may be anywhere.
    step = max(1, -(-len(usable) // MAX_TRIGRAMS))
    return " AND ".join('"' + each.replace('"', '""') + '"' for each in usable[::step])


def sqlite_candidates(connection: Connection, tables: Tables, searched: str) -> ColumnElement[bool]:
    """
    Return a condition that all users meet who have the text *searched* in the address or the name.

    Returns:
        True if the index cannot be used, or if it names so many that a page of them is found sooner in the order of
        the list.
    """
    query = trigram_query(searched)
    if query is None or not has_search_index(connection, tables):
        return true()
    index, numbers = table(tables.user_search_table, column("rowid")), _numbers(tables)
    matched = literal_column(tables.user_search_table).op("MATCH", is_comparison=True)(query)
    candidates = select(index.c.rowid).where(matched)
    ids = select(numbers.c.user_id)
    # A few are read at once: each lookup in the index goes through lists that grow with the number of users. The limit
    # is on the candidates, because SQLite lists all that IN names before it reads the first row.
    first = ids.where(numbers.c.number.in_(candidates.limit(MAX_LISTED + 1)))
    few = connection.execute(first).scalars().all()
    if len(few) <= MAX_LISTED:
        return tables.users.c.id.in_(few)
    some = candidates.limit(MAX_CANDIDATES + 1).subquery()
    if connection.execute(select(func.count()).select_from(some)).scalar_one() > MAX_CANDIDATES:
        return true()
    return tables.users.c.id.in_(ids.where(numbers.c.number.in_(candidates)))


def _numbers(tables: Tables) -> TableClause:
    return table(tables.user_numbers_table, column("number"), column("user_id"))


def _is_folded_alike(character: str) -> bool:
    """Return whether no letter folds to *character* in Python and to another one in FTS5, whose Unicode is older."""
    if any(first <= ord(character) <= last for first, last in _ALPHABETS):
        return True
    return character.upper() == character and character >= " "


# --- SQLite ---

_COUNT_TRIGGERS: Final = text(
    "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name IN (:insert, :delete, :update)"
)


def _trigger_names(tables: Tables) -> dict[str, str]:
    return {event: f"{tables.prefix}search_{event}" for event in _EVENTS}


def _install_on_sqlite(connection: Connection, tables: Tables) -> None:
    for name in _trigger_names(tables).values():
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
    if not sqlite_has_trigrams():
        return
    users, numbers, index = tables.users.name, tables.user_numbers_table, tables.user_search_table
    statements = [
        f"DROP TABLE IF EXISTS {index}",
        f"DROP TABLE IF EXISTS {numbers}",
        f"CREATE TABLE {numbers} (number INTEGER PRIMARY KEY, user_id VARCHAR(36) NOT NULL UNIQUE)",
        # Without positions and lengths: trigrams only name candidates.
        (
            f"CREATE VIRTUAL TABLE {index} USING fts5(email, name, tokenize='trigram', content='', detail='none', "
            "columnsize=0)"
        ),
        f"INSERT INTO {numbers} (user_id) SELECT id FROM {users} ORDER BY id",  # noqa: S608 - the prefix was checked
        (
            f"INSERT INTO {index} (rowid, email, name) SELECT number, {_indexed('email')}, {_indexed('name')} "  # noqa: S608
            f"FROM {numbers} JOIN {users} ON id = user_id ORDER BY number"
        ),
        *_triggers(tables),
    ]
    for statement in statements:
        connection.exec_driver_sql(statement)


def _triggers(tables: Tables) -> list[str]:
    users, numbers, index = tables.users.name, tables.user_numbers_table, tables.user_search_table
    names = _trigger_names(tables)
    # Built-in functions only: other programs that write to the file must fill the index alike.
    new = f"{_indexed('NEW.email')}, {_indexed('NEW.name')}"
    old = f"{_indexed('OLD.email')}, {_indexed('OLD.name')}"
    number = f"INSERT INTO {numbers} (user_id) VALUES (NEW.id);"  # noqa: S608
    add = (
        f"INSERT INTO {index} (rowid, email, name) "  # noqa: S608
        f"SELECT number, {new} FROM {numbers} WHERE user_id = NEW.id;"
    )
    remove = (
        f"INSERT INTO {index} ({index}, rowid, email, name) "  # noqa: S608
        f"SELECT 'delete', number, {old} FROM {numbers} WHERE user_id = OLD.id;"
    )
    forget = f"DELETE FROM {numbers} WHERE user_id = OLD.id;"  # noqa: S608
    differs = "OLD.email IS NOT NEW.email OR OLD.name IS NOT NEW.name"
    return [
        f"CREATE TRIGGER {names['insert']} AFTER INSERT ON {users} BEGIN {number} {add} END",
        f"CREATE TRIGGER {names['delete']} AFTER DELETE ON {users} BEGIN {remove} {forget} END",
        (
            f"CREATE TRIGGER {names['update']} AFTER UPDATE OF email, name ON {users} WHEN {differs} "
            f"BEGIN {remove} {add} END"
        ),
    ]


def _indexed(column: str) -> str:
    """Return SQL for the text that is indexed: Python folds one character, ``İ``, to two, and FTS5 leaves it."""
    return f"replace({column}, char(304), 'i' || char(775))"


# --- PostgreSQL ---

_SIZE: Final = 3
_SAMPLE: Final = 50
_FREQUENT_SHARE: Final = 0.9
_ESCAPE: Final = "/"
_NOT_LITERAL: Final = re.compile(f"[%_{_ESCAPE}]")
_NO_WORD: Final = re.compile(r"[\W_]")
_IS_INDEXED: Final = re.compile(r"\w\w.|.\w\w")
"""Of three characters, the trigrams of ``pg_trgm``: the word goes on, begins or ends."""
_FIND_INDEX: Final = text("SELECT to_regclass(:name)")
_FIND_EXTENSION: Final = text(
    "SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace "
    "WHERE extname = 'pg_trgm'"
)


def rare_part(searched: str, texts: Sequence[str]) -> str | None:
    """
    Return the LIKE pattern of what *searched* has beside the trigrams that nearly all users have.

    PostgreSQL's index goes through the users of each trigram of a pattern: ``example.com`` costs it more than anything
    else in ``ada@example.com``, and excludes nobody.

    Args:
        texts: Address and name of some users.

    Returns:
        None if *searched* is to be looked up as it is: it has no frequent trigram, or no other one.
    """
    # Where letters fold together with their neighbors, a part of a text may not be found where the text is.
    if not texts or not searched.isascii():
        return None
    most = len(texts) * _FREQUENT_SHARE
    words, among = _words(searched), [f" {_words(each)} " for each in texts]
    keeps = [False] * len(searched)
    for at in range(len(words) - _SIZE + 1):
        trigram = words[at : at + _SIZE]
        if _IS_INDEXED.fullmatch(trigram) and sum(trigram in each for each in among) < most:
            keeps[at : at + _SIZE] = [True] * _SIZE
    if all(keeps) or not any(keeps):
        return None
    parts = (
        "".join(kept for kept, _ in run)
        for keep, run in groupby(zip(searched, keeps, strict=True), itemgetter(1))
        if keep
    )
    return "%" + "%".join(_NOT_LITERAL.sub(rf"{_ESCAPE}\g<0>", each) for each in parts) + "%"


def _words(text: str) -> str:
    """Return *text* as ``pg_trgm`` sees it: words in lower case, and all that is between them alike."""
    return _NO_WORD.sub(" ", text.lower())


def _some_texts(connection: Connection, tables: Tables) -> list[str]:
    """Return address and name of some of the oldest and of some of the newest users."""
    users = tables.users
    one = users.c.email.concat("\n").concat(users.c.name)
    found: list[str] = []
    for order in (users.c.id, users.c.id.desc()):
        found += connection.execute(select(one).order_by(order).limit(_SAMPLE)).scalars()
    return found


def _install_on_postgresql(connection: Connection, tables: Tables) -> None:
    schema = connection.execute(_FIND_EXTENSION).scalar_one_or_none()
    if schema is None:
        # Trusted since PostgreSQL 13, so this needs CREATE on the database, which not every role has.
        attempt = connection.begin_nested()
        try:
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            attempt.commit()
        except DBAPIError:
            attempt.rollback()
        schema = connection.execute(_FIND_EXTENSION).scalar_one_or_none()
    if schema is not None:
        # Not kept for later: a list of pending rows would be read by every search.
        connection.exec_driver_sql(
            f"CREATE INDEX IF NOT EXISTS {tables.search_index} ON {tables.users.name} "
            f"USING gin (email {schema}.gin_trgm_ops, name {schema}.gin_trgm_ops) WITH (fastupdate = off)"
        )

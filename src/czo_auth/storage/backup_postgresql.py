"""
The tables of one deployment on PostgreSQL, dumped and restored by PostgreSQL's own programs.

A dump of tables has their triggers and not the function that these call, so that is made before a restore.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from czo_auth.storage.backup import BackupRefused, finished_file
from czo_auth.storage.change_triggers import tell_change_function
from czo_auth.storage.errors import first_line
from czo_auth.storage.postgresql_address import libpq_environment
from czo_auth.storage.tables import Tables, version_table_of

_VERSION: Final = re.compile(r"\(PostgreSQL\) ([0-9]+)")
_CLOSE_SECONDS: Final = 5.0


def back_up_postgresql(
    url: str, target: Path, *, table_prefix: str, programs: Path | None, server: int
) -> None:
    """
    Dump the deployment's tables in pg_dump's custom format, as they are at one moment after this was called; blocks.

    Args:
        programs: Folder of pg_dump; by default it is looked for in PATH.
        server: Major version of the server.

    Raises:
        BackupRefused: There is no pg_dump, it is older than the server, *target* cannot be made, or it failed.
    """
    program = _program("pg_dump", programs, server=server)
    with finished_file(target) as draft:
        _run(
            [
                program,
                *("--format=custom", "--no-owner", "--no-privileges", "--no-password"),
                f"--table={table_prefix}*",
                f"--file={draft}",
            ],
            url,
        )


def restore_postgresql(
    url: str, backup: Path, *, table_prefix: str, programs: Path | None, server: int
) -> None:
    """
    Restore a dump into a database that has none of its tables, in one transaction; blocks.

    The index for searches of users is left to `czo_auth.storage.migrate.add_search_index`.

    Raises:
        BackupRefused: There is no pg_restore, the dump is of other tables, or it failed and nothing was changed.
        StorageUnavailable: The database does not answer.
    """
    program = _program("pg_restore", programs, server=server)
    listed, tables = _run([program, "--list", str(backup)], url), Tables(table_prefix)
    make_function, drop_function = tell_change_function(
        tables, schema=_schema_in(listed, backup, table_prefix)
    )
    asyncio.run(_execute(url, make_function))
    try:
        with tempfile.NamedTemporaryFile("w", prefix="czo-auth-", suffix=".list") as wanted:
            wanted.write(_without_search_index(listed, tables))
            wanted.flush()
            _run(
                [
                    program,
                    *(
                        "--single-transaction",
                        "--exit-on-error",
                        "--no-owner",
                        "--no-privileges",
                        "--no-password",
                    ),
                    f"--use-list={wanted.name}",
                    # Everything about the connection is in the environment.
                    *("--dbname=postgresql://", str(backup)),
                ],
                url,
            )
    except BackupRefused:
        asyncio.run(_execute(url, drop_function))
        raise


def _without_search_index(listed: str, tables: Tables) -> str:
    """Leave out the index that needs an extension, which no dump of tables contains; a migration makes it."""
    return re.sub(rf"(?m)^(?=[0-9]+; .* INDEX \S+ {re.escape(tables.search_index)} )", ";", listed)


def _schema_in(listed: str, backup: Path, table_prefix: str) -> str:
    pattern = rf"^[0-9]+; [0-9]+ [0-9]+ TABLE (\S+) {re.escape(version_table_of(table_prefix))} "
    found = re.search(pattern, listed, re.MULTILINE)
    if found is None:
        raise BackupRefused(
            f"{backup} has no tables that begin with {table_prefix}: set CZO_AUTH_TABLE_PREFIX to its prefix"
        )
    return found[1]


async def _execute(url: str, statement: str) -> None:
    from czo_auth.storage.postgresql_server import PostgresServer, postgres_error

    try:
        connection = await PostgresServer(url).connect()
        try:
            await connection.execute(statement)
        finally:
            await connection.close(timeout=_CLOSE_SECONDS)
    except Exception as error:
        known = postgres_error(error)
        if known is error:
            raise
        raise known from None


def _program(name: str, folder: Path | None, *, server: int) -> str:
    path = shutil.which(name, path=str(folder) if folder else None)
    if path is None:
        where = f"in {folder}" if folder else "in PATH"
        raise BackupRefused(
            f"{name} is not {where}: install PostgreSQL's client programs of version {server} or newer"
        )
    asked = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    said = asked.stdout
    found = _VERSION.search(said)
    if found is None or int(found[1]) < server:
        version = found[1] if found else "unknown"
        raise BackupRefused(
            f"{path} is of version {version} and the server of {server}: name the folder of newer client programs "
            "with --pg-bin"
        )
    return path


def _run(command: Sequence[str], url: str) -> str:
    # No password in the arguments: every user of the machine can read those.
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("CZO_AUTH_", "AUTH_"))
    }
    try:
        done = subprocess.run(  # noqa: S603 - a program of PostgreSQL, with arguments of ours
            command,
            env=inherited | libpq_environment(url),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise BackupRefused(f"{command[0]} cannot be run: {first_line(error)}") from None
    if done.returncode != 0:
        why = done.stderr.strip().splitlines()
        raise BackupRefused(why[0] if why else f"{command[0]} ended with {done.returncode}")
    return done.stdout

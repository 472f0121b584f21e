"""``czo-auth backup`` and ``czo-auth restore``: the database in one file, without its encryption key."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from czo_auth.cli.options import AsJson, DatabaseUrl, DataDir, examples, target_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from czo_auth.core.flows.administration.restored import RestoredVerdict
    from czo_auth.settings import Settings

BACKUP_EXAMPLE = examples(
    "czo-auth backup /var/backups/czo-auth/", "czo-auth backup before-upgrade.db --data-dir ./czo-auth-data"
)
RESTORE_EXAMPLE = examples(
    "czo-auth restore /var/backups/czo-auth/czo-auth-20261129T120000Z.db --data-dir ./restored"
)
PgBin = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder of pg_dump and pg_restore, where those in PATH are older than the server.",
        show_default=False,
    ),
]


def back_up(
    target: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|DIR",
            parser=target_path,
            help="A new file, or an existing folder in which to create one.",
        ),
    ],
    pg_bin: PgBin = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """
    Write a copy of the database while servers run: everything that was acknowledged before the copy began.

    SQLite needs nothing more; PostgreSQL needs its client program pg_dump. The encryption key is not in the database,
    and so not in the file. Without the key, the file reveals nobody's second factor: keep the two apart.
    """
    from czo_auth.cli.command import chosen_settings, missing_deployment, reporting
    from czo_auth.cli.output import print_json

    with reporting(), _refusals():
        settings = chosen_settings(creates=False, data_dir=data_dir, database_url=database_url)
        import asyncio

        from czo_auth.cli.logs import configure_logging
        from czo_auth.runtime import utc_now
        from czo_auth.storage.migrate import current_revision

        configure_logging("WARNING")
        is_sqlite = settings.storage_url.startswith("sqlite:")
        begun = utc_now()
        if target.is_dir():
            target = target / f"czo-auth-{begun:%Y%m%dT%H%M%SZ}.{'db' if is_sqlite else 'dump'}"
        revision = asyncio.run(current_revision(settings.direct_url, table_prefix=settings.table_prefix))
        if revision is None:
            missing_deployment(settings)
        if is_sqlite:
            from czo_auth.storage.backup_sqlite import back_up_sqlite
            from czo_auth.storage.sqlite_file import database_path

            back_up_sqlite(database_path(settings.storage_url), target)
        else:
            from czo_auth.storage.backup_postgresql import back_up_postgresql

            back_up_postgresql(
                settings.direct_url,
                target,
                table_prefix=settings.table_prefix,
                programs=pg_bin,
                server=_server_version(settings),
            )
        size = target.stat().st_size
        if as_json:
            print_json(
                {"file": str(target), "bytes": size, "revision": revision, "begunAt": begun.isoformat()}
            )
        else:
            print(
                f"{target}: {size} bytes, tables at {revision}, as of {begun:%Y-%m-%d %H:%M:%S} UTC or later"
            )


def restore(
    backup: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `czo-auth backup` wrote.")],
    pg_bin: PgBin = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """
    Restore a backup where there is no deployment yet, and verify it: the audit log is whole, every sealed row opens.

    AUTH_ENCRYPTION_KEY must contain the keys that were in use at the time of the backup. Older tables are brought up
    to date. Anything used or revoked after the backup is valid again: docs/how-to/backup.md says what to do about it.
    """
    from czo_auth.cli.command import no_newer_schema, reporting

    with reporting(), _refusals():
        from czo_auth.cli.logs import configure_logging

        configure_logging("WARNING")
        settings = _settings_with_key(data_dir=data_dir, database_url=database_url)
        with no_newer_schema():
            if settings.storage_url.startswith("sqlite:"):
                verdict = _restore_sqlite(settings, backup)
            else:
                verdict = _restore_postgresql(settings, backup, pg_bin)
        _report(verdict, as_json=as_json)


@contextmanager
def _refusals() -> Iterator[None]:
    from czo_auth.cli.command import REFUSED, fail
    from czo_auth.storage.backup import BackupRefused

    try:
        yield
    except BackupRefused as refused:
        fail(f"{refused}.", REFUSED)


def _settings_with_key(**chosen: object) -> Settings:
    """
    Read the settings, which need the key that was in use at the time of the backup: none is made here.

    Raises:
        StartRefused: There is no key.
    """
    from czo_auth.cli.command import chosen_settings
    from czo_auth.cli.host import host_auth
    from czo_auth.deployment import read_settings
    from czo_auth.errors import StartRefused
    from czo_auth.settings import KEY_FILE

    if host_auth() is not None:
        return chosen_settings(creates=True, **chosen)
    settings = read_settings(**chosen)
    key_file = settings.data_dir / KEY_FILE
    if settings.encryption_key is None and not (settings.is_embedded_default and key_file.exists()):
        raise StartRefused(
            "AUTH_ENCRYPTION_KEY is missing: set it to the key of the backup's time"
            + (f", or put its file back at {key_file}." if settings.is_embedded_default else ".")
        )
    return chosen_settings(creates=True, **chosen)


def _restore_sqlite(settings: Settings, backup: Path) -> RestoredVerdict:
    import asyncio

    from czo_auth.storage.backup import BackupRefused, finished_file, kind_of
    from czo_auth.storage.backup_sqlite import copy_backup
    from czo_auth.storage.sqlite_file import database_path

    if kind_of(backup) != "sqlite":
        raise BackupRefused(f"{backup} is of PostgreSQL: name an empty database in CZO_AUTH_DATABASE_URL")
    path = Path(database_path(settings.storage_url))
    with finished_file(path) as draft:
        copy_backup(backup, draft)
        verdict = asyncio.run(_verified(settings.model_copy(update={"database_url": f"sqlite:///{draft}"})))
        if not verdict.is_sound:
            raise BackupRefused(f"{_faults(verdict)}: nothing was restored")
    return verdict


def _restore_postgresql(settings: Settings, backup: Path, programs: Path | None) -> RestoredVerdict:
    import asyncio

    from czo_auth.storage.backup import BackupRefused, kind_of
    from czo_auth.storage.backup_postgresql import restore_postgresql
    from czo_auth.storage.migrate import current_revision

    if kind_of(backup) != "postgresql":
        raise BackupRefused(f"{backup} is of SQLite: leave CZO_AUTH_DATABASE_URL out, or name a file in it")
    if asyncio.run(current_revision(settings.direct_url, table_prefix=settings.table_prefix)) is not None:
        raise BackupRefused("there is a deployment in this database: restore into an empty one")
    restore_postgresql(
        settings.direct_url,
        backup,
        table_prefix=settings.table_prefix,
        programs=programs,
        server=_server_version(settings),
    )
    verdict = asyncio.run(_verified(settings))
    if not verdict.is_sound:
        raise BackupRefused(f"{_faults(verdict)}: drop what was restored")
    return verdict


async def _verified(settings: Settings) -> RestoredVerdict:
    """
    Bring the restored tables up to date, and verify all of them.

    Raises:
        StartRefused: The encryption key is not the one of the backup.
    """
    from czo_auth.cli.command import assembled, operator_context
    from czo_auth.core.flows.administration.restored import VerifyRestored
    from czo_auth.storage.migrate import add_search_index, upgrade

    await upgrade(settings.direct_url, table_prefix=settings.table_prefix)
    await add_search_index(settings.direct_url, table_prefix=settings.table_prefix)
    auth = assembled(settings)
    try:
        await auth.open()
        return await VerifyRestored(auth.services).run(context=operator_context(auth.now()))
    finally:
        await auth.stop()


def _faults(verdict: RestoredVerdict) -> str:
    found = []
    if verdict.chain.broken_at is not None:
        found.append(f"its audit log is broken at sequence {verdict.chain.broken_at}")
    if verdict.unopened:
        found.append(f"{verdict.unopened} of its sealed rows do not open with AUTH_ENCRYPTION_KEY")
    return " and ".join(found)


def _report(verdict: RestoredVerdict, *, as_json: bool) -> None:
    from czo_auth.cli.output import print_json

    sealed = sum(rows.checked for rows in verdict.keys)
    last_at = verdict.last_record_at
    if as_json:
        print_json(
            {
                "auditRecords": verdict.chain.records,
                "lastHash": verdict.chain.last_hash,
                "lastRecordAt": last_at and last_at.isoformat(),
                "sealedRows": sealed,
            }
        )
        return
    print(
        f"restored: the audit log is whole with {verdict.chain.records} records, all {sealed} sealed rows open"
    )
    if last_at is not None:
        print(f"what was recorded after {last_at:%Y-%m-%d %H:%M:%S} UTC is lost")


def _server_version(settings: Settings) -> int:
    """Ask PostgreSQL for its major version."""
    import asyncio

    from czo_auth.runtime import utc_now
    from czo_auth.storage.facts import postgres_facts

    return asyncio.run(postgres_facts(settings.direct_url, now=utc_now)).version[0]

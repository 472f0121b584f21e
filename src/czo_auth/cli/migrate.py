"""``czo-auth migrate``: bring the tables up to date without starting a server."""

from __future__ import annotations

from czo_auth.cli.options import DatabaseUrl, DataDir, examples

EXAMPLE = examples("czo-auth migrate --data-dir ./czo-auth-data")


def migrate(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """
    Bring the tables up to date. A start does the same, unless CZO_AUTH_AUTO_MIGRATE is off.

    Safe while servers run and when several do it at once: one of them migrates, and the others wait.
    """
    from czo_auth.cli.command import chosen_settings, no_newer_schema, reporting

    with reporting():
        settings = chosen_settings(creates=True, data_dir=data_dir, database_url=database_url)
        import asyncio

        from czo_auth.cli.logs import configure_logging
        from czo_auth.runtime.key_ring import read_key_ring
        from czo_auth.storage import migrate as migrations
        from czo_auth.storage.migrations import HEAD

        configure_logging("WARNING")
        if settings.encryption_key is not None:
            # A malformed key would stop the start: report it before anything is changed.
            read_key_ring(settings)
        url, prefix = settings.direct_url, settings.table_prefix
        with no_newer_schema():
            before = asyncio.run(migrations.current_revision(url, table_prefix=prefix))
            asyncio.run(migrations.upgrade(url, table_prefix=prefix))
            asyncio.run(migrations.add_search_index(url, table_prefix=prefix))
        after = asyncio.run(migrations.current_revision(url, table_prefix=prefix))
        if after is not None and after > HEAD:
            print(f"the tables are at {after}, ahead of this program's {HEAD}, which may still run")
            return
        print(
            f"the tables are at {after}" if before == after else f"the tables went from {before} to {after}"
        )

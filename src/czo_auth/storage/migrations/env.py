"""
Alembic's environment, run by ``czo_auth.storage.migrate`` on a connection whose transaction is open.

It leaves the host application's logging alone, and only sees tables under our prefix.
"""

from __future__ import annotations

from typing import Any, Final

from alembic import context

from czo_auth.storage.tables import Tables

tables: Final[Tables] = context.config.attributes["tables"]


def is_ours(thing: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """Hide other tables from autogenerate, and the index that not every database can have."""
    if name == tables.search_index:
        return False
    table = name if kind == "table" else thing.table.name
    return table is not None and table.startswith(tables.prefix) and table not in tables.without_model


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    version_table=tables.version_table,
    include_object=is_ours,
    render_as_batch=True,
    # SQLite can roll back DDL; Alembic assumes otherwise because of the driver's legacy mode, which is off here.
    transactional_ddl=True,
)
context.run_migrations()

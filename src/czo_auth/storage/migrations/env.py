"""
Alembic's environment, run by ``czo_auth.storage.migrate`` on a connection whose transaction is open.

Logging is left as the host application set it, and only tables under our prefix exist for it.
"""

from __future__ import annotations

from typing import Any, Final

from alembic import context

from czo_auth.storage.tables import Tables

tables: Final[Tables] = context.config.attributes["tables"]


def is_ours(thing: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """Keep autogenerate away from the tables of others."""
    table = name if kind == "table" else thing.table.name
    return table is not None and table.startswith(tables.prefix) and table not in tables.without_model


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    version_table=tables.version_table,
    include_object=is_ours,
    render_as_batch=True,
    # SQLite can take DDL back; Alembic doubts it because of the driver's old habits, which are switched off here.
    transactional_ddl=True,
)
context.run_migrations()

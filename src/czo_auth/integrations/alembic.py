"""
A host's SQLAlchemy models and Alembic migrations in a database shared with czo-auth's tables.

In the host's ``env.py``::

    context.configure(..., include_object=leave_out_czo_auth())
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import Column, MetaData, String, Table

from czo_auth.storage.tables import DEFAULT_PREFIX, checked_prefix

IncludeObject = Callable[[Any, str | None, str, bool, Any], bool]
"""Alembic's hook: the object, its name and kind, whether it was reflected, and what it is compared with."""

_DECLARED: Final = "czo_auth"


def leave_out_czo_auth(
    own: IncludeObject | None = None, *, table_prefix: str = DEFAULT_PREFIX
) -> IncludeObject:
    """
    Return an ``include_object`` for Alembic, which would otherwise drop all of our tables.

    Args:
        own: The host's own hook, called for everything else.
        table_prefix: As in the settings; no table of the host may begin with it.

    Raises:
        ValueError: The prefix is not usable.
    """
    prefix = checked_prefix(table_prefix)

    def include_object(thing: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
        table = name if kind == "table" else getattr(getattr(thing, "table", None), "name", None)
        if table is not None and table.startswith(prefix):
            return False
        return own is None or own(thing, name, kind, reflected, compare_to)

    return include_object


def declare_users(metadata: MetaData, *, table_prefix: str = DEFAULT_PREFIX) -> Table:
    """
    Let foreign keys in *metadata* refer to our users: ``ForeignKey("czo_auth_users.id", ondelete="CASCADE")``.

    Declares the table with only its key. Neither Alembic nor `own_tables` treats it as the host's.

    Returns:
        The table, for ``declare_users(Base.metadata).c.id`` in place of the text.
    """
    name = f"{checked_prefix(table_prefix)}users"
    if name in metadata.tables:
        return metadata.tables[name]
    return Table(name, metadata, Column("id", String(36), primary_key=True), info={_DECLARED: True})


def own_tables(metadata: MetaData) -> Sequence[Table]:
    """
    List the host's tables: ``metadata.create_all(engine, tables=own_tables(metadata))``.

    Without it, ``create_all`` would create our users table with only a key, if czo-auth has not started before.
    """
    return [table for table in metadata.sorted_tables if not table.info.get(_DECLARED)]

"""How tables are made under a prefix: their names, and the columns that many of them have."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Integer, MetaData, String, Table

from czo_auth.core.limits import TABLE_PREFIX_RULE, is_table_prefix

DEFAULT_PREFIX: Final = "czo_auth_"

NAMING: Final = {
    "pk": "%(table_name)s_pk",
    "uq": "%(table_name)s_%(column_0_N_name)s_uq",
    "ix": "%(table_name)s_%(column_0_N_name)s_ix",
    "fk": "%(table_name)s_%(column_0_N_name)s_fk",
}
"""One name per constraint on both databases, so that a later migration can drop it."""

# SQLite assigns row numbers only to a column of type INTEGER.
SEQUENCE: Final = BigInteger().with_variant(Integer(), "sqlite")
JSON_VALUE: Final = JSON(none_as_null=True)


def checked_prefix(prefix: str) -> str:
    """
    Return *prefix* if it can be used in SQL without quotes.

    Raises:
        ValueError: It cannot, or the database keeps such names for itself.
    """
    if not is_table_prefix(prefix):
        raise ValueError(f"a table prefix {TABLE_PREFIX_RULE}")
    return prefix


def version_table_of(prefix: str) -> str:
    """
    Return the table in which the migrations under *prefix* remember how far they are.

    Raises:
        ValueError: The prefix is not usable.
    """
    return f"{checked_prefix(prefix)}version"


class TableMaker:
    """Makes the tables under one prefix, in one metadata."""

    def __init__(self, prefix: str) -> None:
        self.prefix = checked_prefix(prefix)
        self.metadata = MetaData(naming_convention=NAMING)

    def table(self, name: str, *parts: Any, **options: Any) -> Table:
        """Make the table *name*, without its prefix."""
        return Table(f"{self.prefix}{name}", self.metadata, *parts, **options)

    def user_id(self, *, index: bool | None = None) -> Column[str]:
        """Make the column of the user whom a row belongs to; both are deleted together."""
        return self.reference("user_id", "users", index=index)

    def reference(self, name: str, table: str, *, index: bool | None = None) -> Column[str]:
        """Make the column *name* that refers to *table*; the row is deleted with what it refers to."""
        target = ForeignKey(f"{self.prefix}{table}.id", ondelete="CASCADE")
        return Column(name, String(36), target, nullable=False, index=index)


def id_column() -> Column[str]:
    """Make the primary key of a table: a UUID as text."""
    return Column("id", String(36), primary_key=True)


def digest_column() -> Column[str]:
    """Make the column of a credential's SHA-256, in hexadecimal digits."""
    return Column("digest", String(64), nullable=False)

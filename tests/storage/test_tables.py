"""The tables for one prefix."""

from __future__ import annotations

import pytest

from czo_auth.storage.lookup_sql import lookup_sql
from czo_auth.storage.tables import Tables


def test_every_table_has_the_prefix() -> None:
    tables = Tables("shop_")
    assert all(name.startswith("shop_") for name in tables.metadata.tables)
    assert tables.version_table == "shop_version"
    assert tables.users.name == "shop_users"


def test_names_fit_into_postgresql_for_the_longest_prefix() -> None:
    for table in Tables("p" * 24).metadata.tables.values():
        assert len(table.name) <= 63


@pytest.mark.parametrize(
    "prefix", ["", "a b", 'a"', "a;", "Auth_", "1a", "é", "a" * 25, "pg_a", "sqlite_", "a-", "a\n"]
)
def test_prefix_that_is_invalid_in_sql_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        Tables(prefix)
    with pytest.raises(ValueError, match="prefix"):
        lookup_sql(prefix, placeholder="?")


def test_every_reference_to_a_user_goes_with_the_user() -> None:
    for table in Tables().metadata.tables.values():
        for reference in table.foreign_keys:
            assert reference.ondelete == "CASCADE"

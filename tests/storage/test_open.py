"""How a storage is opened, and what that costs in imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

from czo_auth.storage import open_storage


def run(code: str) -> str:
    """Run *code* in a fresh interpreter."""
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_address_decides_the_dialect() -> None:
    assert open_storage("sqlite:///a.db").dialect == "sqlite"
    assert open_storage("postgresql://u@h/d").dialect == "postgresql"
    assert open_storage("postgres://u@h/d").dialect == "postgresql"


@pytest.mark.parametrize("url", ["", "mysql://h/d", "sqlite", "postgresql", "postgresql:d", "file:///a"])
def test_unknown_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="address") as caught:
        open_storage(f"{url}?password=hunter2")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite:///a.db", "postgresql://h/d"])
def test_wrong_prefix_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        open_storage(url, table_prefix="a; DROP TABLE x")


def test_opening_connects_nowhere_and_makes_no_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    open_storage(f"sqlite:///{tmp_path}/a.db")
    assert list(tmp_path.iterdir()) == []


def test_import_of_the_package_is_light() -> None:
    heavy = "{'sqlalchemy', 'alembic', 'asyncpg', 'sqlite3'}"
    assert run(f"import sys, czo_auth.storage; print(sorted({heavy} & set(sys.modules)))") == "[]\n"


def test_sqlite_needs_neither_asyncpg_nor_alembic() -> None:
    code = "import sys; from czo_auth.storage import open_storage; open_storage('sqlite:///a.db');"
    assert run(f"{code} print(sorted({{'alembic', 'asyncpg'}} & set(sys.modules)))") == "[]\n"


def test_missing_driver_is_named() -> None:
    code = """
import sys
sys.modules["asyncpg"] = None
from czo_auth.storage import open_storage
try:
    open_storage("postgresql://h/d")
except ImportError as error:
    print(error)
"""
    assert run(code) == "PostgreSQL needs czo-auth[postgres]: pip install 'czo-auth[postgres]'\n"

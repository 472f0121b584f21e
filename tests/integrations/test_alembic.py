"""A host's migrations in our database: autogenerate leaves our tables alone, and foreign keys to our users work."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Column, Connection, ForeignKey, Integer, MetaData, String, Table, create_engine

from czo_auth.integrations.alembic import declare_users, leave_out_czo_auth, own_tables
from czo_auth.storage.migrate import upgrade_blocking
from czo_auth.storage.postgresql_server import PostgresServer
from czo_auth.storage.sqlite_file import database_path

ENV = """
from alembic import context
from sqlalchemy import create_engine
from shop_models import metadata
from czo_auth.integrations.alembic import leave_out_czo_auth

with create_engine(context.config.get_main_option("sqlalchemy.url")).connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        include_object=leave_out_czo_auth(),
    )
    with context.begin_transaction():
        context.run_migrations()
"""
MODELS = """
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table
from czo_auth.integrations.alembic import declare_users

metadata = MetaData()
users = declare_users(metadata)
orders = Table(
    "orders",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user_id", String(36), ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
)
"""
MAKO = """\
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
from alembic import op
import sqlalchemy as sa

def upgrade():
    ${upgrades if upgrades else "pass"}

def downgrade():
    ${downgrades if downgrades else "pass"}
"""


def shop() -> MetaData:
    metadata = MetaData()
    users = declare_users(metadata)
    Table(
        "orders",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("user_id", String(36), ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    )
    return metadata


def test_revision_that_is_generated_makes_the_hosts_tables_and_drops_none(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade_blocking(sqlite_url)
    scripts = tmp_path / "migrations"
    (scripts / "versions").mkdir(parents=True)
    (scripts / "env.py").write_text(ENV)
    (scripts / "script.py.mako").write_text(MAKO)
    (tmp_path / "shop_models.py").write_text(MODELS)
    monkeypatch.syspath_prepend(str(tmp_path))
    config = Config()
    config.set_main_option("script_location", str(scripts))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{database_path(sqlite_url)}")

    command.revision(config, "orders", autogenerate=True)
    (first,) = (scripts / "versions").glob("*.py")
    text = first.read_text()
    assert "create_table('orders'" in text
    assert "czo_auth_users.id" in text
    assert "drop_table('czo_auth" not in text
    assert "create_table('czo_auth" not in text
    command.upgrade(config, "head")

    command.revision(config, "nothing", autogenerate=True)
    (second,) = set((scripts / "versions").glob("*.py")) - {first}
    assert "pass" in second.read_text()
    assert "op." not in second.read_text()

    # Our own migrations see nothing of the host's, and its rows go with their user.
    upgrade_blocking(sqlite_url)
    with closing(sqlite3.connect(database_path(sqlite_url), isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(
            "INSERT INTO czo_auth_users (id, email, name, email_verified, actor_types, credential_version, created_at, "
            "updated_at) VALUES ('u', 'a@b.c', 'A', true, 'customer', 1, 1, 1)"
        )
        connection.execute("INSERT INTO orders (user_id) VALUES ('u')")
        connection.execute("DELETE FROM czo_auth_users")
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (0,)


def differences(connection: Connection, **more: Any) -> list[Any]:
    context = MigrationContext.configure(connection, opts=more)
    return list(compare_metadata(context, shop()))


async def test_postgresql_is_compared_alike(postgres_url: str) -> None:
    import asyncio

    await asyncio.to_thread(upgrade_blocking, postgres_url)
    engine = PostgresServer(postgres_url).engine(pool_size=1)
    try:
        async with engine.begin() as connection:
            careless = await connection.run_sync(differences)
            assert any(each[0] == "remove_table" for each in careless if isinstance(each, tuple))
            found = await connection.run_sync(differences, include_object=leave_out_czo_auth())
            assert [(each[0], each[1].name) for each in found] == [("add_table", "orders")]
            metadata = shop()
            await connection.run_sync(metadata.create_all, tables=own_tables(metadata))
            assert await connection.run_sync(differences, include_object=leave_out_czo_auth()) == []
    finally:
        await engine.dispose()


def test_create_all_leaves_our_table_to_us(tmp_path: Path) -> None:
    metadata = shop()
    assert [table.name for table in own_tables(metadata)] == ["orders"]
    assert declare_users(metadata) is metadata.tables["czo_auth_users"]
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    metadata.create_all(engine, tables=own_tables(metadata))
    with engine.connect() as connection:
        assert connection.dialect.get_table_names(connection) == ["orders"]
    engine.dispose()
    upgrade_blocking(f"sqlite:///{tmp_path}/shop.db")


def test_own_hook_and_prefix_are_heard() -> None:
    asked: list[str | None] = []

    def own(thing: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
        asked.append(name)
        return name != "secret"

    reflected = True
    hook = leave_out_czo_auth(own, table_prefix="shop_auth_")
    assert not hook(None, "shop_auth_users", "table", reflected, None)
    assert hook(None, "czo_auth_users", "table", reflected, None)
    assert not hook(None, "secret", "table", reflected, None)
    assert asked == ["czo_auth_users", "secret"]
    with pytest.raises(ValueError, match="prefix"):
        leave_out_czo_auth(table_prefix="a b")

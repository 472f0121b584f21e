"""
Create all tables.

Revision: 0001, the first.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.String(36)
DIGEST = sa.String(64)
TIME = sa.BigInteger()
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    prefix = _prefix()
    _users(prefix)
    _sessions(prefix)
    _factors(prefix)
    _sign_in(prefix)
    _organizations(prefix)
    _api_keys(prefix)
    _journal(prefix)
    if op.get_context().dialect.name == "postgresql":
        _tell_changes(prefix)


def _tell_changes(prefix: str) -> None:
    """
    Notify listeners of every change that removes or alters a right that a lookup may have read, by any program.

    Statements that only add a credential or record its use notify nobody.
    """
    op.execute(
        f"CREATE FUNCTION {prefix}tell_change() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$BEGIN PERFORM pg_notify('{prefix}changed', ''); RETURN NULL; END$$"
    )
    for table, changes in (
        ("users", "DELETE OR UPDATE OF banned_at, actor_types"),
        ("factors", "INSERT OR DELETE"),
        ("sessions", "DELETE OR UPDATE OF revoked_at, organization_id, aal, amr, factor_proved_at"),
        ("api_keys", "DELETE OR UPDATE OF revoked_at, enabled, scopes, expires_at"),
        ("members", "INSERT OR DELETE OR UPDATE OF role"),
    ):
        op.execute(
            f"CREATE TRIGGER {prefix}tell AFTER {changes} ON {prefix}{table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {prefix}tell_change()"
        )


def _users(prefix: str) -> None:
    op.create_table(
        f"{prefix}users",
        sa.Column("id", ID, primary_key=True),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("image", sa.Text()),
        sa.Column("email_verified", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.Text()),
        sa.Column("actor_types", sa.Text(), nullable=False),
        sa.Column("credential_version", sa.Integer(), nullable=False),
        sa.Column("banned_at", TIME),
        sa.Column("ban_reason", sa.Text()),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.UniqueConstraint("email"),
    )
    op.create_table(
        f"{prefix}mail_tokens",
        sa.Column("id", ID, primary_key=True),
        sa.Column("digest", DIGEST, nullable=False),
        _reference("user_id", "users"),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False, index=True),
        sa.UniqueConstraint("digest"),
        sa.UniqueConstraint("user_id", "purpose"),
    )
    op.create_table(
        f"{prefix}key_checks",
        sa.Column("kid", sa.Text(), primary_key=True),
        sa.Column("check_value", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )


def _sessions(prefix: str) -> None:
    op.create_table(
        f"{prefix}sessions",
        sa.Column("id", ID, primary_key=True),
        sa.Column("digest", DIGEST, nullable=False),
        _reference("user_id", "users", index=True),
        sa.Column("actor_type", sa.Text(), nullable=False),
        sa.Column("organization_id", ID),
        sa.Column("aal", sa.Integer(), nullable=False),
        sa.Column("amr", sa.Text(), nullable=False),
        sa.Column("auth_time", TIME, nullable=False),
        sa.Column("factor_proved_at", TIME),
        sa.Column("remembered", sa.Boolean(), nullable=False),
        sa.Column("ip", sa.Text()),
        sa.Column("user_agent", sa.Text()),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False, index=True),
        sa.Column("revoked_at", TIME),
        sa.Column("revoked_reason", sa.Text()),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        f"{prefix}refresh_tokens",
        sa.Column("id", ID, primary_key=True),
        sa.Column("digest", DIGEST, nullable=False),
        _reference("session_id", "sessions", index=True),
        sa.Column("parent_id", ID),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("replaced_at", TIME),
        sa.UniqueConstraint("digest"),
        sa.UniqueConstraint("parent_id"),
    )
    op.create_table(
        f"{prefix}signing_keys",
        sa.Column("kid", sa.Text(), primary_key=True),
        sa.Column("sealed_private_key", sa.Text(), nullable=False),
        sa.Column("public_jwk", sa.JSON(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("retired_at", TIME),
        sa.Column("expires_at", TIME),
    )


def _factors(prefix: str) -> None:
    op.create_table(
        f"{prefix}factors",
        sa.Column("id", ID, primary_key=True),
        _reference("user_id", "users"),
        sa.Column("sealed_secret", sa.Text(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("enabled_at", TIME, nullable=False),
        sa.UniqueConstraint("user_id"),
    )
    op.create_table(
        f"{prefix}enrolments",
        sa.Column("id", ID, primary_key=True),
        _reference("user_id", "users"),
        sa.Column("sealed_secret", sa.Text(), nullable=False),
        sa.Column("sealed_codes", sa.Text()),
        sa.Column("replaces", sa.Boolean(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False, index=True),
        sa.UniqueConstraint("user_id"),
    )
    codes = op.create_table(
        f"{prefix}backup_codes",
        sa.Column("id", sa.String(80), primary_key=True),
        _reference("user_id", "users"),
        sa.Column("set_id", ID, nullable=False),
        sa.Column("selector", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("activated_at", TIME),
        sa.Column("used_at", TIME),
        sa.UniqueConstraint("set_id", "selector"),
    )
    _index(codes, "user_id", "selector")


def _sign_in(prefix: str) -> None:
    op.create_table(
        f"{prefix}attempts",
        sa.Column("user_id", ID, sa.ForeignKey(f"{prefix}users.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("locked_until", TIME),
        sa.Column("stopped", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_table(
        f"{prefix}challenges",
        sa.Column("id", ID, primary_key=True),
        sa.Column("digest", DIGEST, nullable=False),
        _reference("user_id", "users", index=True),
        sa.Column("actor_type", sa.Text(), nullable=False),
        sa.Column("credential_version", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("remembered", sa.Boolean(), nullable=False),
        sa.Column("auth_time", TIME, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False, index=True),
        sa.Column("consumed_at", TIME),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        f"{prefix}trusted_devices",
        sa.Column("id", ID, primary_key=True),
        sa.Column("digest", DIGEST, nullable=False),
        _reference("user_id", "users", index=True),
        sa.Column("credential_version", sa.Integer(), nullable=False),
        sa.Column("user_agent", sa.Text()),
        sa.Column("ip", sa.Text()),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("last_used_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False, index=True),
        sa.UniqueConstraint("digest"),
    )


def _organizations(prefix: str) -> None:
    op.create_table(
        f"{prefix}organizations",
        sa.Column("id", ID, primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("logo", sa.Text()),
        sa.Column("metadata", sa.JSON()),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.UniqueConstraint("slug"),
    )
    op.create_table(
        f"{prefix}members",
        sa.Column("id", ID, primary_key=True),
        _reference("organization_id", "organizations"),
        _reference("user_id", "users", index=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.UniqueConstraint("organization_id", "user_id"),
    )
    op.create_table(
        f"{prefix}invitations",
        sa.Column("id", ID, primary_key=True),
        sa.Column("digest", DIGEST, nullable=False),
        _reference("organization_id", "organizations", index=True),
        sa.Column("email", sa.Text(), nullable=False, index=True),
        sa.Column("role", sa.Text(), nullable=False),
        _reference("inviter_id", "users"),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False, index=True),
        sa.Column("closed_at", TIME),
        sa.UniqueConstraint("digest"),
    )


def _api_keys(prefix: str) -> None:
    op.create_table(
        f"{prefix}api_keys",
        sa.Column("id", ID, primary_key=True),
        sa.Column("digest", DIGEST, nullable=False),
        _reference("user_id", "users", index=True),
        sa.Column("organization_id", ID, index=True),
        sa.Column("actor_type", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("metadata", sa.JSON()),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("expires_at", TIME),
        sa.Column("last_used_at", TIME),
        sa.Column("rotated_at", TIME),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("revoked_at", TIME, index=True),
        sa.Column("revoked_reason", sa.Text()),
        sa.UniqueConstraint("digest"),
    )


def _journal(prefix: str) -> None:
    op.create_table(
        f"{prefix}events",
        sa.Column("sequence", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("id", ID, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("user_id", ID),
        sa.Column("at", TIME, nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    audit = op.create_table(
        f"{prefix}audit",
        sa.Column("sequence", SEQUENCE, primary_key=True, autoincrement=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("user_id", ID),
        sa.Column("organization_id", ID),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_user_id", ID),
        sa.Column("actor_organization_id", ID),
        sa.Column("method", sa.Text()),
        sa.Column("ip", sa.Text()),
        sa.Column("user_agent", sa.Text()),
        sa.Column("request_id", sa.Text()),
        sa.Column("previous_hash", DIGEST, nullable=False),
        sa.Column("hash", DIGEST, nullable=False),
        sa.UniqueConstraint("id"),
    )
    _index(audit, "user_id", "sequence")
    _index(audit, "action", "sequence")
    op.create_table(
        f"{prefix}sinks",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text()),
        sa.Column("leased_until", TIME),
    )
    op.create_table(
        f"{prefix}parked_events",
        sa.Column("sink", sa.Text(), primary_key=True),
        sa.Column("sequence", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("user_id", ID),
        sa.Column("at", TIME, nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("parked_at", TIME, nullable=False),
    )


def _prefix() -> str:
    return str(context.config.attributes["tables"].prefix)


def _reference(name: str, table: str, *, index: bool | None = None) -> sa.Column[str]:
    target = sa.ForeignKey(f"{_prefix()}{table}.id", ondelete="CASCADE")
    return sa.Column(name, ID, target, nullable=False, index=index)


def _index(table: sa.Table, *columns: str) -> None:
    op.create_index(f"{table.name}_{'_'.join(columns)}_ix", table.name, list(columns))

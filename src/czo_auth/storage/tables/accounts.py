"""Tables of users, their mailed links, sessions and tokens."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, Text, UniqueConstraint

from czo_auth.storage.column_types import Instant, TimesByName, WordList, WordSet
from czo_auth.storage.tables.make import JSON_VALUE, TableMaker, digest_column, id_column


def users(make: TableMaker) -> Table:
    table = make.table(
        "users",
        id_column(),
        Column("email", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("image", Text),
        Column("email_verified", Boolean, nullable=False),
        Column("password_hash", Text),
        Column("actor_types", WordSet, nullable=False),
        Column("credential_version", Integer, nullable=False),
        Column("banned_at", Instant),
        Column("ban_reason", Text),
        Column("made_by", Text),
        Column("fields", JSON_VALUE),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
        Column("mailbox", Text),
        Column("external_id", Text),
        Column("passkeys_enabled_at", Instant),
        Column("factors_kept_at", Instant),
        Column("actor_type_grants", TimesByName),
        Column("two_factor_reminded_due_at", Instant),
        Column("two_factor_reminded_days", Integer),
        Column("language", Text),
        Column("secured_at", Instant),
        UniqueConstraint("email"),
    )
    # Without NULL on SQLite; see the index of service accounts' keys.
    Index(None, table.c.external_id, unique=True, sqlite_where=table.c.external_id.is_not(None))
    # Many users share a few sets, so the holders of a rare type are found without reading every user.
    Index(None, table.c.actor_types)
    return table


def mail_tokens(make: TableMaker) -> Table:
    return make.table(
        "mail_tokens",
        id_column(),
        digest_column(),
        make.user_id(index=True),
        Column("purpose", Text, nullable=False),
        Column("email", Text, nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("expires_at", Instant, nullable=False, index=True),
        Column("opened_at", Instant),
        Column("used_at", Instant),
        UniqueConstraint("digest"),
    )


def email_changes(make: TableMaker) -> Table:
    return make.table(
        "email_changes",
        id_column(),
        digest_column(),
        Column("revert_digest", String(64), nullable=False),
        make.user_id(index=True),
        Column("lineage_id", String(36)),
        Column("old_email", Text, nullable=False, index=True),
        Column("old_mailbox", Text, nullable=False),
        Column("new_email", Text, nullable=False, index=True),
        Column("new_mailbox", Text, nullable=False),
        Column("asked_at", Instant, nullable=False),
        Column("expires_at", Instant, nullable=False),
        Column("revert_until", Instant, nullable=False, index=True),
        Column("confirmed_at", Instant),
        Column("replaced_at", Instant),
        Column("closed_at", Instant),
        UniqueConstraint("digest"),
        UniqueConstraint("revert_digest"),
    )


def key_checks(make: TableMaker) -> Table:
    return make.table(
        "key_checks",
        Column("kid", Text, primary_key=True),
        Column("check_value", Text, nullable=False),
        Column("created_at", Instant, nullable=False),
    )


def sessions(make: TableMaker) -> Table:
    return make.table(
        "sessions",
        id_column(),
        digest_column(),
        Column("lineage_id", String(36)),
        make.user_id(index=True),
        Column("actor_type", Text, nullable=False),
        Column("organization_id", String(36)),
        Column("aal", Integer, nullable=False),
        Column("amr", WordList, nullable=False),
        Column("auth_time", Instant, nullable=False),
        Column("factor_proved_at", Instant),
        Column("remembered", Boolean, nullable=False),
        Column("ip", Text),
        Column("user_agent", Text),
        Column("created_at", Instant, nullable=False),
        Column("expires_at", Instant, nullable=False, index=True),
        Column("revoked_at", Instant),
        Column("revoked_reason", Text),
        Column("last_used_at", Instant),
        Column("wrong_codes", Integer, nullable=False, server_default="0"),
        UniqueConstraint("digest"),
    )


def refresh_tokens(make: TableMaker) -> Table:
    # A token has at most one successor, however often it is requested. Owner, expiry and revocation are stored with the
    # session, so the family cannot outlive it.
    return make.table(
        "refresh_tokens",
        id_column(),
        digest_column(),
        make.reference("session_id", "sessions", index=True),
        Column("parent_id", String(36)),
        Column("created_at", Instant, nullable=False),
        Column("replaced_at", Instant),
        UniqueConstraint("digest"),
        UniqueConstraint("parent_id"),
    )


def signing_keys(make: TableMaker) -> Table:
    return make.table(
        "signing_keys",
        Column("kid", Text, primary_key=True),
        Column("sealed_private_key", Text, nullable=False),
        Column("public_jwk", JSON_VALUE, nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("retired_at", Instant),
        Column("expires_at", Instant),
    )


def import_marks(make: TableMaker) -> Table:
    return make.table(
        "import_marks",
        Column("digest", String(64), primary_key=True),
        Column("target_id", String(36), nullable=False),
        Column("imported_at", Instant, nullable=False),
    )

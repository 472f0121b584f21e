"""Tables of organizations, their members, invitations and service accounts."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from czo_auth.storage.column_types import Instant, WordList
from czo_auth.storage.tables.make import JSON_VALUE, TableMaker, digest_column, id_column


def organizations(make: TableMaker) -> Table:
    table = make.table(
        "organizations",
        id_column(),
        Column("name", Text, nullable=False),
        Column("slug", Text, nullable=False),
        Column("logo", Text),
        Column("metadata", JSON_VALUE),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
        Column("api_key_max_days", Integer),
        Column("api_key_unused_days", Integer),
        Column("created_by", String(36)),
        Column("require_two_factor_from", Instant),
        Column("two_factor_grace_days", Integer, nullable=False, server_default="0"),
        UniqueConstraint("slug"),
    )
    has_rule = table.c.api_key_unused_days.is_not(None)
    Index(
        f"{make.prefix}organizations_unused_rule_ix",
        table.c.id,
        sqlite_where=has_rule,
        postgresql_where=has_rule,
    )
    return table


def members(make: TableMaker) -> Table:
    return make.table(
        "members",
        id_column(),
        make.reference("organization_id", "organizations"),
        make.user_id(index=True),
        Column("role", Text, nullable=False),
        Column("created_at", Instant, nullable=False),
        # The result of the organization's rule, the first joining and an exemption; the hot path reads it.
        Column("two_factor_due_at", Instant, index=True),
        Column("two_factor_reminded_days", Integer),
        UniqueConstraint("organization_id", "user_id"),
    )


def two_factor_terms(make: TableMaker) -> Table:
    # No foreign key on the membership, because the row outlives it.
    return make.table(
        "two_factor_terms",
        make.reference("organization_id", "organizations"),
        make.user_id(index=True),
        Column("first_joined_at", Instant, nullable=False),
        Column("exempt_since", Instant),
        Column("exempt_until", Instant),
        Column("exempt_reason", Text),
        Column("exempt_by", String(36)),
        PrimaryKeyConstraint("organization_id", "user_id"),
    )


def invitations(make: TableMaker) -> Table:
    return make.table(
        "invitations",
        id_column(),
        digest_column(),
        make.reference("organization_id", "organizations", index=True),
        Column("email", Text, nullable=False, index=True),
        Column("role", Text, nullable=False),
        make.reference("inviter_id", "users", index=True),
        Column("status", Text, nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("expires_at", Instant, nullable=False, index=True),
        Column("closed_at", Instant),
        UniqueConstraint("digest"),
    )


def service_accounts(make: TableMaker) -> Table:
    table = make.table(
        "service_accounts",
        id_column(),
        make.reference("organization_id", "organizations"),
        Column("name", Text, nullable=False),
        Column("description", Text),
        Column("scopes", WordList, nullable=False),
        Column("enabled", Boolean, nullable=False),
        # No foreign key: it outlives who made it.
        Column("created_by", String(36)),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
    )
    # Named here: with the longest prefix, the name by the columns would not fit into 63 bytes.
    accounts = table.c
    Index(f"{make.prefix}service_accounts_newest_ix", accounts.organization_id, accounts.created_at)
    return table

"""Tables of API keys, their use, and the devices that wait for one."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
)

from czo_auth.storage.column_types import Instant, WordList
from czo_auth.storage.tables.make import JSON_VALUE, TableMaker, digest_column, id_column


def api_keys(make: TableMaker) -> Table:
    # No foreign key on the organization: a key keeps the id of a deleted one, and is refused because of it.
    table = make.table(
        "api_keys",
        id_column(),
        digest_column(),
        # One of the two: a user's key, or a service account's.
        Column("user_id", String(36), ForeignKey(f"{make.prefix}users.id", ondelete="CASCADE")),
        Column("organization_id", String(36)),
        Column("actor_type", Text),
        Column("name", Text, nullable=False),
        Column("prefix", Text, nullable=False),
        Column("scopes", WordList, nullable=False),
        Column("metadata", JSON_VALUE),
        Column("enabled", Boolean, nullable=False),
        Column("expires_at", Instant),
        Column("last_used_at", Instant),
        Column("rotated_at", Instant),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
        Column("revoked_at", Instant),
        Column("revoked_reason", Text),
        Column("allowed_ips", WordList),
        Column("rate_limit_max", Integer),
        Column("rate_limit_window_seconds", Integer),
        Column("noticed_days", Integer),
        Column("unused_noticed_at", Instant),
        Column("use_count", BigInteger, nullable=False, server_default="0"),
        Column("last_used_ip", Text),
        Column("quota_max", Integer),
        Column("quota_period", Text),
        Column("quota_id", String(36)),
        Column(
            "service_account_id",
            String(36),
            ForeignKey(f"{make.prefix}service_accounts.id", ondelete="CASCADE"),
        ),
        # No foreign key: a service account's key outlives who made it.
        Column("created_by", String(36)),
        UniqueConstraint("digest"),
    )
    keys = table.c
    # Without NULL on SQLite, whose statistics (ANALYZE) count it as a value that many keys have: an index seems useless
    # then, or seems to find few keys by NULL, and every key is read.
    Index(None, keys.expires_at, sqlite_where=keys.expires_at.is_not(None))
    Index(None, keys.user_id, keys.created_at, sqlite_where=keys.user_id.is_not(None))
    Index(None, keys.user_id, keys.expires_at, sqlite_where=keys.user_id.is_not(None))
    Index(None, keys.organization_id, keys.created_at, sqlite_where=keys.organization_id.is_not(None))
    made = keys.service_account_id.is_not(None)
    by_service_account = f"{make.prefix}api_keys_service_account_ix"
    Index(by_service_account, keys.service_account_id, keys.created_at, sqlite_where=made)
    # Only for service accounts: a person's own ended keys must not slow down a ban.
    made_by_somebody = and_(made, keys.created_by.is_not(None))
    Index(None, keys.created_by, sqlite_where=made_by_somebody, postgresql_where=made)
    # PostgreSQL would combine the entries of all keys that live with those of a user.
    revoked = keys.revoked_at.is_not(None)
    Index(None, keys.revoked_at, sqlite_where=revoked, postgresql_where=revoked)
    return table


def api_key_usage(make: TableMaker) -> Table:
    return make.table(
        "api_key_usage",
        make.reference("api_key_id", "api_keys"),
        Column("day", Date, nullable=False, index=True),
        Column("used", BigInteger, nullable=False),
        Column("refused", BigInteger, nullable=False),
        PrimaryKeyConstraint("api_key_id", "day"),
    )


def api_key_quotas(make: TableMaker) -> Table:
    # No foreign key: the successors of a key count under its id when it is gone.
    return make.table(
        "api_key_quotas",
        Column("counter_id", String(36), nullable=False),
        Column("period", String(10), nullable=False),
        Column("taken", BigInteger, nullable=False),
        Column("granted", BigInteger, nullable=False),
        Column("expires_at", Instant, nullable=False, index=True),
        PrimaryKeyConstraint("counter_id", "period"),
    )


def device_authorizations(make: TableMaker) -> Table:
    table = make.table(
        "device_authorizations",
        id_column(),
        Column("device_digest", String(64), nullable=False),
        Column("user_digest", String(64), nullable=False),
        Column("client_id", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("scopes", WordList, nullable=False),
        Column("organization_id", String(36)),
        Column("key_lifetime_seconds", BigInteger, nullable=False),
        Column("ip", Text),
        Column("status", Text, nullable=False),
        Column("lineage_id", String(36)),
        Column("user_id", String(36), ForeignKey(f"{make.prefix}users.id", ondelete="CASCADE")),
        Column("api_key_id", String(36)),
        Column("sealed_key", Text),
        Column("poll_seconds", Integer, nullable=False),
        Column("polled_at", Instant),
        Column("fetched_at", Instant),
        Column("created_at", Instant, nullable=False),
        Column("expires_at", Instant, nullable=False, index=True),
        UniqueConstraint("device_digest"),
        UniqueConstraint("user_digest"),
    )
    Index(None, table.c.user_id)
    return table

"""Tables of second factors, passkeys and the steps of a sign-in."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from czo_auth.storage.column_types import Instant, WordList
from czo_auth.storage.tables.make import TableMaker, digest_column, id_column


def factors(make: TableMaker) -> Table:
    return make.table(
        "factors",
        id_column(),
        make.user_id(),
        Column("sealed_secret", Text, nullable=False),
        Column("last_step", BigInteger, nullable=False),
        Column("enabled_at", Instant, nullable=False),
        Column("renew_by", Instant, index=True),
        Column("renewal_reminded_days", Integer),
        UniqueConstraint("user_id"),
    )


def enrollments(make: TableMaker) -> Table:
    return make.table(
        "enrolments",
        id_column(),
        make.user_id(),
        Column("lineage_id", String(36)),
        Column("sealed_secret", Text, nullable=False),
        Column("sealed_codes", Text),
        Column("replaces", Boolean, nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("expires_at", Instant, nullable=False, index=True),
        UniqueConstraint("user_id"),
    )


def backup_codes(make: TableMaker) -> Table:
    # Pending while activated_at is null. The set outlives the enrollment it came from, hence no foreign key.
    table = make.table(
        "backup_codes",
        Column("id", String(80), primary_key=True),
        make.user_id(),
        Column("set_id", String(36), nullable=False),
        Column("selector", Text, nullable=False),
        Column("hash", Text, nullable=False),
        Column("activated_at", Instant),
        Column("used_at", Instant),
        UniqueConstraint("set_id", "selector"),
    )
    Index(None, table.c.user_id, table.c.selector)
    return table


def factor_resets(make: TableMaker) -> Table:
    # The requester is not a foreign key: a reset must not disappear together with the administrator who requested it.
    table = make.table(
        "factor_resets",
        id_column(),
        digest_column(),
        make.user_id(),
        Column("asked_by", String(36), nullable=False),
        Column("reason", Text, nullable=False),
        Column("asked_at", Instant, nullable=False),
        Column("due_at", Instant, nullable=False, index=True),
        Column("closed_at", Instant, index=True),
        Column("outcome", Text),
        UniqueConstraint("digest"),
    )
    Index(f"{make.prefix}factor_resets_user_ix", table.c.user_id)
    waits = table.c.closed_at.is_(None)
    Index(
        None,
        table.c.user_id,
        unique=True,
        sqlite_where=waits,
        postgresql_where=waits,
    )
    return table


def passkeys(make: TableMaker) -> Table:
    return make.table(
        "passkeys",
        id_column(),
        make.user_id(index=True),
        Column("name", Text),
        Column("credential_id", Text, nullable=False),
        Column("public_key", Text, nullable=False),
        Column("sign_count", BigInteger, nullable=False),
        Column("aaguid", Text, nullable=False),
        Column("backup_eligible", Boolean, nullable=False),
        Column("backed_up", Boolean, nullable=False),
        Column("transports", WordList, nullable=False),
        Column("rp_id", Text, nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("last_used_at", Instant),
        Column("user_handle", Text),
        UniqueConstraint("credential_id"),
    )


def passkey_ceremonies(make: TableMaker) -> Table:
    return make.table(
        "passkey_ceremonies",
        Column("digest", String(64), primary_key=True),
        Column("network", Text, nullable=False, index=True),
        Column("expires_at", Instant, nullable=False, index=True),
    )


def attempts(make: TableMaker) -> Table:
    return make.table(
        "attempts",
        Column(
            "user_id",
            String(36),
            ForeignKey(f"{make.prefix}users.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        Column("failures", Integer, nullable=False),
        Column("locked_until", Instant),
        Column("stopped", Boolean, nullable=False, server_default=false()),
    )


def password_guesses(make: TableMaker) -> Table:
    # Keyed by digests: entering an address creates a row, and no address must be readable here.
    return make.table(
        "password_guesses",
        Column("key", String(64), primary_key=True),
        Column("forgotten_at", Instant, nullable=False, index=True),
        Column("blocked_until", Instant, nullable=False),
    )


def challenges(make: TableMaker) -> Table:
    return make.table(
        "challenges",
        id_column(),
        digest_column(),
        make.user_id(index=True),
        Column("actor_type", Text, nullable=False),
        Column("credential_version", Integer, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("remembered", Boolean, nullable=False),
        Column("renews", String(36)),
        Column("auth_time", Instant, nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("expires_at", Instant, nullable=False, index=True),
        Column("consumed_at", Instant),
        UniqueConstraint("digest"),
    )


def trusted_devices(make: TableMaker) -> Table:
    return make.table(
        "trusted_devices",
        id_column(),
        digest_column(),
        make.user_id(index=True),
        Column("credential_version", Integer, nullable=False),
        Column("user_agent", Text),
        Column("ip", Text),
        Column("created_at", Instant, nullable=False),
        Column("last_used_at", Instant, nullable=False),
        Column("expires_at", Instant, nullable=False, index=True),
        UniqueConstraint("digest"),
    )

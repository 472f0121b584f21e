"""
The tables, made for one prefix, so that they can live beside a host application's own.

Secrets are digests, hashes or sealed texts; nothing here can be presented as a credential. What must be true of two
rows at once stands in a unique index, not in a check before the write. The audit log has no foreign keys: it outlives
what it speaks of.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from czo_auth.core.limits import TABLE_PREFIX_RULE, is_table_prefix
from czo_auth.storage.column_types import Instant, TimesByName, WordList, WordSet

DEFAULT_PREFIX: Final = "czo_auth_"

NAMING: Final = {
    "pk": "%(table_name)s_pk",
    "uq": "%(table_name)s_%(column_0_N_name)s_uq",
    "ix": "%(table_name)s_%(column_0_N_name)s_ix",
    "fk": "%(table_name)s_%(column_0_N_name)s_fk",
}
"""One name per constraint on both databases, so that a later migration can drop it."""

# SQLite counts rows by itself only in a column called INTEGER.
_SEQUENCE: Final = BigInteger().with_variant(Integer(), "sqlite")
_JSON: Final = JSON(none_as_null=True)


def checked_prefix(prefix: str) -> str:
    """
    Return *prefix* if it can stand in SQL without quotes.

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


@lru_cache(maxsize=8)
def tables_of(prefix: str) -> Tables:
    """
    Return the tables under *prefix*, which all storages of this process share: they are never changed.

    Raises:
        ValueError: The prefix is not usable.
    """
    return Tables(prefix)


class Tables:
    """
    All tables under one prefix.

    Attributes:
        prepared: What `czo_auth.storage.prepared` keeps of the statements on them.

    Raises:
        ValueError: The prefix is not usable.
    """

    def __init__(self, prefix: str = DEFAULT_PREFIX) -> None:
        self.prefix = checked_prefix(prefix)
        self.metadata = MetaData(naming_convention=NAMING)
        self.prepared: Final[dict[tuple[object, ...], Any]] = {}
        self._add_users()
        self._add_sessions()
        self._add_factors()
        self._add_passkeys()
        self._add_sign_in()
        self._add_kept_answers()
        self._add_mail_queue()
        self._add_device_authorizations()
        self._add_organizations()
        self._add_service_accounts()
        self._add_api_keys()
        self._add_budgets()
        self._add_audit_log()
        self._add_webhooks()

    @property
    def version_table(self) -> str:
        """Return the table in which the migrations remember how far they are."""
        return version_table_of(self.prefix)

    @property
    def change_count_table(self) -> str:
        """Return the table of one row that SQLite's change triggers count in."""
        return f"{self.prefix}change_count"

    @property
    def without_model(self) -> frozenset[str]:
        """Return the tables under our prefix that are not part of the metadata."""
        return frozenset({self.version_table, self.change_count_table})

    def _add_users(self) -> None:
        self.users = self._table(
            "users",
            _id(),
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
            Column("fields", _JSON),
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
        Index(None, self.users.c.external_id, unique=True)
        self.mail_tokens = self._table(
            "mail_tokens",
            _id(),
            _digest(),
            self._user_id(index=True),
            Column("purpose", Text, nullable=False),
            Column("email", Text, nullable=False),
            Column("created_at", Instant, nullable=False),
            Column("expires_at", Instant, nullable=False, index=True),
            Column("opened_at", Instant),
            Column("used_at", Instant),
            UniqueConstraint("digest"),
        )
        self.email_changes = self._table(
            "email_changes",
            _id(),
            _digest(),
            Column("revert_digest", String(64), nullable=False),
            self._user_id(index=True),
            Column("lineage_id", String(36)),
            Column("old_email", Text, nullable=False, index=True),
            Column("old_mailbox", Text, nullable=False),
            Column("new_email", Text, nullable=False),
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
        self.key_checks = self._table(
            "key_checks",
            Column("kid", Text, primary_key=True),
            Column("check_value", Text, nullable=False),
            Column("created_at", Instant, nullable=False),
        )

    def _add_sessions(self) -> None:
        self.sessions = self._table(
            "sessions",
            _id(),
            _digest(),
            Column("lineage_id", String(36)),
            self._user_id(index=True),
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
        # A link has at most one successor, no matter who asks for it and how often. Whose it is, until when it lives
        # and whether it was revoked stands with the session, so the family cannot outlive it.
        self.refresh_tokens = self._table(
            "refresh_tokens",
            _id(),
            _digest(),
            self._reference("session_id", "sessions", index=True),
            Column("parent_id", String(36)),
            Column("created_at", Instant, nullable=False),
            Column("replaced_at", Instant),
            UniqueConstraint("digest"),
            UniqueConstraint("parent_id"),
        )
        self.signing_keys = self._table(
            "signing_keys",
            Column("kid", Text, primary_key=True),
            Column("sealed_private_key", Text, nullable=False),
            Column("public_jwk", _JSON, nullable=False),
            Column("created_at", Instant, nullable=False),
            Column("retired_at", Instant),
            Column("expires_at", Instant),
        )

    def _add_factors(self) -> None:
        self.factors = self._table(
            "factors",
            _id(),
            self._user_id(),
            Column("sealed_secret", Text, nullable=False),
            Column("last_step", BigInteger, nullable=False),
            Column("enabled_at", Instant, nullable=False),
            Column("renew_by", Instant),
            UniqueConstraint("user_id"),
        )
        self.enrollments = self._table(
            "enrolments",
            _id(),
            self._user_id(),
            Column("lineage_id", String(36)),
            Column("sealed_secret", Text, nullable=False),
            Column("sealed_codes", Text),
            Column("replaces", Boolean, nullable=False),
            Column("created_at", Instant, nullable=False),
            Column("expires_at", Instant, nullable=False, index=True),
            UniqueConstraint("user_id"),
        )
        # Pending while activated_at is null. The set outlives the enrollment it came from, hence no foreign key.
        self.backup_codes = self._table(
            "backup_codes",
            Column("id", String(80), primary_key=True),
            self._user_id(),
            Column("set_id", String(36), nullable=False),
            Column("selector", Text, nullable=False),
            Column("hash", Text, nullable=False),
            Column("activated_at", Instant),
            Column("used_at", Instant),
            UniqueConstraint("set_id", "selector"),
        )
        Index(None, self.backup_codes.c.user_id, self.backup_codes.c.selector)
        # Who asked is no foreign key: a reset is not to vanish unseen with the one who asked for it.
        self.factor_resets = self._table(
            "factor_resets",
            _id(),
            _digest(),
            self._user_id(),
            Column("asked_by", String(36), nullable=False),
            Column("reason", Text, nullable=False),
            Column("asked_at", Instant, nullable=False),
            Column("due_at", Instant, nullable=False, index=True),
            Column("closed_at", Instant, index=True),
            Column("outcome", Text),
            UniqueConstraint("digest"),
        )
        waits = self.factor_resets.c.closed_at.is_(None)
        Index(
            None,
            self.factor_resets.c.user_id,
            unique=True,
            sqlite_where=waits,
            postgresql_where=waits,
        )

    def _add_device_authorizations(self) -> None:
        self.device_authorizations = self._table(
            "device_authorizations",
            _id(),
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
            Column("user_id", String(36), ForeignKey(f"{self.prefix}users.id", ondelete="CASCADE")),
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
        Index(None, self.device_authorizations.c.user_id)

    def _add_kept_answers(self) -> None:
        self.kept_answers = self._table(
            "kept_answers",
            _id(),
            self._user_id(),
            Column("lineage_id", String(36), nullable=False),
            Column("route", Text, nullable=False),
            Column("name_digest", String(64), nullable=False),
            Column("body_kid", Text, nullable=False),
            Column("body_mac", String(64), nullable=False),
            Column("shows_enrollment", Boolean, nullable=False),
            Column("sealed", Text),
            Column("created_at", Instant, nullable=False),
            Column("expires_at", Instant, nullable=False, index=True),
            UniqueConstraint("lineage_id", "route", "name_digest"),
        )
        Index(None, self.kept_answers.c.user_id)

    def _add_mail_queue(self) -> None:
        self.mail_queue = self._table(
            "mail_queue",
            _id(),
            Column("kind", Text, nullable=False),
            Column("sealed", Text, nullable=False),
            Column("attempts", Integer, nullable=False),
            Column("next_at", Instant, nullable=False, index=True),
            Column("created_at", Instant, nullable=False),
            Column("expires_at", Instant, nullable=False),
        )

    def _add_sign_in(self) -> None:
        self.attempts = self._table(
            "attempts",
            Column(
                "user_id",
                String(36),
                ForeignKey(f"{self.prefix}users.id", ondelete="CASCADE"),
                primary_key=True,
            ),
            Column("failures", Integer, nullable=False),
            Column("locked_until", Instant),
            Column("stopped", Boolean, nullable=False, server_default=false()),
        )
        # Keyed by digests: typing an address makes a row, and no address is to be read here.
        self.password_guesses = self._table(
            "password_guesses",
            Column("key", String(64), primary_key=True),
            Column("forgotten_at", Instant, nullable=False, index=True),
            Column("blocked_until", Instant, nullable=False),
        )
        self.challenges = self._table(
            "challenges",
            _id(),
            _digest(),
            self._user_id(index=True),
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
        self.trusted_devices = self._table(
            "trusted_devices",
            _id(),
            _digest(),
            self._user_id(index=True),
            Column("credential_version", Integer, nullable=False),
            Column("user_agent", Text),
            Column("ip", Text),
            Column("created_at", Instant, nullable=False),
            Column("last_used_at", Instant, nullable=False),
            Column("expires_at", Instant, nullable=False, index=True),
            UniqueConstraint("digest"),
        )

    def _add_passkeys(self) -> None:
        self.passkeys = self._table(
            "passkeys",
            _id(),
            self._user_id(index=True),
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
        self.import_marks = self._table(
            "import_marks",
            Column("digest", String(64), primary_key=True),
            Column("target_id", String(36), nullable=False),
            Column("imported_at", Instant, nullable=False),
        )
        self.passkey_ceremonies = self._table(
            "passkey_ceremonies",
            Column("digest", String(64), primary_key=True),
            Column("network", Text, nullable=False, index=True),
            Column("expires_at", Instant, nullable=False, index=True),
        )

    def _add_organizations(self) -> None:
        self.organizations = self._table(
            "organizations",
            _id(),
            Column("name", Text, nullable=False),
            Column("slug", Text, nullable=False),
            Column("logo", Text),
            Column("metadata", _JSON),
            Column("created_at", Instant, nullable=False),
            Column("updated_at", Instant, nullable=False),
            Column("api_key_max_days", Integer),
            Column("api_key_unused_days", Integer),
            Column("created_by", String(36)),
            Column("require_two_factor_from", Instant),
            Column("two_factor_grace_days", Integer, nullable=False, server_default="0"),
            UniqueConstraint("slug"),
        )
        self.members = self._table(
            "members",
            _id(),
            self._reference("organization_id", "organizations"),
            self._user_id(index=True),
            Column("role", Text, nullable=False),
            Column("created_at", Instant, nullable=False),
            # What the organization's rule, the first joining and an exemption come to; the hot path reads it.
            Column("two_factor_due_at", Instant, index=True),
            Column("two_factor_reminded_days", Integer),
            UniqueConstraint("organization_id", "user_id"),
        )
        # No foreign key on the membership: what it says outlives leaving.
        self.two_factor_terms = self._table(
            "two_factor_terms",
            self._reference("organization_id", "organizations"),
            self._user_id(index=True),
            Column("first_joined_at", Instant, nullable=False),
            Column("exempt_since", Instant),
            Column("exempt_until", Instant),
            Column("exempt_reason", Text),
            Column("exempt_by", String(36)),
            PrimaryKeyConstraint("organization_id", "user_id"),
        )
        self.invitations = self._table(
            "invitations",
            _id(),
            _digest(),
            self._reference("organization_id", "organizations", index=True),
            Column("email", Text, nullable=False, index=True),
            Column("role", Text, nullable=False),
            self._reference("inviter_id", "users"),
            Column("status", Text, nullable=False),
            Column("created_at", Instant, nullable=False),
            Column("expires_at", Instant, nullable=False, index=True),
            Column("closed_at", Instant),
            UniqueConstraint("digest"),
        )

    def _add_service_accounts(self) -> None:
        self.service_accounts = self._table(
            "service_accounts",
            _id(),
            self._reference("organization_id", "organizations"),
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
        accounts = self.service_accounts.c
        Index(f"{self.prefix}service_accounts_newest_ix", accounts.organization_id, accounts.created_at)

    def _add_api_keys(self) -> None:
        # No foreign key on the organization: a key keeps the id of one that is gone, and is refused for it.
        self.api_keys = self._table(
            "api_keys",
            _id(),
            _digest(),
            # One of the two: a user's key, or a service account's.
            Column("user_id", String(36), ForeignKey(f"{self.prefix}users.id", ondelete="CASCADE")),
            Column("organization_id", String(36)),
            Column("actor_type", Text),
            Column("name", Text, nullable=False),
            Column("prefix", Text, nullable=False),
            Column("scopes", WordList, nullable=False),
            Column("metadata", _JSON),
            Column("enabled", Boolean, nullable=False),
            Column("expires_at", Instant, index=True),
            Column("last_used_at", Instant),
            Column("rotated_at", Instant),
            Column("created_at", Instant, nullable=False),
            Column("updated_at", Instant, nullable=False),
            Column("revoked_at", Instant, index=True),
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
                ForeignKey(f"{self.prefix}service_accounts.id", ondelete="CASCADE"),
            ),
            # No foreign key: a service account's key outlives who made it.
            Column("created_by", String(36)),
            UniqueConstraint("digest"),
        )
        keys = self.api_keys.c
        Index(None, keys.user_id, keys.created_at)
        Index(None, keys.user_id, keys.expires_at)
        Index(None, keys.organization_id, keys.created_at)
        Index(f"{self.prefix}api_keys_service_account_ix", keys.service_account_id, keys.created_at)
        # Of service accounts alone: a person's own keys that ended must not weigh when that person is banned.
        made = keys.service_account_id.is_not(None)
        Index(None, keys.created_by, sqlite_where=made, postgresql_where=made)
        self.api_key_usage = self._table(
            "api_key_usage",
            self._reference("api_key_id", "api_keys"),
            Column("day", Date, nullable=False, index=True),
            Column("used", BigInteger, nullable=False),
            Column("refused", BigInteger, nullable=False),
            PrimaryKeyConstraint("api_key_id", "day"),
        )
        # No foreign key: the successors of a key count under its id when it is gone.
        self.api_key_quotas = self._table(
            "api_key_quotas",
            Column("counter_id", String(36), nullable=False),
            Column("period", String(10), nullable=False),
            Column("taken", BigInteger, nullable=False),
            Column("granted", BigInteger, nullable=False),
            Column("expires_at", Instant, nullable=False, index=True),
            PrimaryKeyConstraint("counter_id", "period"),
        )

    def _add_budgets(self) -> None:
        self.budgets = self._table(
            "budgets",
            Column("name", Text, primary_key=True),
            Column("used", Integer, nullable=False),
            Column("expires_at", Instant, nullable=False, index=True),
        )

    def _add_audit_log(self) -> None:
        # AUTOINCREMENT: a number is never given twice, even after the newest events were pruned.
        self.events = self._table(
            "events",
            Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
            Column("id", String(36), nullable=False),
            Column("type", Text, nullable=False),
            Column("user_id", String(36)),
            Column("at", Instant, nullable=False),
            Column("data", _JSON, nullable=False),
            UniqueConstraint("id"),
            sqlite_autoincrement=True,
        )
        Index(None, self.events.c.user_id, self.events.c.sequence)
        self.audit = self._table(
            "audit",
            Column("sequence", _SEQUENCE, primary_key=True, autoincrement=False),
            Column("id", String(36), nullable=False),
            Column("at", Instant, nullable=False),
            Column("action", Text, nullable=False),
            Column("outcome", Text, nullable=False),
            Column("user_id", String(36)),
            Column("organization_id", String(36)),
            Column("details", _JSON, nullable=False),
            Column("actor_kind", Text, nullable=False),
            Column("actor_user_id", String(36)),
            Column("actor_organization_id", String(36)),
            Column("method", Text),
            Column("ip", Text),
            Column("user_agent", Text),
            Column("request_id", Text),
            Column("previous_hash", String(64), nullable=False),
            Column("hash", String(64), nullable=False),
            # Null means version 1, also of what an older process writes while it is replaced.
            Column("version", Integer),
            Column("origin_commitment", String(64)),
            Column("origin_salt", String(32)),
            Column("personal", _JSON),
            Column("personal_commitment", String(64)),
            Column("personal_salt", String(32)),
            Column("personal_removed", Boolean),
            UniqueConstraint("id"),
        )
        Index(None, self.audit.c.user_id, self.audit.c.sequence)
        Index(None, self.audit.c.actor_user_id, self.audit.c.sequence)
        Index(None, self.audit.c.action, self.audit.c.sequence)
        # Who was deleted a short while ago: what requests of theirs still record, is recorded without personal parts.
        self.erasures = self._table(
            "erasures",
            Column("user_id", String(36), primary_key=True),
            Column("erased_at", Instant, nullable=False, index=True),
            Column("finished_at", Instant),
        )
        self.sinks = self._table(
            "sinks",
            Column("name", Text, primary_key=True),
            Column("sequence", BigInteger, nullable=False),
            Column("owner", Text),
            Column("leased_until", Instant),
        )
        self.parked_events = self._table(
            "parked_events",
            Column("sink", Text, primary_key=True),
            Column("sequence", BigInteger, primary_key=True, autoincrement=False),
            Column("id", String(36), nullable=False),
            Column("type", Text, nullable=False),
            Column("user_id", String(36)),
            Column("at", Instant, nullable=False),
            Column("data", _JSON, nullable=False),
            Column("error", Text, nullable=False),
            Column("parked_at", Instant, nullable=False, index=True),
            Column("replay_at", Instant),
        )

    def _add_webhooks(self) -> None:
        self.webhooks = self._table(
            "webhooks",
            _id(),
            # Without one it belongs to the administrators.
            Column(
                "organization_id",
                String(36),
                ForeignKey(f"{self.prefix}organizations.id", ondelete="CASCADE"),
                index=True,
            ),
            Column("url", Text, nullable=False),
            Column("events", WordList, nullable=False),
            Column("description", Text),
            Column("enabled", Boolean, nullable=False),
            Column("disabled_reason", Text),
            # Events up to here were recorded before it was made or switched on.
            Column("from_sequence", BigInteger, nullable=False),
            Column("replay_after", BigInteger, index=True),
            Column("replay_until", BigInteger),
            Column("due_at", Instant, index=True),
            Column("owner", Text),
            Column("leased_until", Instant),
            Column("failing_since", Instant),
            Column("dead_since", Instant, index=True),
            # No foreign key: an endpoint of the administrators outlives the one who made it.
            Column("created_by", String(36)),
            Column("created_at", Instant, nullable=False),
            Column("updated_at", Instant, nullable=False),
        )
        self.webhook_secrets = self._table(
            "webhook_secrets",
            _id(),
            self._reference("webhook_id", "webhooks", index=True),
            Column("sealed_secret", Text, nullable=False),
            Column("created_at", Instant, nullable=False),
            Column("expires_at", Instant, index=True),
        )
        # A copy of no event: the outbox keeps it as long as a delivery can be sent.
        self.webhook_deliveries = self._table(
            "webhook_deliveries",
            Column("number", _SEQUENCE, primary_key=True, autoincrement=True),
            Column("id", String(36), nullable=False),
            self._reference("webhook_id", "webhooks"),
            Column("event_id", String(36), nullable=False),
            Column("sequence", BigInteger, nullable=False),
            Column("type", Text, nullable=False),
            Column("user_id", String(36)),
            Column("status", Text, nullable=False),
            Column("attempts", Integer, nullable=False),
            Column("response_status", Integer),
            Column("error", Text),
            Column("next_at", Instant),
            Column("created_at", Instant, nullable=False, index=True),
            Column("finished_at", Instant),
            UniqueConstraint("id"),
            UniqueConstraint("webhook_id", "event_id"),
            sqlite_autoincrement=True,
        )
        deliveries = self.webhook_deliveries.c
        Index(None, deliveries.webhook_id, deliveries.number)
        pending = deliveries.status == "pending"
        Index(
            f"{self.prefix}webhook_deliveries_pending_ix",
            *(deliveries.webhook_id, deliveries.user_id, deliveries.sequence),
            sqlite_where=pending,
            postgresql_where=pending,
        )
        self.webhook_cursors = self._table(
            "webhook_cursors",
            Column("name", Text, primary_key=True),
            Column("sequence", BigInteger, nullable=False),
        )

    def _table(self, name: str, *parts: Any, **options: Any) -> Table:
        return Table(f"{self.prefix}{name}", self.metadata, *parts, **options)

    def _user_id(self, *, index: bool | None = None) -> Column[str]:
        return self._reference("user_id", "users", index=index)

    def _reference(self, name: str, table: str, *, index: bool | None = None) -> Column[str]:
        target = ForeignKey(f"{self.prefix}{table}.id", ondelete="CASCADE")
        return Column(name, String(36), target, nullable=False, index=index)


def _id() -> Column[str]:
    return Column("id", String(36), primary_key=True)


def _digest() -> Column[str]:
    return Column("digest", String(64), nullable=False)

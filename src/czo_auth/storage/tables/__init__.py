"""
The tables under one prefix, so that they can share a database with a host application.

Secrets are digests, hashes or sealed texts; nothing here can be presented as a credential. Constraints between rows are
unique indexes, not checks before the write. The audit log has no foreign keys, because it outlives what it refers to.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from czo_auth.storage.tables import accounts, api_keys, events, factors, organizations, requests
from czo_auth.storage.tables.make import DEFAULT_PREFIX, NAMING, TableMaker, checked_prefix, version_table_of

__all__ = ["DEFAULT_PREFIX", "NAMING", "Tables", "checked_prefix", "tables_of", "version_table_of"]


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
        make = TableMaker(prefix)
        self.prefix, self.metadata = make.prefix, make.metadata
        self.prepared: Final[dict[tuple[object, ...], Any]] = {}
        self.users = accounts.users(make)
        self.mail_tokens = accounts.mail_tokens(make)
        self.email_changes = accounts.email_changes(make)
        self.key_checks = accounts.key_checks(make)
        self.sessions = accounts.sessions(make)
        self.refresh_tokens = accounts.refresh_tokens(make)
        self.signing_keys = accounts.signing_keys(make)
        self.factors = factors.factors(make)
        self.enrollments = factors.enrollments(make)
        self.backup_codes = factors.backup_codes(make)
        self.factor_resets = factors.factor_resets(make)
        self.passkeys = factors.passkeys(make)
        self.import_marks = accounts.import_marks(make)
        self.passkey_ceremonies = factors.passkey_ceremonies(make)
        self.attempts = factors.attempts(make)
        self.password_guesses = factors.password_guesses(make)
        self.challenges = factors.challenges(make)
        self.trusted_devices = factors.trusted_devices(make)
        self.kept_answers = requests.kept_answers(make)
        self.mail_queue = requests.mail_queue(make)
        self.device_authorizations = api_keys.device_authorizations(make)
        self.organizations = organizations.organizations(make)
        self.members = organizations.members(make)
        self.two_factor_terms = organizations.two_factor_terms(make)
        self.invitations = organizations.invitations(make)
        self.service_accounts = organizations.service_accounts(make)
        self.api_keys = api_keys.api_keys(make)
        self.api_key_usage = api_keys.api_key_usage(make)
        self.api_key_quotas = api_keys.api_key_quotas(make)
        self.budgets = requests.budgets(make)
        self.events = events.events(make)
        self.audit = events.audit(make)
        self.erasures = events.erasures(make)
        self.sinks = events.sinks(make)
        self.parked_events = events.parked_events(make)
        self.webhooks = events.webhooks(make)
        self.webhook_secrets = events.webhook_secrets(make)
        self.webhook_deliveries = events.webhook_deliveries(make)
        self.webhook_cursors = events.webhook_cursors(make)

    @property
    def version_table(self) -> str:
        """Return the table in which the migrations remember how far they are."""
        return version_table_of(self.prefix)

    @property
    def change_count_table(self) -> str:
        """Return the table of one row that SQLite's change triggers count in."""
        return f"{self.prefix}change_count"

    @property
    def search_index(self) -> str:
        """Return the name of PostgreSQL's index of trigrams on the users."""
        return f"{self.prefix}users_search_ix"

    @property
    def user_search_table(self) -> str:
        """Return the full-text table in which SQLite looks for parts of addresses and names."""
        return f"{self.prefix}user_search"

    @property
    def user_numbers_table(self) -> str:
        """Return the table of the numbers that users have in SQLite's full-text table."""
        return f"{self.prefix}user_numbers"

    @property
    def sqlite_tables(self) -> frozenset[str]:
        """Return the tables that only SQLite has, and that are not part of the metadata; FTS5 makes three of them."""
        index = self.user_search_table
        made_by_fts5 = {f"{index}_{part}" for part in ("data", "idx", "config")}
        return frozenset({self.change_count_table, self.user_numbers_table, index} | made_by_fts5)

    @property
    def without_model(self) -> frozenset[str]:
        """Return the tables under our prefix that are not part of the metadata."""
        return frozenset({self.version_table}) | self.sqlite_tables

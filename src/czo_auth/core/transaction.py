"""
The ports to storage: what one transaction can do, and the two reads of the hot path.

A flow is made of a few steps. A step is a plain function over the stores of one transaction; it neither hashes nor
waits for anything but the database. It may be run again from the start when the database asks for it, so it must have
no effect besides the transaction.

The order of locks
------------------
Transactions wait for each other's rows. To avoid deadlocks, every transaction takes its locks in this order, and skips
those that it does not need:

1. the lock of administrators (`Users.lock_administrators`);
2. organizations;
3. users, several in the order of their ids;
4. what belongs to a locked user or organization: a pending enrollment before its backup codes, challenges before the
   failures of their user. An attempt is counted without the user's lock, so it relies on this order;
5. what the step counts (`Budgets`), and at the end what `record` writes: the budgets of records by name, the audit log.

A mailed link names its user: read the link, lock the user, then use the link.

A deletion clears the deleted user's address from changes of address that other users requested. It does not lock those
users, and the deleted user's row still exists at that point, so a transaction that has locked such a change never waits
for the deletion.

Work on the rows of many owners (housekeeping, and writing last uses) waits for none of them: it skips locked rows until
the next run.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, TypeVar

from czo_auth.core.actors import GrantDates
from czo_auth.core.api_keys.expiry_store import KeyExpiry
from czo_auth.core.api_keys.key import KeyRestrictions
from czo_auth.core.api_keys.store import ApiKeys
from czo_auth.core.api_keys.usage_store import KeyQuotas, KeyUses
from czo_auth.core.budgets import Budgets
from czo_auth.core.context import Context
from czo_auth.core.devices.store import DeviceAuthorizations
from czo_auth.core.events.outbox import Outbox
from czo_auth.core.events.store import AuditLog, AuditRemoval
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.idempotency.store import IdempotencyStore
from czo_auth.core.imported_records import ImportedRecords
from czo_auth.core.key_checks import KeyChecks
from czo_auth.core.mail_queue import MailQueue
from czo_auth.core.organizations.store import Organizations
from czo_auth.core.organizations.two_factor import FactorRules
from czo_auth.core.passkeys.store import Passkeys
from czo_auth.core.service_accounts.store import ServiceAccounts
from czo_auth.core.sessions.store import Sessions
from czo_auth.core.throttle import GuessCounters
from czo_auth.core.two_factor.challenges import Challenges
from czo_auth.core.two_factor.reset import Resets
from czo_auth.core.two_factor.store import TwoFactor
from czo_auth.core.users.actor_type_deadlines import ActorTypeDeadlines
from czo_auth.core.users.email_change import EmailChanges
from czo_auth.core.users.store import Users
from czo_auth.core.webhooks.store import WebhookDeliveries, Webhooks

T = TypeVar("T")


class Transaction(Protocol):
    """
    The stores, bound to one open transaction, and the context of the step that runs in it.

    Promise: what a step records is buffered and written right before the commit, once, however often the step is run.
    A transaction that was opened without a context has neither a time nor an actor: asking for one of them is a
    programming error.
    """

    @property
    def context(self) -> Context: ...
    @property
    def now(self) -> datetime: ...
    def record(self, audit_event: AuditEvent) -> None:
        """Write *audit_event* to the audit log, and to the outbox when its action is an event type."""

    def acting_as(self, context: Context) -> Transaction:
        """Return the same transaction with another context, for what another actor does in it."""

    @property
    def users(self) -> Users: ...
    @property
    def email_changes(self) -> EmailChanges: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def two_factor(self) -> TwoFactor: ...
    @property
    def challenges(self) -> Challenges: ...
    @property
    def passkeys(self) -> Passkeys: ...
    @property
    def password_guesses(self) -> GuessCounters: ...
    @property
    def resets(self) -> Resets: ...
    @property
    def api_keys(self) -> ApiKeys: ...
    @property
    def key_expiry(self) -> KeyExpiry: ...
    @property
    def key_uses(self) -> KeyUses: ...
    @property
    def key_quotas(self) -> KeyQuotas: ...
    @property
    def organizations(self) -> Organizations: ...
    @property
    def service_accounts(self) -> ServiceAccounts: ...
    @property
    def factor_rules(self) -> FactorRules: ...
    @property
    def actor_type_deadlines(self) -> ActorTypeDeadlines: ...
    @property
    def budgets(self) -> Budgets: ...
    @property
    def audit_log(self) -> AuditLog: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def audit_removal(self) -> AuditRemoval: ...
    @property
    def device_authorizations(self) -> DeviceAuthorizations: ...
    @property
    def mail_queue(self) -> MailQueue: ...
    @property
    def idempotency(self) -> IdempotencyStore: ...
    @property
    def imported_records(self) -> ImportedRecords: ...
    @property
    def key_checks(self) -> KeyChecks: ...
    @property
    def webhooks(self) -> Webhooks: ...
    @property
    def webhook_deliveries(self) -> WebhookDeliveries: ...


class Transactions(Protocol):
    """
    Runs steps, each in a transaction of its own.

    Promise: a step that returns is durably committed before the caller continues; a step that raises leaves nothing
    behind. A database that is busy, down, full or read-only becomes ``StorageUnavailable``; nothing else leaks.
    """

    async def run(self, step: Callable[[Transaction], T], context: Context | None = None) -> T:
        """Run a step that may write. *context* says who acts and when; a step that records something needs it."""

    async def read(self, step: Callable[[Transaction], T], context: Context | None = None) -> T:
        """Run a step that only reads. It also works while writes are impossible, where the database allows it."""


class CredentialRecord(NamedTuple):
    """
    The current state of a credential and its owner: one row, read by digest or id.

    A tuple, because a request whose credential is not cached makes one, and a frozen dataclass of this size would take
    a tenth of that request's time.

    Attributes:
        id: Of the session or key.
        user_id: The user who owns it; None for a service account's key.
        owns_factor: Whether the owner has a factor of either kind, which is what a requirement of two factors asks for.
        has_passkey: Whether the owner has a passkey.
        has_factor: Whether two factors are on: a password sign-in asks for a second step.
        organization_role: The owner's role in ``organization_id``; None if the owner is not a member, or the
            organization was deleted.
        grants: Since when the owner holds their actor types.
        two_factor_due_at: When the organization demands a factor of the owner; None when it does not.
        enabled: Always True for a session.
        scopes: Of a key; empty for a session.
        restrictions: The allow-list, the rate limit and the quota of a key that has any of them.
        service_account_id: The service account that owns it; None for a user's. Its record has neither actor types nor
            a role, and its scopes are those of key and account together.
        lineage_id: Of a session; None for a key.
        renew_by: Until when the owner of a session should enroll their authenticator app again, as
            ``TotpFactor.renew_by``; None for a key.
    """

    id: str
    user_id: str | None
    actor_type: str | None
    actor_types: frozenset[str]
    banned: bool
    owns_factor: bool
    has_passkey: bool
    has_factor: bool
    organization_id: str | None
    organization_role: str | None
    expires_at: datetime | None
    last_used_at: datetime | None
    grants: GrantDates
    two_factor_due_at: datetime | None = None
    enabled: bool = True
    scopes: tuple[str, ...] = ()
    restrictions: KeyRestrictions | None = None
    service_account_id: str | None = None
    aal: int = 1
    amr: tuple[str, ...] = ()
    auth_time: datetime | None = None
    factor_proved_at: datetime | None = None
    lineage_id: str | None = None
    renew_by: datetime | None = None

    def is_refused(self, *, now: datetime) -> bool:
        """Whether the organization already requires a factor that the owner does not have (S37)."""
        due_at = self.two_factor_due_at
        return due_at is not None and due_at <= now and not self.owns_factor


class Lookup(Protocol):
    """
    The reads of the hot path; each is one indexed query, and none returns what was revoked.

    Promise: the result was true at some moment after the call began.
    """

    @property
    def bound(self) -> timedelta | None:
        """
        How long after a change an old change token may still be returned; None for never, so that a cache is exact.
        """

    def change_token(self) -> object | None:
        """
        Return an object that stays the same only while nothing that a lookup reads has changed.

        What was read after a change token was given may be cached as long as the same change token (by identity) is
        returned: a read that began before a revocation belongs to the earlier change token, and its result is not used
        after the revocation.

        Returns:
            The change token, or None if nothing may be cached at the moment.
        """

    async def find_api_key(self, digest: str) -> CredentialRecord | None:
        """Read a key by its digest, with the state of its owner."""

    async def find_api_key_by_id(self, key_id: str) -> CredentialRecord | None:
        """Read a key by the ``client_id`` of a token that it was exchanged for."""

    async def find_session(self, digest: str) -> CredentialRecord | None:
        """Read a session by the digest of its token."""

    async def find_session_by_id(self, session_id: str) -> CredentialRecord | None:
        """Read a session by the ``sid`` of an access token."""

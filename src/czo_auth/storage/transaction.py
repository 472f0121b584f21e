"""One open transaction with its stores, each created on first access."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from sqlalchemy import Connection

from czo_auth.core.context import Context
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.record_budgets import charge_records
from czo_auth.core.transaction import Transaction
from czo_auth.storage.actor_type_deadlines import SqlActorTypeDeadlines
from czo_auth.storage.api_key_expiry import SqlKeyExpiry
from czo_auth.storage.api_key_usage import SqlKeyQuotas, SqlKeyUses
from czo_auth.storage.api_keys import SqlApiKeys
from czo_auth.storage.audit_log import SqlAuditLog
from czo_auth.storage.audit_removal import SqlAuditRemoval
from czo_auth.storage.budgets import SqlBudgets
from czo_auth.storage.challenges import SqlChallenges
from czo_auth.storage.devices import SqlDeviceAuthorizations
from czo_auth.storage.email_changes import SqlEmailChanges
from czo_auth.storage.idempotency import SqlIdempotencyStore
from czo_auth.storage.imported_records import SqlImportedRecords
from czo_auth.storage.key_checks import SqlKeyChecks
from czo_auth.storage.mail_queue import SqlMailQueue
from czo_auth.storage.organizations import SqlOrganizations
from czo_auth.storage.outbox import SqlOutbox
from czo_auth.storage.passkeys import SqlPasskeys
from czo_auth.storage.password_guesses import SqlPasswordGuesses
from czo_auth.storage.resets import SqlResets
from czo_auth.storage.service_accounts import SqlServiceAccounts
from czo_auth.storage.sessions import SqlSessions
from czo_auth.storage.tables import Tables
from czo_auth.storage.two_factor import SqlTwoFactor
from czo_auth.storage.two_factor_rules import SqlFactorRules
from czo_auth.storage.users import SqlUsers
from czo_auth.storage.webhook_deliveries import SqlWebhookDeliveries
from czo_auth.storage.webhooks import SqlWebhooks

T = TypeVar("T")


class SqlTransaction:
    """Implements `czo_auth.core.transaction.Transaction` on a connection with an open transaction."""

    def __init__(self, connection: Connection, tables: Tables) -> None:
        self.connection = connection
        self.tables = tables
        self._context: Context | None = None

    @property
    def context(self) -> Context:
        if self._context is None:
            raise RuntimeError("this step needs a context: give one to run() or read()")
        return self._context

    @property
    def now(self) -> datetime:
        return self.context.now

    def record(self, audit_event: AuditEvent) -> None:
        self.audit_log.record(audit_event, context=self.context)

    def acting_as(self, context: Context) -> SqlTransaction:
        # What is recorded waits in one place, regardless of who acts.
        _ = self.audit_log
        other = copy(self)
        other._context = context
        return other

    @cached_property
    def users(self) -> SqlUsers:
        return SqlUsers(self.connection, self.tables)

    @cached_property
    def email_changes(self) -> SqlEmailChanges:
        return SqlEmailChanges(self.connection, self.tables)

    @cached_property
    def sessions(self) -> SqlSessions:
        return SqlSessions(self.connection, self.tables)

    @cached_property
    def two_factor(self) -> SqlTwoFactor:
        return SqlTwoFactor(self.connection, self.tables)

    @cached_property
    def challenges(self) -> SqlChallenges:
        return SqlChallenges(self.connection, self.tables)

    @cached_property
    def passkeys(self) -> SqlPasskeys:
        return SqlPasskeys(self.connection, self.tables)

    @cached_property
    def password_guesses(self) -> SqlPasswordGuesses:
        return SqlPasswordGuesses(self.connection, self.tables)

    @cached_property
    def resets(self) -> SqlResets:
        return SqlResets(self.connection, self.tables)

    @cached_property
    def api_keys(self) -> SqlApiKeys:
        return SqlApiKeys(self.connection, self.tables)

    @cached_property
    def key_expiry(self) -> SqlKeyExpiry:
        return SqlKeyExpiry(self.connection, self.tables)

    @cached_property
    def key_uses(self) -> SqlKeyUses:
        return SqlKeyUses(self.connection, self.tables)

    @cached_property
    def key_quotas(self) -> SqlKeyQuotas:
        return SqlKeyQuotas(self.connection, self.tables)

    @cached_property
    def organizations(self) -> SqlOrganizations:
        return SqlOrganizations(self.connection, self.tables)

    @cached_property
    def service_accounts(self) -> SqlServiceAccounts:
        return SqlServiceAccounts(self.connection, self.tables)

    @cached_property
    def factor_rules(self) -> SqlFactorRules:
        return SqlFactorRules(self.connection, self.tables)

    @cached_property
    def actor_type_deadlines(self) -> SqlActorTypeDeadlines:
        return SqlActorTypeDeadlines(self.connection, self.tables)

    @cached_property
    def budgets(self) -> SqlBudgets:
        return SqlBudgets(self.connection, self.tables)

    @cached_property
    def audit_log(self) -> SqlAuditLog:
        return SqlAuditLog(self.connection, self.tables)

    @cached_property
    def outbox(self) -> SqlOutbox:
        return SqlOutbox(self.connection, self.tables)

    @cached_property
    def audit_removal(self) -> SqlAuditRemoval:
        return SqlAuditRemoval(self.connection, self.tables)

    @cached_property
    def imported_records(self) -> SqlImportedRecords:
        return SqlImportedRecords(self.connection, self.tables)

    @cached_property
    def device_authorizations(self) -> SqlDeviceAuthorizations:
        return SqlDeviceAuthorizations(self.connection, self.tables)

    @cached_property
    def mail_queue(self) -> SqlMailQueue:
        return SqlMailQueue(self.connection, self.tables)

    @cached_property
    def idempotency(self) -> SqlIdempotencyStore:
        return SqlIdempotencyStore(self.connection, self.tables)

    @cached_property
    def key_checks(self) -> SqlKeyChecks:
        return SqlKeyChecks(self.connection, self.tables)

    @cached_property
    def webhooks(self) -> SqlWebhooks:
        return SqlWebhooks(self.connection, self.tables)

    @cached_property
    def webhook_deliveries(self) -> SqlWebhookDeliveries:
        return SqlWebhookDeliveries(self.connection, self.tables)


def bound(step: Callable[[Transaction], T], context: Context | None) -> Callable[[Transaction], T]:
    """Bind *step* to the context that it acts in."""
    return step if context is None else lambda tx: step(tx.acting_as(context))


def perform(step: Callable[[Transaction], T], connection: Connection, tables: Tables) -> T:
    """
    Run *step*, charge its caller for what it recorded, and write that, so that all that is left is the commit.

    Raises:
        RateLimited: They caused too many records today.
    """
    transaction = SqlTransaction(connection, tables)
    result = step(transaction)
    charge_records(transaction, transaction.audit_log.recorded())
    transaction.audit_log.flush()
    return result

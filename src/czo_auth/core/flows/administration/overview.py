"""An overview of the whole deployment: factor coverage, sealed and signed data, pending work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from czo_auth.core.actors import ActorRegistry
from czo_auth.core.events.chain import GENESIS, verify_chain
from czo_auth.core.events.outbox import OutboxState
from czo_auth.core.events.types import AuditFilter
from czo_auth.core.flows.administration.coverage import Coverage, count_coverage
from czo_auth.core.limits import MAX_DUE_ORGANIZATIONS
from czo_auth.core.organizations.two_factor import REMINDED_DAYS, OrganizationDue
from czo_auth.core.transaction import Transaction, Transactions
from czo_auth.core.two_factor.factor import RenewalCounts
from czo_auth.core.users.actor_type_deadlines import DueCounts
from czo_auth.core.users.store import UserCounts
from czo_auth.crypto import passwords

AUDIT_TAIL: Final = 1000
"""How many of the newest audit records the overview follows; ``verify_audit`` follows all."""

SOON: Final = timedelta(days=max(REMINDED_DAYS))
"""Users who must have a factor within this time count as due soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTail:
    """
    The newest audit records.

    Attributes:
        broken_at: Sequence of the first that does not continue the chain; None when all do.
        last_at: When the newest was written; None when there is none.
    """

    records: int
    broken_at: int | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentOverview:
    """
    The state of a deployment at one moment. Contains no secrets.

    Attributes:
        coverage: For each actor type, who has a second factor.
        due_by_organization: Of each of a few organizations, how many members lack the factor that it demands.
        due_by_type: Of each actor type that demands one from a day on, how many of its holders lack it.
        locked, stopped: Accounts whose second factors are refused for a time, and until someone acts.
        renewals: Imported TOTP secrets under 128 bits that are still there.
        passkeys: How many there are, by the relying party id that they were made for.
        foreign_hashes: Users whose password was hashed with other parameters than today's.
        check_values: By key id, what recognizes the right encryption key.
        sealed: How many rows each encryption key seals, by key id.
        signing_key_made_at: When the signing key in use was made; None before the first start.
        mails_waiting, mails_wait_since: Mails that no server has accepted yet, and since when the oldest has been
            waiting.
    """

    users: UserCounts
    coverage: Sequence[Coverage]
    due_by_organization: Sequence[OrganizationDue]
    due_by_type: Mapping[str, DueCounts]
    locked: int
    stopped: int
    renewals: RenewalCounts
    passkeys: Mapping[str, int]
    foreign_hashes: int
    check_values: Mapping[str, str]
    sealed: Mapping[str, int]
    signing_key_made_at: datetime | None
    audit: AuditTail
    outbox: OutboxState
    mails_waiting: int = 0
    mails_wait_since: datetime | None = None


async def read_overview(
    transactions: Transactions, actors: ActorRegistry, *, now: datetime
) -> DeploymentOverview:
    """
    Read all of it. Needs no encryption key, and writes nothing.

    Raises:
        StorageUnavailable: The database does not answer, or its migrations have not run.
    """

    def read_all(tx: Transaction) -> DeploymentOverview:
        locked, stopped = tx.challenges.count_locks(now=now)
        mails, since = tx.mail_queue.count_waiting()
        return DeploymentOverview(
            users=tx.users.count_by_state(),
            coverage=count_coverage(tx, actors),
            due_by_organization=tx.factor_rules.count_due(
                now=now, until=now + SOON, limit=MAX_DUE_ORGANIZATIONS
            ),
            due_by_type={
                each.name: tx.actor_type_deadlines.count_due(each, now=now, until=now + SOON)
                for each in actors.dated
            },
            locked=locked,
            stopped=stopped,
            renewals=tx.two_factor.count_renewals(now=now),
            passkeys=tx.passkeys.count_by_rp_id(),
            foreign_hashes=tx.users.count_foreign_hashes(passwords.CURRENT_HASHES_BEGIN),
            check_values=tx.key_checks.find_all(),
            sealed=tx.two_factor.count_by_kid(),
            signing_key_made_at=max(
                (key.created_at for key in tx.sessions.signing_keys() if key.retired_at is None), default=None
            ),
            audit=_audit_tail(tx),
            outbox=tx.outbox.state(),
            mails_waiting=mails,
            mails_wait_since=since,
        )

    return await transactions.read(read_all)


def _audit_tail(tx: Transaction) -> AuditTail:
    newest = tx.audit_log.audit_before(None, AuditFilter(), limit=AUDIT_TAIL)
    records = newest[::-1]
    # The record before the oldest of them is trusted, unless there is none.
    previous = (
        GENESIS if records and records[0].sequence == 1 else records[0].previous_hash if records else ""
    )
    return AuditTail(
        records=len(records),
        broken_at=verify_chain(records, previous),
        last_at=records[-1].at if records else None,
    )

"""
Whether a restored database can be trusted: its audit log is intact, and everything sealed can be decrypted (S14, S35).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from czo_auth.core.context import Context
from czo_auth.core.events.types import BACKUP_RESTORED, AuditEvent, AuditFilter
from czo_auth.core.flows.administration.audit import ChainVerdict, ReadAuditLog
from czo_auth.core.flows.administration.verify_keys import VerifiedRows, VerifyKeys
from czo_auth.core.flows.services import Services
from czo_auth.core.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredVerdict:
    """
    Attributes:
        chain: Of the audit log.
        keys: Of every kind of sealed rows.
        last_record_at: When the newest audit record was written; None if there is none. Anything later is lost.
    """

    chain: ChainVerdict
    keys: Sequence[VerifiedRows]
    last_record_at: datetime | None

    @property
    def unopened(self) -> int:
        """Sealed rows that do not open."""
        return sum(rows.failed for rows in self.keys)

    @property
    def is_sound(self) -> bool:
        """Whether the audit chain is unbroken and every sealed row opens."""
        return self.chain.broken_at is None and self.unopened == 0


class VerifyRestored:
    """Checks a database restored from a backup, before it is used."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def run(self, *, context: Context) -> RestoredVerdict:
        """Check everything; when it is sound, record in its audit log that it was restored."""
        last_at = await self._services.transactions.read(_last_record_at)
        chain = await ReadAuditLog(self._services).verify_audit()
        keys = await VerifyKeys(self._services).run(lambda done, total: None)
        verdict = RestoredVerdict(chain=chain, keys=keys, last_record_at=last_at)
        if verdict.is_sound:
            details = {
                "lastRecord": chain.last_hash,
                "lastRecordAt": last_at and last_at.isoformat(timespec="milliseconds"),
            }
            await self._services.transactions.run(
                lambda tx: tx.record(AuditEvent(action=BACKUP_RESTORED, details=details)), context
            )
        return verdict


def _last_record_at(tx: Transaction) -> datetime | None:
    newest = tx.audit_log.audit_before(None, AuditFilter(), limit=1)
    return newest[0].at if newest else None

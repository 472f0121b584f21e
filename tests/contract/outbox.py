"""What a deployment recorded: the events that wait for delivery, and the audit log."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from czo_auth.core.events.types import AuditRecord, Event
from tests.contract.deployments import Deployment

TYPES = {
    *("auth.2fa.enabled", "auth.2fa.disabled", "auth.2fa.backup_code_used"),
    *("auth.2fa.backup_codes_regenerated", "auth.2fa.locked"),
    *("auth.apikey.created", "auth.apikey.revoked", "auth.apikey.rotated", "auth.apikey.leaked"),
    *("auth.user.registered", "auth.user.updated", "auth.user.banned"),
    *("auth.session.created", "auth.session.revoked", "auth.refresh.reuse_detected"),
    *("auth.org.created", "auth.org.member_added", "auth.org.member_removed", "auth.role.changed"),
}
"""All that section 9 names, and what became of leaked keys."""


@dataclass
class Outbox:
    """What a deployment recorded, read from where it waits for delivery."""

    here: Deployment
    _read: int = 0

    async def events(self) -> list[Event]:
        """Give the events since the last call, in the order of the commits."""
        after = self._read
        events = await self.here.auth.services.transactions.read(
            lambda tx: list(tx.outbox.events_after(after, limit=100_000))
        )
        self._read = events[-1].sequence if events else after
        return events

    async def types(self) -> Counter[str]:
        """Count the types of the events since the last call."""
        return Counter(event.type for event in await self.events())

    async def skip(self) -> None:
        await self.events()


async def audit_of(here: Deployment) -> list[AuditRecord]:
    return await here.auth.services.transactions.read(
        lambda tx: list(tx.audit_log.audit_after(0, limit=100_000))
    )

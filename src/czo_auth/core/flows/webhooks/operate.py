"""Webhook endpoints for operators, regardless of their owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from czo_auth.core.context import Context
from czo_auth.core.errors import NotFound
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.flows.services import Services
from czo_auth.core.transaction import Transaction
from czo_auth.core.webhooks.destination import host_of
from czo_auth.core.webhooks.webhook import Webhook


class OperateWebhooks:
    """Acts on any endpoint, for the command line. The caller has already been authorized."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def list_all(self) -> Sequence[Webhook]:
        """List every endpoint."""
        return await self._services.transactions.read(lambda tx: tx.webhooks.list_all())

    async def disable(self, webhook_id: str, *, context: Context) -> Webhook:
        """
        Switch any endpoint off.

        Raises:
            NotFound: It does not exist.
        """

        def switch_off(tx: Transaction) -> Webhook:
            found = tx.webhooks.find_any(webhook_id)
            if found is None:
                raise NotFound
            changed = replace(found, enabled=False, disabled_reason="operator", updated_at=tx.now)
            tx.webhooks.update(changed)
            audit_event = AuditEvent(
                action=types.WEBHOOK_DISABLED,
                organization_id=found.organization_id,
                details={"webhookId": found.id, "host": host_of(found.url)},
            )
            tx.record(audit_event)
            return changed

        return await self._services.transactions.run(switch_off, context)

"""Switching off endpoints that have been dead for days, and notifying their owners."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from czo_auth.core.context import system_context
from czo_auth.core.events.types import WEBHOOK_SWITCHED_OFF, AuditEvent
from czo_auth.core.flows.services import Services
from czo_auth.core.limits import MAX_MEMBERS
from czo_auth.core.mail_drafts import compose_webhook_switched_off
from czo_auth.core.organizations import roles
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User
from czo_auth.core.webhooks.destination import host_of
from czo_auth.core.webhooks.webhook import Webhook

_LOG = logging.getLogger("czo_auth.webhooks")


class DisableDeadEndpoints:
    """
    Switches off endpoints that have been dead for too long. Safe in several processes at once; each owner is notified
    once.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def run(self, *, now: datetime) -> None:
        """Switch off, record and mail."""
        dead_before = now - self._services.policies.webhooks.switch_off_after

        def switch_off(tx: Transaction) -> list[tuple[Webhook, Sequence[User]]]:
            found = [
                (webhook, _owners_of(tx, webhook))
                for webhook in tx.webhook_deliveries.switch_off_dead(dead_before=dead_before, now=now)
            ]
            for webhook, _ in found:
                details = {"webhookId": webhook.id, "host": host_of(webhook.url)}
                audit_event = AuditEvent(
                    action=WEBHOOK_SWITCHED_OFF, organization_id=webhook.organization_id, details=details
                )
                tx.record(audit_event)
            return found

        for webhook, owners in await self._services.transactions.run(switch_off, system_context(now)):
            _LOG.warning("webhook %s was dead for days and is switched off", webhook.id)
            for owner in owners:
                self._services.background.post(
                    compose_webhook_switched_off(
                        owner, host=host_of(webhook.url), since=webhook.dead_since, at=now
                    )
                )


def _owners_of(tx: Transaction, webhook: Webhook) -> Sequence[User]:
    """Return who is notified: an organization's owners, or the administrator who created the endpoint."""
    if webhook.organization_id is not None:
        members = tx.organizations.list_members(webhook.organization_id, limit=MAX_MEMBERS)
        owners = [tx.users.find(each.user_id) for each in members if each.role == roles.OWNER]
        return [owner for owner in owners if owner is not None]
    maker = tx.users.find(webhook.created_by) if webhook.created_by is not None else None
    return [maker] if maker is not None and maker.banned_at is None else []

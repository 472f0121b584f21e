"""What the tests of deliveries share: endpoints in the database, events, and dispatchers that end with a block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from czo_auth import Auth
from czo_auth.core.context import system_context
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent, Event
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.webhooks.deliver import WebhookDispatcher, WebhookSender
from czo_auth.core.ids import new_id
from czo_auth.core.transaction import Transaction, Transactions
from czo_auth.core.webhooks.webhook import WEBHOOK_SECRET, Delivery, Webhook, WebhookPolicy, WebhookSecret
from czo_auth.delivery.webhooks import HttpWebhookSender
from tests.support.records import a_webhook, an_organization
from tests.support.settings import settings

_owners = count(1)


def policy(**others: Any) -> WebhookPolicy:
    """Numbers small enough for a test."""
    values: dict[str, Any] = {
        "pauses": (timedelta(milliseconds=50),) * 3,
        "time_limit": timedelta(seconds=20),
        "poll": timedelta(milliseconds=20),
        "allowed_hosts": frozenset({"127.0.0.1"}),
        "organization_allowed_hosts": frozenset({"127.0.0.1"}),
    }
    return WebhookPolicy(**values | others)


def now() -> datetime:
    present = datetime.now(UTC)
    return present.replace(microsecond=present.microsecond // 1000 * 1000)


@dataclass
class WebhookSetup:
    """One database with endpoints and events; dispatchers are made for it."""

    auth: Auth

    @property
    def transactions(self) -> Transactions:
        return self.auth.services.transactions

    def services(self, numbers: WebhookPolicy) -> Services:
        policies = replace(self.auth.services.policies, webhooks=numbers)
        return replace(self.auth.services, policies=policies)

    async def endpoint(self, url: str, **more: Any) -> Webhook:
        """Put an endpoint into the database; by default it wants everything."""
        at = now()
        webhook = a_webhook(now=at, url=url, **more)
        secret_id = new_id(at)
        sealed = self.auth.services.key_ring.seal(
            b"x" * 32, purpose=WEBHOOK_SECRET, bound_to={"webhook": webhook.id, "secret": secret_id}
        )
        secret = WebhookSecret(
            id=secret_id, webhook_id=webhook.id, sealed_secret=sealed, created_at=at, expires_at=None
        )
        await self.transactions.run(lambda tx: tx.webhooks.add(webhook, secret))
        return webhook

    async def organization(self, organization_id: str) -> None:
        """Put an organization into the database."""
        made = an_organization(now=now(), id=organization_id, slug=organization_id)
        assert await self.transactions.run(lambda tx: tx.organizations.add(made))

    async def record(
        self, *users: str, action: str = types.USER_UPDATED, organization_id: str | None = None
    ) -> list[Event]:
        """Record an event for each of *users*, each in its own transaction."""
        before = await self.newest()
        for user in users:

            def step(tx: Transaction, user: str = user) -> None:
                tx.acting_as(system_context(now())).record(
                    AuditEvent(action=action, user_id=user, organization_id=organization_id)
                )

            await self.transactions.run(step)
        return list(await self.transactions.read(lambda tx: tx.outbox.events_after(before, limit=10_000)))

    async def newest(self) -> int:
        newest = await self.transactions.read(lambda tx: tx.outbox.events_before(None, limit=1))
        return newest[0].sequence if newest else 0

    async def log(self, webhook: Webhook) -> list[Delivery]:
        """Read the deliveries to an endpoint, oldest first."""
        found = await self.transactions.read(
            lambda tx: tx.webhooks.deliveries_of(webhook.id, status=None, before=None, limit=10_000)
        )
        return list(found)[::-1]

    async def settled(self, webhook: Webhook, *statuses: str, within: float = 60) -> list[Delivery]:
        """Wait until the log, oldest first, shows exactly *statuses*."""
        async with asyncio.timeout(within):
            while [each.status for each in await self.log(webhook)] != list(statuses):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return await self.log(webhook)

    @asynccontextmanager
    async def dispatching(
        self,
        *,
        owner: str | None = None,
        numbers: WebhookPolicy | None = None,
        sender: Callable[[], WebhookSender] | None = None,
        clock: Callable[[], datetime] = now,
    ) -> AsyncIterator[WebhookDispatcher]:
        """Run a dispatcher; it must still run when it is told to stop, and then end soon."""
        numbers = numbers or policy()
        dispatcher = WebhookDispatcher(
            self.services(numbers),
            sender or (lambda: HttpWebhookSender(time_limit=numbers.time_limit)),
            owner=owner or f"owner-{next(_owners)}",
            source="https://auth.test",
            now=clock,
        )
        task = asyncio.create_task(dispatcher.run())
        try:
            yield dispatcher
            assert not task.done()
        finally:
            dispatcher.stop()
            async with asyncio.timeout(20):
                await task


@asynccontextmanager
async def open_setup(url: str) -> AsyncIterator[WebhookSetup]:
    """Open a deployment whose work beside the requests does not run."""
    auth = Auth(settings(url, auto_migrate=False))
    await auth.open()
    try:
        yield WebhookSetup(auth)
    finally:
        await auth.stop()

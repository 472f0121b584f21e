"""Webhook endpoints, their secrets, and the log of deliveries, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, case, delete, func, insert, or_, select, true, update

from czo_auth.core.ids import new_id
from czo_auth.core.limits import MAX_WEBHOOK_TESTS
from czo_auth.core.webhooks.store import Webhooks
from czo_auth.core.webhooks.webhook import WEBHOOK_TEST, Delivery, DeliveryStatus, Webhook, WebhookSecret
from czo_auth.storage.locks import acquire_lock
from czo_auth.storage.store import Store, columns, unlocked_batch, values
from czo_auth.storage.webhook_deliveries import make_due, select_secrets, sent_again

_OWN: Final = frozenset(
    {
        "url",
        "events",
        "description",
        "enabled",
        "disabled_reason",
        "failing_since",
        "dead_since",
        "updated_at",
    }
)


class SqlWebhooks(Store, Webhooks):
    """Implements `czo_auth.core.webhooks.store.Webhooks`."""

    def lock(self, organization_id: str | None) -> None:
        acquire_lock(self._connection, f"{self._tables.webhooks.name}:{organization_id or ''}")

    def add(self, webhook: Webhook, secret: WebhookSecret) -> None:
        row = values(webhook) | {"from_sequence": self._newest()}
        self._connection.execute(insert(self._tables.webhooks).values(**row))
        self._connection.execute(insert(self._tables.webhook_secrets).values(**values(secret)))

    def find(self, webhook_id: str, organization_id: str | None) -> Webhook | None:
        webhooks = self._tables.webhooks
        return self._one(
            Webhook, self._webhooks().where(webhooks.c.id == webhook_id, self._belongs_to(organization_id))
        )

    def find_any(self, webhook_id: str) -> Webhook | None:
        return self._one(Webhook, self._webhooks().where(self._tables.webhooks.c.id == webhook_id))

    def list_of(self, organization_id: str | None) -> Sequence[Webhook]:
        return self._all(Webhook, self._webhooks().where(self._belongs_to(organization_id)))

    def list_all(self) -> Sequence[Webhook]:
        return self._all(Webhook, self._webhooks())

    def count(self, organization_id: str | None) -> int:
        statement = (
            select(func.count()).select_from(self._tables.webhooks).where(self._belongs_to(organization_id))
        )
        return self._connection.execute(statement).scalar_one()

    def update(self, changed: Webhook) -> None:
        webhooks = self._tables.webhooks
        row = {name: value for name, value in values(changed).items() if name in _OWN}
        self._connection.execute(update(webhooks).where(webhooks.c.id == changed.id).values(**row))

    def switch_on(self, webhook_id: str, *, now: datetime) -> None:
        webhooks = self._tables.webhooks
        self._connection.execute(
            update(webhooks)
            .where(webhooks.c.id == webhook_id)
            .values(
                enabled=True,
                disabled_reason=None,
                failing_since=None,
                dead_since=None,
                from_sequence=self._newest(),
                due_at=now,
            )
        )

    def remove(self, webhook_id: str) -> bool:
        webhooks = self._tables.webhooks
        return self._count(delete(webhooks).where(webhooks.c.id == webhook_id)) == 1

    # --- secrets ---

    def secrets_of(self, webhook_id: str, *, now: datetime) -> Sequence[WebhookSecret]:
        return self._all(WebhookSecret, select_secrets(self._tables, webhook_id, now=now))

    def add_secret(self, secret: WebhookSecret, *, previous_expires_at: datetime) -> None:
        secrets = self._tables.webhook_secrets
        self._connection.execute(
            update(secrets)
            .where(secrets.c.webhook_id == secret.webhook_id, secrets.c.expires_at.is_(None))
            .values(expires_at=previous_expires_at)
        )
        self._connection.execute(insert(secrets).values(**values(secret)))

    def sealed_after(self, secret_id: str, *, limit: int) -> Sequence[WebhookSecret]:
        secrets = self._tables.webhook_secrets
        statement = select(*columns(secrets, WebhookSecret)).where(secrets.c.id > secret_id)
        return self._all(WebhookSecret, statement.order_by(secrets.c.id).limit(limit))

    def reencrypt_secret(self, secret_id: str, *, old: str, new: str) -> bool:
        secrets = self._tables.webhook_secrets
        statement = update(secrets).where(secrets.c.id == secret_id, secrets.c.sealed_secret == old)
        return self._count(statement.values(sealed_secret=new)) == 1

    # --- deliveries ---

    def deliveries_of(
        self, webhook_id: str, *, status: DeliveryStatus | None, before: int | None, limit: int
    ) -> Sequence[Delivery]:
        deliveries = self._tables.webhook_deliveries
        below = deliveries.c.number < before if before is not None else true()
        statement = select(*columns(deliveries, Delivery)).where(below, self._logged(webhook_id, status))
        return self._all(Delivery, statement.order_by(deliveries.c.number.desc()).limit(limit))

    def count_deliveries(
        self, webhook_id: str, *, status: DeliveryStatus | None, up_to: int | None = None
    ) -> int:
        deliveries = self._tables.webhook_deliveries
        return self._count_up_to(deliveries, self._logged(webhook_id, status), up_to=up_to)

    def add_test(self, webhook_id: str, *, event_id: str, now: datetime) -> Delivery:
        deliveries = self._tables.webhook_deliveries
        make_due(self._connection, self._tables.webhooks, [webhook_id], now=now)
        row: dict[str, Any] = {
            "id": new_id(now),
            "webhook_id": webhook_id,
            "event_id": event_id,
            "sequence": 0,
            "type": WEBHOOK_TEST,
            "status": "pending",
            "attempts": 0,
            "next_at": now,
            "created_at": now,
        }
        added = insert(deliveries).values(**row).returning(*columns(deliveries, Delivery))
        found = self._one(Delivery, added)
        if found is None:
            raise RuntimeError("an INSERT gave no row back")
        self._forget_old_tests(webhook_id)
        return found

    def replay_delivery(self, webhook_id: str, delivery_id: str, *, now: datetime) -> bool:
        deliveries, events = self._tables.webhook_deliveries, self._tables.events
        make_due(self._connection, self._tables.webhooks, [webhook_id], now=now)
        is_kept = select(events.c.sequence).where(events.c.id == deliveries.c.event_id).exists()
        statement = update(deliveries).where(
            deliveries.c.id == delivery_id,
            deliveries.c.webhook_id == webhook_id,
            or_(deliveries.c.sequence == 0, is_kept),
        )
        return self._count(statement.values(**sent_again(now))) == 1

    def replay_since(self, webhook_id: str, since: datetime) -> None:
        events, webhooks = self._tables.events, self._tables.webhooks
        earliest = select(events.c.sequence).where(events.c.at >= since).order_by(events.c.sequence).limit(1)
        first = self._connection.execute(earliest).scalar_one_or_none()
        if first is None:
            return
        after, before = first - 1, webhooks.c.replay_after
        self._connection.execute(
            update(webhooks)
            .where(webhooks.c.id == webhook_id)
            .values(
                replay_after=case((before < after, before), else_=after),
                replay_until=self._newest(),
            )
        )

    def prune_deliveries(self, *, before: datetime) -> int:
        deliveries, secrets = self._tables.webhook_deliveries, self._tables.webhook_secrets
        ended = unlocked_batch(select(secrets.c.id).where(secrets.c.expires_at < before))
        return self._prune(deliveries, deliveries.c.created_at, before) + self._count(
            delete(secrets).where(secrets.c.id.in_(ended))
        )

    # --- how ---

    def _forget_old_tests(self, webhook_id: str) -> None:
        deliveries = self._tables.webhook_deliveries
        tests = and_(deliveries.c.webhook_id == webhook_id, deliveries.c.sequence == 0)
        oldest_kept = (
            select(deliveries.c.number)
            .where(tests)
            .order_by(deliveries.c.number.desc())
            .offset(MAX_WEBHOOK_TESTS - 1)
            .limit(1)
            .scalar_subquery()
        )
        self._connection.execute(delete(deliveries).where(tests, deliveries.c.number < oldest_kept))

    def _webhooks(self) -> Select[Any]:
        webhooks = self._tables.webhooks
        return select(*columns(webhooks, Webhook)).order_by(webhooks.c.id)

    def _belongs_to(self, organization_id: str | None) -> ColumnElement[bool]:
        column = self._tables.webhooks.c.organization_id
        return column.is_(None) if organization_id is None else column == organization_id

    def _logged(self, webhook_id: str, status: DeliveryStatus | None) -> ColumnElement[bool]:
        deliveries = self._tables.webhook_deliveries
        of_status = deliveries.c.status == status if status is not None else true()
        return and_(deliveries.c.webhook_id == webhook_id, of_status)

    def _newest(self) -> int:
        newest = select(func.max(self._tables.events.c.sequence))
        return self._connection.execute(newest).scalar_one() or 0

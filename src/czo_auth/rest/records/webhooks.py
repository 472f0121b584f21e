"""Webhook endpoints and their deliveries. Secrets are in `CreatedWebhook` and `WebhookSecret` only."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import WithJsonSchema

from czo_auth.core.flows.webhooks import manage as flow
from czo_auth.core.paging import Page
from czo_auth.core.webhooks import webhook as core
from czo_auth.rest.records.base import Count, Id, Listed, Record, Timestamp

DisabledReason = Annotated[str, WithJsonSchema({"enum": ["dead", "operator"]})]
SigningSecret = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^whsec_[A-Za-z0-9+/]{43}=$"})]


class Webhook(Record):
    """A webhook endpoint, without its secret."""

    id: Id
    url: str
    events: list[str]
    description: str | None
    enabled: bool
    disabled_reason: DisabledReason | None
    created_at: Timestamp

    @classmethod
    def of(cls, webhook: core.Webhook, **more: Any) -> Self:
        """Make the record of *webhook*; *more* are the additional fields of a subclass."""
        return cls(
            id=webhook.id,
            url=webhook.url,
            events=list(webhook.events),
            description=webhook.description,
            enabled=webhook.enabled,
            disabled_reason=webhook.disabled_reason,
            created_at=webhook.created_at,
            **more,
        )


class OperatorWebhook(Webhook):
    """A webhook endpoint for an operator: with its owner, and since when it fails."""

    organization_id: Id | None
    failing_since: Timestamp | None
    dead_since: Timestamp | None

    @classmethod
    def of(cls, webhook: core.Webhook, **more: Any) -> Self:
        return super().of(
            webhook,
            organization_id=webhook.organization_id,
            failing_since=webhook.failing_since,
            dead_since=webhook.dead_since,
            **more,
        )


class WebhookAnswer(Record):
    webhook: Webhook

    @classmethod
    def of(cls, webhook: core.Webhook) -> Self:
        """Answer with one endpoint."""
        return cls(webhook=Webhook.of(webhook))


class CreatedWebhook(WebhookAnswer):
    """A new endpoint and its secret, which is never shown again."""

    secret: SigningSecret

    @classmethod
    def of_created(cls, created: flow.CreatedWebhook) -> Self:
        """Answer with a new endpoint."""
        return cls(webhook=Webhook.of(created.webhook), secret=created.secret)


class WebhookSecret(Record):
    """A new secret; never shown again."""

    secret: SigningSecret


class WebhookList(Listed):
    webhooks: list[Webhook]
    next_cursor: Id | None

    @classmethod
    def of(cls, page: Page[core.Webhook]) -> Self:
        """Answer with a page of endpoints."""
        webhooks = [Webhook.of(each) for each in page.items]
        return cls(webhooks=webhooks, total=page.total, next_cursor=page.next_cursor)


class WebhookDelivery(Record):
    """The delivery of one event to one endpoint."""

    id: Id
    event_id: Id
    type: str
    attempts: Count
    status: core.DeliveryStatus
    response_status: Count | None
    error: str | None
    created_at: Timestamp
    next_at: Timestamp | None

    @classmethod
    def of(cls, delivery: core.Delivery) -> Self:
        """Make the record of *delivery*."""
        return cls(
            id=delivery.id,
            event_id=delivery.event_id,
            type=delivery.type,
            attempts=delivery.attempts,
            status=delivery.status,
            response_status=delivery.response_status,
            error=delivery.error,
            created_at=delivery.created_at,
            next_at=delivery.next_at,
        )


class WebhookDeliveryAnswer(Record):
    delivery: WebhookDelivery

    @classmethod
    def of(cls, delivery: core.Delivery) -> Self:
        """Answer with one delivery."""
        return cls(delivery=WebhookDelivery.of(delivery))


class WebhookDeliveryList(Listed):
    deliveries: list[WebhookDelivery]

    @classmethod
    def of(cls, page: Page[core.Delivery]) -> Self:
        """Answer with a page of deliveries."""
        deliveries = [WebhookDelivery.of(each) for each in page.items]
        return cls(deliveries=deliveries, total=page.total, next_cursor=page.next_cursor)

"""Refusals about webhook endpoints."""

from __future__ import annotations

from czo_auth.core.errors.kinds import Conflict, Invalid


class WebhooksNotAvailable(Invalid):
    code = "WEBHOOKS_NOT_AVAILABLE"
    message = "This deployment does not offer webhooks."


class WebhookLimitReached(Conflict):
    code = "WEBHOOK_LIMIT_REACHED"
    message = "The maximum number of webhook endpoints is reached."


class WebhookSecretLimitReached(Conflict):
    code = "WEBHOOK_SECRET_LIMIT_REACHED"
    message = "This endpoint has the maximum number of active secrets. The oldest ends within a day."


class WebhookDisabled(Conflict):
    code = "WEBHOOK_DISABLED"
    message = "The webhook endpoint is off."

"""Input about webhook endpoints, validated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from czo_auth.core.errors import ValidationFailed
from czo_auth.core.fields import checked_description
from czo_auth.core.limits import MAX_WEBHOOK_PATTERNS
from czo_auth.core.webhooks.webhook import Webhook, is_pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWebhook:
    """Input for a new endpoint."""

    url: str
    events: Sequence[str]
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookChanges:
    """Changes to an endpoint; *given* names the fields that were sent."""

    given: frozenset[str]
    url: str | None = None
    events: Sequence[str] | None = None
    description: str | None = None
    enabled: bool | None = None


def checked_patterns(events: Sequence[str]) -> tuple[str, ...]:
    patterns = tuple(dict.fromkeys(events))
    if not 1 <= len(patterns) <= MAX_WEBHOOK_PATTERNS:
        raise ValidationFailed(
            details=(("events", f"Name 1 to {MAX_WEBHOOK_PATTERNS} types or groups of events."),)
        )
    if not all(map(is_pattern, patterns)):
        raise ValidationFailed(details=(("events", "There is no such type or group of events."),))
    return patterns


def apply_changes(webhook: Webhook, changes: WebhookChanges) -> Webhook:
    given = changes.given
    changed = webhook
    if "url" in given and changes.url is not None:
        # Failures of the old address say nothing about the new one.
        changed = replace(changed, url=changes.url)
        if changed.url != webhook.url:
            changed = replace(changed, failing_since=None, dead_since=None)
    if "events" in given and changes.events is not None:
        changed = replace(changed, events=checked_patterns(changes.events))
    if "description" in given:
        changed = replace(changed, description=checked_description(changes.description))
    if "enabled" in given and changes.enabled is not None:
        changed = replace(changed, enabled=changes.enabled)
    return changed


def number_of(cursor: str | None) -> int | None:
    """Read the cursor of a page of deliveries."""
    if cursor is None:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,17}", cursor):
        raise ValidationFailed(details=(("cursor", "This is not the cursor of a page before."),))
    return int(cursor)

"""Mails about organizations and their webhook endpoints."""

from __future__ import annotations

from datetime import datetime, timedelta

from czo_auth.core.mail import Links, MailDraft
from czo_auth.core.mail_drafts.compose import compose, quoted_name
from czo_auth.core.users.user import User


def compose_invitation(
    to: User | str,
    *,
    token: str,
    links: Links,
    organization: str,
    inviter: str,
    valid_for: timedelta,
    language: str | None = None,
) -> MailDraft:
    """Compose an invitation; the names of *organization* and *inviter* are text that strangers chose."""
    return compose(
        to,
        "invitation",
        language=language,
        token=token,
        link=links.to_page(links.accept_invitation, token),
        valid_for=valid_for,
        organization=quoted_name(organization),
        inviter=quoted_name(inviter),
    )


def compose_webhook_switched_off(
    to: User | str, *, host: str, since: datetime | None, at: datetime, language: str | None = None
) -> MailDraft:
    """
    Compose the notice that a webhook endpoint was switched off.

    Args:
        host: The host of its URL; text that a stranger chose.
        since: When its first delivery was abandoned.
    """
    return compose(
        to,
        "webhook_switched_off",
        language=language,
        host=quoted_name(host),
        since=since or at,
        at=at,
    )

"""Mails about second factors: resets, deadlines and exemptions."""

from __future__ import annotations

from datetime import datetime

from czo_auth.core.mail import Links, MailDraft
from czo_auth.core.mail_drafts.compose import compose, quoted_name
from czo_auth.core.users.user import User


def compose_two_factor_reset(to: User | str, *, at: datetime, language: str | None = None) -> MailDraft:
    """Compose the notice that an administrator turned a user's second factor off."""
    return compose(to, "two_factor_reset", language=language, at=at)


def compose_two_factor_reset_asked(
    to: User | str,
    *,
    token: str,
    links: Links,
    at: datetime,
    due_at: datetime,
    language: str | None = None,
) -> MailDraft:
    """
    Compose the warning that a user's second factor will be turned off at *due_at*, with the link that cancels it.

    The administrator's reason is left out: it is not written for the user, whom someone may be trying to deceive.
    """
    return compose(
        to,
        "two_factor_reset_asked",
        language=language,
        token=token,
        link=links.to_page(links.cancel_reset, token),
        at=at,
        due_at=due_at,
    )


def compose_two_factor_reset_cancelled(
    to: User | str, *, asked_at: datetime, at: datetime, language: str | None = None
) -> MailDraft:
    """Compose the notice that the reset requested at *asked_at* will not happen."""
    return compose(to, "two_factor_reset_cancelled", language=language, asked_at=asked_at, at=at)


def compose_two_factor_due(
    to: User | str, *, organization: str, due_at: datetime, language: str | None = None
) -> MailDraft:
    """Compose the reminder that an organization will soon refuse members without a second factor."""
    return compose(to, "two_factor_due", language=language, organization=quoted_name(organization), at=due_at)


def compose_two_factor_due_by_type(
    to: User | str, *, due_at: datetime, language: str | None = None
) -> MailDraft:
    """Compose the reminder that an account will soon be limited to enrolling a second factor."""
    return compose(to, "two_factor_due_by_type", language=language, at=due_at)


def compose_two_factor_renewal(to: User | str, *, due_at: datetime, language: str | None = None) -> MailDraft:
    """Compose the reminder that an account will soon be limited to enrolling its authenticator app again."""
    return compose(to, "two_factor_renewal", language=language, at=due_at)


def compose_two_factor_exempt(
    to: User | str, *, organization: str, until: datetime, language: str | None = None
) -> MailDraft:
    """Compose the notice that an owner exempted the reader from two factors until a time."""
    return compose(
        to, "two_factor_exempt", language=language, organization=quoted_name(organization), at=until
    )


def compose_two_factor_exemption_ended(
    to: User | str, *, organization: str, at: datetime, language: str | None = None
) -> MailDraft:
    """Compose the notice that an owner ended an exemption, so that the organization refuses the reader from now on."""
    return compose(
        to, "two_factor_exemption_ended", language=language, organization=quoted_name(organization), at=at
    )

"""
How mails are rendered, where their links lead, and how they are sent: SMTP, the log in development, or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from czo_auth.brand.brand import DEFAULT_NAME
from czo_auth.core.mail import Links, Mail, MailKind, MailMessage, read_sender
from czo_auth.errors import StartRefused
from czo_auth.extras import require_extra
from czo_auth.mails import MailWriter
from czo_auth.settings import Settings
from czo_auth.translations import Catalogs


def mail_of(settings: Settings, *, now: Callable[[], datetime]) -> Mail:
    """
    Choose how mails are sent.

    Raises:
        StartRefused: The address of the mail server makes no sense.
    """
    if settings.smtp_url is not None:
        return _smtp(settings.smtp_url.get_secret_value(), sender=sender_of(settings), now=now)
    if settings.is_production:
        from czo_auth.delivery.no_mail import NoMail

        return NoMail()
    from czo_auth.delivery.log_mail import LogMail

    return LogMail(environment=settings.environment)


def sender_of(settings: Settings) -> str:
    """Return the sender of mails, with the brand's name where the setting says none."""
    name, address = read_sender(settings.mail_from)
    brand = settings.shown_brand.name
    if name or brand is None or brand == DEFAULT_NAME:
        return settings.mail_from
    escaped = re.sub(r'([\\"])', r"\\\1", brand)
    return f'"{escaped}" <{address}>'


def _smtp(address: str, *, sender: str, now: Callable[[], datetime]) -> Mail:
    require_extra("smtp", "CZO_AUTH_SMTP_URL")
    from czo_auth.delivery.smtp import SmtpMail, SmtpSettings

    try:
        return SmtpMail(SmtpSettings.from_url(address, sender=sender), now=now)
    except ValueError as error:
        raise StartRefused(f"CZO_AUTH_SMTP_URL or CZO_AUTH_MAIL_FROM is wrong: {error}.") from None


def mail_writer_of(settings: Settings, catalogs: Catalogs) -> MailWriter:
    """
    Create the mail writer.

    Raises:
        StartRefused: The deployment's own template is broken.
    """
    return MailWriter(
        catalogs,
        settings.shown_brand,
        url=settings.public_url,
        templates=settings.templates_dir,
        off=frozenset(settings.mails_off),
    )


def sample_message(
    writer: MailWriter, kind: MailKind, settings: Settings, *, language: str | None, now: datetime
) -> MailMessage:
    """Write a mail of *kind* as an example."""
    from czo_auth.mails.samples import sample_draft

    return writer.write(sample_draft(kind, links=links_of(settings), now=now, language=language))


def links_of(settings: Settings) -> Links:
    """Link mails to the account pages or, without them, to the expected paths of a front end."""
    if not settings.pages_enabled:
        return Links(base_url=settings.public_url, verify_email=f"{settings.base_path}/verify-email")
    pages = settings.pages_path
    return Links(
        base_url=settings.public_url,
        verify_email=f"{pages}/verify-email",
        reset_password=f"{pages}/reset-password",
        accept_invitation=f"{pages}/accept-invitation",
        cancel_reset=f"{pages}/cancel-reset",
        revert_email_change=f"{pages}/revert-email-change",
        secure_account=f"{pages}/secure-account",
        organizations=f"{pages}/organizations",
    )

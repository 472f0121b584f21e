"""How mails leave: SMTP when configured, else the log in development, else not at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from czo_auth.core.mail import Mail
from czo_auth.errors import StartRefused
from czo_auth.extras import require_extra
from czo_auth.settings import Settings


def mail_of(settings: Settings, *, now: Callable[[], datetime]) -> Mail:
    """
    Choose how mails leave.

    Raises:
        StartRefused: The address of the mail server makes no sense.
    """
    if settings.smtp_url is not None:
        return _smtp(settings.smtp_url.get_secret_value(), sender=settings.mail_from, now=now)
    if settings.is_production:
        from czo_auth.delivery.no_mail import NoMail

        return NoMail()
    from czo_auth.delivery.log_mail import LogMail

    return LogMail(environment=settings.environment)


def _smtp(address: str, *, sender: str, now: Callable[[], datetime]) -> Mail:
    require_extra("smtp", "CZO_AUTH_SMTP_URL")
    from czo_auth.delivery.smtp import SmtpMail, SmtpSettings

    try:
        return SmtpMail(SmtpSettings.from_url(address, sender=sender), now=now)
    except ValueError as error:
        raise StartRefused(f"CZO_AUTH_SMTP_URL or CZO_AUTH_MAIL_FROM is wrong: {error}.") from None

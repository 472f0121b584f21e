"""How mails leave: SMTP when configured, else the log in development, else not at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from czo_auth.core.mail import Mail
from czo_auth.errors import StartRefused
from czo_auth.settings import Settings

if TYPE_CHECKING:
    from czo_auth.delivery.smtp import Security

_SECURITY: Final[dict[str, Security]] = {"smtps": "tls", "smtp": "starttls", "smtp+plain": "none"}
_TLS_PORT: Final = 465
_SUBMISSION_PORT: Final = 587
"""Source: RFC 8314 section 3.3, RFC 6409 section 3.1."""


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
    from czo_auth.delivery.smtp import SmtpMail, SmtpSettings

    try:
        url = urlsplit(address)
        smtp = SmtpSettings(
            host=url.hostname or "",
            port=url.port or (_TLS_PORT if url.scheme == "smtps" else _SUBMISSION_PORT),
            security=_SECURITY[url.scheme],
            username=unquote(url.username) if url.username else None,
            password=unquote(url.password) if url.password else None,
            sender=sender,
        )
    except (KeyError, ValueError) as error:
        reason = "its scheme must be smtp, smtps or smtp+plain" if isinstance(error, KeyError) else str(error)
        raise StartRefused(f"CZO_AUTH_SMTP_URL or CZO_AUTH_MAIL_FROM is wrong: {reason}.") from None
    if not smtp.host:
        raise StartRefused("CZO_AUTH_SMTP_URL must be like smtp://user:password@host:587.")
    return SmtpMail(smtp, now=now)

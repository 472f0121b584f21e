"""Mail over SMTP."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any, Literal, Self
from urllib.parse import unquote, urlsplit

import aiosmtplib

from czo_auth.core.errors import MailUnavailable
from czo_auth.core.ids import new_id
from czo_auth.core.mail import MailMessage, read_sender

_log = logging.getLogger("czo_auth.mail")

Security = Literal["starttls", "tls", "none"]
_SCHEMES: dict[str, tuple[Security, int]] = {
    "smtp": ("starttls", 587),
    "smtps": ("tls", 465),
    "smtp+plain": ("none", 25),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpSettings:
    """
    Attributes:
        sender: The address that mail comes from.
        sender_name: Shown beside it.
        security: ``starttls`` and ``tls`` are required: if the server does not support them, nothing is sent.
        time_limit: For one message, from connecting to the server's last reply.
        tls: Trusted authorities, e.g. a private one; None for the system's.

    Raises:
        ValueError: The sender is not an address, a name holds a control character, or a password would be sent in
            clear.
    """

    host: str
    port: int = 587
    security: Security = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sender: str
    sender_name: str = ""
    time_limit: timedelta = timedelta(seconds=10)
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        Address(self.sender_name, addr_spec=self.sender)
        if not self.sender_name.isprintable():
            raise ValueError("the sender's name holds a control character")
        if (self.username is None) != (self.password is None):
            raise ValueError("a mail server wants a username and a password, or neither")
        if self.username is not None and self.security == "none":
            raise ValueError("a password is not sent to a mail server in clear")

    @classmethod
    def from_url(cls, url: str, *, sender: str) -> Self:
        """
        Read settings from an address: ``smtp://user:password@host:587`` demands STARTTLS, ``smtps://`` is TLS from the
        first byte (port 465), ``smtp+plain://host`` is a relay on a trusted network (port 25).

        Args:
            sender: An address, or ``Name <address>``.

        Raises:
            ValueError: It is not such an address. The message does not show it, because it may contain a password.
        """
        name, address = read_sender(sender)
        parts = urlsplit(url)
        security, port = _SCHEMES.get(parts.scheme, (None, 0))
        if security is None or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(
                "the mail server's address must be smtp://, smtps:// or smtp+plain://user:password@host:port"
            )
        return cls(
            host=parts.hostname,
            port=parts.port or port,
            security=security,
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
            sender=address,
            sender_name=name,
        )


class SmtpMail:
    """
    Sends each message over a connection of its own.

    Args:
        now: Returns the current time, for the ``Date`` header.
    """

    def __init__(self, settings: SmtpSettings, *, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now

    async def send(self, message: MailMessage) -> None:
        settings = self._settings
        limit = settings.time_limit.total_seconds()
        try:
            # The library's own limit applies to each reply, and a slow server sends many.
            async with asyncio.timeout(limit):
                await aiosmtplib.send(
                    self._written(message),
                    sender=settings.sender,
                    recipients=[message.to],
                    **_connection(settings),
                )
        except (aiosmtplib.SMTPException, OSError) as error:
            # Without the server's text and without a cause: some servers quote the message, which contains the token.
            name, status = type(error).__name__, _status(error)
            _log.warning("mail of kind %s was not sent: %s, status %s", message.kind, name, status)
            raise MailUnavailable(retry_after=None if _refuses_message(error) else 2) from None

    def _written(self, message: MailMessage) -> EmailMessage:
        now = self._now()
        sender = Address(self._settings.sender_name, addr_spec=self._settings.sender)
        # The policy refuses line ends in headers, even if the checks before it missed them.
        written = EmailMessage(policy=SMTP)
        written["From"] = sender
        # In two parts, because a whole address with characters beyond ASCII is not accepted.
        local, _, domain = message.to.rpartition("@")
        written["To"] = Address(username=local, domain=domain)
        written["Subject"] = message.subject
        written["Date"] = format_datetime(now.astimezone(UTC))
        written["Message-ID"] = f"<{new_id(now)}@{sender.domain}>"
        # Keeps out-of-office replies away. Source: RFC 3834 section 5.
        written["Auto-Submitted"] = "auto-generated"
        written.set_content(message.text)
        if message.html is not None:
            written.add_alternative(message.html, subtype="html")
        if message.language is not None:
            written["Content-Language"] = message.language
        return written


async def can_sign_in(settings: SmtpSettings) -> str | None:
    """Connect and sign in as for a mail, but send nothing. Return what went wrong, without the server's text."""
    limit = settings.time_limit.total_seconds()
    client = aiosmtplib.SMTP(
        **_connection(settings),
    )
    try:
        async with asyncio.timeout(limit), client:
            return None
    except (aiosmtplib.SMTPException, OSError) as error:
        status = _status(error)
        return type(error).__name__ if status is None else f"{type(error).__name__}, status {status}"


def _connection(settings: SmtpSettings) -> dict[str, Any]:
    return {
        "hostname": settings.host,
        "port": settings.port,
        "username": settings.username,
        "password": settings.password,
        "timeout": settings.time_limit.total_seconds(),
        "use_tls": settings.security == "tls",
        "start_tls": settings.security == "starttls",
        "tls_context": settings.tls,
    }


def _refuses_message(error: Exception) -> bool:
    """
    Return whether the server refused this message or its recipient for good.

    A server that refuses the password, the sender or the connection says nothing about the message: an operator fixes
        that, and the mails sent meanwhile must still arrive.
    """
    status = _status(error)
    about_message = isinstance(
        error, aiosmtplib.SMTPDataError | aiosmtplib.SMTPRecipientRefused | aiosmtplib.SMTPRecipientsRefused
    )
    return about_message and status is not None and status >= 500


def _status(error: Exception) -> int | None:
    """Return the SMTP status of the server's reply, if there was one; 5xx is permanent."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return max((refused.code for refused in error.recipients), default=None)
    return error.code if isinstance(error, aiosmtplib.SMTPResponseException) else None

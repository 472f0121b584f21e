"""Mail in development: written to the log, including links."""

from __future__ import annotations

import logging
from typing import Literal

from czo_auth.core.mail import MailMessage

_log = logging.getLogger("czo_auth.mail")


class LogMail:
    """
    Writes messages to the logger ``czo_auth.mail``, with their tokens.

    A warning rather than an info, because a developer who has not configured logging needs exactly this line.

    Raises:
        ValueError: The environment is not development; a token in a log is a password in a log (S20).
    """

    def __init__(self, *, environment: Literal["development", "production"]) -> None:
        if environment != "development":
            raise ValueError("mail may be written to the log in development only")

    async def send(self, message: MailMessage) -> None:
        _log.warning("mail to %s: %s\n\n%s", message.to, message.subject, message.text)

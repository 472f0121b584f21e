"""Mail in production without a mail server: refused, never dropped without an error."""

from __future__ import annotations

from czo_auth.core.errors import MailNotConfigured
from czo_auth.core.mail import MailMessage


class NoMail:
    """Refuses every message for good: it is an error in the log, and is not tried again."""

    async def send(self, message: MailMessage) -> None:
        raise MailNotConfigured

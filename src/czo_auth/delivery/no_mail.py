"""Mail in production without a mail server: refused, never swallowed."""

from __future__ import annotations

from czo_auth.core.errors import MailNotConfigured
from czo_auth.core.mail import MailMessage


class NoMail:
    """Refuses every message, so that nobody waits for one that is not on its way."""

    async def send(self, message: MailMessage) -> None:
        raise MailNotConfigured

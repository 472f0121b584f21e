"""Mail in production without a mail server: refused, never dropped without an error."""

from __future__ import annotations

from czo_auth.core.errors import MailNotConfigured
from czo_auth.core.mail import MailMessage


class NoMail:
    """Refuses every message, so that nobody waits for a mail that will not come."""

    async def send(self, message: MailMessage) -> None:
        raise MailNotConfigured

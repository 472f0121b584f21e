"""A mailbox in memory."""

from __future__ import annotations

import asyncio

from czo_auth.core.mail import MailMessage

_POLL_SECONDS = 0.005


class Mailbox:
    """
    Receives every mail of a deployment: pass it as ``Auth(settings, mail=…)``.

    Attributes:
        messages: The mails that were sent, oldest first.
    """

    def __init__(self) -> None:
        self.messages: list[MailMessage] = []

    async def send(self, message: MailMessage) -> None:
        """Receive *message*; called by the deployment."""
        self.messages.append(message)

    async def newest(self, *, within: float = 10) -> MailMessage:
        """
        Return the newest mail. Mails are sent in the background, so wait for the first one, at most *within* seconds.

        Raises:
            TimeoutError: No mail arrived.
        """
        async with asyncio.timeout(within):
            while not self.messages:  # noqa: ASYNC110 - sent by background work, which signals nothing
                await asyncio.sleep(_POLL_SECONDS)
        return self.messages[-1]

    async def token(self, to: str, kind: str, *, after: int = 0, within: float = 10) -> str:
        """
        Return the token in the link of the newest mail of *kind* to *to*.

        Args:
            after: How many such mails to ignore: waits until there are more.
            within: Seconds to wait.

        Raises:
            TimeoutError: The mail did not arrive.
        """
        async with asyncio.timeout(within):
            while len(found := self.tokens(to, kind)) <= after:  # noqa: ASYNC110 - see `newest`
                await asyncio.sleep(_POLL_SECONDS)
        return found[-1]

    def tokens(self, to: str, kind: str) -> list[str]:
        """Return the tokens of the mails of *kind* to *to*, oldest first, without waiting."""
        return [str(each.token) for each in self.messages if (each.to, each.kind) == (to, kind)]

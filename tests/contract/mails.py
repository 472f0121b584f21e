"""Mails about changes of an account."""

from __future__ import annotations

import asyncio
import re

from czo_auth.core.mail import MailMessage
from tests.contract.deployments import Timed

LINK = re.compile(r"/secure-account\?token=(czm_[A-Za-z0-9_-]{56})\s")


async def mailed(here: Timed, to: str, kind: str, *, number: int = 1) -> MailMessage:
    """Wait for the *number*th mail of a kind."""

    def found() -> list[MailMessage]:
        return [each for each in here.mail.messages if (each.to, each.kind) == (to, kind)]

    async with asyncio.timeout(60):
        while len(found()) < number:  # noqa: ASYNC110 - it comes from the background
            await asyncio.sleep(0.005)
    return found()[-1]


def secure_account_token(message: MailMessage) -> str:
    found = LINK.search(message.text)
    assert found is not None, message.text
    assert found[1] in str(message.html)
    return found[1]

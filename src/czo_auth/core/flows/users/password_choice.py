"""Choosing a password: the check for every flow that sets one (S24)."""

from __future__ import annotations

from czo_auth.core.errors import PasswordCompromised
from czo_auth.core.flows.services import Services


async def check_choice(services: Services, password: str) -> None:
    """
    Refuse an unacceptable password; the cheap checks come first.

    Raises:
        PasswordTooShort, PasswordTooLong: By its length.
        PasswordCompromised: It is on the bundled list, or has leaked.
    """
    services.policies.passwords.check(password)
    if await services.breaches.knows(password):
        raise PasswordCompromised

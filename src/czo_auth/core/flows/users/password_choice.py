"""Choosing a password: what every flow asks that sets one (S24)."""

from __future__ import annotations

from czo_auth.core.errors import PasswordCompromised
from czo_auth.core.flows.services import Services


async def check_choice(services: Services, password: str) -> None:
    """
    Refuse a password that may not be chosen; the cheap questions first.

    Raises:
        PasswordTooShort, PasswordTooLong: By its length.
        PasswordCompromised: It stands on the bundled list, or leaked.
    """
    services.policies.passwords.check(password)
    if await services.breaches.knows(password):
        raise PasswordCompromised

"""
Every kind of change that takes a right away, as the request that makes it and the credentials that it ends.

What is not here, and why: the last factor that an actor type or an organization demands cannot be removed by its user,
so no key depends on one that they remove; a trusted browser is read from the database at each sign-in and cached
nowhere; a shorter lifetime of an organization's keys, and the end of unused ones, takes a day or more; the command
line and better-auth's routes run the same flows.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Final

from czo_auth import Auth
from tests.attacks.removable import Removable
from tests.attacks.removals import keys, organizations, owners, second_factors, service_accounts, sessions
from tests.attacks.removals.change import Change

_SECTIONS: Final = (keys, owners, second_factors, organizations, service_accounts, sessions)
_MAKERS: Final = {name: make for section in _SECTIONS for name, make in section.KINDS.items()}
KINDS: Final = tuple(_MAKERS)
"""The name of each kind."""


async def changes_on(auth: Auth, each: int) -> list[Change]:
    """Make *each* changes of every kind on the database of *auth*, which is open, in random order."""
    removable = await Removable.on(auth)
    changes = [
        replace(await make(removable), kind=name) for name, make in _MAKERS.items() for _ in range(each)
    ]
    random.shuffle(changes)
    for number, change in enumerate(changes):
        for position, credential in enumerate(change.takes):
            credential.kind, credential.name = change.kind, f"{change.kind} {number}.{position}"
    return changes


__all__ = ["KINDS", "Change", "changes_on"]

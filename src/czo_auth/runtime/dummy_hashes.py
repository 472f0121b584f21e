"""
The same work for every address at sign-in, even while some users have password hashes of another system (S24).

A foreign hash takes a different time than ours. So each sign-in verifies one hash of each kind that this deployment
has: the user's own, and dummy hashes for the other kinds. A deployment without foreign hashes verifies only one.
"""

from __future__ import annotations

from typing import Final

from czo_auth.crypto import passwords
from czo_auth.crypto.passwords import PasswordMatch

MAX_KINDS: Final = 4
"""Kinds of foreign hashes, by format and costs, for which the times are made equal."""


class EqualWork:
    """Verifies passwords in a time that does not depend on whose hash it is."""

    def __init__(self) -> None:
        self._decoys: dict[str, None] = {}

    def learn(self, stored: str) -> str | None:
        """Note the kind of a hash; return the decoy of this kind, or None for a hash of ours."""
        decoy = passwords.decoy_of(stored)
        if decoy is not None and len(self._decoys) < MAX_KINDS:
            self._decoys.setdefault(decoy)
        return decoy

    def verify(self, stored: str | None, password: str) -> PasswordMatch:
        """Verify *password*; None, and a hash that cannot be verified, match nothing after the same work."""
        own = stored if stored is not None and passwords.is_verifiable(stored) else None
        decoy = None if own is None else self.learn(own)
        match = passwords.verify_password(own or passwords.DUMMY_HASH, password)
        for other in list(self._decoys):
            if other != decoy:
                passwords.verify_password(other, password)
        if decoy is not None:
            passwords.verify_password(passwords.DUMMY_HASH, password)
        return match if own is not None else PasswordMatch(matches=False, needs_rehash=False)

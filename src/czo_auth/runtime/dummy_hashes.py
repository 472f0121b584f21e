"""
The same work for every address at sign-in, even while some users have password hashes of another system (S24).

A foreign hash takes a different time than ours. So each sign-in verifies one hash of each kind that this deployment
has: the user's own, and dummy hashes for the other kinds. A deployment without foreign hashes verifies only one.
"""

from __future__ import annotations

from czo_auth.core.limits import MAX_HASH_KINDS
from czo_auth.crypto import passwords
from czo_auth.crypto.passwords import PasswordMatch


class UniformVerifier:
    """Verifies passwords in a time that does not depend on whose hash it is."""

    def __init__(self) -> None:
        self._dummy_hashes: dict[str, None] = {}

    def register(self, stored: str) -> str | None:
        """Register the kind of a hash; return the dummy hash of this kind, or None for a hash of ours."""
        dummy_hash = passwords.dummy_hash_of(stored)
        if dummy_hash is not None and len(self._dummy_hashes) < MAX_HASH_KINDS:
            self._dummy_hashes.setdefault(dummy_hash)
        return dummy_hash

    def verify(self, stored: str | None, password: str) -> PasswordMatch:
        """Verify *password*; None, and a hash that cannot be verified, match nothing after the same work."""
        own = stored if stored is not None and passwords.is_verifiable(stored) else None
        dummy_hash = None if own is None else self.register(own)
        match = passwords.verify_password(own or passwords.DUMMY_HASH, password)
        for other in list(self._dummy_hashes):
            if other != dummy_hash:
                passwords.verify_password(other, password)
        if dummy_hash is not None:
            passwords.verify_password(passwords.DUMMY_HASH, password)
        return match if own is not None else PasswordMatch(matches=False, needs_rehash=False)

"""Signing keys: created when there is none, rotated with an overlap, stored encrypted (S12, S21)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from czo_auth.core.context import system_context
from czo_auth.core.errors import SecretUnreadable, Unavailable
from czo_auth.core.flows.services import Services
from czo_auth.core.sessions.access_tokens import LEEWAY_SECONDS, SIGNING_KEY
from czo_auth.core.sessions.store import StoredSigningKey
from czo_auth.core.transaction import Transaction
from czo_auth.crypto import jwt
from czo_auth.crypto.sealing import OpenError

ROTATION = timedelta(days=30)
RELOAD_PAUSE = timedelta(seconds=5)
CACHED_FOR = timedelta(seconds=300)
"""How long others may cache the JWKS, by its ``Cache-Control``."""
LEEWAY = timedelta(seconds=LEEWAY_SECONDS)
PUBLISHED_AHEAD = CACHED_FOR + LEEWAY
"""How long a new key is published before it signs."""


class SigningKeys:
    """Keeps the signing keys of a deployment; safe to run in several processes at once."""

    def __init__(self, services: Services, *, rotation: timedelta = ROTATION) -> None:
        self._services = services
        self._rotation = rotation
        self._loaded_at: datetime | None = None

    async def load(self, *, now: datetime) -> None:
        """
        Load the keys; create or rotate one if it is due, and delete expired ones.

        Raises:
            SecretUnreadable: A signing key cannot be decrypted with the key ring.
        """
        stored = await self._services.transactions.read(lambda tx: tx.sessions.signing_keys())
        if self._is_due(stored, now=now):
            stored = await self._services.transactions.run(
                lambda tx: self._rotate(tx, force=False, at_once=False), system_context(now)
            )
        elif any(key.expires_at is not None and key.expires_at <= now for key in stored):
            with suppress(Unavailable):
                await self._services.transactions.run(
                    lambda tx: tx.sessions.drop_signing_keys(before=now), system_context(now)
                )
        self._loaded_at = now
        try:
            self._services.access_tokens.load(stored, self._services.key_ring, now=now)
        except OpenError:
            raise SecretUnreadable("The signing key does not open with AUTH_ENCRYPTION_KEY.") from None

    async def look_for(self, kid: str, *, now: datetime) -> bool:
        """
        Load the keys again for a token whose key is not known: another process may have rotated.

        At most once every few seconds, because anyone can put any key id into a token.

        Returns:
            Whether the key is known now.
        """
        access_tokens = self._services.access_tokens
        if not access_tokens.knows(kid, now=now):
            if self._loaded_at is not None and abs(now - self._loaded_at) < RELOAD_PAUSE:
                return False
            await self.load(now=now)
        return access_tokens.knows(kid, now=now)

    async def published(self, *, now: datetime) -> dict[str, list[dict[str, str]]]:
        """
        Return the JWKS, a few seconds old at most: a client that sees a new key may ask any process, not the one that
        created it.

        While the database does not respond, the last known version is returned.
        """
        if self._loaded_at is None or abs(now - self._loaded_at) >= RELOAD_PAUSE:
            with suppress(Unavailable):
                await self.load(now=now)
        return self._services.access_tokens.jwks(now=now)

    async def rotate(self, *, at_once: bool = False, now: datetime) -> StoredSigningKey:
        """
        Make a new signing key; return it.

        It is published now and signs 360 seconds later, when every cache of the JWKS has it. A retired key is accepted
        and published for the maximum lifetime of what it signed, the clocks' leeway and the age of a cached JWKS.

        Args:
            at_once: Sign with it immediately, and no longer with any earlier key.
        """
        stored = await self._services.transactions.run(
            lambda tx: self._rotate(tx, force=True, at_once=at_once), system_context(now)
        )
        return stored[0]

    def _is_due(self, stored: Sequence[StoredSigningKey], *, now: datetime) -> bool:
        live = [key for key in stored if key.retired_at is None]
        return not live or now - live[0].created_at >= self._rotation

    def _rotate(self, tx: Transaction, *, force: bool, at_once: bool) -> tuple[StoredSigningKey, ...]:
        tx.sessions.lock_signing_keys()
        stored = tuple(tx.sessions.signing_keys())
        if not force and not self._is_due(stored, now=tx.now):
            return stored
        key = jwt.new_signing_key()
        sealed = self._services.key_ring.seal(key.private_pem, purpose=SIGNING_KEY, bound_to={"kid": key.kid})
        retired_at = tx.now if at_once else tx.now + PUBLISHED_AHEAD
        expires_at = retired_at + self._services.access_tokens.longest_lifetime + LEEWAY + CACHED_FOR
        for old in stored:
            if old.signs(tx.now):
                tx.sessions.retire_signing_key(old.kid, retired_at=retired_at, expires_at=expires_at)
        tx.sessions.drop_signing_keys(before=tx.now)
        tx.sessions.add_signing_key(
            StoredSigningKey(
                kid=key.kid,
                sealed_private_key=sealed,
                public_jwk=key.public_jwk(),
                created_at=tx.now,
                retired_at=None,
                expires_at=None,
            )
        )
        return tuple(tx.sessions.signing_keys())

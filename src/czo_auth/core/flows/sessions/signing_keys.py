"""Signing keys: made when there is none, rotated with an overlap, kept sealed (S12, S21)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from czo_auth.core.context import system_context
from czo_auth.core.errors import SecretUnreadable, Unavailable
from czo_auth.core.flows.services import Services
from czo_auth.core.sessions.access_tokens import SIGNING_KEY
from czo_auth.core.sessions.store import StoredSigningKey
from czo_auth.core.transaction import Transaction
from czo_auth.crypto import jwt
from czo_auth.crypto.sealing import OpenError

ROTATION = timedelta(days=30)
RELOAD_PAUSE = timedelta(seconds=5)


class SigningKeys:
    """Keeps the signing keys of a deployment; safe to run in several processes at once."""

    def __init__(self, services: Services, *, rotation: timedelta = ROTATION) -> None:
        self._services = services
        self._rotation = rotation
        self._loaded_at: datetime | None = None

    async def load(self, *, now: datetime) -> None:
        """
        Load the keys, making or rotating one where it is due.

        A retired key stays in the JWKS for twice an access token's life, so that every token it signed is verifiable.

        Raises:
            SecretUnreadable: The newest key does not open with the key ring.
        """
        stored = await self._services.transactions.read(lambda tx: tx.sessions.signing_keys())
        if self._is_due(stored, now=now):
            stored = await self._services.transactions.run(
                lambda tx: self._rotate(tx, force=False), system_context(now)
            )
        self._loaded_at = now
        try:
            self._services.access_tokens.load(stored, self._services.key_ring)
        except OpenError:
            raise SecretUnreadable("The signing key does not open with AUTH_ENCRYPTION_KEY.") from None

    async def look_for(self, kid: str, *, now: datetime) -> bool:
        """
        Load the keys again for a token whose key is not known: another process may have rotated.

        Done at most every few seconds, for anybody can write any key id into a token.

        Returns:
            Whether the key is known now.
        """
        access_tokens = self._services.access_tokens
        if not access_tokens.knows(kid):
            if self._loaded_at is not None and abs(now - self._loaded_at) < RELOAD_PAUSE:
                return False
            await self.load(now=now)
        return access_tokens.knows(kid)

    async def published(self, *, now: datetime) -> dict[str, list[dict[str, str]]]:
        """
        Give the JWKS, a few seconds old at most: who meets a new key asks any process for it, not the one that made it.

        While the database does not answer, it is what was known last.
        """
        if self._loaded_at is None or abs(now - self._loaded_at) >= RELOAD_PAUSE:
            with suppress(Unavailable):
                await self.load(now=now)
        return self._services.access_tokens.jwks()

    async def rotate(self, *, now: datetime) -> str:
        """Make a new signing key now; answer its id."""
        stored = await self._services.transactions.run(
            lambda tx: self._rotate(tx, force=True), system_context(now)
        )
        return stored[0].kid

    def _is_due(self, stored: Sequence[StoredSigningKey], *, now: datetime) -> bool:
        live = [key for key in stored if key.retired_at is None]
        return not live or now - live[0].created_at >= self._rotation

    def _rotate(self, tx: Transaction, *, force: bool) -> tuple[StoredSigningKey, ...]:
        tx.sessions.lock_signing_keys()
        stored = tuple(tx.sessions.signing_keys())
        if not force and not self._is_due(stored, now=tx.now):
            return stored
        key = jwt.new_signing_key()
        sealed = self._services.key_ring.seal(key.private_pem, purpose=SIGNING_KEY, bound_to={"kid": key.kid})
        for old in stored:
            if old.retired_at is None:
                overlap = 2 * self._services.access_tokens.lifetime
                tx.sessions.retire_signing_key(old.kid, now=tx.now, expires_at=tx.now + overlap)
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

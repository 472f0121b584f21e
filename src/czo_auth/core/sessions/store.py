"""The port for storing sessions and refresh families."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from czo_auth.core.sessions.session import RefreshToken, Session


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSigningKey:
    """
    A key that signs access tokens, sealed (S12).

    Attributes:
        retired_at: From then on, which may be later, it signs nothing new.
        expires_at: Until then it is accepted, and published in the JWKS.
    """

    kid: str
    sealed_private_key: str
    public_jwk: dict[str, str]
    created_at: datetime
    retired_at: datetime | None
    expires_at: datetime | None

    def signs(self, now: datetime) -> bool:
        """Whether it is not retired yet."""
        return self.retired_at is None or self.retired_at > now


class Sessions(Protocol):
    """Sessions, refresh tokens and signing keys."""

    def add(self, session: Session, *, token_digest: str) -> None:
        """Keep a new session."""

    def find(self, session_id: str) -> Session | None:
        """Read a session that was not revoked; it may have expired."""

    def list_live(self, user_id: str, *, now: datetime) -> Sequence[Session]:
        """Read the sessions of a user that still count, newest first."""

    def list_agents(self, user_id: str) -> frozenset[str | None]:
        """Read what the browsers and programs of a user's sessions call themselves, of ended ones that are kept too."""

    def set_organization(self, session_id: str, organization_id: str | None) -> None:
        """Activate an organization in a session."""

    def renew_proof(
        self, session_id: str, *, password_proved_at: datetime | None, factor_proved_at: datetime | None
    ) -> None:
        """Record when password and second factor were proved again; None leaves a value unchanged."""

    def touch(self, seen: Mapping[str, datetime]) -> frozenset[str]:
        """
        Note when sessions were last used; never backwards.

        Returns:
            The ids of sessions that other transactions hold: of several sessions, those are left out, so that this
            waits for nobody.
        """

    def count_wrong_code(self, session_id: str) -> int:
        """Count a wrong code that came from a session; return how many in a row."""

    def forget_wrong_codes(self, session_id: str) -> None:
        """Note that a right code came from a session."""

    def drop_ended(self, user_id: str, *, limit: int) -> None:
        """Delete a user's sessions that ended before their time, but the last *limit* of them; some at a time."""

    def revoke_beyond(self, user_id: str, *, limit: int, keep: str, now: datetime) -> Sequence[str]:
        """End the least recently used live sessions of a user beyond *limit*, *keep* counted and kept."""

    def lower_assurance(self, session_id: str) -> None:
        """Take the second factor out of a session: ``aal`` 1, ``amr`` ``pwd``, nothing proved."""

    def revoke(self, session_id: str, *, reason: str, now: datetime) -> bool:
        """End a session and its refresh family; False when it had ended. One atomic statement each."""

    def revoke_all(
        self,
        user_id: str,
        *,
        reason: str,
        now: datetime,
        keep: str | None = None,
        actor_types: frozenset[str] | None = None,
    ) -> Sequence[str]:
        """End all live sessions of a user with their families, but *keep*, or only those of *actor_types*."""

    def add_refresh_token(
        self, token_id: str, *, session: Session, digest: str, parent_id: str | None, now: datetime
    ) -> None:
        """Add a link to the family of *session*; it expires with it."""

    def find_refresh_token(self, digest: str) -> RefreshToken | None:
        """Read a link by its digest, replaced and revoked ones too."""

    def replace_refresh_token(self, token_id: str, *, now: datetime) -> bool:
        """Spend a link. One atomic statement: of two concurrent calls only one gets True (S22)."""

    def drop_refresh_tokens(self, session_id: str) -> None:
        """Delete the family of a session that ended."""

    def signing_keys(self) -> Sequence[StoredSigningKey]:
        """Read all signing keys, newest first."""

    def lock_signing_keys(self) -> None:
        """Lock the creation and retirement of signing keys until the transaction ends."""

    def add_signing_key(self, key: StoredSigningKey) -> None:
        """Keep a new signing key."""

    def retire_signing_key(self, kid: str, *, retired_at: datetime, expires_at: datetime) -> None:
        """Stop signing with a key at *retired_at*, unless it stops earlier; verifiers drop it at *expires_at*."""

    def reencrypt_signing_key(self, kid: str, *, old: str, new: str) -> bool:
        """Replace a sealed key if it is still *old* (S14)."""

    def drop_signing_keys(self, *, before: datetime) -> int:
        """Delete keys that verifiers dropped before *before*."""

    def prune_expired(self, *, before: datetime) -> int:
        """
        Delete sessions that expired before *before*, with their refresh families.

        At most a thousand rows a call, so that no other write waits long; call it again until it returns 0.
        """

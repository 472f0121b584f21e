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
        retired_at: When it stops signing, which may be in the future.
        expires_at: Until when it is accepted, and published in the JWKS.
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
        """Store a new session."""

    def find(self, session_id: str) -> Session | None:
        """Read a session that was not revoked; it may have expired."""

    def list_live(self, user_id: str, *, now: datetime) -> Sequence[Session]:
        """Read a user's live sessions, newest first."""

    def list_agents(self, user_id: str) -> frozenset[str | None]:
        """Read the user agents of a user's sessions, including ended ones that are still stored."""

    def set_organization(self, session_id: str, organization_id: str | None) -> None:
        """Activate an organization in a session."""

    def renew_proof(
        self, session_id: str, *, password_proved_at: datetime | None, factor_proved_at: datetime | None
    ) -> None:
        """Record when password and second factor were proved again; None leaves a value unchanged."""

    def touch(self, seen: Mapping[str, datetime]) -> frozenset[str]:
        """
        Store when sessions were last used; never an earlier time than the stored one.

        Returns:
            The ids of sessions that other transactions have locked. If there are several sessions, those are skipped,
            so that this does not wait.
        """

    def count_wrong_code(self, session_id: str) -> int:
        """Count a wrong code that came from a session; return how many in a row."""

    def forget_wrong_codes(self, session_id: str) -> None:
        """Reset the count of a session's wrong codes, after a correct one."""

    def drop_ended(self, user_id: str, *, limit: int) -> None:
        """Delete a user's sessions that were ended early, except the newest *limit*; a batch at a time."""

    def revoke_beyond(self, user_id: str, *, limit: int, keep: str, now: datetime) -> Sequence[str]:
        """End a user's least recently used live sessions beyond *limit*; *keep* counts, and is never ended."""

    def lower_assurance(self, session_id: str) -> None:
        """Reset a session to the password alone: ``aal`` 1, ``amr`` ``pwd``, no proof of a factor."""

    def revoke(self, session_id: str, *, reason: str, now: datetime) -> bool:
        """End a session and its refresh family; False if it had already ended. One atomic statement each."""

    def revoke_all(
        self,
        user_id: str,
        *,
        reason: str,
        now: datetime,
        keep: str | None = None,
        actor_types: frozenset[str] | None = None,
    ) -> Sequence[str]:
        """End a user's live sessions with their families: all except *keep*, or only those of *actor_types*."""

    def add_refresh_token(
        self, token_id: str, *, session: Session, digest: str, parent_id: str | None, now: datetime
    ) -> None:
        """Add a refresh token to the family of *session*; it expires with the session."""

    def find_refresh_token(self, digest: str) -> RefreshToken | None:
        """Read a refresh token by its digest, including replaced and revoked ones."""

    def replace_refresh_token(self, token_id: str, *, now: datetime) -> bool:
        """Spend a refresh token. One atomic statement: of two concurrent calls only one gets True (S22)."""

    def drop_refresh_tokens(self, session_id: str) -> None:
        """Delete the family of a session that ended."""

    def signing_keys(self) -> Sequence[StoredSigningKey]:
        """Read all signing keys, newest first."""

    def lock_signing_keys(self) -> None:
        """Lock the creation and retirement of signing keys until the transaction ends."""

    def add_signing_key(self, key: StoredSigningKey) -> None:
        """Store a new signing key."""

    def retire_signing_key(self, kid: str, *, retired_at: datetime, expires_at: datetime) -> None:
        """Stop signing with a key at *retired_at*, unless it stops earlier; verifiers drop it at *expires_at*."""

    def reencrypt_signing_key(self, kid: str, *, old: str, new: str) -> bool:
        """Replace a sealed key if it is still *old* (S14)."""

    def drop_signing_keys(self, *, before: datetime) -> int:
        """Delete keys that expired before *before*."""

    def prune_expired(self, *, before: datetime) -> int:
        """
        Delete sessions that expired before *before*, with their refresh families.

        At most a thousand rows a call, so that no other write waits long; call it again until it returns 0.
        """

"""Access tokens: short-lived statements about a session that other services verify offline."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, cast

from czo_auth.core.errors import InvalidToken, StorageUnavailable
from czo_auth.core.limits import MAX_EXCHANGED_SECONDS
from czo_auth.core.passkeys.passkey import is_phishing_resistant
from czo_auth.core.principal import TWO_FACTOR_SETUP
from czo_auth.core.sessions.session import Session
from czo_auth.core.sessions.store import StoredSigningKey
from czo_auth.crypto import jwt, tokens
from czo_auth.crypto.sealing import KeyRing

SIGNING_KEY = "signing-key"
LEEWAY_SECONDS = 60


_FAR: Final = datetime.max.replace(tzinfo=UTC)

MAX_EXCHANGED_LIFETIME = timedelta(seconds=MAX_EXCHANGED_SECONDS)
"""
The lifetime of a token that an API key was exchanged for: elsewhere it can outlive a revocation of the key by this
much.
"""


class VerifiedToken(NamedTuple):
    """
    The claims of a valid access token that are used here: whose it is, and when it is valid.

    A tuple, for the same reason as `czo_auth.core.transaction.CredentialRecord`.

    Attributes:
        session_id: The session that it belongs to; None for a token that an API key was exchanged for.
        subject: The user, or the service account whose key was exchanged.
        api_key_id: The key that was exchanged; None for a session's token.
        scopes: The scopes of an exchanged token.
        audience: The service that it is for.
        issued_at, ends_at: As the token says, without leeway. Unit: seconds since 1970.
        valid_from, expires_at: With leeway. Unit: seconds since 1970.
    """

    session_id: str | None
    api_key_id: str | None
    subject: str
    scopes: tuple[str, ...]
    audience: str
    token_id: str
    issued_at: int
    ends_at: int
    valid_from: float
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangedToken:
    """
    What an API key is exchanged for: a short-lived token that other services verify offline.

    Attributes:
        subject: The user, or the service account, that the key acts for.
        ends_at: Never later than the key's own end.
    """

    subject: str
    api_key_id: str
    scopes: tuple[str, ...]
    audience: str
    organization_id: str | None
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class _CurrentVerifier:
    """
    A verifier with those of the keys *stored* that are live from *since* until the first of them is over.

    A clock that is set back must not leave out a key that is live again.
    """

    verifier: jwt.Verifier
    stored: tuple[StoredSigningKey, ...]
    since: datetime
    until: datetime


class AccessTokens:
    """
    Signs and verifies with the keys that were last loaded from the database.

    Args:
        issuer, audience: The ``iss`` and ``aud`` claims.
        lifetime: Of a token.
    """

    def __init__(self, *, issuer: str, audience: str, lifetime: timedelta) -> None:
        self.issuer = issuer
        self.audience = audience
        self.lifetime = lifetime
        self._private: dict[str, jwt.SigningKey] = {}
        self._current: _CurrentVerifier | None = None
        self._stored: tuple[StoredSigningKey, ...] = ()

    @property
    def longest_lifetime(self) -> timedelta:
        """The longest lifetime of anything that the signing keys sign."""
        return max(self.lifetime, MAX_EXCHANGED_LIFETIME)

    def load(self, stored: Sequence[StoredSigningKey], key_ring: KeyRing, *, now: datetime) -> None:
        """
        Use *stored*, newest first, from now on.

        Raises:
            OpenError: A key that signs, or will, does not open with *key_ring*.
        """
        self._private = {
            key.kid: jwt.SigningKey(
                kid=key.kid,
                private_pem=key_ring.open(
                    key.sealed_private_key, purpose=SIGNING_KEY, bound_to={"kid": key.kid}
                ),
            )
            for key in stored
            if key.signs(now)
        }
        self._stored = tuple(stored)

    def knows(self, kid: str, *, now: datetime) -> bool:
        """Whether the key *kid* is loaded and has not expired."""
        return any(key.kid == kid for key in self._live(now))

    def jwks(self, *, now: datetime) -> dict[str, list[dict[str, str]]]:
        """Return the public keys that verify tokens that may still be valid. Source: RFC 7517 section 5."""
        return {"keys": [key.public_jwk for key in self._live(now)]}

    def _live(self, now: datetime) -> tuple[StoredSigningKey, ...]:
        return _live(self._stored, now=now)

    def _signing_key(self, now: datetime) -> jwt.SigningKey:
        """
        Return the signing key: the oldest that is not retired, because a new one is published before it signs.

        Raises:
            StorageUnavailable: No key was loaded yet.
        """
        signing = [key.kid for key in self._stored if key.signs(now) and key.kid in self._private]
        if not signing:
            raise StorageUnavailable
        return self._private[signing[-1]]

    def _verifier(self, now: datetime) -> jwt.Verifier:
        current = self._current
        # By what it was made of: another thread may load newer keys meanwhile.
        if current is None or current.stored is not self._stored or not current.since <= now < current.until:
            stored = self._stored
            live = _live(stored, now=now)
            verifier = jwt.Verifier(
                {key.kid: key.public_jwk for key in live},
                issuer=self.issuer,
                audience=self.audience,
                leeway_seconds=LEEWAY_SECONDS,
            )
            until = min((key.expires_at for key in live if key.expires_at is not None), default=_FAR)
            self._current = current = _CurrentVerifier(verifier, stored, since=now, until=until)
        return current.verifier

    def sign(self, session: Session, *, restricted: bool, now: datetime) -> str:
        """Sign a token for *session*; it never outlives the session."""
        signing_key = self._signing_key(now)
        issued_at = int(now.timestamp())
        claims: dict[str, object] = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": session.user_id,
            "act_type": session.actor_type,
            "sid": session.id,
            "amr": list(session.amr),
            "aal": session.aal,
            "auth_time": int(session.auth_time.timestamp()),
            "iat": issued_at,
            "exp": int(min(now + self.lifetime, session.expires_at).timestamp()),
            "jti": _token_id(),
        }
        if session.organization_id is not None:
            claims["org"] = session.organization_id
        if is_phishing_resistant(aal=session.aal, amr=session.amr):
            claims["phr"] = True
        if restricted:
            claims["scp"] = [TWO_FACTOR_SETUP]
        return jwt.sign(claims, signing_key)

    def sign_exchanged(self, exchanged: ExchangedToken, *, now: datetime) -> str:
        """
        Sign a token that an API key is exchanged for.

        Source: RFC 9068 section 2.2 (``client_id`` names the key), RFC 8693 section 2.2.
        """
        signing_key = self._signing_key(now)
        claims: dict[str, object] = {
            "iss": self.issuer,
            "aud": exchanged.audience,
            "sub": exchanged.subject,
            "client_id": exchanged.api_key_id,
            "scope": " ".join(exchanged.scopes),
            "iat": int(now.timestamp()),
            "exp": int(exchanged.ends_at.timestamp()),
            "jti": _token_id(),
        }
        if exchanged.organization_id is not None:
            claims["org"] = exchanged.organization_id
        return jwt.sign(claims, signing_key)

    def verify(self, token: str, *, now: datetime, audiences: Collection[str] | None = None) -> VerifiedToken:
        """
        Verify a token offline; the caller has to check its session or key.

        Args:
            audiences: The audiences that are accepted; by default only this deployment.

        Raises:
            jwt.UnknownSigningKey: It names a key that is not loaded, or has expired.
            InvalidToken: It is not one of ours, or has expired.
        """
        if not self._stored:
            raise StorageUnavailable
        try:
            claims = self._verifier(now).verify(token, now=now, audiences=audiences)
        except jwt.UnknownSigningKey:
            raise
        except jwt.InvalidToken:
            raise InvalidToken from None
        # The verifier has checked that they are.
        issued_at, ends_at = cast("int", claims["iat"]), cast("int", claims["exp"])
        return VerifiedToken(
            session_id=_text(claims.get("sid")),
            api_key_id=_text(claims.get("client_id")),
            subject=str(claims["sub"]),
            scopes=tuple(str(claims.get("scope", "")).split()),
            audience=str(claims["aud"]),
            token_id=str(claims["jti"]),
            issued_at=issued_at,
            ends_at=ends_at,
            valid_from=float(issued_at - LEEWAY_SECONDS),
            expires_at=float(ends_at + LEEWAY_SECONDS),
        )


def _live(stored: Sequence[StoredSigningKey], *, now: datetime) -> tuple[StoredSigningKey, ...]:
    return tuple(key for key in stored if key.expires_at is None or key.expires_at > now)


def _text(claim: object) -> str | None:
    return None if claim is None else str(claim)


def _token_id() -> str:
    return tokens.digest_bytes(tokens.random_bytes(16))[:32]

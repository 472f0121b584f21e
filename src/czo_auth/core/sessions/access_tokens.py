"""Access tokens: short-lived statements about a session that other services verify offline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from czo_auth.core.errors import InvalidToken, StorageUnavailable
from czo_auth.core.passkeys.passkey import is_phishing_resistant
from czo_auth.core.principal import TWO_FACTOR_SETUP
from czo_auth.core.sessions.session import Session
from czo_auth.core.sessions.store import StoredSigningKey
from czo_auth.crypto import jwt, tokens
from czo_auth.crypto.sealing import KeyRing

SIGNING_KEY = "signing-key"
LEEWAY_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedToken:
    """
    What a valid access token says that matters here: whose session it belongs to, and when it counts.

    Attributes:
        valid_from, expires_at: With leeway. Unit: seconds since 1970.
    """

    session_id: str
    user_id: str
    valid_from: float
    expires_at: float


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
        self._signing: jwt.SigningKey | None = None
        self._verifier: jwt.Verifier | None = None
        self._stored: tuple[StoredSigningKey, ...] = ()

    def load(self, stored: Sequence[StoredSigningKey], key_ring: KeyRing) -> None:
        """
        Use *stored*, newest first, from now on.

        Raises:
            OpenError: The newest key does not open with *key_ring*.
        """
        usable = next(key for key in stored if key.retired_at is None)
        private = key_ring.open(usable.sealed_private_key, purpose=SIGNING_KEY, bound_to={"kid": usable.kid})
        self._signing = jwt.SigningKey(kid=usable.kid, private_pem=private)
        self._verifier = jwt.Verifier(
            {key.kid: key.public_jwk for key in stored},
            issuer=self.issuer,
            audience=self.audience,
            leeway_seconds=LEEWAY_SECONDS,
        )
        self._stored = tuple(stored)

    def knows(self, kid: str) -> bool:
        """Say whether the key *kid* is loaded."""
        return any(key.kid == kid for key in self._stored)

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Give the public keys that verify tokens that may still be valid. Source: RFC 7517 section 5."""
        return {"keys": [key.public_jwk for key in self._stored]}

    def sign(self, session: Session, *, restricted: bool, now: datetime) -> str:
        """Sign a token for *session*; its expiry never lies beyond the session's."""
        if self._signing is None:
            raise StorageUnavailable
        issued_at = int(now.timestamp())
        claims: dict[str, object] = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": session.user_id,
            "act": session.actor_type,
            "sid": session.id,
            "amr": list(session.amr),
            "aal": session.aal,
            "auth_time": int(session.auth_time.timestamp()),
            "iat": issued_at,
            "exp": int(min(now + self.lifetime, session.expires_at).timestamp()),
            "jti": tokens.digest_bytes(tokens.random_bytes(16))[:32],
        }
        if session.organization_id is not None:
            claims["org"] = session.organization_id
        if is_phishing_resistant(aal=session.aal, amr=session.amr):
            claims["phr"] = True
        if restricted:
            claims["scp"] = [TWO_FACTOR_SETUP]
        return jwt.sign(claims, self._signing)

    def verify(self, token: str, *, now: datetime) -> VerifiedToken:
        """
        Verify a token offline; whether its session lives is the caller's to ask.

        Raises:
            jwt.UnknownSigningKey: It names a key that is not loaded.
            InvalidToken: It is not one of ours, or its time is over.
        """
        if self._verifier is None:
            raise StorageUnavailable
        try:
            claims = self._verifier.verify(token, now=now)
        except jwt.UnknownSigningKey:
            raise
        except jwt.InvalidToken:
            raise InvalidToken from None
        return VerifiedToken(
            session_id=str(claims["sid"]),
            user_id=str(claims["sub"]),
            valid_from=float(str(claims["iat"])) - LEEWAY_SECONDS,
            expires_at=float(str(claims["exp"])) + LEEWAY_SECONDS,
        )

"""
The token of a browser in which a user has signed in before: it can still sign in while strangers guess the password.

It proves nothing; a guess from such a browser only counts against the browser's own budget. It is not stored: the
browser holds user, time of issue, and a MAC over both and the current password hash. So it ends after 90 days or with a
new password.
"""

from __future__ import annotations

import hmac
import uuid
from datetime import UTC, datetime, timedelta
from typing import Final

from czo_auth.core.users.user import User
from czo_auth.crypto import base64url, tokens
from czo_auth.crypto.sealing import KeyRing

LIFETIME: Final = timedelta(days=90)
_PURPOSE: Final = "known-browser"
_USER_BYTES: Final = 16
_TIME_BYTES: Final = 4
_MAC_BYTES: Final = 12


def issue_browser_token(key_ring: KeyRing, user: User, *, now: datetime) -> str | None:
    """Return a token for the browser in which *user* just signed in; None for a user without a password."""
    if user.password_hash is None:
        return None
    payload = uuid.UUID(user.id).bytes + int(now.timestamp()).to_bytes(_TIME_BYTES, "big")
    mac = _mac(key_ring, key_ring.primary, payload, user.password_hash)
    return tokens.KNOWN_BROWSER + base64url.encode(payload + mac)


def find_browser_token(
    key_ring: KeyRing, user: User | None, cookie: str | None, *, now: datetime
) -> str | None:
    """Return the token in *cookie* (tokens joined by dots) that was issued for *user*; None if there is none."""
    if user is None or user.password_hash is None or cookie is None:
        return None
    for token in tokens.split_tokens(cookie, tokens.KNOWN_BROWSER):
        payload, mac = _parts(token)
        issued_at = datetime.fromtimestamp(int.from_bytes(payload[_USER_BYTES:], "big"), UTC)
        if payload[:_USER_BYTES] != uuid.UUID(user.id).bytes or not issued_at <= now < issued_at + LIFETIME:
            continue
        if any(
            hmac.compare_digest(mac, _mac(key_ring, kid, payload, user.password_hash))
            for kid in key_ring.kids
        ):
            return token
    return None


def joined_with(token: str, cookie: str | None) -> str:
    """Return the new value of *cookie*: *token*, then the tokens of other users."""
    user = _parts(token)[0][:_USER_BYTES]
    others = tokens.split_tokens(cookie or "", tokens.KNOWN_BROWSER)
    return tokens.join_tokens(token, [other for other in others if _parts(other)[0][:_USER_BYTES] != user])


def _parts(token: str) -> tuple[bytes, bytes]:
    data = base64url.decode(token.removeprefix(tokens.KNOWN_BROWSER))
    return data[:-_MAC_BYTES], data[-_MAC_BYTES:]


def _mac(key_ring: KeyRing, kid: str, payload: bytes, password_hash: str) -> bytes:
    key = key_ring.derive(_PURPOSE, kid=kid)
    return hmac.digest(key, payload + password_hash.encode(), "sha256")[:_MAC_BYTES]

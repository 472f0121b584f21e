"""
The token of the link "this was not me" in mails about an account.

It is not stored: it contains user and time of issue, and a MAC over both and the address that it was mailed to. It
works for a week, for that address, and until the user once reports that something was not them, which invalidates older
ones.
"""

from __future__ import annotations

import hmac
import uuid
from datetime import UTC, datetime, timedelta
from typing import Final

from czo_auth.core.users.user import User
from czo_auth.crypto import base64url, tokens
from czo_auth.crypto.sealing import KeyRing

SECURITY_NOTICE_LIFETIME: Final = timedelta(days=7)
_PURPOSE: Final = "not-me"
_USER_BYTES: Final = 16
_TIME_BYTES: Final = 6
_MAC_BYTES: Final = 20
_CHARACTERS: Final = (_USER_BYTES + _TIME_BYTES + _MAC_BYTES) * 4 // 3


def issue_security_notice_token(key_ring: KeyRing, user: User, *, now: datetime) -> str:
    """Return a token for a mail to *user*."""
    payload = uuid.UUID(user.id).bytes + _milliseconds(now).to_bytes(_TIME_BYTES, "big")
    return tokens.MAIL + base64url.encode(payload + _mac(key_ring, key_ring.primary, payload, user.email))


def user_of_token(token: str) -> str | None:
    """Return the id of the user that *token* names, unverified; None if it does not have the form of one."""
    parts = _parts(token)
    return None if parts is None else str(uuid.UUID(bytes=parts[0][:_USER_BYTES]))


def is_live(key_ring: KeyRing, token: str, user: User, *, now: datetime) -> bool:
    """Whether *token* was mailed to *user* within the last week, and the user has not used one since."""
    parts = _parts(token)
    if parts is None or parts[0][:_USER_BYTES] != uuid.UUID(user.id).bytes:
        return False
    payload, mac = parts
    if not any(hmac.compare_digest(mac, _mac(key_ring, kid, payload, user.email)) for kid in key_ring.kids):
        return False
    issued_at = datetime.fromtimestamp(int.from_bytes(payload[_USER_BYTES:], "big") / 1000, UTC)
    return issued_at <= now < issued_at + SECURITY_NOTICE_LIFETIME and (
        user.secured_at is None or issued_at > user.secured_at
    )


def _parts(token: str) -> tuple[bytes, bytes] | None:
    text = token.removeprefix(tokens.MAIL)
    if text == token or len(text) != _CHARACTERS or not text.isascii():
        return None
    try:
        data = base64url.decode(text)
    except ValueError:
        return None
    return data[:-_MAC_BYTES], data[-_MAC_BYTES:]


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _mac(key_ring: KeyRing, kid: str, payload: bytes, email: str) -> bytes:
    return hmac.digest(key_ring.derive(_PURPOSE, kid=kid), payload + email.encode(), "sha256")[:_MAC_BYTES]

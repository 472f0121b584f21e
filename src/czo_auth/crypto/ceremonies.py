"""
Handles of WebAuthn ceremonies: the server stores nothing until one is answered.

A handle is `czw_` and 32 bytes: when it was issued, 12 random bytes, and a MAC over both and over what the ceremony is
bound to. The challenge is derived from the handle with the same key, so it is as unpredictable as the key, and the
handle alone does not reveal the challenge of another ceremony.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Sequence
from typing import Final

from czo_auth.crypto import base64url, tokens

PURPOSE: Final = "passkey-ceremony"
"""Name of the key ring's sub-key for handles."""
_TIME_BYTES: Final = 4
_RANDOM_BYTES: Final = 12
_HEAD_BYTES: Final = _TIME_BYTES + _RANDOM_BYTES
_TAG_BYTES: Final = 16


def new_handle(key: bytes, *, bound_to: Sequence[str], issued_at: int) -> str:
    """
    Make a handle.

    Args:
        key: 32 bytes, the sub-key called `PURPOSE`.
        bound_to: The kind of ceremony, and whose it is. Opening needs the same.
        issued_at: Unit: seconds since 1970.
    """
    head = issued_at.to_bytes(_TIME_BYTES, "big") + tokens.random_bytes(_RANDOM_BYTES)
    return tokens.CEREMONY + base64url.encode(head + _tag(key, head, bound_to))


def find_key(handle: str, keys: Iterable[bytes], *, bound_to: Sequence[str]) -> bytes | None:
    """Return the one of *keys* that made *handle* for what it is *bound_to*; None when none did."""
    if not tokens.is_well_formed(handle, tokens.CEREMONY):
        return None
    raw = _raw(handle)
    head, tag = raw[:_HEAD_BYTES], raw[_HEAD_BYTES:]
    return next((key for key in keys if hmac.compare_digest(_tag(key, head, bound_to), tag)), None)


def issued_at(handle: str) -> int:
    """Return when a well-formed *handle* says that it was issued. Unit: seconds since 1970."""
    return int.from_bytes(_raw(handle)[:_TIME_BYTES], "big")


def challenge_of(handle: str, key: bytes) -> bytes:
    """Derive the 32 bytes that the authenticator signs. Source: WebAuthn Level 3, section 13.4.3."""
    return hmac.digest(key, b"challenge\x00" + _raw(handle), hashlib.sha256)


def _raw(handle: str) -> bytes:
    return base64url.decode(handle.removeprefix(tokens.CEREMONY))


def _tag(key: bytes, head: bytes, bound_to: Sequence[str]) -> bytes:
    place = json.dumps(list(bound_to), separators=(",", ":")).encode("ascii")
    return hmac.digest(key, b"handle\x00" + head + place, hashlib.sha256)[:_TAG_BYTES]

"""Which credential a request carries: one pure function on the full format, and no falling through (RFC 6750)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from czo_auth.core.errors import InvalidRequest
from czo_auth.crypto import base64url

CredentialKind = Literal["api_key", "session", "access_token", "unknown"]
MAX_LENGTH = 4096
_BEARER = re.compile(rb"[A-Za-z0-9._~+/=-]+")
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A credential as it was sent, not proved; ``value`` does not show in ``repr``."""

    kind: CredentialKind
    value: str = field(repr=False)
    from_cookie: bool = False


def read_authorization(
    headers: Iterable[tuple[bytes, bytes]], *, api_key_prefix: str, is_strict: bool = True
) -> Credential | None:
    """
    Read the ``Authorization`` header of a raw ASGI header list.

    Args:
        is_strict: Whether a malformed header is refused; otherwise it is a credential of an unknown kind.

    Returns:
        The credential, or None when there is no header or its scheme is not ours (``Basic`` and the like).

    Raises:
        InvalidRequest: Two headers, or a malformed one.

    Source: RFC 6750 section 2.1, RFC 9110 section 11.4 (the scheme is case-insensitive).
    """
    found = authorization_in(headers)
    if found is None:
        return None
    scheme, _, rest = found.partition(b" ")
    if scheme != b"Bearer" and scheme.lower() != b"bearer":
        if is_strict and (not scheme or not rest.strip()):
            raise InvalidRequest("The Authorization header is malformed.")
        return None
    token = rest.strip(b" ")
    if not _BEARER.fullmatch(token) or len(token) > MAX_LENGTH:
        if not is_strict:
            return Credential(kind="unknown", value=token.decode("latin-1"))
        raise InvalidRequest("The Authorization header is malformed.")
    text = token.decode("ascii")
    return Credential(kind=kind_of(text, api_key_prefix=api_key_prefix), value=text)


def authorization_in(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """
    Find the ``Authorization`` header as it was sent.

    Raises:
        InvalidRequest: There are two.
    """
    found: bytes | None = None
    for name, value in headers:
        if name == b"authorization":
            if found is not None:
                raise InvalidRequest("There is more than one Authorization header.")
            found = value
    return found


def kind_of(token: str, *, api_key_prefix: str) -> CredentialKind:
    """Say which kind a token claims to be; what begins like an API key is one, or is refused as one."""
    if token.startswith(api_key_prefix):
        return "api_key"
    if token.startswith("czs_"):
        return "session"
    return "access_token" if _JWT.fullmatch(token) else "unknown"


def unverified_issuer(token: str) -> object:
    """Return what a JWT says of its issuer; proves nothing, and is None where there is nothing to read."""
    try:
        claims = json.loads(base64url.decode(token.split(".")[1]))
    except (ValueError, IndexError, RecursionError):
        return None
    return claims.get("iss") if isinstance(claims, dict) else None

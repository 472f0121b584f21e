"""The credential of a request, by one pure function on the full format, without fallbacks (RFC 6750)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from czo_auth.core.credentials import CredentialKind, kind_of
from czo_auth.core.errors import InvalidRequest
from czo_auth.core.limits import MAX_TOKEN
from czo_auth.crypto import base64url

_BEARER = re.compile(rb"[A-Za-z0-9._~+/=-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """
    A credential as sent, not verified; ``value`` does not show in ``repr``.

    Attributes:
        key_id: The id that the key must have, if the client sent one with it.
    """

    kind: CredentialKind
    value: str = field(repr=False)
    from_cookie: bool = False
    key_id: str | None = None


def read_authorization(
    headers: Iterable[tuple[bytes, bytes]], *, api_key_prefix: str | tuple[str, ...], is_strict: bool = True
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
    if not _BEARER.fullmatch(token) or len(token) > MAX_TOKEN:
        if not is_strict:
            return Credential(kind="unknown", value=token.decode("latin-1"))
        raise InvalidRequest("The Authorization header is malformed.")
    text = token.decode("ascii")
    return Credential(kind=kind_of(text, api_key_prefix=api_key_prefix), value=text)


def read_basic(
    headers: Iterable[tuple[bytes, bytes]], *, api_key_prefix: str | tuple[str, ...]
) -> Credential | None:
    """
    Read an API key from HTTP Basic authentication: the key's id as the user, the key as the password.

    Returns:
        None when there is no such header.

    Raises:
        InvalidRequest: Two headers, or a malformed one.

    Source: RFC 6749 section 2.3.1, RFC 7617.
    """
    found = authorization_in(headers)
    if found is None or found[:6].lower() != b"basic ":
        return None
    try:
        text = base64.b64decode(found[6:].strip(b" "), validate=True).decode("ascii")
    except ValueError:
        raise InvalidRequest("The Authorization header is malformed.") from None
    name, separator, value = text.partition(":")
    if not separator or not name or not value:
        raise InvalidRequest("The Authorization header is malformed.")
    # RFC 6749 encodes both as in forms; our ids and keys contain no character that this would change.
    kind = kind_of(value, api_key_prefix=api_key_prefix)
    return Credential(kind=kind if kind == "api_key" else "unknown", value=value, key_id=name)


def authorization_in(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """
    Find the raw ``Authorization`` header.

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


def payload_prefix(issuer: str) -> str:
    """
    Return how the payload of an access token of *issuer* begins, for `str.startswith`.

    It holds the whole issuer, its closing quote included, so that another one does not begin like it.
    """
    start = json.dumps({"iss": issuer, "aud": ""}, separators=(",", ":")).removesuffix('"}').encode()
    # Three bytes are four characters; what is left over shares a character with what follows.
    return base64url.encode(start[: len(start) // 3 * 3])


def unverified_issuer(token: str) -> object:
    """Return the unverified issuer of a JWT; None if there is none."""
    try:
        claims = json.loads(base64url.decode(token.split(".")[1]))
    except (ValueError, IndexError, RecursionError):
        return None
    return claims.get("iss") if isinstance(claims, dict) else None

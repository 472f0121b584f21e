"""The kind of a credential, decided by one pure function on the full format, without fallbacks."""

from __future__ import annotations

import re
from typing import Final, Literal

CredentialKind = Literal["api_key", "session", "access_token", "unknown"]

_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


def kind_of(token: str, *, api_key_prefix: str | tuple[str, ...]) -> CredentialKind:
    """
    Return the kind that *token* claims to be; anything with an API key's prefix is treated as an API key.

    Args:
        api_key_prefix: Ours, or several: ours and those of retired formats that are still accepted.
    """
    if token.startswith(api_key_prefix):
        return "api_key"
    if token.startswith("czs_"):
        return "session"
    return "access_token" if _JWT.fullmatch(token) else "unknown"

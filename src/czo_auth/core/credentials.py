"""Which kind a credential claims to be: one pure function on the full format, and no falling through."""

from __future__ import annotations

import re
from typing import Final, Literal

CredentialKind = Literal["api_key", "session", "access_token", "unknown"]

_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


def kind_of(token: str, *, api_key_prefix: str | tuple[str, ...]) -> CredentialKind:
    """
    Return which kind *token* claims to be; what begins like an API key is one, or is refused as one.

    Args:
        api_key_prefix: Ours; or several, with those of other systems' keys that are still accepted.
    """
    if token.startswith(api_key_prefix):
        return "api_key"
    if token.startswith("czs_"):
        return "session"
    return "access_token" if _JWT.fullmatch(token) else "unknown"

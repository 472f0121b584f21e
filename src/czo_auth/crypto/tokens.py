"""
Opaque tokens: a prefix that names the kind, and 32 random bytes.

Every credential that is not a JWT has this format, so that dispatch on the full format is exact and a malformed text is
refused before anything is hashed or looked up.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from czo_auth.crypto import base64url

SESSION = "czs_"
REFRESH = "czr_"
CHALLENGE = "czc_"
INVITATION = "czi_"
MAIL = "czm_"
TRUSTED_DEVICE = "czd_"
DEVICE_CODE = "czv_"
CEREMONY = "czw_"
WEBHOOK_SECRET = "whsec_"  # noqa: S105 - how one begins, by Standard Webhooks
KNOWN_BROWSER = "czb_"
DEFAULT_API_KEY = "czo_"

SECRET_BYTES = 32
SHOWN_CHARACTERS = 8
"""How much of a token may be shown: its prefix and a little more, to recognize it."""

MAX_JOINED: Final = 8
"""Tokens that one cookie holds."""

RESERVED_PREFIXES = frozenset(
    {SESSION, REFRESH, CHALLENGE, INVITATION, MAIL, TRUSTED_DEVICE, KNOWN_BROWSER, DEVICE_CODE, CEREMONY}
)
"""Prefixes of what is not an API key."""


def random_bytes(n: int) -> bytes:
    """
    Return *n* unpredictable bytes from the operating system.

    The only source of randomness in the code.
    """
    return secrets.token_bytes(n)


def new_token(prefix: str) -> str:
    """Generate a token: *prefix*, then 32 random bytes as 43 base64url characters, unpadded."""
    return prefix + base64url.encode(random_bytes(SECRET_BYTES))


def is_well_formed(token: str, prefix: str) -> bool:
    """
    Return whether *token* has exactly the form that `new_token` gives for *prefix*.

    The last character has four unused bits. They must be zero, so that each secret has exactly one text and one digest.
    """
    return _form(prefix).fullmatch(token) is not None


def masked(text: str, *, api_key_prefix: str | tuple[str, ...] = DEFAULT_API_KEY) -> str:
    """
    Truncate every token in *text* to what may be shown of it.

    It also truncates anything that begins like a token and continues for half of one, so that a badly copied token does
    not stay readable.
    """
    return _pattern_of_secrets(api_key_prefix).sub(lambda found: f"{found[0][:SHOWN_CHARACTERS]}…", text)


@lru_cache(maxsize=32)
def _pattern_of_secrets(api_key_prefix: str | tuple[str, ...]) -> re.Pattern[str]:
    keys = {api_key_prefix} if isinstance(api_key_prefix, str) else set(api_key_prefix)
    prefixes = "|".join(map(re.escape, sorted(RESERVED_PREFIXES | keys)))
    return re.compile(rf"(?:{prefixes})[A-Za-z0-9_-]{{22,}}|{WEBHOOK_SECRET}[A-Za-z0-9+/_-]{{22,}}=*")


@lru_cache(maxsize=32)
def _form(prefix: str) -> re.Pattern[str]:
    return re.compile(re.escape(prefix) + r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")


def digest(token: str) -> str:
    """
    Digest a token for storage: SHA-256 of the exact ASCII string, 64 lowercase hex digits.

    The text is hashed as it is and never decoded first, so that two texts never share a digest. A plain hash
    is enough, because 256 random bits cannot be guessed.

    Raises:
        ValueError: *token* is not ASCII. The error does not repeat the token.
    """
    if not token.isascii():
        raise ValueError("A token is ASCII.")
    return digest_bytes(token.encode("ascii"))


def digest_bytes(data: bytes) -> str:
    """Digest *data*: SHA-256 as 64 lowercase hex digits."""
    return hashlib.sha256(data).hexdigest()


def split_tokens(text: str, prefix: str) -> list[str]:
    """Return the tokens of a cookie that holds several, joined by dots; anything else is skipped."""
    parts = text.split(".", MAX_JOINED)[:MAX_JOINED]
    return [part for part in parts if is_well_formed(part, prefix)]


def join_tokens(first: str, others: Iterable[str]) -> str:
    """Write tokens as one cookie holds them: *first*, then *others* but itself, as many as there is room for."""
    rest = [token for token in others if token != first]
    return ".".join([first, *rest][:MAX_JOINED])

"""
The eight letters that a person types to approve a device.

Source: RFC 8628, sections 5.1 and 6.1.
"""

from __future__ import annotations

import hashlib
import hmac

from czo_auth.core.devices.authorization import USER_CODE, USER_CODE_ALPHABET, USER_CODE_LENGTH
from czo_auth.crypto import tokens
from czo_auth.crypto.sealing import KeyRing


def new_user_code() -> str:
    """Generate a user code as it is shown: two groups of four letters."""
    count = len(USER_CODE_ALPHABET)
    letters: list[str] = []
    while len(letters) < USER_CODE_LENGTH:
        # Bytes beyond the last full multiple are discarded, so that every letter is equally likely.
        letters += [
            USER_CODE_ALPHABET[byte % count]
            for byte in tokens.random_bytes(USER_CODE_LENGTH)
            if byte < 256 // count * count
        ]
    return shown_user_code("".join(letters[:USER_CODE_LENGTH]))


def canonical_user_code(text: str) -> str | None:
    """Normalize a typed code: upper case, without spaces and dashes; None if it is not a code."""
    code = "".join(text.upper().replace("-", " ").split())
    is_code = len(code) == USER_CODE_LENGTH and all(letter in USER_CODE_ALPHABET for letter in code)
    return code if is_code else None


def shown_user_code(text: str) -> str:
    """Return a code as people read it: ``ABCD-EFGH``."""
    code = canonical_user_code(text) or ""
    return f"{code[:4]}-{code[4:]}"


def user_code_digests(ring: KeyRing, user_code: str) -> list[str]:
    """Digest a code under every key of the ring: a bare hash of eight letters could be guessed from a backup."""
    code = canonical_user_code(user_code)
    if code is None:
        return []
    return [
        hmac.new(ring.derive(USER_CODE, kid=kid), code.encode(), hashlib.sha256).hexdigest()
        for kid in ring.kids
    ]

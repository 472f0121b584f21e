"""Base64url without padding (RFC 4648 section 5), with exactly one spelling for every value."""

import binascii

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")


def encode(raw: bytes) -> str:
    """Spell *raw* in base64url, unpadded."""
    return binascii.b2a_base64(raw, newline=False).rstrip(b"=").translate(_TO_URL).decode("ascii")


def decode(text: str) -> bytes:
    """
    Read unpadded base64url and refuse every spelling but the canonical one.

    The standard library drops characters that it does not know and ignores the unused bits of the last
    character, so that many texts would stand for the same bytes. Spelling the result again and comparing
    refuses all of them at once.

    Raises:
        ValueError: Padding, a foreign character, an impossible length, or unused bits that are not zero.
    """
    raw = binascii.a2b_base64(text.encode("ascii").translate(_FROM_URL) + b"=" * (-len(text) % 4))
    if encode(raw) != text:
        raise ValueError("The text is not canonical base64url.")
    return raw

"""Base64url without padding (RFC 4648 section 5), with exactly one encoding for every value."""

import binascii

_TO_URL = bytes.maketrans(b"+/", b"-_")
# What only the other alphabet or padding uses becomes a character that no encoding has.
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/!!!")


def encode(raw: bytes) -> str:
    """Encode *raw* as unpadded base64url."""
    return binascii.b2a_base64(raw, newline=False).rstrip(b"=").translate(_TO_URL).decode("ascii")


def decode(text: str) -> bytes:
    """
    Decode unpadded base64url, and refuse every encoding except the canonical one.

    The standard library drops unknown characters and ignores the unused bits of the last one, so that many texts decode
    to the same bytes. Encoding the result again and comparing refuses all of them.

    Raises:
        ValueError: Padding, a foreign character, an impossible length, or unused bits that are not zero.
    """
    padded = text.encode("ascii").translate(_FROM_URL) + b"=" * (-len(text) % 4)
    raw = binascii.a2b_base64(padded)
    if binascii.b2a_base64(raw, newline=False) != padded:
        raise ValueError("The text is not canonical base64url.")
    return raw

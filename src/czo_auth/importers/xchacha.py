"""
Decryption of better-auth's sealed values: XChaCha20-Poly1305 under SHA-256 of its secret.

`cryptography` has ChaCha20-Poly1305 with its twelve-byte nonce; HChaCha20 reduces the longer nonce to it,
which is ChaCha20's block function without the last addition.

Source: draft-irtf-cfrg-xchacha-03, section 2; better-auth 1.7.5 ``crypto/index.ts``.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

_CONSTANTS: Final = struct.unpack("<4I", b"expand 32-byte k")
_NONCE: Final = 24
_ENVELOPE: Final = re.compile(r"\$ba\$([0-9]{1,9})\$(.*)", re.DOTALL)


class CannotOpen(Exception):
    """The text was not sealed under the given secret."""


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """Derive a key of 32 bytes from *key* and the first sixteen bytes of a long nonce."""
    keystream = Cipher(ChaCha20(key, nonce), mode=None).encryptor().update(bytes(64))
    words = struct.unpack("<16I", keystream)
    before = (*_CONSTANTS, *struct.unpack("<8I", key), *struct.unpack("<4I", nonce))
    state = [(word - added) & 0xFFFF_FFFF for word, added in zip(words, before, strict=True)]
    return struct.pack("<8I", *state[:4], *state[12:])


def open_sealed(text: str, secrets: Mapping[str, str]) -> str:
    """
    Open a value that better-auth sealed.

    Args:
        text: Hexadecimal, or ``$ba$<version>$<hexadecimal>``.
        secrets: By version; "" for the one without.

    Raises:
        CannotOpen: There is no such secret, or it is the wrong one.
    """
    envelope = _ENVELOPE.fullmatch(text)
    version, sealed = (envelope[1], envelope[2]) if envelope else ("", text)
    secret = secrets.get(version)
    if secret is None:
        raise CannotOpen
    try:
        data = bytes.fromhex(sealed)
        key = hchacha20(hashlib.sha256(secret.encode()).digest(), data[:16])
        opened = ChaCha20Poly1305(key).decrypt(bytes(4) + data[16:_NONCE], data[_NONCE:], None)
        return opened.decode()
    except (ValueError, InvalidTag, struct.error):
        raise CannotOpen from None

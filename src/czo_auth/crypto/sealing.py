"""
Sealing secrets for the database: AES-256-GCM under a ring of keys.

The first key of the ring seals, and every key opens, so that keys can be rotated while the server runs. Each
purpose has its own sub-key, and an envelope opens only in the place that it was sealed for.

Source: NIST SP 800-38D (GCM), RFC 5869 (HKDF).
"""

import json
import re
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from czo_auth.crypto import base64url, tokens

VERSION = "v1"
KEY_BYTES = 32
NONCE_BYTES = 12
"""Random, so one sub-key may seal 2**32 times. Source: NIST SP 800-38D section 8.3."""
CHECK_VALUE_BYTES = 16
DEFAULT_KEY_ID = "k1"

_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,16}")
_KEY = re.compile(r"(?:[A-Za-z0-9+/]{43}|[A-Za-z0-9_-]{43})=?")
_TO_URL = str.maketrans("+/", "-_")
_ENVELOPE = re.compile(r"v1\.([A-Za-z0-9_-]{1,16})\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{22,})")


class KeyRingError(ValueError):
    """The text is not a key ring. The message says which entry and why, without repeating any of it."""


class OpenError(Exception):
    """
    The envelope does not open: damaged, forged, moved from another place, or sealed with another key.

    Callers must fail closed. It never means that the envelope was empty.
    """


class UnknownKeyId(OpenError):
    """The envelope names a key that is not on the ring."""


class KeyRing:
    """
    The keys of `AUTH_ENCRYPTION_KEY`, and the operations on them.

    Attributes:
        primary: Id of the key that seals.
        kids: Ids of all keys, the primary first.
    """

    __slots__ = ("_ciphers", "_keys", "kids", "primary")

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """
        Take *keys* by id, the primary first. `parse` is the usual way here.

        Raises:
            KeyRingError: It does not exist, or an id or a key is not fit for use.
        """
        if not keys:
            raise KeyRingError("The key ring is empty.")
        for number, (kid, key) in enumerate(keys.items(), start=1):
            _check_entry(kid, key, number=number)
        self._keys = dict(keys)
        self._ciphers: dict[tuple[str, str], AESGCM] = {}
        self.kids: tuple[str, ...] = tuple(keys)
        self.primary: str = self.kids[0]

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """
        Read `kid2:base64,kid1:base64`, the primary first; a single key may leave out its id and is `k1`.

        Standard and URL-safe base64 are accepted, padded or not, but only canonical encodings: a truncated or mistyped
        key must not pass as another key.

        Raises:
            KeyRingError: The text is malformed, an id appears twice, a key does not have exactly 32 bytes,
                or a key is a repeated pattern such as all zeros.
        """
        keys: dict[str, bytes] = {}
        entries = text.split(",")
        for number, entry in enumerate(entries, start=1):
            kid, colon, encoded = entry.rpartition(":")
            if not colon and len(entries) == 1:
                kid = DEFAULT_KEY_ID
            key = _decode_key(encoded, number=number)
            if kid in keys:
                raise KeyRingError(f"Entry {number} of the key ring has the id of an earlier one.")
            keys[kid] = key
        return cls(keys)

    def __repr__(self) -> str:
        return f"KeyRing(kids={self.kids!r})"

    def seal(self, plaintext: bytes, *, purpose: str, bound_to: Mapping[str, str]) -> str:
        """
        Encrypt *plaintext* with the primary key.

        Args:
            plaintext: The secret.
            purpose: What it is for; selects the sub-key.
            bound_to: Names and values that say where the envelope lives, such as user and enrollment. They
                are not stored in it; opening needs the same ones, so that swapping two rows fails.

        Returns:
            `v1.<kid>.<nonce>.<ciphertext and tag>`, the last two in unpadded base64url.

        Raises:
            ValueError: *purpose* or *bound_to* holds lone surrogates.
        """
        nonce = tokens.random_bytes(NONCE_BYTES)
        place = _associated_data(self.primary, purpose, bound_to)
        sealed = self._cipher(self.primary, purpose).encrypt(nonce, plaintext, place)
        return f"{VERSION}.{self.primary}.{base64url.encode(nonce)}.{base64url.encode(sealed)}"

    def open(self, envelope: str, *, purpose: str, bound_to: Mapping[str, str]) -> bytes:
        """
        Decrypt what `seal` gave, with whichever key it names.

        Raises:
            UnknownKeyId: The key is not on the ring.
            OpenError: The envelope is malformed or changed, or belongs to another purpose or place.
        """
        kid, nonce, sealed = _split(envelope)
        place = _associated_data(kid, purpose, bound_to)
        try:
            return self._cipher(kid, purpose).decrypt(nonce, sealed, place)
        except InvalidTag:
            raise OpenError("The envelope does not open here.") from None

    def reencrypt(self, envelope: str, *, purpose: str, bound_to: Mapping[str, str]) -> str | None:
        """
        Re-encrypt *envelope* with the primary key, or return None if it already is.

        Raises:
            OpenError: As `open`; nothing is sealed that did not open.
        """
        if kid_of(envelope) == self.primary:
            return None
        return self.seal(
            self.open(envelope, purpose=purpose, bound_to=bound_to), purpose=purpose, bound_to=bound_to
        )

    def kid_of(self, envelope: str) -> str:
        """
        Return which key sealed *envelope*, on the ring or not.

        Raises:
            OpenError: The envelope is malformed.
        """
        return kid_of(envelope)

    def check_value(self, kid: str) -> str:
        """
        Derive a value that identifies the key named *kid* and reveals nothing about it; 32 hex digits.

        Stored in the database, it shows at the start that the right key was configured.

        Raises:
            UnknownKeyId: The key is not on the ring.
        """
        return self._subkey(kid, "check")[:CHECK_VALUE_BYTES].hex()

    def derive(self, purpose: str, *, kid: str | None = None) -> bytes:
        """
        Derive a 32-byte key for a use other than sealing, from the key named *kid* or the primary.

        Raises:
            UnknownKeyId: The key is not on the ring.
        """
        return self._subkey(self.primary if kid is None else kid, f"derive:{purpose}")

    def _cipher(self, kid: str, purpose: str) -> AESGCM:
        # Purposes are constants of the product, so the cache stays small.
        cipher = self._ciphers.get((kid, purpose))
        if cipher is None:
            cipher = self._ciphers[kid, purpose] = AESGCM(self._subkey(kid, f"seal:{purpose}"))
        return cipher

    def _subkey(self, kid: str, use: str) -> bytes:
        key = self._keys.get(kid)
        if key is None:
            raise UnknownKeyId("There is no such key on the ring.")
        info = f"czo-auth:{VERSION}:{use}".encode()
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(key)


def kid_of(envelope: str) -> str:
    """
    Return which key sealed *envelope*. Needs no key.

    Raises:
        OpenError: The envelope is malformed.
    """
    return _split(envelope)[0]


def new_key_text(kid: str = DEFAULT_KEY_ID) -> str:
    """
    Generate a ring of one new key, in the format of `KeyRing.parse`: `k1:<base64>`.

    Raises:
        KeyRingError: *kid* is not an id.
    """
    key = tokens.random_bytes(KEY_BYTES)
    _check_entry(kid, key, number=1)
    return f"{kid}:{base64url.encode(key)}="


def _decode_key(encoded: str, *, number: int) -> bytes:
    # The text may be a key: no message repeats it, and no exception that holds it is chained.
    if _KEY.fullmatch(encoded) is not None:
        try:
            return base64url.decode(encoded.removesuffix("=").translate(_TO_URL))
        except ValueError:
            pass
    raise KeyRingError(f"Entry {number} of the key ring is not exactly 32 bytes in strict base64.")


def _check_entry(kid: str, key: bytes, *, number: int) -> None:
    if _KEY_ID.fullmatch(kid) is None:
        raise KeyRingError(
            f"Entry {number} of the key ring needs an id before a colon: 1 to 16 letters, digits, '_' or '-'."
        )
    if len(key) != KEY_BYTES:
        raise KeyRingError(f"Entry {number} of the key ring is not exactly 32 bytes.")
    # A shorter pattern is a pattern of half the key too.
    if key[: KEY_BYTES // 2] == key[KEY_BYTES // 2 :]:
        raise KeyRingError(f"Entry {number} of the key ring is a repeated pattern, not a random key.")


def _split(envelope: str) -> tuple[str, bytes, bytes]:
    match = _ENVELOPE.fullmatch(envelope)
    if match is None:
        raise OpenError("The text is not an envelope.")
    try:
        return match[1], base64url.decode(match[2]), base64url.decode(match[3])
    except ValueError:
        raise OpenError("The text is not an envelope.") from None


def _associated_data(kid: str, purpose: str, bound_to: Mapping[str, str]) -> bytes:
    # JSON quotes every part, so that no two places share an encoding. Not escaped to ASCII, where a pair of
    # lone surrogates would read like the character that they spell; UTF-8 refuses them.
    parts = [VERSION, purpose, kid, sorted(bound_to.items())]
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode("utf-8")

"""
Password hashes of other systems: bcrypt, better-auth's scrypt, Django's scrypt and PBKDF2.

For verifying only. The cost parameters are part of the hash, so they are bounded: an imported row must not be able to
stall the server. The bounds allow about a second of one core.
"""

import base64
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable

import bcrypt

MAX_BCRYPT_COST = 14
MAX_SCRYPT_COST = 1_048_576
"""Bound of N * r * p, which is the work."""
MAX_SCRYPT_TABLE = 64 * 1024 * 1024
"""Bound of the table, 128 * N * r bytes, which is nearly all of the memory."""
MAX_SCRYPT_BLOCKS = 1024 * 1024
"""Bound of the blocks, 128 * r * p bytes, which a large r with a small N would make the larger part."""
MAX_PBKDF2_ITERATIONS = 2_500_000

BCRYPT_BYTES = 72
"""bcrypt reads no further. Source: Provos and Mazières, A Future-Adaptable Password Scheme."""


def is_known(stored: str) -> bool:
    """Return whether *stored* has one of the formats, with costs inside the bounds or not."""
    return any(form.fullmatch(stored) for form, _, _ in _FORMATS)


def is_within_bounds(stored: str) -> bool:
    """Return whether *stored* has one of the formats, with costs inside the bounds: some password could match."""
    for form, is_affordable, _ in _FORMATS:
        if match := form.fullmatch(stored):
            return is_affordable(match)
    return False


def dummy_hash_of(stored: str) -> str | None:
    """Return a hash with the format and the costs of *stored* that no password matches; None for no such format."""
    for form, is_affordable, _ in _FORMATS:
        if (match := form.fullmatch(stored)) and is_affordable(match):
            costs = match.groupdict()
            if "cost" in costs:
                return f"$2b${costs['cost']}${'.' * 53}"
            if "iterations" in costs:
                return f"pbkdf2_sha256${costs['iterations']}$decoy${'A' * 43}="
            if "n" in costs:
                return f"scrypt${costs['n']}$decoy${costs['r']}${costs['p']}${'A' * 86}=="
            return f"{'0' * 32}:{'0' * 128}"
    return None


def is_match(stored: str, password: str) -> bool:
    """
    Return whether *password* is the one behind *stored*.

    False for a format that is not known, for costs beyond the bounds, and for a hash that is damaged.

    Args:
        stored: The hash as the other system kept it.
        password: As typed, not normalized: only better-auth normalized before hashing. The caller has
            bounded its length.
    """
    for form, is_affordable, verify in _FORMATS:
        if match := form.fullmatch(stored):
            return is_affordable(match) and verify(match, password)
    return False


def _bcrypt_costs(stored: re.Match[str]) -> bool:
    # The library takes no cost below 4.
    return 4 <= int(stored["cost"]) <= MAX_BCRYPT_COST


def _bcrypt(stored: re.Match[str], password: str) -> bool:
    # The systems that made these hashes silently truncate the password here; the library refuses to.
    secret = password.encode("utf-8")[:BCRYPT_BYTES]
    try:
        return bcrypt.checkpw(secret, stored[0].encode("ascii"))
    except ValueError:
        return False


def _better_auth_costs(stored: re.Match[str]) -> bool:
    # They are not part of the hash: there is only one choice.
    return True


def _better_auth(stored: re.Match[str], password: str) -> bool:
    secret = unicodedata.normalize("NFKC", password).encode("utf-8")
    # The salt is the hex text itself, not the decoded bytes.
    salt = stored["salt"].encode("ascii")
    return hmac.compare_digest(_scrypt(secret, salt, n=16_384, r=16, p=1), bytes.fromhex(stored["hash"]))


def _django_scrypt_costs(stored: re.Match[str]) -> bool:
    n, r, p = int(stored["n"]), int(stored["r"]), int(stored["p"])
    if n < 2 or n & (n - 1) or r <= 0 or p <= 0:
        return False
    if 128 * n * r > MAX_SCRYPT_TABLE or 128 * r * (p + 2) > MAX_SCRYPT_BLOCKS:
        return False
    return n * r * p <= MAX_SCRYPT_COST


def _django_scrypt(stored: re.Match[str], password: str) -> bool:
    n, r, p = int(stored["n"]), int(stored["r"]), int(stored["p"])
    key = _scrypt(password.encode("utf-8"), stored["salt"].encode("ascii"), n=n, r=r, p=p)
    return hmac.compare_digest(base64.b64encode(key), stored["hash"].encode("ascii"))


def _scrypt(secret: bytes, salt: bytes, *, n: int, r: int, p: int) -> bytes:
    # OpenSSL refuses to use more than maxmem: the table, the blocks and some room.
    maxmem = 128 * r * (n + p + 2) + 1_048_576
    return hashlib.scrypt(secret, salt=salt, n=n, r=r, p=p, maxmem=maxmem, dklen=64)


def _django_pbkdf2_costs(stored: re.Match[str]) -> bool:
    return 0 < int(stored["iterations"]) <= MAX_PBKDF2_ITERATIONS


def _django_pbkdf2(stored: re.Match[str], password: str) -> bool:
    iterations = int(stored["iterations"])
    salt = stored["salt"].encode("ascii")
    key = hashlib.pbkdf2_hmac("sha256", password.encode("utf-8"), salt, iterations)
    return hmac.compare_digest(base64.b64encode(key), stored["hash"].encode("ascii"))


# Source: bcrypt(5) of OpenBSD; better-auth 1.7 `crypto/password`; Django 5.2 `contrib/auth/hashers.py`.
_Format = tuple[re.Pattern[str], Callable[[re.Match[str]], bool], Callable[[re.Match[str], str], bool]]
_FORMATS: tuple[_Format, ...] = (
    (re.compile(r"\$2[aby]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{53}"), _bcrypt_costs, _bcrypt),
    (re.compile(r"(?P<salt>[0-9a-f]{32}):(?P<hash>[0-9a-f]{128})"), _better_auth_costs, _better_auth),
    (
        re.compile(
            r"scrypt\$(?P<n>[0-9]{1,7})\$(?P<salt>[!-#%-~]{1,128})\$(?P<r>[0-9]{1,7})\$(?P<p>[0-9]{1,7})"
            r"\$(?P<hash>[A-Za-z0-9+/]{86}==)"
        ),
        _django_scrypt_costs,
        _django_scrypt,
    ),
    (
        re.compile(
            r"pbkdf2_sha256\$(?P<iterations>[0-9]{1,8})\$(?P<salt>[!-#%-~]{1,128})"
            r"\$(?P<hash>[A-Za-z0-9+/]{43}=)"
        ),
        _django_pbkdf2_costs,
        _django_pbkdf2,
    ),
)

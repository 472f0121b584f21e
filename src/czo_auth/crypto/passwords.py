"""
Passwords: Argon2id for ours, and verification of other systems' hashes.

A hash that is not exactly ours is verified and reported for rehashing, so that users move to Argon2id when they sign
in. Hashing takes tens of milliseconds: call it in a bounded pool of threads.

Source: OWASP Password Storage Cheat Sheet; NIST SP 800-63B-4 section 3.1.1.
"""

import gzip
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib import resources

from czo_auth.crypto import imported_hashes, tokens

MIN_LENGTH = 8
"""Unit: characters after NFKC."""
MAX_LENGTH = 128
"""Unit: characters after NFKC."""

MAX_TYPED_LENGTH = 4 * MAX_LENGTH
"""Unit: characters before NFKC. None composes from more than four, so longer is too long in any form."""

MEMORY_KIB = 19_456
"""Argon2id's m: 19 MiB. Source: OWASP."""
PASSES = 2
LANES = 1
SALT_BYTES = 16
HASH_BYTES = 32

CURRENT_HASHES_BEGIN = f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$"
"""The prefix of every hash with the parameters above."""

# Bounds for imported hashes: about a second of one core, and 256 MiB.
MAX_MEMORY_KIB = 262_144
MAX_PASSES = 10
MAX_LANES = 16
MAX_KIB_PASSES = 1_048_576

#: Hash of a random password that nobody knows, with the parameters above. Verify against it for unknown
#: users, so that they take the time of known ones.
DUMMY_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$h9vJDJreCAVr/m5D7mDmvw$E5PpzGk30dVzscCEZDw7rms9sJe14f4YGdJN8OIpBr0"
)

_ARGON2 = re.compile(
    r"\$argon2(?P<variant>id|i|d)(?:\$v=(?P<version>16|19))?"
    r"\$m=(?P<memory>[0-9]{1,7}),t=(?P<passes>[0-9]{1,2}),p=(?P<lanes>[0-9]{1,2})"
    r"\$(?P<salt>[A-Za-z0-9+/]{11,86})\$(?P<hash>[A-Za-z0-9+/]{22,86})"
)
_SALT_CHARACTERS = 22
_HASH_CHARACTERS = 43


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordMatch:
    """What `verify_password` found. `needs_rehash` is only ever true of a password that matches."""

    matches: bool
    needs_rehash: bool


_NO_MATCH = PasswordMatch(matches=False, needs_rehash=False)


def normalize(password: str) -> str:
    """
    Normalize *password* to the form that is counted and hashed: NFKC.

    A text of more than `MAX_TYPED_LENGTH` is given back as it is. It is over `MAX_LENGTH` in any form, and
    normalizing takes time that grows with the square of its combining marks.

    Source: NIST SP 800-63B-4 section 3.1.1.2.
    """
    if len(password) > MAX_TYPED_LENGTH:
        return password
    return unicodedata.normalize("NFKC", password)


def hash_password(password: str) -> str:
    """
    Hash *password* with Argon2id and a new salt, in the PHC string format.

    Nothing is truncated. The caller checks `MIN_LENGTH` and `MAX_LENGTH`.

    Raises:
        ValueError: *password* is longer than `MAX_TYPED_LENGTH` or holds lone surrogates.
    """
    from argon2 import low_level

    if not _is_hashable(password):
        raise ValueError("The password is too long or is not text.")

    return low_level.hash_secret(
        normalize(password).encode("utf-8"),
        tokens.random_bytes(SALT_BYTES),
        time_cost=PASSES,
        memory_cost=MEMORY_KIB,
        parallelism=LANES,
        hash_len=HASH_BYTES,
        type=low_level.Type.ID,
    ).decode("ascii")


def verify_password(stored: str, password: str) -> PasswordMatch:
    """
    Return whether *password* is the one behind *stored*, and whether it should be hashed again.

    Supports Argon2 with any parameters inside the bounds, and the formats of `imported_hashes`. Any other format
    matches nothing, after the time of one hash, so that such an account does not stand out. A hash with more expensive
    parameters than ours is rehashed too, so that all users take the same time.

    Args:
        stored: A hash from the database, ours or imported.
        password: As the person typed it. Some formats were made from the text before normalizing.
    """
    if not _is_hashable(password):
        return _NO_MATCH
    if match := _ARGON2.fullmatch(stored):
        return _verify_argon2(match, password)
    if imported_hashes.is_known(stored):
        matches = imported_hashes.is_match(stored, password)
        return PasswordMatch(matches=matches, needs_rehash=matches)
    _argon2_matches(DUMMY_HASH, password, variant="id")
    return _NO_MATCH


def dummy_hash_of(stored: str) -> str | None:
    """
    Return a hash with the format and the costs of *stored* that no password matches.

    None for a hash with our own parameters, and for one that cannot be verified.
    """
    if stored.startswith(CURRENT_HASHES_BEGIN):
        return None
    if match := _ARGON2.fullmatch(stored):
        if not _is_affordable(match):
            return None
        salt_and_hash = DUMMY_HASH.removeprefix(CURRENT_HASHES_BEGIN)
        return f"{stored[: match.start('salt')]}{salt_and_hash}"
    return imported_hashes.dummy_hash_of(stored)


def is_verifiable(stored: str) -> bool:
    """Return whether some password could match *stored*: `verify_password` knows its format, and would pay its
    costs."""
    if match := _ARGON2.fullmatch(stored):
        return _is_affordable(match)
    return imported_hashes.is_within_bounds(stored)


def _is_hashable(password: str) -> bool:
    try:
        password.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return len(password) <= MAX_TYPED_LENGTH


def _argon2_costs(stored: re.Match[str]) -> tuple[int, int, int]:
    return int(stored["memory"]), int(stored["passes"]), int(stored["lanes"])


def _is_affordable(stored: re.Match[str]) -> bool:
    memory_kib, passes, lanes = _argon2_costs(stored)
    if memory_kib > MAX_MEMORY_KIB or passes > MAX_PASSES or lanes > MAX_LANES:
        return False
    return memory_kib * passes <= MAX_KIB_PASSES


def _verify_argon2(stored: re.Match[str], password: str) -> PasswordMatch:
    memory_kib, passes, lanes = _argon2_costs(stored)
    if not _is_affordable(stored):
        return _NO_MATCH
    if not _argon2_matches(stored[0], password, variant=stored["variant"]):
        return _NO_MATCH
    is_current = (
        (stored["variant"], stored["version"]) == ("id", "19")
        and (memory_kib, passes, lanes) == (MEMORY_KIB, PASSES, LANES)
        and (len(stored["salt"]), len(stored["hash"])) == (_SALT_CHARACTERS, _HASH_CHARACTERS)
    )
    return PasswordMatch(matches=True, needs_rehash=not is_current)


def _argon2_matches(stored: str, password: str, *, variant: str) -> bool:
    from argon2 import low_level
    from argon2.exceptions import VerificationError

    kind = {"id": low_level.Type.ID, "i": low_level.Type.I, "d": low_level.Type.D}[variant]
    try:
        return low_level.verify_secret(stored.encode("ascii"), normalize(password).encode("utf-8"), kind)
    except VerificationError:
        return False


def is_common(password: str) -> bool:
    """
    Return whether *password* is on the bundled list of common passwords, whatever its case.

    Entries that `MIN_LENGTH` refuses anyway are left out. The list is read at the first call, about 10 ms.

    Source: NIST SP 800-63B-4 section 3.1.1.2.
    """
    return normalize(password).strip().casefold() in _common_passwords()


@cache
def _common_passwords() -> frozenset[str]:
    packed = resources.files("czo_auth.crypto").joinpath("assets/common_passwords.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode("utf-8").split("\n")
    return frozenset(line.strip().casefold() for line in lines if len(line.strip()) >= MIN_LENGTH)

"""
Backup codes: `SSSS-XXXXX-XXXXX-XXXX` in Crockford's base32.

The first four characters are a selector that is stored in clear; the other fourteen are the secret of 70 bits. Only its
bcrypt hash is stored. The selector finds the row, so that verifying costs one bcrypt instead of one per
remaining code.

Source: https://www.crockford.com/base32.html
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

import bcrypt

from czo_auth.crypto import tokens

COUNT = 10
COST = 10
"""bcrypt's cost for a code; 2**10 rounds."""
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SELECTOR_LENGTH = 4
SECRET_LENGTH = 14
MAX_TEXT_LENGTH = 64
"""Longest text that `parse` accepts; unit: characters. A code has 21, the rest is room for spaces."""

#: Hash of an unknown secret, at `COST`.
_DUMMY_HASH = "$2b$10$d.XTrJChhC5EmRm38TnYh.CcWh6n/0Cy.DL8FjOtVl9dQSBF/InE6"
_CODE = re.compile(rf"([{ALPHABET}]{{{SELECTOR_LENGTH}}})([{ALPHABET}]{{{SECRET_LENGTH}}})")
# Crockford leaves out I, L and O because people read them as digits.
_CANONICAL = str.maketrans("IiLlOo", "111100", " -")


@dataclass(frozen=True, slots=True)
class BackupCode:
    """
    One code, in canonical form. Its representation shows the selector only.

    Raises:
        ValueError: A part is not of the alphabet and length that `new_codes` gives.
    """

    selector: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.selector) != SELECTOR_LENGTH or _CODE.fullmatch(self.selector + self.secret) is None:
            raise ValueError("The parts are not those of a backup code.")

    @property
    def text(self) -> str:
        """The code as the person sees it, once."""
        return "-".join((self.selector, self.secret[:5], self.secret[5:10], self.secret[10:]))


def new_codes(count: int = COUNT, *, taken: Collection[str] = ()) -> list[BackupCode]:
    """
    Generate *count* codes whose selectors differ from each other and from *taken*.

    Used rows are kept, so *taken* holds the selectors of all rows that the user has ever had.

    Raises:
        ValueError: Too many selectors are taken to find free ones quickly.
    """
    unavailable = set(taken)
    if len(unavailable) + count > len(ALPHABET) ** SELECTOR_LENGTH // 2:
        raise ValueError("Too many selectors are taken.")
    codes: list[BackupCode] = []
    while len(codes) < count:
        code = BackupCode(_random_text(SELECTOR_LENGTH), _random_text(SECRET_LENGTH))
        if code.selector not in unavailable:
            unavailable.add(code.selector)
            codes.append(code)
    return codes


def _random_text(length: int) -> str:
    # 256 is a multiple of 32, so every character is equally likely.
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in tokens.random_bytes(length))


def parse(text: str) -> BackupCode | None:
    """
    Parse a code as a person types it: any case, spaces and dashes anywhere, O for 0, I and L for 1.

    Returns:
        The code in canonical form, or None if *text* cannot be one.
    """
    if len(text) > MAX_TEXT_LENGTH or not text.isascii():
        return None
    match = _CODE.fullmatch(text.translate(_CANONICAL).upper())
    return BackupCode(match[1], match[2]) if match else None


def hash_code(code: BackupCode) -> str:
    """
    Hash the secret of *code* with bcrypt at `COST`.

    Takes tens of milliseconds without the GIL: call it in a thread.
    """
    return bcrypt.hashpw(code.secret.encode("ascii"), bcrypt.gensalt(COST)).decode("ascii")


def verify_code(stored: str | None, code: BackupCode) -> bool:
    """
    Return whether *stored* is the hash of *code*, at the price of exactly one bcrypt.

    Without a row the work is done on a dummy, so that the time does not reveal which selectors exist. Takes as
    long as `hash_code`: call it in a thread.

    Args:
        stored: What `hash_code` gave, or None if the selector was not found.
        code: The code as parsed.

    Raises:
        ValueError: *stored* is not a bcrypt hash; the row is damaged.
    """
    is_right = bcrypt.checkpw(code.secret.encode("ascii"), (stored or _DUMMY_HASH).encode("ascii"))
    return is_right and stored is not None

"""
Time-based one-time passwords.

Implemented on `hmac.digest`, because the caller must know which step matched in order to spend it, which no library
returns, and because three candidates take 10 microseconds this way.

Source: RFC 4226, RFC 6238.
"""

import base64
import hmac
import re
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias
from urllib.parse import quote

from czo_auth.crypto import tokens

#: Number of whole periods since the Unix epoch.
Step: TypeAlias = int
Algorithm: TypeAlias = Literal["sha1", "sha256", "sha512"]

PERIOD = 30
"""Length of a step; unit: seconds. Source: RFC 6238 section 5.2."""
DIGITS = 6
SECRET_BYTES = 20
"""160 bits, as RFC 4226 section 4 (R6) recommends."""
MIN_SECRET_BYTES = 16
"""128 bits, which RFC 4226 section 4 (R6) requires; shorter ones from other systems are accepted temporarily."""
MIN_IMPORTED_SECRET_BYTES = 10
"""80 bits, which early authenticators used."""

_CODE = re.compile(r"[0-9]{6}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PERIOD = timedelta(seconds=PERIOD)


def new_secret() -> bytes:
    """Generate a shared secret: 20 random bytes."""
    return tokens.random_bytes(SECRET_BYTES)


def hotp(secret: bytes, counter: int, *, digits: int = DIGITS, algorithm: Algorithm = "sha1") -> str:
    """
    Compute the one-time password for *counter*, padded with zeros to *digits*.

    Args:
        secret: Shared secret, raw bytes (not base32).
        counter: Moving factor, 0 to 2**64 - 1.
        digits: Length of the code, 6 to 8.
        algorithm: Hash under the HMAC.

    Raises:
        ValueError: The secret is shorter than 80 bits (an empty one would make the codes public), or
            *counter* or *digits* is out of range.

    Source: RFC 4226 sections 5.2 and 5.3.
    """
    if len(secret) < MIN_IMPORTED_SECRET_BYTES:
        raise ValueError("A shared secret has at least 80 bits.")
    if not 0 <= counter < 1 << 64:
        raise ValueError("The counter is an unsigned 64-bit number.")
    if not 6 <= digits <= 8:
        raise ValueError("A code has 6 to 8 digits.")
    mac = hmac.digest(secret, counter.to_bytes(8, "big"), algorithm)
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def step_at(now: datetime) -> Step:
    """
    Return the step that *now* lies in.

    Counted in whole microseconds, because a float of seconds can round up into the next step.

    Raises:
        ValueError: *now* has no time zone; read as local time it would shift every step.
    """
    if now.utcoffset() is None:
        raise ValueError("The time must be aware.")
    return (now - _EPOCH) // _PERIOD


def matching_step(
    secret: bytes, code: str, *, now: datetime, drift: int, after: Step | None = None
) -> Step | None:
    """
    Find the earliest step within *drift* of *now*, later than *after*, that *code* matches.

    The step is returned rather than a bool, because the caller must spend it. Every candidate is compared,
    in constant time and without an early exit, so that the time tells nothing about the device's clock.

    Args:
        secret: Shared secret, raw bytes (not base32).
        code: Six ASCII digits, already normalized. Anything else matches nothing.
        now: Timezone-aware server time.
        drift: Steps accepted on either side; unit: steps.
        after: The last step that was spent, or None.

    Raises:
        ValueError: *now* has no time zone, *drift* is negative, or the secret is shorter than 80 bits.

    Source: RFC 6238 sections 4.2 and 5.2.
    """
    if drift < 0:
        raise ValueError("The drift is not negative.")
    current = step_at(now)
    if _CODE.fullmatch(code) is None:
        return None
    matched: Step | None = None
    for step in range(max(current - drift, 0), current + drift + 1):
        is_right = hmac.compare_digest(hotp(secret, step), code)
        if is_right and matched is None and (after is None or step > after):
            matched = step
    return matched


def normalize(code: str) -> str:
    """Remove the ASCII spaces and dashes with which authenticators show a code ("123 456")."""
    return code.replace(" ", "").replace("-", "")


def encode_secret(secret: bytes) -> str:
    """Encode *secret* for a person to type: base32 (RFC 4648), upper case, unpadded."""
    return base64.b32encode(secret).decode("ascii").rstrip("=")


def decode_secret(text: str) -> bytes:
    """
    Decode the result of `encode_secret`.

    Raises:
        ValueError: *text* is not base32.
    """
    return base64.b32decode(text + "=" * (-len(text) % 8))


def otpauth_uri(secret: bytes, *, account: str, issuer: str) -> str:
    """
    Return the URI that an authenticator reads from a QR code.

    A colon parts issuer and account in the label, and authenticators split at the first one after decoding;
    so a colon inside either is replaced by a space. Spaces are %20, since most authenticators show a plus.

    Args:
        secret: Shared secret, raw bytes.
        account: What the person knows the account by, usually the email.
        issuer: Name of the service.

    Raises:
        ValueError: *account* or *issuer* is empty, or is not Unicode text.

    Source: Key Uri Format of google-authenticator.
    """
    issuer_text, account_text = _label_part(issuer), _label_part(account)
    return (
        f"otpauth://totp/{issuer_text}:{account_text}?secret={encode_secret(secret)}&issuer={issuer_text}"
        f"&algorithm=SHA1&digits={DIGITS}&period={PERIOD}"
    )


def _label_part(text: str) -> str:
    part = " ".join(text.replace(":", " ").split())
    if not part:
        raise ValueError("The issuer and the account each need a name.")
    return quote(part, safe="")

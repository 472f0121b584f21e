"""Email addresses: one canonical form, under which an address is unique and is counted (S27)."""

from __future__ import annotations

import re
import unicodedata

import idna

from czo_auth.core.errors import ValidationFailed

MAX_LENGTH = 254
_LOCAL = re.compile(r"[^\s@<>()\[\]\\,;:\"\x00-\x1f\x7f]{1,64}")


def canonical_email(address: str) -> str:
    """
    Bring *address* to the form under which it is stored and compared: NFC, lower case, domain in IDNA A-labels.

    Raises:
        ValidationFailed: It is no address.

    Source: RFC 5321 section 4.5.3.1 (lengths), RFC 5891 (domain), RFC 6531 (local part beyond ASCII).
    """
    local, at, domain = unicodedata.normalize("NFC", address.strip()).rpartition("@")
    local = local.casefold()
    if not at or not _LOCAL.fullmatch(local) or local.startswith(".") or local.endswith(".") or ".." in local:
        raise _refusal()
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in local):
        raise _refusal()
    try:
        ascii_domain = idna.encode(domain.rstrip("."), uts46=True, std3_rules=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise _refusal() from None
    canonical = unicodedata.normalize("NFC", f"{local}@{ascii_domain}")
    if len(canonical.encode()) > MAX_LENGTH:
        raise _refusal()
    return canonical


def find_canonical_email(address: str) -> str | None:
    """Do the same where a wrong form is not worth an error of its own: None."""
    try:
        return canonical_email(address)
    except ValidationFailed:
        return None


def _refusal() -> ValidationFailed:
    return ValidationFailed(details=(("email", "This is not an email address."),))

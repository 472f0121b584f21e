"""Email addresses: one canonical form, which is unique and used for counting (S27)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

import idna

from czo_auth.core.errors import ValidationFailed
from czo_auth.core.limits import MAX_CANONICAL_EMAIL_BYTES

_LOCAL = re.compile(r"[^\s@<>()\[\]\\,;:\"\x00-\x1f\x7f]{1,64}")


def canonical_email(address: str, *, field: str = "email") -> str:
    """
    Convert *address* to the form in which it is stored and compared: NFC, lower case, domain in IDNA A-labels.

    Only lower case: full case folding would unify ``groß@`` and ``gross@``, which are two mailboxes.

    Args:
        field: Name of the field that the refusal is about.

    Raises:
        ValidationFailed: It is not an address.

    Source: RFC 5321 section 4.5.3.1 (lengths), RFC 5891 (domain), RFC 6531 (local part beyond ASCII).
    """
    return _normalized(address, str.lower, field=field)


def deliverable_email(address: str) -> str:
    """
    Convert *address* to the form that mail is sent to, with the local part as typed, because mail servers may
    distinguish case.

    Raises:
        ValidationFailed: It is not an address.

    Source: RFC 5321 section 2.4 (local parts are case-sensitive).
    """
    return _normalized(address, str)


def folded_email(address: str) -> str | None:
    """
    Return the form under which *address* was stored before revision 0007, by full case folding; None for no address.

    >>> folded_email("Groß@example.com")
    'gross@example.com'
    """
    try:
        return _normalized(address, str.casefold)
    except ValidationFailed:
        return None


def _normalized(address: str, convert: Callable[[str], str], *, field: str = "email") -> str:
    local, at, domain = unicodedata.normalize("NFC", address.strip()).rpartition("@")
    local = convert(local)
    if not at or not _LOCAL.fullmatch(local) or local.startswith(".") or local.endswith(".") or ".." in local:
        raise _refusal(field)
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in local):
        raise _refusal(field)
    try:
        ascii_domain = idna.encode(domain.rstrip("."), uts46=True, std3_rules=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise _refusal(field) from None
    canonical = unicodedata.normalize("NFC", f"{local}@{ascii_domain}")
    if len(canonical.encode()) > MAX_CANONICAL_EMAIL_BYTES:
        raise _refusal(field)
    return canonical


def find_canonical_email(address: str) -> str | None:
    """Do the same as `canonical_email`; None if it is not an address."""
    try:
        return canonical_email(address)
    except ValidationFailed:
        return None


def may_be_folded(email: str) -> bool:
    """
    Whether *email*, stored before revision 0007, may have been typed as another address.

    Only sequences that folding is known to change in use: ``ss`` beside letters beyond ASCII or a German, Austrian or
    Swiss domain (ß), and ligatures of fonts.
    """
    local, _, domain = email.rpartition("@")
    if "ss" not in local:
        return False
    return not local.isascii() or domain.rpartition(".")[2] in ("de", "at", "ch", "li", "lu")


def _refusal(field: str) -> ValidationFailed:
    return ValidationFailed(details=((field, "This is not an email address."),))
